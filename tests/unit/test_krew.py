"""The archive and the manifest of `kubectl modelroute`, as krew unpacks and reads them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from krew import build
from krew.build import PYTHON, SCRIPTS, archive, main, manifest
from modelroute import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with modelroute alone; what it needs comes from this environment."""
    return archive(tmp_path_factory.mktemp("krew"), tmp_path_factory.mktemp("lib"))


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with krew's links, and the one for completion that the caveats name."""
    root = tmp_path_factory.mktemp("root")
    with tarfile.open(built) as tar:
        tar.extractall(root / "store", filter="data")
    for file in (root / "store").rglob("*"):
        # krew keeps no times.
        os.utime(file)
    (root / "bin").mkdir()
    (root / "bin/kubectl-modelroute").symlink_to(root / "store/kubectl-modelroute")
    (root / "bin/kubectl_complete-modelroute").symlink_to("kubectl-modelroute")
    return root / "bin"


def run(script: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "MODELROUTE_PYTHON": sys.executable, "PYTHONPATH": "", **environment}
    return subprocess.run(
        [str(script), *arguments], capture_output=True, text=True, env=variables, cwd=cwd, check=False
    )


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("bin/kubectl-modelroute", ["--version"], f"kubectl modelroute, version {__version__}"),
        ("bin/kubectl-modelroute", ["--help"], "Watch and steer canary rollouts"),
        ("bin/kubectl_complete-modelroute", ["wait", "--for", ""], "promoted\nstable\n:4\n"),
        ("store/kubectl_complete-modelroute", ["wait", "--for", ""], "promoted\nstable\n:4\n"),
    ],
)
def test_what_is_unpacked_runs_through_links(installed: Path, script: str, arguments: list[str], says: str) -> None:
    done = run(installed.parent / script, *arguments)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_modelroute_is_the_archives_and_nothing_of_the_folder_that_one_is_in(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong click')", encoding="utf-8")
    (tmp_path / "modelroute.py").write_text("raise SystemExit('the wrong modelroute')", encoding="utf-8")

    done = run(installed / "kubectl-modelroute", "--version", cwd=tmp_path, PYTHONPATH=str(ROOT / "operator"))
    said = run(installed / "kubectl-modelroute", "--version", cwd=tmp_path, PYTHONVERBOSE="1").stderr

    assert done.returncode == 0, done.stderr
    store = (installed.parent / "store/lib/modelroute").resolve()
    assert f"{store}/cli/main.py" in said
    assert f"{ROOT}/operator/modelroute/cli/main.py" not in said


def test_nothing_is_compiled_anew_though_krew_keeps_no_times(installed: Path) -> None:
    said = run(installed / "kubectl-modelroute", "--version", PYTHONVERBOSE="1", PYTHONDONTWRITEBYTECODE="").stderr

    ours = [line for line in said.splitlines() if "/store/lib/" in line]
    assert any("main.cpython" in line and line.startswith("# code object from") for line in ours)
    assert not [line for line in ours if "bytecode is stale" in line or "# wrote" in line]


def test_programs_that_give_credentials_see_no_path_of_ours(installed: Path, tmp_path: Path) -> None:
    """They are often Python as well, and of another version: what was compiled for this one would break them."""
    helper = tmp_path / "helper"
    helper.write_text(f'#!/bin/sh\nenv > "{tmp_path}/seen"\nexit 1\n', encoding="utf-8")
    helper.chmod(0o755)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(helper), "interactiveMode": "Never"}
    }
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": user}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")

    run(installed / "kubectl-modelroute", "get", "--kubeconfig", str(tmp_path / "kubeconfig"))

    assert "/store/lib" not in (tmp_path / "seen").read_text(encoding="utf-8")


