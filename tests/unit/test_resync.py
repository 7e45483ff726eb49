"""Looking at the list: what no watch told of is found, and an API server that does not answer ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from modelroute.controller.loop import Loop
from modelroute.controller.resync import resync
from modelroute.errors import Unavailable


async def test_a_route_that_no_watch_told_of_is_found_after_an_outage_too() -> None:
    ticked: list[tuple[str, str]] = []
    listed: list[list[tuple[str, str]]] = [[], [("chat", "a")], [("chat", "a"), ("chat", "b")]]
    rounds = 0

    async def tick(namespace: str, name: str) -> float | None:
        ticked.append((namespace, name))
        return 3600.0

    async def names(namespace: str) -> Sequence[tuple[str, str]]:
        assert namespace == ""
        if not (found := listed.pop(0)):
            raise Unavailable("down")
        return found

    async def sleep(_seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds > 3:
            raise asyncio.CancelledError
        await asyncio.sleep(0.01)

    loop = Loop(tick, jitter=lambda _upper: 0.0)
    task = asyncio.create_task(resync(loop, names, (), sleep=sleep))
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)
    await loop.stop()

    assert ticked == [("chat", "a"), ("chat", "b")]
