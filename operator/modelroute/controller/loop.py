"""One asyncio task for each ModelRoute: it ticks, sleeps until the next look, and can be woken.

No kopf daemon or timer: those need a finalizer on the user's object, and one failed patch ends them silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from modelroute.errors import Conflict, ModelRouteError

log = logging.getLogger(__name__)

Key = tuple[str, str]
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 30.0
RETRY_AFTER_MAX_S = 60.0
"""What the API server may ask for with Retry-After: a rollback may be waiting."""


@dataclass(slots=True)
class _Task:
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Loop:
    """Runs `tick(namespace, name)` for every key that was woken, until it answers None.

    `jitter(upper_s)` spreads the first ticks after a start; an argument, so that tests need no chance.
    """

    def __init__(
        self,
        tick: Callable[[str, str], Awaitable[float | None]],
        *,
        jitter: Callable[[float], float] = lambda upper_s: random.uniform(0, upper_s),  # noqa: S311 - no secret
    ) -> None:
        self._tick = tick
        self._jitter = jitter
        self._tasks: dict[Key, _Task] = {}
        self._stopping = False

    @property
    def keys(self) -> frozenset[Key]:
        return frozenset(self._tasks)

    def wake(self, namespace: str, name: str, *, spread_s: float = 0.0) -> None:
        """Look at the ModelRoute now; start its task if it has none, within `spread_s`."""
        if self._stopping:
            return
        key = namespace, name
        known = self._tasks.get(key)
        if known is not None:
            known.wake.set()
            return
        entry = _Task()
        self._tasks[key] = entry
        entry.task = asyncio.create_task(self._run(key, entry, spread_s), name=f"modelroute {namespace}/{name}")

    async def stop(self, *, within_s: float = 4.0) -> None:
        """Let ticks that are under way end, then cancel what is left. kopf itself waits 5 s."""
        self._stopping = True
        tasks = [entry.task for entry in self._tasks.values() if entry.task is not None]
        for entry in self._tasks.values():
            entry.wake.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, key: Key, entry: _Task, spread_s: float) -> None:
        failures = conflicts = 0
        try:
            if spread_s:
                await asyncio.sleep(self._jitter(spread_s))
            while not self._stopping:
                entry.wake.clear()
                try:
                    delay = await self._tick(*key)
                    failures = conflicts = 0
                except Conflict as error:
                    conflicts += 1
                    delay = min(RETRY_MAX_S, 0.1 * 2 ** min(conflicts, 10)) + self._jitter(0.3)
                    level = logging.INFO if conflicts < 5 else logging.WARNING
                    log.log(level, "%s/%s: %s; looking again in %.1f s", *key, error, delay)
                except ModelRouteError as error:
                    failures += 1
                    delay = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10) / 2)
                    delay = max(delay, min(RETRY_AFTER_MAX_S, error.retry_after_s))
                    log.warning("%s/%s: %s; looking again in %.0f s", *key, error, delay)
                except Exception:
                    # One poisoned object must not end its own task, nor anybody else's.
                    failures += 1
                    delay = RETRY_MAX_S
                    log.exception("%s/%s: a tick failed in a way nobody foresaw", *key)
                if delay is None:
                    if entry.wake.is_set():
                        # One of the same name was made while this one was found to be gone.
                        continue
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(entry.wake.wait(), delay)
        finally:
            self._tasks.pop(key, None)
