"""Somebody else changes the weights in the middle of a step: evidence is read before it is given up. Whole ticks."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, T0, WINDOW_S, Prometheus, World, in_phase, run_until
from tests.slow_traffic import record_of
from tests.unit.test_machine import at_step

from modelroute.analysis.design import Outcomes
from modelroute.analysis.engine import assess
from modelroute.controller.tick import Ticker
from modelroute.errors import ModelRouteError, Unavailable
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.attempt import Coverage
from modelroute.rollout.changed import held
from modelroute.rollout.consume import went_off
from modelroute.rollout.decision import Phase
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.lack import Lack, View
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import split_of, weights_at

STEPS: dict[str, Any] = {"rollout": {"steps": [{"progress": 50, "minDuration": "30m"}, {"progress": 100}]}}


@dataclass(slots=True)
class Remembered(World):
    """A world in which candidates fail by the time, and scrapes may be missing from some time on."""

    bad: Callable[[float, str], float] = lambda _at, _service: 0.0
    gap_from: float | None = None

    def remembering(self) -> Ticker:
        ticker = self.ticker()
        return replace(ticker, ports=replace(ticker.ports, readers={"default": Remembering(self)}))


class Remembering(Prometheus):
    def __init__(self, world: Remembered) -> None:
        super().__init__(world)
        self._of = world

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        return tuple(self._as_it_was(each, query) for each in await super().read(query))

    def _as_it_was(self, reading: WindowReading, query: RouteQuery) -> WindowReading:
        world, weights = self._of, self._of.weights_at(reading.start)
        if world.gap_from is not None and reading.start >= world.gap_from:
            why = (Unknown(Reason.SCRAPE_GAP, "a target was not scraped"),)
            return replace(reading, outcomes={}, completions={}, unknown=why)
        whole = sum(weights.values())
        total = {
            arm.name: float(round(world.requests * weights.get(arm.service, 0) / whole)) if whole else 0.0
            for arm in query.arms
        }
        outcomes = {}
        for arm in query.arms:
            bad = float(round(total[arm.name] * world.bad(reading.start, arm.service)))
            for objective in query.objectives:
                outcomes[objective.name, arm.name] = Outcomes(total[arm.name], (bad,), bad)
        return replace(reading, outcomes=outcomes, completions=total)


async def settled(**spec: Any) -> tuple[Remembered, Ticker]:
    """In the first step of two, at 50 % of the way to a small model that gets everything, with a minute counted."""
    world = Remembered()
    ticker = world.remembering()
    spec = {**STEPS, **spec}
    world.apply(large=100, small=0, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, **spec)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    await pass_by(world, ticker, 60)
    # The start of a window, so that a test knows what lies in which.
    await pass_by(world, ticker, -world.now % WINDOW_S)
    world.now = float(round(world.now))
    return world, ticker


async def pass_by(world: Remembered, ticker: Ticker, seconds: float) -> None:
    """Look once a second."""
    end = world.now + seconds
    while world.now < end:
        with contextlib.suppress(ModelRouteError):
            await ticker.tick(NAMESPACE, NAME)
        world.now = min(world.now + 1.0, end)


def somebody_sets(world: Remembered, **weights: int) -> None:
    route = copy.deepcopy(world.get("httproutes"))
    for each in route["spec"]["rules"][0]["backendRefs"]:
        each["weight"] = weights.get(each["name"].removesuffix("-v1"), 0)
    world.store("httproutes", route)


def fails_from(start: float, share: float = 1.0, until: float = float("inf")) -> Callable[[float, str], float]:
    return lambda at, service: share if service == "small-v1" and start <= at < until else 0.0


def small(world: Remembered) -> int:
    return world.weights().get("small-v1", 0)


async def test_harm_that_was_counted_before_the_weights_were_changed_still_rolls_back() -> None:
    world, ticker = await settled()
    world.bad = fails_from(world.now)
    # One whole window of harm, which cannot be read yet.
    await pass_by(world, ticker, 6.5)
    assert world.status["phase"] == "Progressing"
    somebody_sets(world, large=10_000)
    since = len(world.served)
    await pass_by(world, ticker, 15)

    assert world.status["phase"] in {"RollingBack", "RolledBack"}
    assert not any(weights.get("small-v1") for _, weights in world.served[since:])


async def test_a_candidate_that_is_dead_is_rolled_back_in_a_fight_too() -> None:
    world, ticker = await settled()
    began = world.now
    world.bad = fails_from(began)
    while world.now < began + 60 and world.status["phase"] not in {"RollingBack", "RolledBack"}:
        await pass_by(world, ticker, 6)
        if small(world):
            somebody_sets(world, large=10_000)
    assert world.status["phase"] in {"RollingBack", "RolledBack"}
    assert world.now <= began + 20


async def leaning(**taken: int) -> tuple[Remembered, Ticker]:
    """What was counted leans to harm and decides nothing, and then somebody takes the candidate's traffic away."""
    world, ticker = await settled()
    world.bad = fails_from(world.now, 0.015)
    for _ in range(300):
        await pass_by(world, ticker, 1)
        if "leans to harm" in world.status["message"]:
            break
    world.bad = lambda _at, _service: 0.0
    somebody_sets(world, **taken)
    await pass_by(world, ticker, 30)
    return world, ticker


