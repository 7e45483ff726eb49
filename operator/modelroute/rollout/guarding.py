"""The guard: the objectives with a `max` go on being watched after a promotion, with every look as valid as before.

What a window says is folded into the ModelRollout of the promotion, at checkpoints: between two of them every tick
reads the same windows again, so a restarted operator loses none and a quiet route is not written at every look.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from modelroute.analysis.design import Objective
from modelroute.analysis.detector import Alarm, Detector, Guard, GuardState, Watched, advance_guard, alarms, start_guard
from modelroute.rollout.attempt import OnGuardBreach, Progress, Record, Stage, Verdict
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.observation import Look, Observation, Problem, Terms
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Split, same_traffic
from modelroute.rollout.words import clock_time, duration

CHECKPOINT_S = 300.0
BAKING_CHECKPOINT_S = 60.0
BEHIND_WINDOWS = 8
QUIET_WINDOWS = 8
QUIET_S = 60.0
"""What says that there are no requests: all of so many windows, of which half may be late where they are shorter than a
minute together. It is a span of its own, for what is new since a checkpoint may be next to nothing."""
LOOK_BACK_S = 900.0
"""How far back the guard reads at most: what is older, after a long absence of the operator, is not watched."""

AHEAD_S = 60.0
"""How far ahead of the clock what was read last may lie and be waited for."""

NOT_PROMOTED = "watches nothing: no rollout that is kept has promoted this split"


@dataclass(frozen=True, slots=True)
class Held:
    """What the promoted split is held to: by the spec where it wants this split, else by what was frozen with it.

    A spec that asks for something else (and is paused, refused, or waits for its metrics) says nothing about what has
    the traffic meanwhile.
    """

    objectives: tuple[Objective, ...]
    split: Split
    revision: str


def is_held_by_attempt(plan: Plan | None, record: Record) -> bool:
    """Whether the spec (unreadable: None) wants another split than the one that `record` promoted."""
    return plan is None or not same_traffic(plan.split, record.attempt.wanted)


def held_to(seen: Observation, record: Record) -> Held:
    plan, attempt = seen.plan, record.attempt
    if plan is None or is_held_by_attempt(plan, record):
        kept = tuple(each for each in attempt.design.objectives if each.name not in seen.redefined)
        return Held(kept, attempt.wanted, attempt.revision)
    return Held(plan.objectives, plan.split, plan.revision)


def guard_of(held: Held, record: Record, terms: Terms) -> Guard:
    """What is watched: every objective with a `max`, of every model that has traffic.

    In an order of its own: what was seen is kept by position, and the spec has its models in another order than the
    attempt has its arms.
    """
    watched = tuple(
        Watched(name, model, limit)
        for name, model, limit in sorted(
            (objective.name, share.model, objective.limit)
            for objective in held.objectives
            if objective.limit is not None
            for share in held.split
            if share.weight
        )
    )
    return Guard(watched, terms.window_s, record.attempt.guard.false_alarms_per_year, terms.overdispersion)


def rests_since(promotion: Record, latest: Record | None) -> float:
    """Since when (unix seconds) the route rests on the promoted split: also since a later attempt came back to it."""
    ends = (each.progress.finished_at for each in (promotion, latest) if each is not None)
    return max(at or 0.0 for at in ends)


def guarded_since(promotion: Record, now: float, *, rests_at: float, window_s: float) -> float:
    """The end of the last window that the guard is done with (unix seconds): it reads on from there."""
    guard, until = promotion.progress.guard, max(rests_at, now - LOOK_BACK_S)
    if guard is not None and not _is_ahead(guard.until, now):
        until = max(until, guard.until)
    return math.ceil(until / window_s) * window_s


def is_baking(record: Record, now: float) -> bool:
    """Whether a breach may still take the promotion back."""
    finished, terms = record.progress.finished_at, record.attempt.guard
    if record.progress.stage is not Stage.PROMOTED or finished is None:
        return False
    return terms.on_breach is OnGuardBreach.ROLL_BACK and now < finished + terms.bake_s


def _is_ahead(at: float, now: float) -> bool:
    """Whether `at` was noted by another clock: nothing would be looked at before this one has caught up with it."""
    return at > now + AHEAD_S


def fold(
    guard: Guard, progress: Progress, readings: Iterable[WindowReading], *, revision: str, rests_at: float, now: float
) -> Progress:
    """`progress` with what was read since the last checkpoint and since `rests_at`; another guard starts afresh.

    So does one that has read further than the clock is: which windows it has counted nobody can say, and none may count
    twice. An alarm that stands is kept.
    """
    state = _state_of(guard, progress, revision) or start_guard(guard)
    if _is_ahead(state.until, now) and not alarms(guard, state):
        state = start_guard(guard)
    for reading in sorted(readings, key=lambda reading: reading.end):
        if reading.start < rests_at:
            # Read to see whether there is traffic; the split was another one.
            continue
        if alarms(guard, state):
            # What comes after an alarm, in the same batch or while the way back is closed, does not take it away.
            state = replace(state, until=max(state.until, reading.end))
            continue
        counts = {key: (outcome.absolute, outcome.total) for key, outcome in reading.outcomes.items()}
        state = advance_guard(guard, state, end=reading.end, counts=counts)
    return replace(progress, guard=state, guarded=_name_of(guard, revision))


def _state_of(guard: Guard, progress: Progress, revision: str) -> GuardState | None:
    """What this guard has seen; None where what is written down is of another revision, objective or arm."""
    state = progress.guard
    if state is None or progress.guarded != _name_of(guard, revision) or len(state.detectors) != len(guard.watched):
        return None
    return state


def _name_of(guard: Guard, revision: str) -> str:
    """The revision, and what of it is watched: the same revision is not held to the same names all the time."""
    watched = json.dumps([(each.objective, each.arm) for each in guard.watched])
    return f"{revision}.{hashlib.sha256(watched.encode()).hexdigest()[:10]}"


def is_due(before: Progress, after: Progress, *, baking: bool, moves: bool, look: Look) -> bool:
    """Whether `after` is to be written down: also where the look brought no more, for the next reads on from there.

    `moves`: the arms have changed places, or are about to; what was counted elsewhere and is not written is lost.
    """
    if after.guard is None or not math.isfinite(after.guard.until):
        return False
    if before.guard is None or before.guarded != after.guarded:
        return True
    gained_s = after.guard.until - before.guard.until
    if gained_s < 0 or (gained_s > 0 and (moves or is_behind(look))):
        return True
    return gained_s >= (BAKING_CHECKPOINT_S if baking else CHECKPOINT_S)


def is_behind(look: Look) -> bool:
    """Whether there is more to read than one read brings, by more windows than scrapes are ever waited for."""
    if not look.readings:
        return False
    last = max(look.readings, key=lambda reading: reading.end)
    return look.expected_until - last.end > BEHIND_WINDOWS * (last.end - last.start)


def broken(guard: Guard, progress: Progress, *, revision: str) -> tuple[Alarm, ...]:
    """The alarms that stand, the strongest first; of another guard none."""
    state = _state_of(guard, progress, revision)
    found = alarms(guard, state) if state is not None else ()
    return tuple(sorted(found, key=lambda alarm: -alarm.log_level))


def afresh(guard: Guard, progress: Progress) -> Progress:
    """`progress` after its alarms were told: what they are of starts from nothing, and the rest goes on."""
    state = progress.guard
    if state is None:
        return progress
    told = {alarm.watched for alarm in alarms(guard, state)}
    detectors = zip(guard.watched, state.detectors, strict=True)
    kept = tuple(Detector() if watched in told else detector for watched, detector in detectors)
    return replace(progress, guard=replace(state, detectors=kept))


def closed_by(seen: Observation) -> Problem | None:
    """What closes the way back. Not that it cannot be looked at: a way back waits for nothing that may be well."""
    return next((each for each in seen.cannot_return if each.reason is not Reason.BACKEND_UNKNOWN), None)


def verdict_of(alarm: Alarm, now: float) -> Verdict:
    seen = alarm.detector
    message = (
        f"{alarm.watched.arm} breaks the bound of {alarm.watched.objective}, at most {alarm.watched.limit:.2%}:"
        f" {seen.bad:,.0f} of {seen.total:,.0f} since the promotion or the last alarm"
    )
    return Verdict(Reason.GUARD_BREACHED, message, now, alarm.watched.objective, alarm.watched.arm)


def _nothing_counted(look: Look) -> bool:
    """No known request in the last windows, and those say enough."""
    lately = sorted(look.readings, key=lambda reading: reading.end)[-QUIET_WINDOWS:]
    if not lately or any(count for reading in lately for count in reading.completions.values()):
        return False
    return len(lately) >= QUIET_WINDOWS // 2 or lately[-1].end - lately[0].start >= QUIET_S


def in_words(seen: Observation, record: Record, held: Held, now: float) -> str:
    """What is watched, what is not, and whether a breach takes the promotion back."""
    watched = [each.name for each in held.objectives if each.limit is not None]
    blind = [each.name for each in held.objectives if each.limit is None]
    told = f"watches {', '.join(watched)}" if watched else "watches nothing: no objective has a max"
    if blind and watched:
        told += f"; cannot watch {', '.join(blind)}, which has no max" if len(blind) == 1 else (
            f"; cannot watch {', '.join(blind)}, which have no max"
        )  # fmt: skip
    if seen.redefined:
        told += f"; {', '.join(sorted(seen.redefined))} is not watched, for the spec means something else by it now"
    if not watched:
        return told
    if seen.look.problem is not None:
        told += f"; sees nothing now ({seen.look.problem.message})"
    elif _is_ahead(promoted_at := record.progress.finished_at or now, now):
        told += f"; sees nothing until {clock_time(promoted_at)}: the clock was set back to before the promotion"
    elif _nothing_counted(seen.look):
        told += "; no request was counted lately: without traffic, or with series that are not found, it sees nothing"
    if not is_baking(record, now):
        return f"{told}; a breach is reported"
    left = (record.progress.finished_at or now) + record.attempt.guard.bake_s - now
    left_told = f"for another {duration(max(60.0, math.ceil(left / 60) * 60))}"
    if (closed := closed_by(seen)) is None:
        return f"{told}; a breach takes the promotion back, {left_told}"
    standing = broken(guard_of(held, record, seen.terms), record.progress, revision=held.revision)
    if standing:
        breach = standing[0].watched
        told += f"; {breach.arm} broke the bound of {breach.objective}, and goes back as soon as the way back is open"
    else:
        told += "; a breach takes the promotion back as soon as the way back is open"
    return f"{told}, {left_told}; the way back is closed: {closed.message}"
