"""Makes .venv, with everything in hack/requirements/dev.txt and this package in it; `make` runs it before all else.

`bootstrap.py eval` makes .venv-eval from hack/requirements/eval.txt in the same way, and so on for any lock's name.
Needs nothing but Python's standard library. It does nothing when the environment was already made from the same files.
Its syntax is Python 3.6's, so that an old Python gives a sentence and not a traceback.
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
from collections.abc import Sequence
from pathlib import Path

from controlplane import cache, progress
from controlplane.errors import SetupError

REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = REPOSITORY / "hack" / "requirements"
# Published as source alone. They are small and pure Python; setuptools, of dev.txt, builds them.
FROM_SOURCE = {"eval": "rouge-score,sqlitedict,word2number"}


class Environment:
    """A folder to make, and the lock that says what goes into it. `dev` is .venv, any other name .venv-NAME."""

    def __init__(self, name: str = "dev", *, repository: Path = REPOSITORY, locks: Path = LOCKS) -> None:
        self.folder = repository / (".venv" if name == "dev" else f".venv-{name}")
        self.lock = locks / f"{name}.txt"
        # The other locks hold what dev.txt does, in the same versions, and need its setuptools.
        self.first = locks / "dev.txt"
        self.from_source = FROM_SOURCE.get(name, "")
        self.stamp = self.folder / "modelroute.stamp"
        self.unfinished = self.folder / "modelroute.unfinished"
        self.logs = "" if name == "dev" else f"-{name}"
        if not self.lock.is_file():
            raise SetupError(f"There is no environment {name!r}: {self.lock} is not there.")

    def fingerprint(self) -> str:
        """Changes with the lock, with what this package declares, and with the Python that it is made from."""
        digest = hashlib.sha256(self.lock.read_bytes() + (REPOSITORY / "pyproject.toml").read_bytes())
        return f"{digest.hexdigest()} python {sys.version_info[0]}.{sys.version_info[1]}\n"

    def is_made(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text(encoding="utf-8") == self.fingerprint()


def main(arguments: Sequence[str] = ()) -> int:
    try:
        environment = Environment(*arguments[:1])
        if not environment.is_made():
            _make(environment)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the next `make` begins anew.", file=sys.stderr)
        return 130
    return 0


def _make(environment: Environment) -> None:
    name = environment.folder.name
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} comes without venv and ensurepip, which {name} is made with;"
            f" on Debian and Ubuntu they are the package python3.{sys.version_info[1]}-venv."
        )
    python = environment.folder / "bin" / "python"
    anew = environment.unfinished.exists() or not _is_this_python(python)
    if anew:
        options = ["--clear"] if environment.folder.exists() else []
        progress.run(
            [sys.executable, "-m", "venv", *options, environment.folder],
            doing=f"making {name}",
            log=cache.log_file(f"venv{environment.logs}"),
        )
    environment.stamp.unlink(missing_ok=True)
    environment.unfinished.touch()
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
    ]
    for lock in dict.fromkeys((environment.first, environment.lock)):
        # The lock is whole; left to itself, pip refuses an extra that a locked package asks of another, for want of ==.
        source = ["--no-deps", f"--no-binary={environment.from_source}"] if lock != environment.first else []
        progress.run(
            [*pip, "--require-hashes", "--only-binary=:all:", *source, "--no-build-isolation", "--requirement", lock],
            doing=f"installing {lock.name} into {name}",
            log=cache.log_file(f"dependencies-{lock.stem}"),
        )
    environment.unfinished.unlink()
    progress.run(
        [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--editable", REPOSITORY],
        doing=f"installing modelroute into {name}",
        log=cache.log_file(f"modelroute{environment.logs}"),
    )
    environment.stamp.write_text(environment.fingerprint(), encoding="utf-8")


def _is_this_python(python: Path) -> bool:
    """Whether the environment has a working Python of this very minor version."""
    if not python.exists():
        return False
    code = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
