"""The way back: the stable split at once, then the proof that it is what the gateway does."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from modelroute.rollout.attempt import Record, Stage, Verdict, weights_of
from modelroute.rollout.consume import went_live
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.gates import FIND_OUT_WHO
from modelroute.rollout.harm import keeps
from modelroute.rollout.lack import GATEWAY_POLL_S
from modelroute.rollout.observation import Acceptance, Gateway, Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import in_words, split_of
from modelroute.rollout.words import duration

CONFIRMATION_DEADLINE_S = 300.0
"""How long the gateway may take to confirm the way back before the rollback ends all the same, and says so."""

SILENCE_DEADLINE_S = 300.0
"""How long a rolled-back candidate is watched for traffic before the rollback ends all the same, and says so."""


FOUGHT_OVER: Final = (
    f"somebody else keeps changing the weights of the route, which are restored every few seconds: {FIND_OUT_WHO}"
)


def go_back(gateway: Gateway, record: Record, verdict: Verdict, now: float) -> Decision:
    """Latch `verdict` and ask for the stable split. Nothing is checked first: a rollback waits for nothing."""
    back = Record(
        record.attempt,
        replace(
            record.progress,
            stage=Stage.ROLLING_BACK,
            step_at=now,
            live_at=None,
            live_until=None,
            requests={},
            step_counts={},
            unknown=(),
            verdict=verdict,
            serial=record.progress.serial + 1,
        ),
    )
    blameless = verdict.reason in {Reason.SPEC_CHANGED, Reason.ABORTED}
    said = (
        Announcement(verdict.reason, verdict.message, warning=not blameless),
        Announcement(Reason.ROLLING_BACK, f"attempt {record.attempt.number} goes back to {in_words(weights_of(back))}"),
    )
    return replace(_asking(back, gateway.not_yet, bare=_is_bare(gateway, record)), announcements=said)


def taken_up(seen: Observation, promotion: Record) -> Record:
    """`promotion` as it is to go back: the latest attempt again, whatever other one has ended since."""
    unfinished = replace(promotion.progress, finished_at=None)
    if (latest := seen.record) is not None and latest.attempt.name != promotion.attempt.name:
        after = max(latest.attempt.number, latest.progress.after_attempt)
        # The tokens go on counting from there.
        unfinished = replace(unfinished, serial=latest.progress.serial, after_attempt=after)
    return Record(promotion.attempt, unfinished)


def is_noted(seen: Observation, record: Record) -> bool:
    """Whether a rollback of the attempt reached the route, and its ModelRollout could not be written."""
    return seen.gateway.rollback_of == record.attempt.name


def noted_verdict(seen: Observation, record: Record, now: float) -> Verdict:
    """Why the attempt of a rollback that is noted went back: as this process knows it, else as the status tells it."""
    if seen.back_because is not None:
        return seen.back_because
    told = seen.refused if seen.was_going_back else None
    if told is not None and told.attempt == record.attempt.number and told.reason in set(Reason):
        return Verdict(Reason(told.reason), told.told, now)
    # The evidence may not say it any more, and nothing but the route could be told.
    return Verdict(Reason.HARM_DETECTED, "a rollback is noted on the route or in the status", now)


def going_back(seen: Observation, record: Record, now: float) -> Decision:
    """Keep asking for the stable split until it is live and the candidate's counters are seen to stop."""
    progress, back_at = record.progress, f"is back at {in_words(weights_of(record))}"
    if _carries_stable(seen, record) and seen.gateway.acceptance is Acceptance.LIVE:
        record = went_live(record, now)
    live_at, bare = record.progress.live_at, _is_bare(seen.gateway, record)
    if live_at is None:
        waited = now - progress.step_at
        if seen.gateway.acceptance is Acceptance.ABSENT and waited >= CONFIRMATION_DEADLINE_S:
            if seen.gateway.message:
                cannot = f"ends with unknown weights, for the rule cannot be written any more ({seen.gateway.message})"
                return _done(record, cannot, now, bare=False)
            return _done(record, f"{back_at} (there is no route)", now, bare=False)
        if _carries_stable(seen, record) and waited >= CONFIRMATION_DEADLINE_S:
            unconfirmed = f"(not confirmed by the gateway within {duration(CONFIRMATION_DEADLINE_S)})"
            return _done(record, f"{back_at} {unconfirmed}", now, bare=bare)
        if seen.gateway.contended:
            return _asking(record, FOUGHT_OVER, bare=bare)
        return _asking(record, seen.gateway.awaited, bare=bare)
    noisy = _still_answering(seen, record)
    record = _looked(seen, record)
    if noisy and now - live_at < SILENCE_DEADLINE_S:
        return _asking(record, f"{', '.join(noisy)} was not seen without requests yet", bare=bare)
    remark = f" (not seen to stop within {duration(SILENCE_DEADLINE_S)}: {', '.join(noisy)})" if noisy else ""
    return _done(record, f"{back_at}{remark}", now, bare=bare)


