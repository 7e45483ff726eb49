"""The archive and the manifest of `kubectl modelroute`, as krew unpacks and reads them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from krew.build import archive, manifest
from modelroute import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with the package alone; what it needs comes from this environment."""
    into, packages = tmp_path_factory.mktemp("krew"), tmp_path_factory.mktemp("lib")
    (packages / "modelroute").symlink_to(ROOT / "operator/modelroute")
    return archive(into, packages)


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("kubectl-modelroute", ["--version"], f"kubectl modelroute, version {__version__}"),
        ("kubectl-modelroute", ["--help"], "Watch and steer canary rollouts"),
        ("kubectl_complete-modelroute", ["wait", "--for", ""], "promoted\nstable\n:4\n"),
    ],
)
def test_what_is_unpacked_runs_through_a_link(
    built: Path, tmp_path: Path, script: str, arguments: list[str], says: str
) -> None:
    with tarfile.open(built) as tar:
        tar.extractall(tmp_path / "store", filter="data")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / script
    link.symlink_to(tmp_path / "store" / script)

    environment = {**os.environ, "MODELROUTE_PYTHON": sys.executable, "PYTHONPATH": ""}
    done = subprocess.run([str(link), *arguments], capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_the_manifest_names_every_archive_with_its_checksum(built: Path) -> None:
    found = manifest(built.parent, url="https://example.com/v1/", homepage="https://example.com", version="1.2.3")

    assert found["spec"]["version"] == "v1.2.3"
    (platform,) = found["spec"]["platforms"]
    assert platform["uri"] == f"https://example.com/v1/{built.name}"
    assert platform["sha256"] == hashlib.sha256(built.read_bytes()).hexdigest()
    assert "@" not in str(found)


def test_a_folder_without_archives_makes_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no archive in it"):
        manifest(tmp_path, url="https://example.com", homepage="https://example.com", version="1.2.3")
