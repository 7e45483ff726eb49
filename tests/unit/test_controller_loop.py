"""The tasks that tick, in exact fake time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from modelroute.controller.loop import RETRY_AFTER_MAX_S, RETRY_MAX_S, Loop
from modelroute.errors import Conflict, Invalid, Unavailable

pytestmark = pytest.mark.looptime

Result = float | None | Exception


def no_jitter(_upper_s: float) -> float:
    return 0.0


def most(upper_s: float) -> float:
    return upper_s


class Ticks:
    """A tick that notes when it was called and for whom, and answers what a list says; the last answer is for good."""

    def __init__(self, *results: Result, takes_s: float = 0.0) -> None:
        self.results = list(results)
        self.takes_s = takes_s
        self.at: list[tuple[float, str]] = []
        self.during: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, namespace: str, name: str) -> float | None:
        self.at.append((now(), name))
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.during is not None:
            act, self.during = self.during, None
            await act()
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.at]


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


async def test_a_woken_route_is_looked_at_now_and_then_as_often_as_its_ticks_ask_for() -> None:
    ticks = Ticks(10.0, 2.0, 60.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")

    await asyncio.sleep(30)

    assert ticks.times == [0.0, 10.0, 12.0]
    await loop.stop()


async def test_a_wake_ends_the_wait_at_once() -> None:
    ticks = Ticks(60.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(7)

    loop.wake("chat", "support")
    await asyncio.sleep(1)

    assert ticks.times == [0.0, 7.0]
    await loop.stop()


async def test_a_wake_that_comes_during_a_tick_is_not_lost() -> None:
    ticks = Ticks(60.0, takes_s=1.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(0.5)

    loop.wake("chat", "support")
    await asyncio.sleep(5)

    assert ticks.times == [0.0, 1.0]
    await loop.stop()


async def test_a_route_is_never_ticked_twice_at_the_same_time_however_often_it_is_woken() -> None:
    running, most = 0, 0

    async def tick(namespace: str, name: str) -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return 60.0

    loop = Loop(tick, jitter=no_jitter)
    for _ in range(50):
        loop.wake("chat", "support")
        await asyncio.sleep(0.1)

    assert most == 1
    assert loop.keys == {("chat", "support")}
    await loop.stop()


async def test_routes_of_one_name_in_two_namespaces_have_a_task_each() -> None:
    ticks = Ticks(60.0, takes_s=1.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    loop.wake("mail", "support")

    await asyncio.sleep(0.5)

    assert ticks.times == [0.0, 0.0]
    await loop.stop()


async def test_the_first_looks_after_a_start_are_spread() -> None:
    ticks = Ticks(60.0)
    loop = Loop(ticks, jitter=most)
    loop.wake("chat", "support", spread_s=2.0)
    loop.wake("chat", "billing")

    await asyncio.sleep(10)

    assert ticks.at == [(0.0, "billing"), (2.0, "support")]
    await loop.stop()


async def test_a_route_that_is_gone_has_no_task_and_a_new_wake_starts_a_fresh_one() -> None:
    ticks = Ticks(None, 60.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(5)
    assert loop.keys == frozenset()

    loop.wake("chat", "support")
    await asyncio.sleep(5)

    assert ticks.times == [0.0, 5.0]
    assert loop.keys == {("chat", "support")}
    await loop.stop()


async def test_a_route_that_is_made_anew_while_the_last_tick_of_the_old_one_ends_is_looked_at() -> None:
    ticks = Ticks(None, 60.0, takes_s=1.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(0.5)

    loop.wake("chat", "support")
    await asyncio.sleep(5)

    assert ticks.times == [0.0, 1.0]
    await loop.stop()


@pytest.mark.parametrize(
    ("failures", "times"),
    [
        ([Conflict("changed")] * 3, [0.0, 0.5, 1.2, 2.3]),
        ([Unavailable("no answer")] * 7, [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]),
        ([Invalid("cannot be read")] * 2, [0.0, 1.0, 3.0]),
        ([Unavailable("no answer"), 1.0, Unavailable("no answer")], [0.0, 1.0, 2.0, 3.0]),
        ([ValueError("nobody foresaw this")] * 2, [0.0, RETRY_MAX_S, 2 * RETRY_MAX_S]),
        ([Unavailable("429", retry_after_s=5.0)] * 4, [0.0, 5.0, 10.0, 15.0, 23.0]),
        ([Unavailable("429", retry_after_s=3600.0)] * 2, [0.0, RETRY_AFTER_MAX_S, 2 * RETRY_AFTER_MAX_S]),
    ],
    ids=[
        "a conflict is retried soon",
        "errors back off",
        "so do invalid ones",
        "until one succeeds",
        "unforeseen",
        "not before Retry-After",
        "which is no longer than a minute",
    ],
)
async def test_what_fails_is_tried_again_later_and_never_ends_the_task(
    failures: list[Result], times: list[float]
) -> None:
    ticks = Ticks(*failures, 1000.0)
    loop = Loop(ticks, jitter=most)
    loop.wake("chat", "support")

    await asyncio.sleep(200)

    assert ticks.times == times
    assert loop.keys == {("chat", "support")}
    await loop.stop()


async def test_a_wake_does_not_wait_for_the_backoff() -> None:
    ticks = Ticks(ValueError("nobody foresaw this"), 60.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(3)

    loop.wake("chat", "support")
    await asyncio.sleep(3)

    assert ticks.times == [0.0, 3.0]
    await loop.stop()


async def test_one_route_that_fails_in_a_way_nobody_foresaw_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks: list[str] = []

    async def tick(namespace: str, name: str) -> float:
        looks.append(name)
        if name == "broken":
            raise KeyError("spec")
        return 10.0

    loop = Loop(tick, jitter=no_jitter)
    loop.wake("chat", "broken")
    loop.wake("chat", "support")
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(35)

    assert looks.count("support") == 4
    assert looks.count("broken") == 2
    assert "chat/broken: a tick failed in a way nobody foresaw" in caplog.text
    await loop.stop()


async def test_stop_lets_a_tick_end_and_then_nothing_is_looked_at_any_more() -> None:
    ended = []

    async def tick(namespace: str, name: str) -> float:
        await asyncio.sleep(3)
        ended.append(now())
        return 0.0

    loop = Loop(tick, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(1)

    await loop.stop()
    loop.wake("chat", "late")
    await asyncio.sleep(10)

    assert ended == [3.0]
    assert loop.keys == frozenset()


async def test_stop_wakes_the_sleeping_and_does_not_wait_for_their_next_look() -> None:
    ticks = Ticks(3600.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(1)

    await loop.stop()

    assert now() == 1.0
    assert ticks.times == [0.0]


async def test_a_tick_that_does_not_end_is_cancelled_before_kopf_would() -> None:
    ticks = Ticks(60.0, takes_s=3600.0)
    loop = Loop(ticks, jitter=no_jitter)
    loop.wake("chat", "support")
    await asyncio.sleep(1)

    await loop.stop(within_s=4.0)

    assert now() == 5.0
    assert loop.keys == frozenset()


async def test_a_loop_that_was_never_woken_stops() -> None:
    await Loop(Ticks(1.0)).stop()
