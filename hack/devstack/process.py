"""Processes of the stack: each with a log file and a process group of its own, none outliving the stack."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from controlplane.keeper import Keeper, KeeperGone
from devstack.errors import ComponentFailed, NotInTime, StackError
from devstack.waiting import wait_until

# The shell becomes the program, so the pid is the program's; but only after a byte on its stdin has said that the
# keeper knows the pid. A stack that dies in between closes the pipe, and the shell ends.
_GATE = 'read -r go || exit 125; exec "$0" "$@" </dev/null'


class Process:
    """A program that can be started, stopped, killed and paused; its log grows over all its runs."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        keeper: Keeper,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name, self.argv, self.log = name, [str(part) for part in argv], log
        self._keeper, self._env, self._cwd = keeper, None if env is None else dict(env), cwd
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended (negative: by which signal), or None while it runs."""
        return self._started().poll()

    def start(self) -> None:
        if self.running:
            raise StackError(f"{self.name} runs already, with pid {self.pid}.")
        path = (self._env or os.environ).get("PATH")
        if shutil.which(self.argv[0], path=path) is None:
            raise StackError(f"{self.name} cannot be started: there is no program {self.argv[0]}.")
        self._release()
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, *self.argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        gate = self._popen.stdin
        assert gate is not None
        try:
            self._keeper.watch(self._popen.pid)
            gate.write(b"\n")
        except KeeperGone:
            raise StackError("The stack's keeper is gone, so nothing more can be started.") from None
        finally:
            gate.close()

    def stop(self, grace_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL to the whole group if it has not ended after `grace_s`."""
        if self.running:
            self.resume()
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._started().wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, and waits until the process has ended."""
        if self._popen is not None:
            self._signal(signal.SIGKILL)
            self._popen.wait()
            self._release()

    def restart(self, grace_s: float = 5.0) -> None:
        self.stop(grace_s)
        self.start()

    def pause(self) -> None:
        """Stops its clock: it holds its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Waits for its end; returns the exit code."""
        try:
            return self._started().wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"{self.name} was still running after {timeout_s:g} s.") from None

    def failed(self, what: str) -> ComponentFailed:
        return ComponentFailed(self.name, what, self.log)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._started().pid, number)

    def _release(self) -> None:
        if self._popen is not None:
            self._keeper.forget(self._popen.pid)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise StackError(f"{self.name} was never started.")
        return self._popen


def wait_for_exit(pid: int, timeout_s: float = 10.0) -> None:
    """Waits until no process has this pid, whoever its parent is (a zombie counts as gone)."""
    wait_until(lambda: not alive(pid), what=f"process {pid} ends", timeout_s=timeout_s)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    status = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def end_in_order() -> None:
    """For a program that holds a stack: SIGTERM and SIGHUP end it through its `with` blocks."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def wait_for_the_end() -> NoReturn:
    """Waits until a signal ends the program."""
    while True:
        # Not for ever at once: a signal that comes just before a wait begins is only looked at when that wait is over.
        threading.Event().wait(timeout=0.5)


def end_with_make() -> None:
    """Under `make`, which sets MODELROUTE_UNDER_MAKE, the death of make is a SIGTERM, where the system can say so."""
    if os.environ.get("MODELROUTE_UNDER_MAKE") and sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