def _is_bare(gateway: Gateway, record: Record) -> bool:
    """Whether arms that get nothing are left out: one whose Service is gone keeps a gateway from resolving the route.

    What was left out stays so: a gateway that accepts the route without it would reject it again.
    """
    left_out = any(arm.backend not in gateway.weights for arm in record.attempt.arms if not arm.stable)
    return gateway.acceptance is Acceptance.REJECTED or (bool(gateway.weights) and left_out)


def _carries_stable(seen: Observation, record: Record) -> bool:
    return all(seen.gateway.weights.get(arm.backend, 0) == arm.stable for arm in record.attempt.arms)


def _still_answering(seen: Observation, record: Record) -> list[str]:
    """The candidates whose stable weight is 0 and that the last whole window does not show at zero completions."""
    live_at = record.progress.live_at or 0.0
    windows = [reading for reading in seen.look.readings if reading.start >= live_at]
    return [
        arm.name
        for arm in record.attempt.candidates
        if arm.stable == 0 and not (windows and windows[-1].completions.get(arm.name) == 0)
    ]


def _looked(seen: Observation, record: Record) -> Record:
    """The windows of this tick are done with, so that the next one reads on from there."""
    until = max((reading.end for reading in seen.look.readings), default=0.0)
    progress = record.progress
    return Record(record.attempt, replace(progress, consumed_until=max(progress.consumed_until, until)))


def _asking(record: Record, message: str, *, bare: bool = False) -> Decision:
    verdict = record.progress.verdict
    why = f" because {verdict.message}" if verdict else ""
    return Decision(
        Phase.ROLLING_BACK,
        Reason.ROLLING_BACK,
        f"going back to {in_words(weights_of(record))}{why}. Waiting: {message}",
        _order(record, bare=bare),
        record=record,
        lacking=(message,),
        wake_after_s=GATEWAY_POLL_S,
    )


def _order(record: Record, *, bare: bool = False) -> RouteOrder:
    """`bare`: without the arms that get nothing."""
    attempt = record.attempt
    split = split_of(attempt.arms, weights_of(record))
    ordered = tuple(share for share in split if share.weight or not bare)
    return RouteOrder(ordered, attempt.stable, rollback_of=attempt.name)


def _done(record: Record, how: str, now: float, *, bare: bool) -> Decision:
    """`how` the attempt ends, as what comes after its number."""
    verdict, attempt = record.progress.verdict, record.attempt
    blameless = verdict is not None and verdict.reason is Reason.SPEC_CHANGED
    aborted = verdict is not None and verdict.reason is Reason.ABORTED
    stage = Stage.SUPERSEDED if blameless else Stage.ABORTED if aborted else Stage.ROLLED_BACK
    serial = record.progress.serial + 1
    done = Record(attempt, replace(record.progress, stage=stage, finished_at=now, serial=serial))
    why = verdict.message if verdict else "no reason was kept"
    message = f"attempt {attempt.number} {how}: {why}{keeps(done)}"
    return Decision(
        Phase.HOLDING if blameless else Phase.ROLLED_BACK,
        Reason.SPEC_CHANGED if blameless else Reason.ROLLED_BACK,
        message,
        _order(done, bare=bare),
        record=done,
        announcements=(Announcement(Reason.ROLLED_BACK, message, warning=not blameless),),
        stalled=not blameless,
        wake_after_s=0.0 if blameless else 5.0,
    )
