"""A gateway that goes round its backends owes the one with the least share a request: that is no silence (ADR 11)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.slow_traffic import record_of

from modelroute.analysis.design import Outcomes, Window
from modelroute.analysis.engine import advance, assess
from modelroute.controller import window_text
from modelroute.rollout.consume import consume, window_of
from modelroute.rollout.evidence import WindowReading

WINDOW_S = 15.0


@dataclass
class Pod:
    """Traefik's weighted round robin: whoever is due first gets the request; each was last due at the beginning."""

    weights: tuple[float, float]
    due: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        self.due = [1 / weight for weight in self.weights]

    def next(self) -> int:
        chosen = int(self.due[1] < self.due[0])
        self.due[chosen] += 1 / self.weights[chosen]
        return chosen


@dataclass(frozen=True)
class Site:
    """`pods` of a gateway that get `rps` requests in all, a `share` of them meant for the candidate."""

    pods: int
    rps: float
    share: float
    reload_every_s: float = np.inf
    answers: bool = True
    told: bool = True

    def decided(self, seed: int, *, for_s: float = 600.0) -> float | None:
        """Seconds until the attempt goes back; None where it does not."""
        chance = np.random.default_rng(seed)
        pods = [Pod((1 - self.share, self.share)) for _ in range(self.pods)]
        record, due = record_of((self.share, self.share), WINDOW_S), self.reload_every_s
        for begin in np.arange(0.0, for_s, WINDOW_S):
            asked, reloads = [0, 0], 0
            for at in np.sort(begin + WINDOW_S * chance.random(chance.poisson(self.rps * WINDOW_S))):
                if at >= due:
                    due, reloads = due + self.reload_every_s, reloads + 1
                    for pod in pods:
                        pod.reload()
                asked[pods[chance.integers(self.pods)].next()] += 1
            old, new = asked[0], asked[1] if self.answers else 0
            record = consume(record, [self._reading(begin, chance, old, new, reloads)], WINDOW_S)
            if assess(record.attempt.design, record.progress.engine).rollback_breached:
                return float(begin + WINDOW_S)
        return None

    def _reading(self, begin: float, chance: np.random.Generator, old: int, new: int, reloads: int) -> WindowReading:
        counts = {"old": old, "new": new}
        bad = {arm: float(chance.binomial(count, 0.01)) for arm, count in counts.items()}
        outcomes = {("errors", arm): Outcomes(float(count), (bad[arm],), bad[arm]) for arm, count in counts.items()}
        completions = {arm: float(count) for arm, count in counts.items()}
        gateways, restarts = (self.pods, float(self.pods * reloads)) if self.told else (0, 0.0)
        return WindowReading(begin, begin + WINDOW_S, outcomes, completions, (), gateways=gateways, restarts=restarts)


SITES = [
    pytest.param(Site(20, 5.0, 0.02), id="20 pods, 5 rps, 2 %"),
    pytest.param(Site(3, 1.0, 0.05, 30.0), id="3 pods, 1 rps, 5 %, a reload every 30 s"),
    pytest.param(Site(6, 3.0, 0.02, 60.0), id="6 pods, 3 rps, 2 %, a reload every 60 s"),
]


@pytest.mark.parametrize("site", SITES)
def test_a_candidate_that_has_not_had_its_turn_yet_is_not_taken_for_silent(site: Site) -> None:
    assert [site.decided(seed) for seed in range(4)] == [None] * 4


@pytest.mark.parametrize("site", SITES)
def test_without_being_told_of_the_gateways_restarts_it_would_be(site: Site) -> None:
    blind = Site(site.pods, site.rps, site.share, site.reload_every_s, told=False)

    assert any(blind.decided(seed) is not None for seed in range(4))


@pytest.mark.parametrize(
    ("site", "within_s"),
    [
        pytest.param(Site(3, 30.0, 0.1, 60.0, answers=False), 120.0, id="3 pods, 30 rps, 10 %, a reload a minute"),
        pytest.param(Site(20, 50.0, 0.1, answers=False), 120.0, id="20 pods, 50 rps, 10 %"),
        pytest.param(Site(3, 5.0, 0.25, 120.0, answers=False), 180.0, id="3 pods, 5 rps, 25 %, a reload in 2 minutes"),
    ],
)
def test_a_candidate_that_hangs_is_found_out_all_the_same(site: Site, within_s: float) -> None:
    found = [site.decided(seed) for seed in range(4)]

    assert all(at is not None and at <= within_s for at in found), found


def window(restarts: float, mine: float = 3.0, theirs: float = 97.0) -> Window:
    counts = {("errors", arm): Outcomes(total, (0.0,), 0.0) for arm, total in (("new", mine), ("old", theirs))}
    asked = {"new": 0.1, "old": 0.9}
    return Window(0.0, WINDOW_S, counts, asked, True, {"new": mine, "old": theirs}, restarts)


def test_a_restart_counts_as_one_request_of_whoever_would_have_too_little() -> None:
    record = record_of((0.1, 0.1), WINDOW_S)

    def answering(of: Window) -> tuple[float, float]:
        found = assess(record.attempt.design, advance(record.attempt.design, record.progress.engine, of)).answering[0]
        return found.log_few, found.log_many

    few, many = answering(window(4))
    assert few == answering(window(0, mine=7.0))[0]
    assert many == answering(window(0, theirs=101.0))[1]
    assert few < answering(window(0))[0]


def test_each_process_counts_once_where_the_evidence_begins_and_each_restart_from_then_on() -> None:
    record, told = record_of((0.1, 0.1), WINDOW_S), []
    for begin in (0.0, 15.0, 30.0, 45.0, 60.0):
        counts = {("errors", arm): Outcomes(100.0, (0.0,), 0.0) for arm in ("new", "old")}
        reading = WindowReading(
            begin, begin + WINDOW_S, counts, {"new": 100.0, "old": 100.0}, (), gateways=3, restarts=begin // 30
        )
        told.append(window_of(record, reading, WINDOW_S))
        record = consume(record, [reading], WINDOW_S)

    assert [(each.settled, each.restarts) for each in told] == [(False, 0), (False, 0), (True, 4), (True, 1), (True, 2)]
    kept = [window_text.read(window_text.written(each, 0, ""), record.attempt).restarts for each in told]
    assert kept == [each.restarts for each in told]
