"""Tasks beside kopf's own. One that fails ends the operator: what it did would be missed only when it is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)


class Beside:
    """Tasks that run for as long as the operator does. `end` asks it to end."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end, self._tasks = end, list[asyncio.Task[None]]()

    def start(self, work: Coroutine[None, None, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error(
                "%s failed, so this process ends, for the next one to begin afresh", task.get_name(), exc_info=error
            )
            self._end()
