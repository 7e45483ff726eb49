"""Ends the stack's processes when the stack itself is gone, even if it was killed with SIGKILL.

One keeper runs beside each stack, in a session of its own, and reads a pipe whose other end only the stack holds:
`+PID` registers a process group, `-PID` takes it off again. The end of the pipe means that the stack is gone; what is
still registered then is terminated, after a grace killed, and the scratch folder is removed (logs stay). This does not
lean on PR_SET_PDEATHSIG, which is Linux's alone and fires when the *thread* that started a process ends.

Run as a file, with the standard library only, so that it starts fast and stays small.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

_GRACE_S = 3.0


def main(scratch: str) -> None:
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
        shutil.rmtree(scratch, ignore_errors=True)


def _end(groups: list[int]) -> None:
    for group in reversed(groups):
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
    main(sys.argv[1])
