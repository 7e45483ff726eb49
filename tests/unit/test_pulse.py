"""When the operator counts as one that no longer looks, in exact time."""

from __future__ import annotations

import asyncio

import pytest

from modelroute.controller.pulse import Pulse
from modelroute.controller.telemetry import Telemetry
from modelroute.errors import Conflict, Invalid, ModelRouteError, Unavailable


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looks:
    """A tick that takes `takes_s` of the clock and answers, or raises, what it is told."""

    def __init__(self, clock: Clock, *, takes_s: float = 0.0) -> None:
        self.clock, self.takes_s = clock, takes_s
        self.answer: float | Exception | None = 60.0

    async def __call__(self, _namespace: str, _name: str) -> float | None:
        self.clock.now += self.takes_s
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def made(*, takes_s: float = 0.0) -> tuple[Pulse, Looks, Clock, Telemetry]:
    clock, telemetry = Clock(), Telemetry()
    looks = Looks(clock, takes_s=takes_s)
    return Pulse(looks, telemetry, monotonic=clock), looks, clock, telemetry


def read(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"modelroute_{name}", labels)


@pytest.mark.parametrize(
    ("due_after_s", "silent_s", "overdue"),
    [(60.0, 179.0, False), (60.0, 181.0, True), (0.05, 89.0, False), (0.05, 91.0, True)],
    ids=["within 3 times", "beyond", "one that is due at once has a minute and a half", "and no more"],
)
async def test_a_route_is_overdue_when_no_look_ended_for_three_times_its_due_time(
    due_after_s: float, silent_s: float, overdue: bool
) -> None:
    pulse, looks, clock, telemetry = made()
    looks.answer = due_after_s
    await pulse.tick("chat", "support")
    await asyncio.sleep(0)
    clock.now += silent_s
    pulse._turned = clock.now  # the loop turns; only the looks are missing

    assert bool(pulse.remark()) is overdue
    assert read(telemetry, "ticks_overdue") == float(overdue)
    if overdue:
        assert pulse.remark() == "1 of 1 ModelRoutes are overdue: chat/support"


@pytest.mark.parametrize(
    ("due_after_s", "silent_s", "stuck"), [(60.0, 359.0, False), (60.0, 361.0, True), (0.05, 181.0, True)]
)
async def test_all_routes_overdue_for_long_are_an_operator_that_is_stuck(
    due_after_s: float, silent_s: float, stuck: bool
) -> None:
    pulse, looks, clock, _ = made()
    looks.answer = due_after_s
    await pulse.tick("chat", "one")
    await pulse.tick("chat", "two")
    clock.now += silent_s
    pulse._turned = clock.now

    assert pulse.problem() == ("2 of 2 ModelRoutes are overdue: chat/one, chat/two" if stuck else "")


async def test_one_route_that_is_overdue_is_no_reason_for_a_restart() -> None:
    pulse, _, clock, telemetry = made()
    await pulse.tick("chat", "hangs")
    clock.now += 100_000
    await pulse.tick("chat", "fine")
    pulse._turned = clock.now

    assert pulse.problem() == ""
    assert pulse.remark() == "1 of 2 ModelRoutes are overdue: chat/hangs"
    assert read(telemetry, "ticks_overdue") == 1.0


async def test_a_first_look_that_never_ends_is_overdue_too() -> None:
    clock, telemetry = Clock(), Telemetry()
    forever = asyncio.Event()

    async def hangs(_namespace: str, _name: str) -> float | None:
        await forever.wait()
        return None

    pulse = Pulse(hangs, telemetry, monotonic=clock)
    task = asyncio.create_task(pulse.tick("chat", "support"))
    await asyncio.sleep(0)
    clock.now += 91

    assert pulse.overdue() == [("chat", "support")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pulse.overdue() == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Conflict("changed"), "conflict"),
        (Unavailable("no answer"), "unavailable"),
        (Invalid("cannot be read"), "invalid"),
        (ModelRouteError("something else"), "unforeseen"),
        (ValueError("nobody foresaw this"), "unforeseen"),
    ],
)
async def test_looks_that_all_fail_are_counted_by_their_kind_and_overdue_and_no_reason_for_a_restart(
    error: Exception, outcome: str
) -> None:
    pulse, looks, clock, telemetry = made()
    looks.answer = error

    for overdue in (False, False, False, False, True, True):
        with pytest.raises(type(error)):
            await pulse.tick("chat", "support")
        assert bool(pulse.overdue()) is overdue
        clock.now += 30

    clock.now += 7200 - 30
    with pytest.raises(type(error)):
        await pulse.tick("chat", "support")
    pulse._turned = clock.now
    assert read(telemetry, "ticks_total", outcome=outcome) == 7
    assert read(telemetry, "ticks_overdue") == 1.0
    assert (pulse.remark(), pulse.problem()) == ("1 of 1 ModelRoutes are overdue: chat/support", "")


async def test_one_look_that_succeeds_makes_up_for_those_that_failed() -> None:
    pulse, looks, clock, _ = made()
    await pulse.tick("chat", "support")
    looks.answer = Unavailable("no answer")
    for _ in range(6):
        clock.now += 30
        with pytest.raises(Unavailable):
            await pulse.tick("chat", "support")
    assert pulse.overdue() == [], "three times the minute that it was to take"
    clock.now += 1
    assert pulse.overdue() == [("chat", "support")]

    looks.answer = 60.0
    await pulse.tick("chat", "support")
    assert pulse.overdue() == []


async def test_a_route_that_is_gone_is_not_overdue_and_has_no_series() -> None:
    pulse, looks, clock, telemetry = made()
    looks.answer = None

    await pulse.tick("chat", "support")
    clock.now += 10_000

    assert pulse.overdue() == []
    assert read(telemetry, "ticks_total", outcome="gone") == 1


async def test_what_a_look_takes_and_how_late_it_begins_is_measured() -> None:
    pulse, _, clock, telemetry = made(takes_s=2.0)
    await pulse.tick("chat", "support")

    clock.now += 60 + 4  # due after 60 s
    await pulse.tick("chat", "support")
    clock.now += 10  # woken early: not late
    await pulse.tick("chat", "support")

    assert read(telemetry, "tick_duration_seconds_count") == 3
    assert read(telemetry, "tick_duration_seconds_sum") == 6.0
    assert read(telemetry, "tick_lag_seconds_count") == 1
    assert read(telemetry, "tick_lag_seconds_sum") == 4.0


async def test_many_overdue_routes_are_named_in_part() -> None:
    pulse, _, clock, _ = made()
    for number in range(7):
        await pulse.tick("chat", f"route-{number}")
    clock.now += 1000
    pulse._turned = clock.now

    assert pulse.problem() == (
        "7 of 7 ModelRoutes are overdue:"
        " chat/route-0, chat/route-1, chat/route-2, chat/route-3, chat/route-4 and 2 more"
    )


async def test_an_event_loop_that_does_not_turn_is_a_problem_even_with_no_route_to_look_at() -> None:
    pulse, _, clock, _ = made()
    beating = asyncio.create_task(pulse.beat())
    await asyncio.sleep(0)
    assert pulse.problem() == ""

    clock.now += 91

    assert pulse.problem() == "the event loop has not turned for 91 s"
    beating.cancel()
