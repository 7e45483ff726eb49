"""What `make node` stands on, as far as that goes without root: the rest is `make node` itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml
from tests.packaging.chart import REPOSITORY, Json, Render, only
from tests.packaging.test_image import instructions

from modelroute.controller.settings import Settings
from node import __main__ as program
from node import client, image, machine, post_render
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


@pytest.mark.parametrize(
    ("network", "answered"), [("127.0.0.0/8", b"HELLO"), (machine.PODS, b"")], ids=["a pod", "somebody else"]
)
def test_connections_of_pods_are_handed_on_both_ways_until_their_end(network: str, answered: bytes) -> None:
    async def play() -> bytes:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Only answered once the other side has said that this was all.
            writer.write((await reader.read()).upper())
            writer.close()

        async with await asyncio.start_server(shout, "127.0.0.1", 0) as there:
            host, port = there.sockets[0].getsockname()
            async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as probe:
                free = probe.sockets[0].getsockname()[1]
            serving = asyncio.create_task(forward(f"127.0.0.1:{free}", f"{host}:{port}", network=IPv4Network(network)))
            for _ in range(200):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", free)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
            writer.write(b"hello")
            writer.write_eof()
            try:
                answer = await asyncio.wait_for(reader.read(), 10)
            except ConnectionResetError:
                answer = b""
            writer.close()
            serving.cancel()
            return answer

    assert asyncio.run(play()) == answered


def test_the_kubelet_knows_the_api_servers_certificate_and_nobody_else(tmp_path: Path) -> None:
    made = client.make(tmp_path)
    settings: Json = machine.kubelet_settings(tmp_path, tmp_path / "socket", made.certificate)
    known = settings["authentication"]
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=known["x509"]["clientCAFile"])
    theirs.verify_mode = ssl.CERT_REQUIRED
    theirs.load_cert_chain(made.certificate, made.key)
    flags = dict(each.split("=") for each in made.flags)
    ours = ssl.create_default_context(cafile=str(made.certificate))
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE

    with pytest.raises(ssl.SSLError):
        shake_hands(theirs, ours)
    ours.load_cert_chain(flags["--kubelet-client-certificate"], flags["--kubelet-client-key"])
    shown = shake_hands(theirs, ours)

    assert shown["subject"] == ((("commonName", "kube-apiserver"),),)
    assert not known["anonymous"]["enabled"]
    assert not settings["enableSystemLogHandler"]
    assert made.key.stat().st_mode & 0o077 == 0


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> Json:
    """What the server knows of the client then."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(to_server, to_client, server_side=True), client.wrap_bio(to_client, to_server)]
    for _ in range(5):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown: Json = ends[0].getpeercert() or {}
    return shown


@pytest.mark.parametrize(
    ("user", "on_path", "told"),
    [
        (1000, machine.__name__, "`make node` needs root: it starts containerd and kubelet on this machine.\n"),
        (
            0,
            None,
            f"`make node` needs {' and '.join(program.PROGRAMS)} and PLUGINS/host-local and PLUGINS/loopback and "
            f"PLUGINS/ptp, which this machine lacks: {program.INSTALL}\n",
        ),
        (
            0,
            "there",
            "`make node` needs PLUGINS/host-local and PLUGINS/loopback and PLUGINS/ptp, which this machine lacks: "
            f"{program.INSTALL}\n",
        ),
    ],
    ids=["not root", "nothing installed", "no plugins"],
)
def test_it_says_in_one_sentence_what_it_lacks(
    user: int, on_path: str | None, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda _name: on_path)
    monkeypatch.setattr(machine, "PLUGIN_FOLDER", Path("PLUGINS"))

    assert program.main() == 1
    assert capsys.readouterr().err == told


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with all that `make node` needs and no node; its folders are in this one."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: name)
    for name in ("_GROUPS", "_LINKS", "_NAMESPACES", "PLUGIN_FOLDER"):
        monkeypatch.setattr(machine, name, tmp_path / name.strip("_").lower())
        (tmp_path / name.strip("_").lower()).mkdir()
    monkeypatch.setattr(machine, "_KUBELETS", [str(tmp_path / "kubelet")])
    for name in machine.PLUGINS:
        (tmp_path / "plugin_folder" / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ("kubelet", "kubelet"),
        ("groups/kubepods", "groups/kubepods*"),
        ("groups/kubepods.slice", "groups/kubepods*"),
        ("groups/memory/kubepods", "groups/*/kubepods*"),
        ("namespaces/cni-1", "namespaces/cni-1"),
    ],
)
def test_it_starts_nothing_beside_another_kubelet(
    theirs: str, named: str, bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("controlplane.programs.locate_all", lambda *_, **__: pytest.fail("it went on"))
    assert machine.in_the_way() == ""
    (bare / theirs).mkdir(parents=True)

    assert program.main() == 1
    assert capsys.readouterr().err == (
        "`make node` would start a second kubelet beside one that is or was here, and take its pods away: "
        f"there is {bare / named} (to be deleted if no kubelet and no containerd needs it any more).\n"
    )


def test_after_a_run_that_was_killed_it_says_what_to_delete(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("controlplane.programs.locate_all", lambda *_, **__: pytest.fail("it went on"))
    for left in ("links/modelroute0", "kubelet", "namespaces/cni-1", "groups/memory/kubepods"):
        (bare / left).mkdir(parents=True)

    assert program.main() == 1
    assert capsys.readouterr().err == (
        "Another `make node` runs, or was killed and left modelroute0 here: then end its containerd-shim processes and "
        "what runs in them, unmount what they leave mounted, and delete it: "
        "ip link delete modelroute0; ip netns delete cni-1; "
        f"rm -r {bare}/kubelet; find {bare}/groups/*/kubepods* -depth -type d -delete\n"
    )


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
