"""Weights that somebody else changed while a step was live.

What was counted before that is read first. Until it is read, while it is not known, and where it leans to harm, no
candidate gets more traffic than somebody else left it: the restoration of a split is a rise like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from modelroute.analysis.design import Action
from modelroute.rollout.attempt import Record, token_of, weights_of
from modelroute.rollout.clock import deadline_at, stopped
from modelroute.rollout.decision import Decision, Phase, RouteOrder
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.lack import LEANING, Lack, View
from modelroute.rollout.observation import Observation
from modelroute.rollout.places import is_in_place
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import TOTAL, apportion, split_of
from modelroute.rollout.words import evidence


def carries(seen: Observation, record: Record) -> bool:
    """Whether the route has the weights of the record's step, and the arms where they were when it was seen live."""
    live = record.progress.live_at is not None
    return _has_weights(seen, record) and (not live or is_in_place(seen.gateway, record))


def _has_weights(seen: Observation, record: Record) -> bool:
    asked = weights_of(record)
    return all(seen.gateway.weights.get(arm.backend, 0) == asked[arm.name] for arm in record.attempt.arms)


def interrupted(seen: Observation, record: Record) -> Record:
    """`record` with when its split was last seen live, where it was and is not any more."""
    progress = record.progress
    if progress.live_at is None or progress.live_until is not None or carries(seen, record):
        return record
    return Record(record.attempt, replace(progress, live_until=_last_seen(seen, record)))


def _last_seen(seen: Observation, record: Record) -> float:
    """This process may have seen it later than was written down; a restarted one goes by what it had counted."""
    progress, window_s = record.progress, record.attempt.window_s
    first = math.ceil((progress.live_at or 0.0) / window_s) * window_s
    counted = progress.consumed_until > first
    # A window is read no sooner than one scrape after its end, and the split was seen live in that tick.
    known = progress.consumed_until + seen.terms.scrape_interval_s if counted else progress.live_at or 0.0
    return max(known, seen.carried_at or 0.0)


def counted_before(record: Record, readings: Iterable[WindowReading]) -> tuple[WindowReading, ...]:
    """Those of `readings` that ended while the split was live."""
    until = record.progress.live_until
    return tuple(each for each in readings if until is None or each.end <= until)


def _is_read(record: Record) -> bool:
    progress = record.progress
    return progress.live_until is None or progress.consumed_until + record.attempt.window_s > progress.live_until


def is_over(seen: Observation, record: Record) -> bool:
    """Whether the interruption was written down and all is read that was counted before it."""
    was = seen.record
    return was is not None and was.progress.live_until is not None and _is_read(record)


def keeps_from_restoring(view: View) -> Lack | None:
    """Why the step's split is not to be restored now; None where it may be, or takes traffic from candidates."""
    live_until = view.record.progress.live_until
    if _is_read(view.record) and (doubt := _doubt(view) if _would_rise(view.seen, view.record) else None):
        return doubt
    if live_until is None or is_over(view.seen, view.record):
        return None
    if view.seen.look.problem is not None:
        return Lack(Phase.HOLDING, view.seen.look.problem.reason, view.seen.look.problem.message)
    return Lack(Phase.PROGRESSING, Reason.COLLECTING_EVIDENCE, "what was counted before is read first", 0.0)


def _doubt(view: View) -> Lack | None:
    exits = f"go back with abort@{token_of(view.record)}, or give the route the weights of this step to go on"
    if view.assessment.rollback_log_evidence >= LEANING:
        weight, limit = evidence(view.assessment.rollback_log_evidence), evidence(view.assessment.log_limit)
        message = f"the evidence leans to harm, {weight} of the {limit} that roll back: {exits}"
        return Lack(Phase.HOLDING, Reason.HARM_SUSPECTED, message, stalled=True)
    if view.record.progress.live_until is None:
        return None
    gating = {each.name for each in view.record.attempt.design.objectives if each.action is not Action.REPORT}
    for unknown in view.record.progress.unknown:
        if unknown.objective is None or unknown.objective in gating:
            message = f"what was counted last before that is not known ({unknown.message}): {exits}"
            return Lack(Phase.HOLDING, unknown.reason, message, stalled=True)
    return None


def held(view: View, lack: Lack, where: str) -> Decision:
    """Leave candidates what they have, and no more than was asked for."""
    record, now = stopped(view.record, view.now, still=False), view.now
    order = None if view.seen.gateway.contended else _no_higher(view.seen, record)
    if not _has_weights(view.seen, record):
        restored = "they are not restored" if order is None else "no candidate gets more"
        what = f"Somebody else changed the weights of the route, and {restored}"
        if record.progress.live_until is None:
            # It may be the operator itself that did not get to order them.
            what = "The route does not have the weights of this step, and no candidate gets more"
    elif not is_in_place(view.seen.gateway, record):
        what = "Rules or backends of the route changed places"
    elif record.progress.live_until is not None:
        what = "The route was changed by somebody else, and is as it was"
    else:
        what = "The route has the weights of this step"
    return Decision(
        lack.phase,
        lack.reason,
        f"{where}. {what}: {lack.message}",
        order,
        record=record,
        lacking=(lack.message,),
        stalled=lack.stalled,
        wake_after_s=record.attempt.window_s if lack.wake_after_s is None else max(1.0, lack.wake_after_s),
        deadline_at=deadline_at(record, now),
    )


def _shares(seen: Observation, record: Record) -> Mapping[str, float] | None:
    """What the route gives each arm, of 10,000; None where it serves nobody, so that restoring it is no rise."""
    whole = sum(seen.gateway.weights.values())
    if not whole:
        return None
    return {arm.name: TOTAL * seen.gateway.weights.get(arm.backend, 0) / whole for arm in record.attempt.arms}


def gives_candidates_more(seen: Observation, record: Record) -> bool:
    """Whether the route, as it stands, gives a candidate more than it had before the attempt."""
    shares = _shares(seen, record)
    return shares is not None and any(shares[arm.name] > arm.stable for arm in record.attempt.candidates)


def _would_rise(seen: Observation, record: Record) -> bool:
    """Whether a candidate would get more than it has."""
    shares, asked = _shares(seen, record), weights_of(record)
    return shares is not None and any(shares[arm.name] < asked[arm.name] for arm in record.attempt.candidates)


def _no_higher(seen: Observation, record: Record) -> RouteOrder | None:
    """The step's split, but for candidates that have less; None where no candidate has more than it is to have."""
    attempt, asked, shares = record.attempt, weights_of(record), _shares(seen, record)
    if shares is not None and _would_rise(seen, record):
        if not any(shares[arm.name] > asked[arm.name] for arm in attempt.candidates):
            return None
        kept = {arm.name: max(arm.stable, min(asked[arm.name], int(shares[arm.name]))) for arm in attempt.candidates}
        freed = sum(asked[name] - weight for name, weight in kept.items())
        losers = [arm for arm in attempt.arms if not arm.gains]
        back = apportion(freed, tuple(arm.stable - asked[arm.name] for arm in losers))
        asked |= kept | {arm.name: asked[arm.name] + more for arm, more in zip(losers, back, strict=True)}
    return RouteOrder(split_of(attempt.arms, asked), attempt.stable)
