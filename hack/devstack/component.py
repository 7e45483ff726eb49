"""A program of the stack together with the question whether it is ready."""

from collections.abc import Callable

from devstack.errors import NotInTime
from devstack.process import Process
from devstack.sockets import listens
from devstack.waiting import wait_until


class Component:
    """Started means ready: `start` returns when the process listens on `port` and `is_ready` is true.

    If it ends, or is not ready by its deadline, that is a ComponentFailed.
    """

    def __init__(
        self, process: Process, is_ready: Callable[[], bool], *, port: int | None = None, deadline_s: float
    ) -> None:
        self.process, self._port = process, port
        self._is_ready, self._deadline_s = is_ready, deadline_s

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.running

    def start(self) -> None:
        self.process.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        def ready_or_ended() -> bool:
            # An answer counts only if it is this process that gives it, and if it is still there afterwards.
            ready = (self._port is None or listens(self.pid, self._port)) and self._is_ready()
            if not self.process.running:
                raise self.process.failed(f"ended with code {self.process.returncode}")
            return ready

        try:
            wait_until(ready_or_ended, what=f"{self.process.name} is ready", timeout_s=self._deadline_s)
        except NotInTime:
            raise self.process.failed(f"was not ready within {self._deadline_s:g} s") from None

    def stop(self, grace_s: float = 5.0) -> None:
        self.process.stop(grace_s)

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()
