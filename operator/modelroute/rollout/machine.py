"""The state machine: from what one tick saw to what is to be done. One pure function, `decide`.

    at rest      no attempt is under way       Pending, Stable, RolledBack, Paused, Holding
    under way    an attempt is progressing     Progressing, Paused, Holding
    going back   an attempt is rolled back     RollingBack

Weights rise in two places only, `_begin` and `_leave_step`; everything else keeps the split or takes it back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from modelroute.analysis.design import Action, Design
from modelroute.analysis.engine import assess, start
from modelroute.rollout.attempt import (
    Attempt,
    Progress,
    Record,
    Requirement,
    Stage,
    Verdict,
    comparisons_of,
    weights_of,
)
from modelroute.rollout.consume import consume, went_live
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.gates import GATEWAY_POLL_S, View, lacks
from modelroute.rollout.going_back import go_back, going_back
from modelroute.rollout.harm import harm_in
from modelroute.rollout.observation import Acceptance, Observation, Problem
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Arm, Split, arms_between, in_words, same_traffic, split_of, weights_at

BACKEND_REASONS = frozenset({Reason.BACKEND_NOT_FOUND, Reason.NO_READY_ENDPOINTS, Reason.BACKEND_UNKNOWN})
TIDY_AFTER_S = 300.0
"""How long an arm at weight 0 stays in the route after its attempt, for requests that are still being answered."""


def decide(seen: Observation, now: float) -> Decision:
    """What to do about `seen` at `now` (unix seconds). Total: every observation has a decision."""
    if seen.gateway.acceptance is Acceptance.FOREIGN:
        return Decision(Phase.PENDING, Reason.ROUTE_NOT_OURS, seen.gateway.message, stalled=True, wake_after_s=30.0)
    if seen.record is not None:
        match seen.record.progress.stage:
            case Stage.PROGRESSING:
                return _under_way(seen, seen.record, now)
            case Stage.ROLLING_BACK:
                return going_back(seen, seen.record, now)
            case Stage.PROMOTED | Stage.ROLLED_BACK | Stage.SUPERSEDED:
                pass
            case other:
                assert_never(other)
    return _at_rest(seen, now)


def stable_split(seen: Observation) -> Split | None:
    """The split that the route rests on: of the last attempt, else as noted on the route, else in the status.

    Only backends with traffic: what an old attempt left at 0 is no part of the next one.
    """
    found = seen.gateway.stable or seen.noted
    if seen.record is not None:
        match seen.record.progress.stage:
            case Stage.PROMOTED:
                found = seen.record.attempt.wanted
            case Stage.PROGRESSING | Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.SUPERSEDED:
                found = seen.record.attempt.stable
            case other:
                assert_never(other)
    return None if found is None else tuple(share for share in found if share.weight)


# At rest.


def _at_rest(seen: Observation, now: float) -> Decision:
    plan, stable = seen.plan, stable_split(seen)
    if plan is None or stable is None or _forbids(seen, plan, stable):
        if plan is None or seen.problems:
            return _cannot_be_carried_out(seen, stable)
        return _first_visit(plan)
    order = RouteOrder(_resting_split(seen, stable, now), stable)
    if (waiting := _gateway_lacks(seen, order)) is not None:
        return waiting
    live = _words(stable)
    if same_traffic(plan.split, stable):
        return Decision(Phase.STABLE, Reason.STABLE, f"{live}, as the spec wants it", order, wake_after_s=60.0)
    if (back := _rolled_back(seen, plan, order)) is not None:
        return back
    if plan.paused:
        message = f"spec.paused is true: the rollout to {_words(plan.split)} waits; live: {live}"
        return Decision(Phase.PAUSED, Reason.PAUSED, message, order, wake_after_s=60.0)
    if (lack := _metrics_lack(seen)) is not None:
        message = f"the rollout to {_words(plan.split)} does not start: {lack.message}; live: {live}"
        return Decision(Phase.HOLDING, lack.reason, message, order, lacking=(lack.message,))
    return _begin(seen, plan, stable, now)


def _forbids(seen: Observation, plan: Plan, stable: Split) -> bool:
    """Whether a problem keeps the route as it stands; a backend that is not well is none where nothing is to move."""
    about_backends = all(problem.reason in BACKEND_REASONS for problem in seen.problems)
    return bool(seen.problems) and not (about_backends and same_traffic(plan.split, stable))


def _cannot_be_carried_out(seen: Observation, stable: Split | None) -> Decision:
    problem = seen.problems[0] if seen.problems else Problem(Reason.INVALID_SPEC, "the spec cannot be read")
    absent = seen.gateway.acceptance is Acceptance.ABSENT
    rest = "no route is made" if stable is None else f"the live route stays as it was: {_words(stable)}"
    return Decision(
        Phase.PENDING if absent else Phase.HOLDING,
        problem.reason,
        f"{problem.message}; {rest}",
        lacking=tuple(each.message for each in seen.problems),
        stalled=problem.reason is not Reason.BACKEND_UNKNOWN,
        wake_after_s=15.0,
    )


def _first_visit(plan: Plan) -> Decision:
    first = tuple(share for share in plan.first_split if share.weight)
    return Decision(
        Phase.PENDING,
        Reason.WAITING_FOR_GATEWAY,
        f"making the route, with all of the traffic on {plan.initial}",
        RouteOrder(first, first),
        wake_after_s=GATEWAY_POLL_S,
    )


def _resting_split(seen: Observation, stable: Split, now: float) -> Split:
    """`stable` as the route carries it: arms at 0 stay until requests of the last attempt have been answered.

    Not where the gateway rejects the route: one of those arms may be what it cannot resolve.
    """
    finished = seen.record.progress.finished_at if seen.record is not None else None
    if seen.record is None or finished is None or now - finished >= TIDY_AFTER_S:
        return stable
    if seen.gateway.acceptance is Acceptance.REJECTED:
        return stable
    return split_of(seen.record.attempt.arms, weights_of(seen.record))


def _gateway_lacks(seen: Observation, order: RouteOrder) -> Decision | None:
    live = {backend: weight for backend, weight in seen.gateway.weights.items() if weight}
    asked = {share.backend: share.weight for share in order.split if share.weight}
    phase = Phase.PENDING if seen.noted is None and seen.record is None else Phase.HOLDING
    if seen.gateway.acceptance is Acceptance.REJECTED:
        message = seen.gateway.message
        return Decision(phase, Reason.GATEWAY_REJECTED, message, order, lacking=(message,), wake_after_s=10.0)
    if seen.gateway.acceptance is Acceptance.LIVE and live == asked:
        return None
    message = f"waiting for the gateway to accept the route with {_words(order.split)}"
    if seen.gateway.message:
        message += f": {seen.gateway.message}"
    return Decision(phase, Reason.WAITING_FOR_GATEWAY, message, order, lacking=(message,), wake_after_s=GATEWAY_POLL_S)


def _rolled_back(seen: Observation, plan: Plan, order: RouteOrder) -> Decision | None:
    """A rolled-back revision is not tried again by itself: it would only be rolled back again."""
    if seen.record is None:
        # The record was deleted; the status still knows.
        refused, told = seen.refused_revision, "an attempt whose ModelRollout is gone was rolled back"
    elif seen.record.progress.stage is Stage.ROLLED_BACK:
        verdict = seen.record.progress.verdict
        refused = seen.record.attempt.revision
        why = verdict.message if verdict else "no reason was kept"
        told = f"attempt {seen.record.attempt.number} was rolled back: {why}"
    else:
        return None
    if refused != plan.revision:
        return None
    message = f"{told}. Live: {_words(order.stable)}. Change its models or objectives to try again"
    return Decision(Phase.ROLLED_BACK, Reason.ROLLED_BACK, message, order, stalled=True, wake_after_s=60.0)


def _metrics_lack(seen: Observation) -> Problem | None:
    """No weight rises before the metrics can be read: unknown is never a pass, not even for the first step."""
    if seen.look.problem is not None:
        return Problem(seen.look.problem.reason, seen.look.problem.message)
    if not seen.look.readings:
        return Problem(Reason.NO_DATA, "the metrics were not read yet")
    reported = {each.name for each in seen.plan.objectives if each.action is Action.REPORT} if seen.plan else set()
    for unknown in seen.look.readings[-1].unknown:
        if unknown.objective not in reported:
            return Problem(unknown.reason, unknown.message)
    return None


def _begin(seen: Observation, plan: Plan, stable: Split, now: float) -> Decision:
    arms = arms_between(stable, plan.split)
    design = Design(
        objectives=plan.objectives,
        comparisons=comparisons_of(arms, stable, plan.reference),
        alpha=plan.alpha,
        beta=plan.beta,
        overdispersion=seen.terms.overdispersion,
        checks_split=True,
    )
    if (never := _never_proven(design, arms, plan)) is not None:
        order = RouteOrder(_resting_split(seen, stable, now), stable)
        message = f"{never.message}; live: {_words(stable)}"
        return Decision(Phase.HOLDING, never.reason, message, order, lacking=(never.message,), stalled=True)
    number = seen.attempts + 1
    attempt = Attempt(
        name=f"{seen.name}-{number}",
        number=number,
        revision=plan.revision,
        arms=arms,
        steps=plan.steps,
        design=design,
        window_s=seen.terms.window_s,
        settle_min_s=seen.terms.settle_min_s,
    )
    progress = Progress(
        stage=Stage.PROGRESSING,
        step=0,
        started_at=now,
        step_at=now,
        live_at=None,
        consumed_until=math.floor(now / seen.terms.window_s) * seen.terms.window_s,
        engine=start(design),
    )
    record = Record(attempt, progress)
    back, there = (in_words(weights_at(arms, progress)) for progress in (0, 100))
    said = Announcement(Reason.ROLLOUT_STARTED, f"attempt {number}: from {back} to {there} in {len(plan.steps)} steps")
    return replace(_asking(record, GATEWAY_POLL_S), fresh=True, announcements=(said, _step_started(record)))


def _never_proven(design: Design, arms: Sequence[Arm], plan: Plan) -> Problem | None:
    """ProvenSafe at 100 % where a candidate's reference has no traffic left: it could not be left, so it is refused."""
    gone = {arm.name for arm in arms if not arm.wanted}
    for comparison in design.comparisons:
        for index, step in enumerate(plan.steps):
            if step.progress == 100 and step.require is Requirement.PROVEN_SAFE and comparison.reference in gone:
                message = (
                    f"spec.rollout.steps[{index}]: at 100 % {comparison.reference} has no traffic left to compare"
                    f" {comparison.candidate} with, so ProvenSafe could never be shown: ask for it at an earlier step"
                )
                return Problem(Reason.INVALID_SPEC, message)
    return None


