"""What a stack stands on before anything runs: a directory, a slot, a keeper, and the processes started so far."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controlplane.keeper import Keeper
from devstack.errors import StackError
from devstack.ports import Slot
from devstack.process import Process

# What keeps nothing that outlives the stack has no use for an orderly end.
_KILLED = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "prometheus"})


class Ground:
    """`logs` is for people, `config` holds what programs are started with, `data` goes whatever happens."""

    def __init__(self, directory: Path | None, *, report: Callable[[str], None]) -> None:
        self.dir = _empty(directory)
        self.logs, self.config, self.data = self.dir / "logs", self.dir / "config", self.dir / "data"
        for folder in (self.logs, self.config, self.data):
            _make(folder, mode=0o700)
        self.slot = Slot.take()
        self._report, self._started_at = report, time.monotonic()
        self._processes: list[Process] = []
        self._keep_reason: str | None = None
        self._closed = False
        self._keeper = Keeper(self.data)

    def say(self, line: str) -> None:
        self._report(f"{line} ({time.monotonic() - self._started_at:.1f} s)")

    def process(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """A process, not started yet, that will end with the stack."""
        process = Process(
            name,
            argv,
            log=self.logs / f"{name}.log",
            keeper=self._keeper,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
        )
        self._processes.append(process)
        return process

    @property
    def has_logs(self) -> bool:
        """Whether there is anything in them."""
        return any(self.logs.iterdir())

    def keep_logs(self, reason: str) -> None:
        self._keep_reason = self._keep_reason or reason

    def close(self) -> None:
        """Ends all processes, the last started first, and removes the directory, but for logs that are to be kept."""
        if self._closed:
            return
        self._closed = True
        for process in reversed(self._processes):
            if process.name in _KILLED:
                process.kill()
            else:
                process.stop(grace_s=3.0)
        self._keeper.close()
        self.slot.release()
        if self._keep_reason is None:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            shutil.rmtree(self.data, ignore_errors=True)
            print(f"The stack's logs are kept, because {self._keep_reason}: {self.logs}", file=sys.stderr)


def _empty(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="modelroute-stack-"))
    directory = directory.resolve()
    _make(directory, parents=True, exist_ok=True)
    taken = [name for name in ("logs", "config", "data") if (directory / name).exists()]
    if taken:
        raise StackError(f"{directory} holds {taken[0]}/ already: a stack needs a folder of its own.")
    return directory


def _make(directory: Path, **options: Any) -> None:
    try:
        directory.mkdir(**options)
    except OSError as error:
        raise StackError(f"The folder {directory} cannot be made: {error.strerror}.") from error
