"""What `make node` stands on, as far as that goes without root: the rest is `make node` itself."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.packaging.chart import REPOSITORY, Json, Render, only
from tests.packaging.test_image import instructions

from modelroute.controller.settings import Settings
from node import __main__ as program
from node import image, machine, post_render
from node.forward import forward

NODE = REPOSITORY / "hack" / "node"
VALUES: Json = yaml.safe_load((NODE / "values.yaml").read_text())


def test_the_chart_takes_the_values_and_the_operator_finds_prometheus_and_the_api_server(render: Render) -> None:
    objects = render(VALUES)
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    settings = Settings.model_validate(yaml.safe_load(only(objects, "ConfigMap")["data"]["operator.yaml"]))
    named = {each["name"]: each.get("value") for each in container["env"]}

    assert settings.prometheus["default"].url == f"http://{machine.PROMETHEUS}"
    assert named["KUBERNETES_SERVICE_HOST"] == post_render.API_NAME
    assert named["KUBERNETES_SERVICE_PORT"] == machine.API.rpartition(":")[2]
    assert f"docker.io/{container['image']}" == image.IMAGE


def test_what_helm_renders_is_given_one_name_and_nothing_else(render: Render) -> None:
    before = render(VALUES)
    done = subprocess.run(
        [sys.executable, NODE / "post_render.py", machine.ADDRESS],
        input=yaml.safe_dump_all(before), capture_output=True, text=True, check=True,
    )  # fmt: skip
    after = list(yaml.safe_load_all(done.stdout))
    pod = only(after, "Deployment")["spec"]["template"]["spec"]

    assert pod.pop("hostAliases") == [{"ip": machine.ADDRESS, "hostnames": ["kubernetes.default.svc"]}]
    assert after == before


def test_the_base_is_what_the_dockerfile_asks_for() -> None:
    asked = {each.split()[0].replace("${PYTHON}", image.TAG) for each in instructions("FROM")}

    assert {f"docker.io/library/{each}" for each in asked} == {image.BASE}


def test_other_packages_make_another_base() -> None:
    tags = [image.tag(image.SUITE, image.PACKAGES), image.tag(image.SUITE, [*image.PACKAGES, "git"])]
    tags.append(image.tag("trixie", image.PACKAGES))

    assert tags[0] == image.TAG == image.BASE.rpartition(":")[2]
    assert len(set(tags)) == 3
    assert all(re.fullmatch(r"[\w][\w.-]{0,127}", each) for each in tags)


def test_connections_are_handed_on_both_ways_until_their_end() -> None:
    async def play() -> bytes:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Only answered once the other side has said that this was all.
            writer.write((await reader.read()).upper())
            writer.close()

        async with await asyncio.start_server(shout, "127.0.0.1", 0) as there:
            host, port = there.sockets[0].getsockname()
            async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as probe:
                free = probe.sockets[0].getsockname()[1]
            serving = asyncio.create_task(forward(f"127.0.0.1:{free}", f"{host}:{port}"))
            for _ in range(200):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", free)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
            writer.write(b"hello")
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            serving.cancel()
            return answer

    assert asyncio.run(play()) == b"HELLO"


@pytest.mark.parametrize(
    ("user", "on_path", "told"),
    [
        (1000, machine.__name__, "`make node` needs root: it starts containerd and kubelet on this machine.\n"),
        (0, None, f"`make node` needs {' and '.join(program.PROGRAMS)}, which PATH lacks: {program.INSTALL}\n"),
    ],
    ids=["not root", "nothing installed"],
)
def test_it_says_in_one_sentence_what_it_lacks(
    user: int, on_path: str | None, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda _name: on_path)

    assert program.main() == 1
    assert capsys.readouterr().err == told


def test_a_node_leaves_nothing_that_was_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in ("mine", "new")]
    monkeypatch.setattr(machine, "_FOLDERS", [str(each) for each in folders])
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_NAMESPACES", tmp_path / "namespaces")
    (tmp_path / "mine").mkdir()
    found = machine._own_places()

    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "file").write_text("left")
    (tmp_path / "groups" / "memory" / "kubepods" / "burstable" / "pod").mkdir(parents=True)
    (tmp_path / "namespaces").mkdir()
    (tmp_path / "namespaces" / "cni-1").write_text("")
    machine._leave_nothing(tmp_path / "place", found)

    assert [each.exists() for each in folders] == [True, False]
    assert list((tmp_path / "groups" / "memory").iterdir()) == []
    assert list((tmp_path / "namespaces").iterdir()) == []
