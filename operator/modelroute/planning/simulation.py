"""Many runs of one attempt side by side, advanced by the engine and left by the gates that the operator goes by.

Two things are simpler than life: every split is live as soon as it is ordered, and windows grow with the age of a step
(a window is at most an eighth of it), because a step of a day has thousands. That makes a time at most an eighth too
long; with windows of a fortieth the shares and medians were the same to within what 150 runs can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from modelroute.analysis.design import Action, Outcomes
from modelroute.analysis.engine import Assessment, Knowledge, advance_all, assess_all
from modelroute.planning.runs import ALL, Ending, Proof, Run, Setting, Stay
from modelroute.planning.traffic import Change, Drawn, Floats, draw
from modelroute.rollout.attempt import Record, Step, weights_of
from modelroute.rollout.clock import is_overdue
from modelroute.rollout.consume import folded, settled_at, went_live, window_of
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.gates import lacks
from modelroute.rollout.lack import View
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import TOTAL
from modelroute.rollout.under_way import leave_step

GRAIN: Final = 8
"""A window is at most this part of the age of its step."""


@dataclass(slots=True)
class _Course:
    """A run on its way. Mutable, for it is nobody's but the loop's."""

    record: Record
    step_at: float = 0.0
    covered_s: float = 0.0
    in_step: float = 0.0
    requests: float = 0.0
    bad: float = 0.0
    proofs: dict[tuple[str, str], Proof] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    lacking: tuple[Reason, ...] = ()
    passed: bool = False
    ended: bool = False

    @property
    def step(self) -> Step:
        return self.record.attempt.steps[self.record.progress.step]


def simulate(
    setting: Setting, change: Change | None, *, runs: int, chance: np.random.Generator,
    tell: Callable[[float], None] = lambda _done: None, grain: int = GRAIN,
) -> tuple[Run, ...]:  # fmt: skip
    """`runs` ≥ 1 attempts at `setting`, with `change` from the start, each until it ends or its deadline passes.

    Everything follows from `chance`. `tell` hears from time to time which part of the runs has ended, in [0, 1].
    """
    watched = _Watched.of(setting, change)
    going = [_Course(_live(setting.record, 0.0)) for _ in range(runs)]
    done: list[Run] = []
    while going:
        spans = [_next_window(setting, course.record, grain) for course in going]
        drawn = _drawn(setting, watched, going, spans, chance)
        readings = _readings(setting, spans, drawn)
        design, scrape_s = setting.attempt.design, setting.seen.terms.scrape_interval_s
        engines = advance_all(
            (design, course.record.progress.engine, window_of(course.record, reading, scrape_s))
            for course, reading in zip(going, readings, strict=True)
        )
        known = assess_all((design, engine) for engine in engines)
        for index, (course, reading, engine, found) in enumerate(zip(going, readings, engines, known, strict=True)):
            course.record = folded(course.record, reading, engine, found, scrape_s)
            _count(course, watched, drawn, index, reading)
            now = reading.end + setting.lag_s
            ending = _look(setting, course, watched, found, now)
            if ending is not None:
                done.append(_ended(setting, course, watched, ending, now))
        going = [course for course in going if not course.ended]
        tell(len(done) / runs)
    return tuple(done)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Whose requests are counted for people, and what is changed: `row` is the objective's, None where nothing is."""

    rates: Floats
    columns: tuple[int, ...]
    row: int | None
    change: Change | None

    @classmethod
    def of(cls, setting: Setting, change: Change | None) -> _Watched:
        arms, objectives = setting.attempt.arms, setting.attempt.design.objectives
        rates = np.asarray([[setting.traffic.rates[each.name]] * len(arms) for each in objectives])
        if change is None:
            return cls(rates, tuple(index for index, arm in enumerate(arms) if arm.gains), None, None)
        row = [each.name for each in objectives].index(change.objective)
        column = [arm.name for arm in arms].index(change.candidate)
        rates[row, column] *= change.times
        return cls(rates, (column,), row, change)

    @property
    def rate(self) -> float:
        """The changed rate; 0 where nothing is changed."""
        return 0.0 if self.row is None else float(self.rates[self.row, self.columns[0]])


def _live(record: Record, now: float) -> Record:
    """The split is live at once, and whoever has to approve it has done so already."""
    live = went_live(record, now)
    return Record(live.attempt, replace(live.progress, approved=True))


def _next_window(setting: Setting, record: Record, grain: int) -> tuple[float, float]:
    """From where the last one ended; longer with the age of the step, and cut where something becomes due."""
    start, window_s, live_at = record.progress.consumed_until, record.attempt.window_s, record.progress.live_at
    settled = settled_at(record, setting.seen.terms.scrape_interval_s)
    assert live_at is not None, "every split is live at once"
    assert settled is not None, "every split is live at once"
    if start < settled:
        return start, start + window_s
    length = max(1, math.floor((start - live_at) / window_s / grain))
    step = record.attempt.steps[record.progress.step]
    dues = (live_at + step.min_duration_s, record.attempt.deadline.after_s + 1e-6)
    for due in dues:
        ahead = math.ceil((due - setting.lag_s - start) / window_s)
        length = min(length, ahead) if ahead > 0 else length
    return start, start + length * window_s


