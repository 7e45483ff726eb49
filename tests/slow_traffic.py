"""Requests of two arms with their durations, as windows of completions: what counters show of slow models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes
from modelroute.analysis.engine import assess, start
from modelroute.metrics.counting import quantile
from modelroute.rollout.attempt import Attempt, Progress, Record, Stage, Step
from modelroute.rollout.consume import consume, went_live
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.split import Arm, Backend

TRAEFIKS_OWN = (0.1, 0.3, 1.2, 5.0)
WIDE = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
STEP_AT = 1_200.0
"""Seconds after the first request: when the split changes."""

Flow = tuple[float, float]
"""Seconds, requests a second."""


@dataclass(frozen=True)
class Traffic:
    """`shares`: the candidate's before and after `STEP_AT`; `medians` of the successes' duration in seconds,
    candidate's and reference's, lognormal with `spread`; `bad` of all fail at once.

    From `hangs_from` on nothing that the candidate is asked completes.
    """

    flows: Sequence[Flow]
    shares: tuple[float, float]
    medians: tuple[float, float]
    spread: float = 0.8
    bad: float = 0.01
    boundaries: tuple[float, ...] = WIDE
    hangs_from: float = math.inf

    def readings(self, seed: int, window_s: float, begin: float) -> Iterator[WindowReading]:
        chance = np.random.default_rng(seed)
        parts, since = [], 0.0
        for seconds, rate in self.flows:
            parts.append(since + seconds * np.sort(chance.random(chance.poisson(seconds * rate))))
            since += seconds
        asked = np.concatenate(parts)
        candidate = chance.random(asked.size) < np.where(asked < STEP_AT, *self.shares)
        fails = chance.random(asked.size) < self.bad
        took = np.where(candidate, *self.medians) * np.exp(self.spread * chance.standard_normal(asked.size))
        took = np.where(fails, 0.05, took)
        done = np.where(candidate & (asked >= self.hangs_from), math.inf, asked + took)
        for at in np.arange(begin, since, window_s):
            here = (done > at) & (done <= at + window_s)
            arms = {"new": here & candidate, "old": here & ~candidate}
            yield self._reading(at, at + window_s, {arm: (took[of], fails[of]) for arm, of in arms.items()})

    def _reading(self, start_: float, end: float, arms: dict[str, tuple[np.ndarray, np.ndarray]]) -> WindowReading:
        outcomes, completions, slowest = {}, {}, []
        for arm, (took, fails) in arms.items():
            total, bad = float(took.size), float(fails.sum())
            outcomes["errors", arm] = Outcomes(total, (bad,), bad)
            completions[arm] = total
            buckets = {(200, le): float((took <= le).sum()) for le in self.boundaries} | {(200, math.inf): total}
            p99 = quantile(buckets, 0.99)
            slowest += [] if p99 is None else [p99]
        return WindowReading(start_, end, outcomes, completions, (), max(slowest, default=None))

    def decided(self, seed: int, *, window_s: float = 15.0) -> tuple[str, float] | None:
        """Why an attempt goes back, and when, in seconds after the step; None where it does not.

        Where the candidate was asked for something before, those ten minutes are read as well. Where both splits are
        one, no step begins.
        """
        begin = 600.0 if self.shares[0] > 0 else STEP_AT
        record = record_of(self.shares, window_s)
        for reading in self.readings(seed, window_s, begin):
            if reading.start >= STEP_AT and record.progress.step == 0 and self.shares[0] != self.shares[1]:
                record = replace(record, progress=replace(record.progress, step=1, live_at=None, step_at=STEP_AT))
                record = went_live(record, STEP_AT)
            record = consume(record, [reading], window_s)
            found = assess(record.attempt.design, record.progress.engine)
            if found.rollback_breached:
                silent = found.most_silent is not None
                return ("silence" if silent else found.findings[0].strongest_process), float(reading.end - STEP_AT)
        return None


ERRORS = Objective("errors", margin=0.02)


def record_of(shares: tuple[float, float], window_s: float, objective: Objective = ERRORS) -> Record:
    """An attempt whose first step is live from the first request on."""
    arms = (Arm("old", "old", Backend("ns", "a", 80), 10_000, 0), Arm("new", "new", Backend("ns", "b", 80), 0, 10_000))
    design = Design((objective,), (Comparison("new", "old"),), checks_split=True)
    steps = tuple(Step(max(round(100 * share), 1), 600, 100) for share in shares)
    attempt = Attempt("a", 1, "r", arms, steps, design, window_s, 30.0)
    return went_live(Record(attempt, Progress(Stage.PROGRESSING, 0, 0.0, 0.0, None, 0.0, start(design))), 0.0)
