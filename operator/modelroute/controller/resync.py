"""A look at the whole list now and then: a watch that is silent, or ended unnoticed, hides no ModelRoute for long.

A task that runs looks at its own ModelRoute at least once a minute; what only a list can show is one that has no task.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from modelroute.controller.loop import Loop
from modelroute.errors import ModelRouteError

log = logging.getLogger(__name__)

EVERY_S = 60.0


async def resync(
    loop: Loop,
    names: Callable[[str], Awaitable[Sequence[tuple[str, str]]]],
    namespaces: Sequence[str],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start a task for every ModelRoute that has none, for ever. `names` lists those of a namespace, "" of all."""
    while True:
        await sleep(EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        for namespace in namespaces or ("",):
            try:
                found = await names(namespace)
            except ModelRouteError as error:
                log.warning("the ModelRoutes cannot be listed: %s", error)
                continue
            for key in sorted(set(found) - loop.keys):
                log.warning("%s/%s was not heard of: the watch is deaf, or this was just made", *key)
                loop.wake(*key, spread_s=2.0)
