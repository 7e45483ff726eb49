"""Makes .venv, with everything in hack/requirements/dev.txt and this package in it; `make` runs it before all else.

Needs nothing but Python's standard library. It does nothing when .venv was already made from the same files. Its
syntax is Python 3.6's, so that an old Python gives a sentence and not a traceback.
"""

import os
import shutil
import sys

if sys.version_info < (3, 11):  # noqa: UP036  # this file is what says so
    for _minor in (14, 13, 12, 11):
        _newer = shutil.which(f"python3.{_minor}")
        if _newer:
            os.execv(_newer, [_newer, *sys.argv])
    sys.exit(f"modelroute needs Python 3.11 or later, and {sys.executable} is {sys.version.split()[0]}.")

import hashlib
import importlib.util
import subprocess
from pathlib import Path

from controlplane import cache, progress
from controlplane.errors import SetupError

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = REPOSITORY / ".venv"
LOCK = REPOSITORY / "hack" / "requirements" / "dev.txt"
_STAMP, _UNFINISHED = ENVIRONMENT / "modelroute.stamp", ENVIRONMENT / "modelroute.unfinished"


def main() -> int:
    stamp = _fingerprint()
    if _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == stamp:
        return 0
    try:
        _make(stamp)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the next `make` begins .venv anew.", file=sys.stderr)
        return 130
    return 0


def _fingerprint() -> str:
    """Changes with the lock, with what this package declares, and with the Python that .venv is made from."""
    digest = hashlib.sha256(LOCK.read_bytes() + (REPOSITORY / "pyproject.toml").read_bytes())
    return f"{digest.hexdigest()} python {sys.version_info[0]}.{sys.version_info[1]}\n"


def _make(stamp: str) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} comes without venv and ensurepip, which .venv is made with;"
            f" on Debian and Ubuntu they are the package python3.{sys.version_info[1]}-venv."
        )
    python = ENVIRONMENT / "bin" / "python"
    anew = _UNFINISHED.exists() or not _is_this_python(python)
    if anew:
        options = ["--clear"] if ENVIRONMENT.exists() else []
        progress.run(
            [sys.executable, "-m", "venv", *options, ENVIRONMENT], doing="making .venv", log=cache.log_file("venv")
        )
    _STAMP.unlink(missing_ok=True)
    _UNFINISHED.touch()
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
    ]
    progress.run(
        [*pip, "--require-hashes", "--only-binary=:all:", "--requirement", LOCK],
        doing="installing the dependencies into .venv",
        log=cache.log_file("dependencies"),
    )
    _UNFINISHED.unlink()
    progress.run(
        [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--editable", REPOSITORY],
        doing="installing modelroute into .venv",
        log=cache.log_file("modelroute"),
    )
    _STAMP.write_text(stamp, encoding="utf-8")


def _is_this_python(python: Path) -> bool:
    """Whether .venv has a working Python of this very minor version."""
    if not python.exists():
        return False
    code = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


if __name__ == "__main__":
    sys.exit(main())
