"""Ends processes when the process that started them is gone, even if that one was killed with SIGKILL.

A keeper runs beside its owner, in a session of its own, and reads a pipe whose other end only the owner holds: `+PID`
registers a process group, `-PID` takes it off again. The end of the pipe means that the owner is gone; what is still
registered then is terminated, after a grace killed, and the scratch folder is removed. This does not lean on
PR_SET_PDEATHSIG, which is Linux's alone and fires when the *thread* that started a process ends.

Standard library only, and little of it: the owner runs this very file, so that it starts fast and stays small.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_GRACE_S = 3.0


class KeeperGone(Exception):
    """The keeper has ended, so nothing more may be started under it."""


class Keeper:
    """The owner's end of the pipe."""

    def __init__(self, scratch: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *([] if scratch is None else [str(scratch)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Registers the process group `pid`; raises KeeperGone if there is nobody to watch over it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"+{pid}\n".encode())
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise KeeperGone from error

    def forget(self, pid: int) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(f"-{pid}\n".encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Ends the keeper, which ends whatever is still registered with it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def main(scratch: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: list[int] = []
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            groups.append(pid)
        elif pid in groups:
            groups.remove(pid)
    if groups:
        _end(groups)
        for folder in scratch:
            shutil.rmtree(folder, ignore_errors=True)


def _end(groups: list[int]) -> None:
    for group in reversed(groups):
        _signal(group, signal.SIGCONT)
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline and any(_signal(group, 0) for group in groups):
        time.sleep(0.05)
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
