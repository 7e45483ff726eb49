"""An attempt under way: fold in what was counted, go back on harm, and leave a step where nothing is lacking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelroute.analysis.engine import assess, start_gate
from modelroute.rollout.attempt import OnDeadline, Record, Stage, Verdict, weights_of
from modelroute.rollout.changed import carries, counted_before, held, interrupted, is_over, keeps_from_restoring
from modelroute.rollout.clock import deadline_at, is_overdue, stopped
from modelroute.rollout.consume import consume, went_live, went_off
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.gates import lacks
from modelroute.rollout.going_back import go_back, is_noted, noted_verdict
from modelroute.rollout.harm import harm_in
from modelroute.rollout.lack import GATEWAY_POLL_S, Lack, View
from modelroute.rollout.observation import Acceptance, Gateway, Observation
from modelroute.rollout.places import placed
from modelroute.rollout.reasons import Reason
from modelroute.rollout.rejected import rejection
from modelroute.rollout.split import in_words, same_traffic, split_of, weights_at, words_of
from modelroute.rollout.words import duration


def under_way(seen: Observation, record: Record, now: float) -> Decision:
    if (changed := _spec_changed(seen, record, now)) is not None:
        return go_back(seen.gateway, record, changed, now)
    record = looked(seen, record, now)
    assessment = assess(record.attempt.design, record.progress.engine)
    if (harm := harm_in(record, assessment, seen.terms.scrape_interval_s, now)) is not None:
        return go_back(seen.gateway, record, harm, now)
    if (rejected := rejection(seen, record, now)) is not None:
        return go_back(seen.gateway, record, rejected, now)
    if record.attempt.deadline.action is OnDeadline.ROLL_BACK and is_overdue(record, now):
        message = f"progressDeadline {duration(record.attempt.deadline.after_s)} has passed"
        return go_back(seen.gateway, record, Verdict(Reason.DEADLINE_EXCEEDED, message, now), now)
    if is_noted(seen, record):
        return go_back(seen.gateway, record, noted_verdict(seen, record, now), now)
    if (lack := keeps_from_restoring(View(seen, record, assessment, now))) is not None:
        return held(View(seen, record, assessment, now), lack, where(record))
    if is_over(seen, record):
        record = went_off(record, now)
    lacking = lacks(View(seen, record, assessment, now))
    if not lacking:
        return leave_step(seen.gateway, record, now)
    return _waiting(seen, record, lacking, now)


def looked(seen: Observation, record: Record, now: float) -> Record:
    """`record` with what this look brought: whether its split is live, and what was counted."""
    record = interrupted(seen, record)
    if record.progress.live_until is not None:
        return consume(record, counted_before(record, seen.look.readings), seen.terms.scrape_interval_s)
    if not _is_live(seen, record):
        return _consumed(seen, record)
    # What was counted while nobody could say whether the split is live comes first: it may not have been possible to
    # write down that it is, and harm is not to wait for that.
    record = record if record.progress.live_at is not None else _consumed(seen, record)
    return _consumed(seen, placed(seen.gateway, went_live(record, now)))


def _consumed(seen: Observation, record: Record) -> Record:
    return consume(record, seen.look.readings, seen.terms.scrape_interval_s)


def _waiting(seen: Observation, record: Record, lacking: Sequence[Lack], now: float) -> Decision:
    first = lacking[0]
    waits = [lack.wake_after_s for lack in lacking if lack.wake_after_s is not None]
    # The deadline's clock runs for what the rollout itself lacks, not for a person who takes their time.
    paused = any(lack.phase is Phase.PAUSED for lack in lacking)
    record = stopped(record, now, still=paused or first.phase is Phase.AWAITING_APPROVAL)
    onward = asking(seen.gateway, record, min([*waits, record.attempt.window_s]))
    return replace(
        onward,
        # Somebody else's hands on the route: writing it again would only go on with the quarrel.
        order=None if seen.gateway.contended else onward.order,
        phase=first.phase,
        reason=first.reason,
        message=f"{_standing(record)}. Waiting: {first.message}",
        lacking=tuple(lack.message for lack in lacking),
        stalled=first.stalled,
        deadline_at=deadline_at(record, now),
    )


def _spec_changed(seen: Observation, record: Record, now: float) -> Verdict | None:
    if seen.moved_away:
        message = "spec.routeRef names another rule: this attempt goes back first, then a new one starts there"
        return Verdict(Reason.SPEC_CHANGED, message, now)
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


def _is_live(seen: Observation, record: Record) -> bool:
    return seen.gateway.acceptance is Acceptance.LIVE and carries(seen, record)


def leave_step(gateway: Gateway, record: Record, now: float) -> Decision:
    record = stopped(record, now, still=False)
    attempt, progress = record.attempt, record.progress
    passed = Announcement(Reason.STEP_PASSED, f"{where(record)}: no harm shown, all conditions met")
    if progress.step + 1 < len(attempt.steps):
        further = replace(
            progress,
            # Two steps may ask for the same weights, in whole numbers: the proof starts afresh all the same.
            engine=start_gate(attempt.design, progress.engine),
            step=progress.step + 1,
            step_at=now,
            live_at=None,
            requests={},
            covered={},
            step_counts={},
            approved=False,
            waived=False,
            serial=progress.serial + 1,
        )
        onward = Record(attempt, further)
        return replace(asking(gateway, onward, GATEWAY_POLL_S), announcements=(passed, step_started(onward)))
    done = Record(attempt, replace(progress, stage=Stage.PROMOTED, finished_at=now, serial=progress.serial + 1))
    said = Announcement(Reason.PROMOTED, f"attempt {attempt.number} is done: {in_words(weights_at(attempt.arms, 100))}")
    return Decision(
        Phase.STABLE,
        Reason.PROMOTED,
        f"{words_of(attempt.wanted)}, promoted by attempt {attempt.number}",
        RouteOrder(split_of(attempt.arms, weights_at(attempt.arms, 100)), attempt.wanted),
        record=done,
        announcements=(passed, said),
        wake_after_s=5.0,
    )


def asking(gateway: Gateway, record: Record, wake_after_s: float) -> Decision:
    """Ask the gateway for the weights of the record's step."""
    return Decision(
        Phase.PROGRESSING,
        Reason.STEP_STARTED,
        f"{_standing(record)}. Waiting: {gateway.not_yet}",
        RouteOrder(split_of(record.attempt.arms, weights_of(record)), record.attempt.stable),
        record=record,
        wake_after_s=wake_after_s,
    )


def _standing(record: Record) -> str:
    """Where the attempt is, and whether users meet it already."""
    return where(record) if record.progress.live_at is not None else f"{where(record)}, ordered and not live yet"


def step_started(record: Record) -> Announcement:
    return Announcement(Reason.STEP_STARTED, where(record))


def where(record: Record) -> str:
    """'step 2/5, 25 % of the way: small 10 %, large 90 %'."""
    attempt, step = record.attempt, record.progress.step
    progress = attempt.steps[step].progress
    return f"step {step + 1}/{len(attempt.steps)}, {progress} % of the way: {in_words(weights_of(record))}"