async def test_weights_are_not_raised_while_the_evidence_leans_to_harm() -> None:
    world, ticker = await leaning(large=10_000)

    assert small(world) == 0
    assert (world.status["phase"], world.status["step"]) == ("Holding", "1/2")
    assert "the evidence leans to harm" in world.status["message"]
    assert f"abort@{world.status['nextAction']}" in world.status["message"]

    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))
    assert small(world) == 0


async def test_whoever_took_the_traffic_away_may_give_it_back() -> None:
    world, ticker = await leaning(large=10_000)
    somebody_sets(world, large=5_000, small=5_000)
    await pass_by(world, ticker, 30)

    assert small(world) == 5_000
    assert world.status["phase"] == "Progressing"


async def test_traffic_that_a_candidate_is_not_to_have_is_taken_away_at_once() -> None:
    world, ticker = await settled()
    somebody_sets(world, large=1_000, small=9_000)
    await pass_by(world, ticker, 1)

    assert small(world) == 5_000


async def test_with_prometheus_down_nothing_is_restored_upwards_and_its_harm_is_read_later() -> None:
    world, ticker = await settled()
    world.bad = fails_from(world.now)
    world.prometheus_problem = Unavailable("down")
    await pass_by(world, ticker, 60)
    somebody_sets(world, large=10_000)
    since = len(world.served)
    await pass_by(world, ticker, 60)
    assert small(world) == 0
    assert world.status["phase"] == "Holding"
    assert "they are not restored: Prometheus default: down" in world.status["message"]

    world.prometheus_problem = None
    await pass_by(world, ticker, 3)
    assert world.status["phase"] in {"RollingBack", "RolledBack"}
    assert not any(weights.get("small-v1") for _, weights in world.served[since:])


async def test_what_was_not_known_when_the_weights_were_changed_is_no_pass_for_restoring_them() -> None:
    world, ticker = await settled()
    world.gap_from = world.now
    await pass_by(world, ticker, 20)
    somebody_sets(world, large=10_000)
    await pass_by(world, ticker, 20)

    assert small(world) == 0
    assert world.status["phase"] == "Holding"
    assert "is not known (a target was not scraped)" in world.status["message"]


async def test_without_harm_the_split_is_restored_once_what_was_counted_before_is_read() -> None:
    world, ticker = await settled()
    await pass_by(world, ticker, 6.5)
    somebody_sets(world, large=10_000)
    await pass_by(world, ticker, 1)
    assert small(world) == 0
    assert "what was counted before is read first" in world.status["message"]
    await pass_by(world, ticker, 15)

    assert small(world) == 5_000
    assert len(world.said("RouteRestored")) == 1
    ends = [window["end"] for window in world.rollouts()[-1]["status"]["windows"]]
    assert ends == sorted(set(ends))


async def test_a_candidate_whose_traffic_was_taken_away_is_not_taken_for_a_silent_one() -> None:
    world, ticker = await settled()
    for _ in range(4):
        somebody_sets(world, large=10_000)
        await pass_by(world, ticker, 45)

    assert world.status["phase"] in {"Progressing", "Holding"}
    assert world.rollouts()[-1]["status"]["phase"] == "Progressing"


async def test_a_step_is_not_left_on_what_was_counted_before_its_weights_were_changed() -> None:
    """Hundreds of requests were seen; once the weights are restored nobody asks for longer than minDuration."""
    world, ticker = await settled(rollout={"steps": [{"progress": 50, "minDuration": "2m"}, {"progress": 100}]})
    assert [each.partition(":")[0] for each in world.status["lacking"]] == ["minDuration 2m"]
    somebody_sets(world, large=10_000)
    world.requests = 0
    await pass_by(world, ticker, 180)

    assert world.status["step"] == "1/2"
    assert any(each.startswith("0 of 100 requests by small") for each in world.status["lacking"])

    world.requests = 600
    await run_until(world, ticker, lambda status: status["step"] == "2/2")


def test_a_step_that_starts_again_after_an_interruption_keeps_only_what_speaks_against_the_candidate() -> None:
    record = record_of((0.05, 0.05), WINDOW_S)
    before = replace(
        record.progress,
        requests={"new": 50.0},
        covered={("errors", "new"): Coverage(requests=40.0, blind=7)},
        step_counts={("errors", "new"): (9.0, 50.0)},
        live_until=50.0,
    )
    after = went_off(replace(record, progress=before), 60.0).progress

    assert (after.requests, after.covered) == ({}, {})
    assert after.step_counts == before.step_counts


@pytest.mark.parametrize(("live_until", "blamed"), [(None, False), (T0, True)])
def test_somebody_else_is_blamed_only_where_the_split_was_seen_live_before(
    live_until: float | None, blamed: bool
) -> None:
    """An operator that died between writing the step down and ordering it finds the weights of the step before."""
    world = at_step(1)
    assert world.record is not None
    attempt = world.record.attempt
    world.split = split_of(attempt.arms, weights_at(attempt.arms, attempt.steps[0].progress))
    live_at = None if live_until is None else live_until - 60
    record = replace(world.record, progress=replace(world.record.progress, live_at=live_at, live_until=live_until))
    view = View(world.observation(), record, assess(attempt.design, record.progress.engine), world.now)
    message = held(view, Lack(Phase.HOLDING, Reason.HARM_SUSPECTED, "it leans to harm"), "step 2/3").message

    assert ("omebody else" in message) is blamed
    assert message.endswith("no candidate gets more: it leans to harm") or blamed