def _drawn(
    setting: Setting, watched: _Watched, going: Sequence[_Course], spans: Sequence[tuple[float, float]],
    chance: np.random.Generator,
) -> Drawn:  # fmt: skip
    seconds = np.asarray([end - start for start, end in spans])
    weights = [list(weights_of(course.record).values()) for course in going]
    names = [each.name for each in setting.attempt.design.objectives]
    return draw(chance, setting.traffic, seconds, np.asarray(weights) / TOTAL, watched.rates, names)


def _readings(setting: Setting, spans: Sequence[tuple[float, float]], drawn: Drawn) -> list[WindowReading]:
    arms = [arm.name for arm in setting.attempt.arms]
    keys = [(each.name, arm) for each in setting.attempt.design.objectives for arm in arms]
    shape = len(spans), len(keys)
    totals, bads = (counts.reshape(shape).astype(float).tolist() for counts in (drawn.seen, drawn.seen_bad))
    answered = drawn.answered.astype(float).tolist()
    return [
        WindowReading(
            start,
            end,
            {key: Outcomes(total, (bad,), bad) for key, total, bad in zip(keys, totals[run], bads[run], strict=True)},
            dict(zip(arms, answered[run], strict=True)),
            (),
        )
        for run, (start, end) in enumerate(spans)
    ]


def _count(course: _Course, watched: _Watched, drawn: Drawn, index: int, reading: WindowReading) -> None:
    answered = float(sum(drawn.answered[index, column] for column in watched.columns))
    course.covered_s += reading.end - reading.start
    course.in_step += answered
    course.requests += answered
    if watched.row is not None:
        course.bad += float(drawn.bad[index, watched.row, watched.columns[0]])


def _look(setting: Setting, course: _Course, watched: _Watched, found: Assessment, now: float) -> Ending | None:
    """What the operator does after a look; a course that ends says how."""
    _note_proofs(course, found, now)
    progress = course.record.progress
    if found.rollback_breached:
        return Ending.ROLLED_BACK
    if progress.pause_breached:
        return Ending.PAUSED
    if watched.change is not None and _is_reported(watched.change, found):
        return Ending.CAUGHT
    if is_overdue(course.record, now):
        return Ending.OVERDUE
    assert progress.live_at is not None, "every split is live at once"
    if course.passed or now - progress.live_at < course.step.min_duration_s:
        return None  # The second is one of the gates, and the cheapest: most looks are at steps that did not last yet.
    lacking = lacks(View(setting.seen, course.record, found, now))
    if lacking:
        course.lacking = tuple(lack.reason for lack in lacking)
        return None
    return _leave(setting, course, watched, now)


def _leave(setting: Setting, course: _Course, watched: _Watched, now: float) -> Ending | None:
    further = leave_step(setting.seen.gateway, course.record, now).record
    assert further is not None, "a step is left with a record"
    if watched.change is not None and not further.progress.stage.under_way:
        course.passed = True
        return None
    _close(setting, course, watched, now, left=True)
    course.record = further
    if not further.progress.stage.under_way:
        return Ending.PROMOTED
    course.record = _live(further, now)
    course.step_at, course.covered_s, course.in_step = now, 0.0, 0.0
    course.proofs, course.lacking = {}, ()
    return None


def _note_proofs(course: _Course, found: Assessment, now: float) -> None:
    proof = Proof(now - course.step_at, course.in_step)
    for finding in found.findings:
        if finding.action is Action.ROLL_BACK and finding.proven_safe:
            course.proofs.setdefault((finding.objective, finding.candidate), proof)
    if found.proven_safe:
        course.proofs.setdefault(ALL, proof)


def _is_reported(change: Change, found: Assessment) -> bool:
    return any(
        (each.objective, each.candidate) == (change.objective, change.candidate)
        and each.action is Action.REPORT
        and each.knowledge is Knowledge.HARMFUL
        for each in found.findings
    )


def _close(setting: Setting, course: _Course, watched: _Watched, now: float, *, left: bool) -> None:
    """The step is over: what was answered in it outside of any window is counted at its expectation."""
    weights = list(weights_of(course.record).values())
    share = sum(weights[column] for column in watched.columns) / TOTAL
    unseen = setting.traffic.rps * share * max(0.0, now - course.step_at - course.covered_s)
    course.in_step += unseen
    course.requests += unseen
    course.bad += unseen * watched.rate
    step, seconds = course.record.progress.step, now - course.step_at
    course.stays.append(Stay(step, seconds if left else None, course.in_step, course.proofs, course.lacking))


def _ended(setting: Setting, course: _Course, watched: _Watched, ending: Ending, now: float) -> Run:
    course.ended = True
    if ending is not Ending.PROMOTED:
        _close(setting, course, watched, now, left=False)
    return Run(ending, now, tuple(course.stays), course.requests, course.bad, course.passed)
