"""The folder, outside the repository, where what was built or fetched once is kept.

`$MODELROUTE_CACHE`, else `$XDG_CACHE_HOME/modelroute`, else `~/.cache/modelroute`; inside, `<tool>/<version>/<key>/`.
An entry is made beside its place and renamed into it, so it is there whole or not at all; a lock per tool keeps two
runs from making the same one twice.
"""

import errno
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.errors import SetupError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_BELOW_BYTES = 1_000_000


def root() -> Path:
    if own := os.environ.get("MODELROUTE_CACHE"):
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "modelroute"


def key(*inputs: bytes) -> str:
    """Names an entry by the platform it is for and by all that went into it."""
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(hashlib.sha256(part).digest())
    return f"{sys.platform}-{platform.machine()}-{digest.hexdigest()[:12]}"


def entry(tool: str, version: str, name: str) -> Path:
    return root() / tool / version / name


def log_file(name: str) -> Path:
    folder = root() / "logs"
    make_folder(folder)
    return folder / f"{name}.log"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _full() from error
        raise SetupError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def fill(destination: Path, make: Callable[[Path], None], *, say: Callable[[str], None]) -> Path:
    """Returns `destination`, after letting `make` fill it if it is not there yet."""
    if destination.is_dir():
        return destination
    make_folder(destination.parent)
    try:
        return _filled(destination, make, say)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _full() from error
        raise


def _filled(destination: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    with _lock(destination.parent.parent / "lock", say):
        if destination.is_dir():
            return destination
        for left_over in destination.parent.glob(f"{destination.name}.part-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f"{destination.name}.part-", dir=destination.parent))
        try:
            make(part)
            part.chmod(0o755)
            part.rename(destination)
        except SetupError as error:
            # A command that finds no room cannot write so into its log, which is on the same disk.
            if shutil.disk_usage(part).free < _FULL_BELOW_BYTES:
                raise _full() from error
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return destination


def _full() -> SetupError:
    return SetupError(
        f"The disk that holds {root()} is full: make room there, or name a folder on another disk in MODELROUTE_CACHE,"
        " and run the same again; what was half made is removed."
    )


@contextmanager
def _lock(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is getting {path.parent.name}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