def test_another_python_is_named_before_anything_is_imported(installed: Path, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text(
        f"""#!/bin/sh
exec "{sys.executable}" -c 'import sys; sys.version_info = (3, 9, 1); code = sys.argv.pop(2); exec(code)' "$@"
""",
        encoding="utf-8",
    )
    other.chmod(0o755)

    done = run(installed / "kubectl-modelroute", "--version", MODELROUTE_PYTHON=str(other))

    assert done.returncode == 1
    assert done.stderr == f"kubectl modelroute: this archive is for Python {PYTHON}: set MODELROUTE_PYTHON to one\n"


def test_krew_can_unpack_it(built: Path) -> None:
    with tarfile.open(built) as tar:
        members = tar.getmembers()

    assert [each.name for each in members if not (each.isreg() or each.isdir())] == []
    assert [each.name for each in members if ".." in each.name or each.name.startswith(("/", "\\"))] == []
    assert {each.name for each in members if each.mode & 0o111 and each.isreg()} == {f"./{each}" for each in SCRIPTS}


def test_it_tells_nobody_who_built_it(built: Path) -> None:
    with tarfile.open(built) as tar:
        owners = {(each.uid, each.gid, each.uname, each.gname) for each in tar}

    assert owners == {(0, 0, "", "")}


def test_the_scripts_are_posix_shell(installed: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "shellcheck"), str(installed / "kubectl-modelroute")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


def test_the_manifest_names_every_archive_with_its_checksum(built: Path) -> None:
    found = manifest(built.parent, url="https://example.com/v1/", homepage="https://example.com", version="1.2.3")

    assert found["spec"]["homepage"] == "https://example.com"
    (platform,) = found["spec"]["platforms"]
    assert platform["uri"] == f"https://example.com/v1/{built.name}"
    assert platform["sha256"] == hashlib.sha256(built.read_bytes()).hexdigest()
    assert "@" not in str(found)


def test_the_manifest_is_what_krew_wants(built: Path) -> None:
    """The rules of krew's own check of a manifest (0.4.3)."""
    found = manifest(built.parent, url="", homepage="", version=__version__)

    assert found["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert found["kind"] == "Plugin"
    assert re.fullmatch(r"[\w-]+", found["metadata"]["name"])
    spec = found["spec"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", spec["version"])
    assert spec["shortDescription"]
    assert "\n" not in spec["shortDescription"]
    for platform in spec["platforms"]:
        assert platform["uri"] == built.name
        assert re.fullmatch(r"[a-f0-9]{64}", platform["sha256"])
        assert platform["bin"] in SCRIPTS
        assert platform["selector"]["matchLabels"].keys() <= {"os", "arch"}
        assert set(platform) == {"selector", "uri", "sha256", "bin"}


def test_the_manifest_is_written_with_its_lines_and_the_command_that_installs_it(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["build.py", "manifest", "--into", str(built.parent)])

    main()

    text = (built.parent / "modelroute.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == manifest(built.parent, url="", homepage="", version=__version__)
    assert "  caveats: |\n    Needs Python" in text
    assert (
        f"kubectl krew install --manifest={built.parent}/modelroute.yaml --archive={built}" in capsys.readouterr().out
    )


def made_for(python: str, folder: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive with nothing but its script, as that Python would have written it."""
    monkeypatch.setattr(build, "PYTHON", python)
    script = build.launcher().encode()
    with tarfile.open(folder / f"kubectl-modelroute-{platform}.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(f"./{SCRIPTS[0]}")
        member.size = len(script)
        tar.addfile(member, io.BytesIO(script))


def test_the_manifest_names_the_python_of_the_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for platform in ("darwin-arm64", "linux-amd64"):
        made_for("3.99", tmp_path, platform, monkeypatch)
    monkeypatch.setattr(build, "PYTHON", PYTHON)

    found = manifest(tmp_path, url="", homepage="", version="1.2.3")

    assert "Needs Python 3.99 as python3.99 or" in found["spec"]["caveats"]


def test_archives_for_different_pythons_make_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_for("3.98", tmp_path, "darwin-arm64", monkeypatch)
    made_for("3.99", tmp_path, "linux-amd64", monkeypatch)

    with pytest.raises(SystemExit) as refused:
        manifest(tmp_path, url="", homepage="", version="1.2.3")

    assert str(refused.value) == (
        "The archives are for different versions of Python, and a manifest names one: "
        "kubectl-modelroute-darwin-arm64.tar.gz is for 3.98, kubectl-modelroute-linux-amd64.tar.gz is for 3.99"
    )


def test_an_archive_that_does_not_say_its_python_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kubectl-modelroute-linux-amd64.tar.gz"
    tarfile.open(file, "w:gz").close()

    with pytest.raises(SystemExit, match="does not say which Python it is for: make it anew"):
        manifest(tmp_path, url="", homepage="", version="1.2.3")


def test_a_folder_without_archives_makes_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no archive in it"):
        manifest(tmp_path, url="https://example.com", homepage="https://example.com", version="1.2.3")