# Under way.


def _under_way(seen: Observation, record: Record, now: float) -> Decision:
    if (changed := _spec_changed(seen, record, now)) is not None:
        return go_back(record, changed, now)
    if _has_weights(seen, record):
        record = went_live(record, now)
    record = consume(record, seen.look.readings, seen.terms.scrape_interval_s)
    assessment = assess(record.attempt.design, record.progress.engine)
    if (harm := harm_in(assessment, now)) is not None:
        return go_back(record, harm, now)
    if seen.gateway.rollback_of == record.attempt.name:
        # A rollback reached the route, and the ModelRollout could not be written; nor does the evidence say why now.
        return go_back(record, Verdict(Reason.HARM_DETECTED, "a rollback is noted on the route", now), now)
    view = View(seen, record, assessment, now)
    lacking = lacks(view)
    if not lacking:
        return _leave_step(record, now)
    first = lacking[0]
    waits = [lack.wake_after_s for lack in lacking if lack.wake_after_s is not None]
    return replace(
        _asking(record, min([*waits, record.attempt.window_s])),
        phase=first.phase,
        reason=first.reason,
        message=f"{where(record)}. Waiting: {first.message}",
        lacking=tuple(lack.message for lack in lacking),
    )


def _spec_changed(seen: Observation, record: Record, now: float) -> Verdict | None:
    plan = seen.plan
    if plan is None or plan.revision == record.attempt.revision:
        return None
    if same_traffic(plan.split, record.attempt.stable):
        # Only takes traffic away from candidates: no problem of the spec stands in its way.
        return Verdict(Reason.SPEC_CHANGED, "the spec went back to the split that the rollout started from", now)
    if seen.problems:
        return None
    message = "the spec changed: this attempt goes back first, then a new one starts"
    return Verdict(Reason.SPEC_CHANGED, message, now)


