"""The guard: what has a `max` goes on being watched after the promotion. Whole ticks, fakes, a fake clock."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, WINDOW_S, Faults, Prometheus, Write, in_phase, run_for, run_until
from tests.fakes import World as AnyWorld
from tests.slow_traffic import record_of

from modelroute.analysis.design import Outcomes
from modelroute.analysis.detector import Guard, Watched, decode_guard
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.gateway.contention import RESTORED_AT_MOST, Contention
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.guarding import fold
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend
from modelroute.rollout.watching import TIDY_AFTER_S

BOUNDED = [
    {"name": "errors", "metric": "ErrorRate", "max": "1%"},
    {"name": "relative", "metric": "ErrorRate", "maxIncrease": "5pp"},
]
SEVERAL = [BOUNDED[0], {"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "max": "5%"}]
RETURNING = {"bake": "30m", "onBreach": "RollBack"}


@dataclass(slots=True)
class World(AnyWorld):
    """A world in which the operator can be told that somebody quarrels about the route."""

    contention: Contention = field(default_factory=Contention)


async def promoted(**spec: Any) -> tuple[World, Ticker]:
    """The small model has all of the traffic, since a moment."""
    world = World()
    spec = {"objectives": BOUNDED, "guard": RETURNING, **spec}
    world.apply(large=100, small=0, **spec)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, **spec)
    await run_until(world, ticker, lambda status: "promoted" in status.get("message", ""))
    return world, ticker


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        delay = await ticker.tick(NAMESPACE, NAME)
        assert delay is not None
        world.now += min(delay, max(end - world.now, 0.05))


async def test_a_healthy_promotion_stays_and_the_status_says_what_is_watched_and_what_cannot_be() -> None:
    world, ticker = await promoted()
    await run(world, ticker, 600)

    assert world.status["phase"] == "Stable"
    assert "watches errors; cannot watch relative, which has no max" in world.status["guard"]
    assert "a breach takes the promotion back, for another" in world.status["guard"]


async def test_harm_within_the_bake_takes_the_promotion_back_and_says_why() -> None:
    world, ticker = await promoted()
    await run(world, ticker, 300)
    world.bad_share["small-v1"] = 0.1
    await run_until(world, ticker, in_phase("RolledBack"))

    assert world.weights()["large-v1"] == 10_000
    assert "small breaks the bound of errors, at most 1.00%" in world.status["message"]


async def test_a_promotion_that_goes_back_says_which_share_the_failing_model_had_before_and_keeps() -> None:
    world = World()
    ticker = world.ticker()
    for large, small in ((60, 40), (20, 80)):
        world.apply(large=large, small=small, objectives=BOUNDED, guard=RETURNING)
        await run_until(world, ticker, in_phase("Stable"))
    await run(world, ticker, 60)
    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"))

    assert (world.weights()["small-v1"], world.weights()["large-v1"]) == (4_000, 6_000)
    assert "small breaks the bound of errors" in world.status["message"]
    assert "small keeps the 40 % that it had before, and is not watched there" in world.status["message"]


def gateway_silent(world: World) -> None:
    world.gateway_takes = False
    world.store("httproutes", {**world.get("httproutes"), "status": {}})


def contended(world: World) -> None:
    for _ in range(RESTORED_AT_MOST):
        world.contention.restored((NAMESPACE, NAME), world.now)


def backend_unknown(world: World) -> None:
    """Of the candidate: that it cannot be checked is no reason to leave it the traffic."""
    world.backends.answer = lambda backend, field: (
        Problem(Reason.BACKEND_UNKNOWN, f"{field}: cannot be checked") if backend.name == "small-v1" else None
    )


def spec_with_a_gap(world: World) -> None:
    world.apply(large=0, small=100, objectives=BOUNDED, guard=RETURNING, metrics={"source": "Istio"})


@pytest.mark.parametrize("happens", [gateway_silent, contended, backend_unknown, spec_with_a_gap])
async def test_harm_within_the_bake_goes_back_whatever_else_is_wrong(happens: Callable[[World], None]) -> None:
    world, ticker = await promoted()
    await run(world, ticker, 60)
    world.contention = ticker.ports.contention
    happens(world)
    await run(world, ticker, 20)
    held = world.status["phase"]
    world.bad_share["small-v1"] = 0.2
    end = world.now + 120
    while world.weights().get("large-v1") != 10_000 and world.now < end:
        world.now += min(await ticker.tick(NAMESPACE, NAME) or 1.0, 5.0)

    assert world.weights().get("large-v1") == 10_000, (held, world.status["phase"], world.status["message"])
    assert world.status["phase"] in {"RollingBack", "RolledBack"}


async def test_harm_after_the_bake_is_reported_once_an_alarm_and_the_split_stays() -> None:
    world, ticker = await promoted(guard={**RETURNING, "bake": "1m"})
    await run(world, ticker, 300)
    world.bad_share["small-v1"] = 0.1
    await run(world, ticker, 240)

    assert world.weights()["small-v1"] == 10_000
    assert world.status["phase"] == "Stable"
    told = world.said("GuardBreached")
    assert told
    assert "the split stays as it is" in told[0]
    assert len(told) <= 5


async def test_on_breach_report_never_takes_anything_back() -> None:
    world, ticker = await promoted(guard={"bake": "30m"})
    world.bad_share["small-v1"] = 0.5
    await run(world, ticker, 300)

    assert world.weights()["small-v1"] == 10_000
    assert world.said("GuardBreached")


async def test_a_way_back_that_is_closed_is_not_taken_and_said_so() -> None:
    world, ticker = await promoted()

    def gone(backend: Backend, field: str) -> Problem | None:
        return Problem(Reason.NO_READY_ENDPOINTS, f"{field} has no endpoints") if backend.name == "large-v1" else None

    world.backends.answer = gone
    world.bad_share["small-v1"] = 0.5
    await run(world, ticker, 300)

    assert world.weights()["small-v1"] == 10_000
    assert "the way back is closed: the way back to large has no endpoints" in world.status["guard"]


def closes(world: World, reason: Reason) -> None:
    """The old version cannot take its traffic back, or nobody can say whether it could."""
    world.backends.answer = lambda backend, field: (
        Problem(reason, f"{field} has no endpoints") if backend.name == "large-v1" else None
    )


async def test_a_breach_while_the_way_back_is_closed_goes_back_as_soon_as_it_is_open() -> None:
    """Also where the candidate is well by then, the operator is another one, and Prometheus does not answer."""
    world, ticker = await promoted()
    opened = world.backends.answer
    closes(world, Reason.NO_READY_ENDPOINTS)
    world.bad_share["small-v1"] = 0.1
    await run(world, ticker, 60)
    world.bad_share.clear()
    await run(world, ticker, 600)

    assert world.weights()["small-v1"] == 10_000
    (told,) = world.said("GuardBreached")
    assert "goes back as soon as the way back is open: the way back to large has no endpoints" in told
    assert "small broke the bound of errors, and goes back as soon as the way back is open" in world.status["guard"]

    world.backends.answer = opened
    world.prometheus_problem = Unavailable("no answer")
    restarted = world.ticker()
    await restarted.tick(NAMESPACE, NAME)
    assert world.weights()["large-v1"] == 10_000


async def test_a_breach_whose_way_back_stays_closed_for_all_of_the_bake_is_only_reported() -> None:
    world, ticker = await promoted(guard={**RETURNING, "bake": "15m"})
    closes(world, Reason.NO_READY_ENDPOINTS)
    world.bad_share["small-v1"] = 0.1
    await run(world, ticker, 60)
    world.bad_share.clear()
    await run(world, ticker, 1200)

    assert world.weights()["small-v1"] == 10_000
    assert "the split stays as it is" in world.said("GuardBreached")[-1]
    assert world.status["guard"].endswith("; a breach is reported")


async def test_that_nobody_can_say_whether_the_way_back_is_open_does_not_close_it() -> None:
    world, ticker = await promoted()
    await run(world, ticker, 60)
    closes(world, Reason.BACKEND_UNKNOWN)
    world.bad_share["small-v1"] = 0.1
    await run_until(world, ticker, lambda _: world.weights()["large-v1"] == 10_000, within_s=60.0)


async def test_what_the_guard_has_seen_outlives_the_operator() -> None:
    world, ticker = await promoted(objectives=[{"name": "errors", "metric": "ErrorRate", "max": "5%"}])
    await run(world, ticker, 200)
    state = world.rollouts()[-1]["status"]["guardState"]
    restarted = world.ticker()
    await restarted.tick(NAMESPACE, NAME)

    assert state
    world.bad_share["small-v1"] = 0.3
    await run_until(world, restarted, in_phase("RolledBack"))


@pytest.mark.parametrize("seconds", [900.0, 3600.0])
async def test_a_guard_that_could_not_look_for_a_while_looks_on(seconds: float) -> None:
    world, ticker = await promoted(guard={"bake": "3h", "onBreach": "RollBack"})
    await run(world, ticker, 60)
    world.now += seconds
    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"))


@pytest.mark.parametrize("ahead_s", [3600.0, 20.0])
async def test_a_clock_that_was_ahead_for_a_look_does_not_blind_the_guard_until_it_has_caught_up(
    ahead_s: float,
) -> None:
    world, ticker = await promoted()
    await run(world, ticker, 120)
    world.now += ahead_s
    await ticker.tick(NAMESPACE, NAME)
    world.now -= ahead_s
    await run(world, ticker, 60)
    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"), within_s=120.0)


async def test_after_a_clock_was_set_back_no_window_speaks_twice_for_a_breach() -> None:
    """What was read is read again, and for what it says now: the guard starts afresh, and reaches no further."""
    world, ticker = await promoted()
    await run(world, ticker, 900)
    once = decode_guard(world.rollouts()[-1]["status"]["guardState"]).detectors[0]
    world.now -= 600
    await run(world, ticker, 600)
    twice = decode_guard(world.rollouts()[-1]["status"]["guardState"]).detectors[0]

    assert once.windows <= twice.windows <= once.windows + 12


async def test_a_breach_that_waits_for_its_way_back_outlives_a_clock_that_is_set_back() -> None:
    world, ticker = await promoted()
    opened = world.backends.answer
    await run(world, ticker, 600)
    closes(world, Reason.NO_READY_ENDPOINTS)
    world.bad_share["small-v1"] = 0.1
    await run(world, ticker, 60)
    world.bad_share.clear()
    world.now -= 300
    await run(world, ticker, 60)
    assert "small broke the bound of errors, and goes back as soon as the way back is open" in world.status["guard"]

    world.backends.answer = opened
    await run_until(world, ticker, in_phase("RolledBack"))


async def test_a_clock_that_was_set_back_to_before_the_promotion_is_told() -> None:
    world, ticker = await promoted()
    await run(world, ticker, 60)
    world.now -= 3600
    await run(world, ticker, 60)

    assert "; sees nothing until 1" in world.status["guard"]
    assert "the clock was set back to before the promotion" in world.status["guard"]


class FailsFrom(Prometheus):
    """Every request fails in windows from `since` on, whenever they are read."""

    since = math.inf

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        return tuple(each if each.start < self.since else self._failed(each) for each in await super().read(query))

    def _failed(self, reading: WindowReading) -> WindowReading:
        outcomes = {key: Outcomes(each.total, (each.total,), each.total) for key, each in reading.outcomes.items()}
        return replace(reading, outcomes=outcomes)


async def guarded() -> tuple[World, Ticker, FailsFrom]:
    """A promotion that is only watched, five minutes ago."""
    world, ticker = await promoted(guard={"bake": "1m", "onBreach": "Report"})
    fails = FailsFrom(world)
    ticker = Ticker(replace(ticker.ports, readers={"default": fails}), ticker.clock)
    await run(world, ticker, 300)
    return world, ticker, fails


async def test_windows_shorter_than_a_read_is_long_do_not_stop_the_guard_after_the_bake() -> None:
    """Twenty windows of 5 s are less than the time between two checkpoints."""
    world, ticker, fails = await guarded()
    await run(world, ticker, 300)
    fails.since = world.now
    await run(world, ticker, 180)

    assert world.said("GuardBreached")


async def test_a_guard_that_is_behind_reads_on_at_once_and_a_quiet_one_is_not_written_at_every_look() -> None:
    world, ticker, fails = await guarded()
    world.now += 600
    fails.since = world.now - 30
    await run(world, ticker, 90)

    assert world.said("GuardBreached")

    fails.since = math.inf
    since = len(world.journal)
    await run(world, ticker, 900)
    assert sum(str(write) == "status modelrollouts" for write in world.journal[since:]) <= 9


def rollouts_refused(write: Write) -> Exception | None:
    return Unavailable("403: denied by policy") if write.kind == "modelrollouts" else None


@pytest.mark.parametrize("wanted", [(0, 100), (50, 50)], ids=["at rest", "the next attempt cannot be created"])
async def test_harm_that_begins_while_the_guard_cannot_be_written_down_still_goes_back(wanted: tuple[int, int]) -> None:
    world, ticker = await promoted()
    world.faults = Faults(before=rollouts_refused)
    world.apply(large=wanted[0], small=wanted[1], objectives=BOUNDED, guard=RETURNING)
    await run_for(world, ticker, 600)
    world.bad_share, world.bad_since = {"small-v1": 0.3}, world.now

    await run_for(world, ticker, 120)

    assert (world.weights()["small-v1"], world.weights()["large-v1"]) == (0, 10_000)


async def test_a_breach_that_is_only_reported_is_told_once_though_it_cannot_be_written_down() -> None:
    world, ticker = await promoted(guard={"onBreach": "Report"})
    world.faults = Faults(before=rollouts_refused)
    await run_for(world, ticker, 900)
    world.bad_share, world.bad_since = {"small-v1": 0.3}, world.now

    await run_for(world, ticker, 240)

    (told,) = world.said("GuardBreached")
    assert "small breaks the bound of errors" in told
    assert world.weights()["small-v1"] == 10_000


async def test_without_a_bound_nothing_is_watched_and_it_is_said() -> None:
    world, ticker = await promoted(objectives=[BOUNDED[1]])
    await run(world, ticker, 60)

    assert world.status["guard"] == "watches nothing: no objective has a max"


async def test_a_promotion_that_was_taken_back_is_not_tried_again_by_itself() -> None:
    world, ticker = await promoted()
    world.bad_share["small-v1"] = 0.1
    await run_until(world, ticker, in_phase("RolledBack"))
    world.bad_share.clear()
    await run(world, ticker, 600)

    assert world.status["phase"] == "RolledBack"
    world.act("retry")
    await run_until(world, ticker, in_phase("Progressing", attempt=2))


def one_objective_more(world: World) -> None:
    world.apply(large=0, small=100, objectives=SEVERAL, guard=RETURNING)


def another_bound(world: World) -> None:
    world.apply(large=0, small=100, objectives=[{**BOUNDED[0], "max": "2%"}], guard=RETURNING)


def another_name(world: World) -> None:
    world.get("modelroutes")["spec"]["models"][1]["name"] = "tiny"


@pytest.mark.parametrize("edited", [one_objective_more, another_bound, another_name])
async def test_a_spec_that_is_edited_within_the_bake_and_wants_the_same_traffic_is_taken_back_as_the_status_says(
    edited: Callable[[World], None],
) -> None:
    """By what it is held to now; and as little as any other spec that was rolled back it is tried again by itself."""
    world, ticker = await promoted()
    await run(world, ticker, 60)
    edited(world)
    await run(world, ticker, 60)
    assert world.status["phase"] == "Stable"
    assert "a breach takes the promotion back, for another" in world.status["guard"]

    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"))
    assert world.weights()["large-v1"] == 10_000

    world.bad_share.clear()
    await run(world, ticker, 600)
    assert (world.status["phase"], len(world.rollouts())) == ("RolledBack", 1)
    world.act("retry")
    await run_until(world, ticker, in_phase("Progressing", attempt=2))


async def superseded(world: World, ticker: Ticker) -> None:
    """The spec is edited, and reverted a moment later."""
    world.apply(large=50, small=50, objectives=BOUNDED, guard=RETURNING)
    await run_until(world, ticker, in_phase("Progressing", attempt=2))
    await run(world, ticker, 20)
    world.apply(large=0, small=100, objectives=BOUNDED, guard=RETURNING)
    await run_until(world, ticker, in_phase("Stable"))


async def aborted(world: World, ticker: Ticker) -> None:
    world.apply(large=50, small=50, objectives=BOUNDED, guard=RETURNING)
    await run_until(world, ticker, in_phase("Progressing", attempt=2))
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))


async def rolled_back(world: World, ticker: Ticker) -> None:
    """The next version is worse, and does not get the traffic."""
    world.bad_share["small-v2"] = 0.3
    world.apply(large=0, small=100, small_service="small-v2", objectives=BOUNDED, guard=RETURNING)
    await run_until(world, ticker, in_phase("RolledBack"))


LATER = [superseded, aborted, rolled_back]


@pytest.mark.parametrize("later", LATER)
async def test_a_promotion_is_still_guarded_after_a_later_attempt_was_superseded_aborted_or_rolled_back(
    later: Callable[[World, Ticker], Awaitable[None]],
) -> None:
    """A breach goes back to where the promotion came from; and neither attempt is tried again by itself."""
    world, ticker = await promoted(historyLimit=1)
    await run(world, ticker, 60)
    await later(world, ticker)
    await run(world, ticker, 300)
    assert "watches errors; cannot watch relative" in world.status["guard"]
    assert "a breach takes the promotion back, for another" in world.status["guard"]

    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack", attempt=1))
    assert world.weights()["large-v1"] == 10_000
    assert "small breaks the bound of errors" in world.status["message"]

    world.bad_share.clear()
    await run(world, world.ticker(), 600)
    assert (world.status["phase"], world.weights()["large-v1"]) == ("RolledBack", 10_000)
    assert [each["spec"]["attempt"] for each in world.rollouts()] == [1, 2]
    assert world.status["guard"] == "watches nothing: no rollout that is kept has promoted this split"

    world.act("retry")
    await run_until(world, ticker, in_phase("Progressing", attempt=3))


@pytest.mark.parametrize("later", LATER)
async def test_after_the_bake_a_breach_is_reported_also_after_a_later_attempt(
    later: Callable[[World, Ticker], Awaitable[None]],
) -> None:
    world, ticker = await promoted(guard={**RETURNING, "bake": "1m"})
    await run(world, ticker, 60)
    await later(world, ticker)
    world.bad_share["small-v1"] = 0.3
    await run(world, ticker, 240)

    assert world.said("GuardBreached")
    assert world.weights()["small-v1"] == 10_000


async def test_what_a_later_attempt_did_to_the_promoted_model_is_not_held_against_its_promotion() -> None:
    """With less of the traffic it is well again, as it was before."""
    world = World()
    spec: dict[str, Any] = {"objectives": BOUNDED, "guard": RETURNING}
    world.apply(large=100, small=0, **spec)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=60, small=40, **spec)
    await run_until(world, ticker, lambda status: "promoted" in status.get("message", ""))
    await run(world, ticker, 60)
    world.apply(large=0, small=100, **spec)
    await run_until(world, ticker, in_phase("Progressing", attempt=2))
    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, in_phase("RollingBack"))
    world.bad_share.clear()
    await run_until(world, ticker, in_phase("RolledBack"))
    await run(world, ticker, 300)

    assert world.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert world.status["attempt"] == 2


@pytest.mark.parametrize("kind", ["modelrollouts", "modelroutes"])
async def test_a_promotion_that_is_taken_back_after_a_later_attempt_goes_back_though_it_cannot_be_written_down(
    kind: str,
) -> None:
    world, ticker = await promoted()
    await superseded(world, ticker)
    await run(world, ticker, 60)
    world.bad_share["small-v1"] = 0.3
    world.faults.before = lambda write: Unavailable("503") if str(write) == f"status {kind}" else None
    for _ in range(20):
        with contextlib.suppress(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += 5
    assert world.weights()["large-v1"] == 10_000

    world.bad_share.clear()
    world.faults.before = lambda _write: None
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("RolledBack", attempt=1))
    await run(world, ticker, 300)
    assert (world.status["phase"], world.weights()["large-v1"]) == ("RolledBack", 10_000)


async def paused_elsewhere(world: World, ticker: Ticker) -> None:
    world.apply(large=10, small=90, objectives=BOUNDED, guard=RETURNING, paused=True)


async def not_accepted(world: World, ticker: Ticker) -> None:
    world.gateway_takes = False
    route = world.get("httproutes")
    for condition in route["status"]["parents"][0]["conditions"]:
        condition.update(status="False", message="a listener is gone")


async def impossible(world: World, ticker: Ticker) -> None:
    def gone(backend: Backend, field: str) -> Problem | None:
        return Problem(Reason.BACKEND_NOT_FOUND, f"{field} is gone") if backend.name == "small-v9" else None

    world.backends.answer = gone
    world.apply(large=10, small=90, small_service="small-v9", objectives=BOUNDED, guard=RETURNING)


async def bounded_otherwise(world: World, ticker: Ticker) -> None:
    """Another split, held until a person resumes, whose objectives lack the one that has the bound."""
    world.apply(large=10, small=90, objectives=[BOUNDED[1]], guard=RETURNING, paused=True)


@pytest.mark.parametrize("meanwhile", [paused_elsewhere, not_accepted, impossible, bounded_otherwise])
async def test_nothing_that_keeps_a_spec_from_being_carried_out_keeps_harm_within_the_bake_from_going_back(
    meanwhile: Any,
) -> None:
    world, ticker = await promoted()
    await run(world, ticker, 60)
    await meanwhile(world, ticker)
    await run(world, ticker, 60)
    assert "watches errors" in world.status["guard"]

    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, lambda _: world.weights()["large-v1"] == 10_000)
    assert world.said("GuardBreached")


async def test_an_objective_that_the_spec_means_otherwise_by_now_is_not_watched_and_that_is_said() -> None:
    world, ticker = await promoted()
    slow = {"name": "errors", "metric": "LatencyAbove", "threshold": "2s", "max": "1%"}
    world.apply(large=10, small=90, objectives=[slow], guard=RETURNING, paused=True)
    await run(world, ticker, 60)

    assert "errors is not watched, for the spec means something else by it now" in world.status["guard"]


async def test_a_bound_that_stays_broken_is_reported_now_and_then_and_not_at_every_look() -> None:
    world, ticker = await promoted(guard={**RETURNING, "bake": "1m"})
    await run(world, ticker, 120)
    world.bad_share["small-v1"] = 0.5
    await run(world, ticker, 1500)

    assert 2 <= len(world.said(Reason.GUARD_BREACHED)) <= 3


async def test_a_guard_that_counts_no_request_says_that_it_sees_nothing() -> None:
    world, ticker = await promoted(guard={"bake": "1m", "onBreach": "Report"})
    await run(world, ticker, 120)
    assert "no request was counted" not in world.status["guard"]

    world.requests = 0
    await run(world, ticker, 1200)
    assert "no request was counted lately" in world.status["guard"]


async def test_what_was_counted_of_one_arm_is_never_taken_for_another_ones() -> None:
    """The spec lists the small model first, the attempt the large one: each is what the guard goes by, in turn."""
    spec: dict[str, Any] = {
        "objectives": [BOUNDED[0]],
        "guard": {"bake": "30m", "onBreach": "Report"},
        "rollout": {"initialModel": "large", "reference": "large", "steps": [{**STEP, "progress": 100}]},
    }

    def wants(large: int, small: int, **more: Any) -> None:
        world.apply(large=large, small=small, **spec, **more)
        world.get("modelroutes")["spec"]["models"].reverse()

    world = World()
    wants(100, 0)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    wants(50, 50)
    await run_until(world, ticker, lambda status: "promoted" in status.get("message", ""))
    world.bad_share = {"small-v1": 0.011}
    await run(world, ticker, 700)
    wants(20, 80, paused=True)
    await run(world, ticker, 700)

    large, small = decode_guard(world.rollouts()[-1]["status"]["guardState"]).detectors
    assert (large.bad, large.total > 0) == (0, True)
    assert small.bad > 300


def test_a_guard_of_other_objectives_of_the_same_revision_starts_afresh() -> None:
    one, other = (Guard((Watched(name, "small", 0.01),), 5.0) for name in ("errors", "slow"))
    readings = [WindowReading(5.0, 10.0, {("errors", "small"): Outcomes(600, (6,), 6)}, {"small": 600}, ())]
    attempt = fold(one, record_of((0.05, 0.05), 5.0).progress, readings, revision="r", rests_at=0.0, now=10.0)
    again = fold(one, attempt, (), revision="r", rests_at=0.0, now=10.0)
    changed = fold(other, attempt, (), revision="r", rests_at=0.0, now=10.0)

    assert again.guard is not None
    assert changed.guard is not None
    assert again.guard.detectors[0].bad == 6
    assert changed.guard.detectors[0].bad == 0


@pytest.mark.parametrize("together", [False, True])
async def test_a_breach_of_one_objective_does_not_keep_that_of_another_from_being_told(together: bool) -> None:
    world, ticker = await promoted(objectives=SEVERAL, guard={"bake": "1m", "onBreach": "Report"})
    await run(world, ticker, 700)
    world.bad_share = {"errors/small-v1": 0.1}
    await run(world, ticker, 120)
    world.bad_share = {"slow/small-v1": 0.5, **(world.bad_share if together else {})}
    await run(world, ticker, 400)

    told = world.said("GuardBreached")
    assert [sum(f"the bound of {name}" in each for each in told) for name in ("errors", "slow")] == [1, 1]


async def test_that_no_request_is_counted_is_said_once_and_does_not_come_and_go_with_the_checkpoints() -> None:
    world, ticker = await promoted()
    await run(world, ticker, 400)
    world.requests = 0
    seen: list[bool] = []
    end = world.now + 900
    while world.now < end:
        world.now += await ticker.tick(NAMESPACE, NAME) or 1.0
        silent = "no request was counted lately" in world.status["guard"]
        seen = [*seen, silent] if not seen or seen[-1] is not silent else seen

    # The windows from before are read as empty as well, here.
    assert seen[-1]
    assert len(seen) <= 2


async def test_a_change_of_places_costs_the_guard_less_than_a_minute() -> None:
    """The old model leaves the route some minutes after the promotion, and the index of the one that stays moves."""
    world, ticker = await promoted(guard={"bake": "30m", "onBreach": "Report"})
    since = world.now
    await run(world, ticker, TIDY_AFTER_S + 900)

    state = decode_guard(world.rollouts()[-1]["status"]["guardState"])
    assert world.weights() == {"small-v1": 10_000}
    assert state.until - since - state.detectors[0].windows * WINDOW_S < 60


async def test_a_restart_after_a_change_of_places_costs_the_guard_nothing_that_was_counted_since() -> None:
    world, ticker = await promoted(guard={"bake": "30m", "onBreach": "Report"})
    since = world.now
    await run(world, ticker, TIDY_AFTER_S + 120)
    await run(world, world.ticker(), 600)

    state = decode_guard(world.rollouts()[-1]["status"]["guardState"])
    assert state.until - since - state.detectors[0].windows * WINDOW_S < 100