def _has_weights(seen: Observation, record: Record) -> bool:
    if seen.gateway.acceptance is not Acceptance.LIVE:
        return False
    asked = weights_of(record)
    return all(seen.gateway.weights.get(arm.backend) == asked[arm.name] for arm in record.attempt.arms)


def _leave_step(record: Record, now: float) -> Decision:
    attempt, progress = record.attempt, record.progress
    passed = Announcement(Reason.STEP_PASSED, f"{where(record)}: no harm shown, all conditions met")
    if progress.step + 1 < len(attempt.steps):
        further = replace(progress, step=progress.step + 1, step_at=now, live_at=None, requests={}, step_counts={})
        onward = Record(attempt, further)
        return replace(_asking(onward, GATEWAY_POLL_S), announcements=(passed, _step_started(onward)))
    done = Record(attempt, replace(progress, stage=Stage.PROMOTED, finished_at=now))
    said = Announcement(Reason.PROMOTED, f"attempt {attempt.number} is done: {in_words(weights_at(attempt.arms, 100))}")
    return Decision(
        Phase.STABLE,
        Reason.PROMOTED,
        f"{_words(attempt.wanted)}, promoted by attempt {attempt.number}",
        RouteOrder(split_of(attempt.arms, weights_at(attempt.arms, 100)), attempt.wanted),
        record=done,
        announcements=(passed, said),
        wake_after_s=5.0,
    )


def _asking(record: Record, wake_after_s: float) -> Decision:
    """Ask the gateway for the weights of the record's step."""
    return Decision(
        Phase.PROGRESSING,
        Reason.STEP_STARTED,
        f"{where(record)}. Waiting: the gateway to accept the split",
        RouteOrder(split_of(record.attempt.arms, weights_of(record)), record.attempt.stable),
        record=record,
        wake_after_s=wake_after_s,
    )


def _step_started(record: Record) -> Announcement:
    return Announcement(Reason.STEP_STARTED, where(record))


def where(record: Record) -> str:
    """'step 2/5, 25 % of the way: small 10 %, large 90 %'."""
    attempt, step = record.attempt, record.progress.step
    progress = attempt.steps[step].progress
    return f"step {step + 1}/{len(attempt.steps)}, {progress} % of the way: {in_words(weights_of(record))}"


def _words(split: Split) -> str:
    return in_words({share.model: share.weight for share in split if share.weight})
