"""The way back: the stable split at once, then the proof that it is what the gateway does."""

from __future__ import annotations

from dataclasses import replace

from modelroute.rollout.attempt import Record, Stage, Verdict, weights_of
from modelroute.rollout.consume import went_live
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.gates import GATEWAY_POLL_S
from modelroute.rollout.observation import Acceptance, Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import in_words, split_of
from modelroute.rollout.words import duration

SILENCE_DEADLINE_S = 300.0
"""How long a rolled-back candidate is watched for traffic before the rollback ends all the same, and says so."""


def go_back(record: Record, verdict: Verdict, now: float) -> Decision:
    """Latch `verdict` and ask for the stable split. Nothing is checked first: a rollback waits for nothing."""
    back = Record(
        record.attempt,
        replace(
            record.progress,
            stage=Stage.ROLLING_BACK,
            step_at=now,
            live_at=None,
            requests={},
            unknown=(),
            verdict=verdict,
        ),
    )
    said = (
        Announcement(verdict.reason, verdict.message, warning=verdict.reason is not Reason.SPEC_CHANGED),
        Announcement(Reason.ROLLING_BACK, f"attempt {record.attempt.number} goes back to {in_words(weights_of(back))}"),
    )
    return replace(_asking(back, "waiting for the gateway to accept the split"), announcements=said)


def going_back(seen: Observation, record: Record, now: float) -> Decision:
    """Keep asking for the stable split until it is live and the candidate's counters are seen to stop."""
    if _is_back(seen, record):
        record = went_live(record, now)
    if record.progress.live_at is None:
        waited = duration(now - record.progress.step_at)
        because = f": {seen.gateway.message}" if seen.gateway.message else ""
        return _asking(record, f"waiting for the gateway to accept the split ({waited} so far){because}")
    noisy = _still_answering(seen, record)
    if noisy and now - record.progress.live_at < SILENCE_DEADLINE_S:
        return _asking(record, f"waiting to see that {', '.join(noisy)} gets no more requests")
    remark = f" (not seen to stop within {duration(SILENCE_DEADLINE_S)}: {', '.join(noisy)})" if noisy else ""
    return _done(record, remark, now)


def _is_back(seen: Observation, record: Record) -> bool:
    if seen.gateway.acceptance is not Acceptance.LIVE:
        return False
    return all(seen.gateway.weights.get(arm.backend, 0) == arm.stable for arm in record.attempt.arms)


def _still_answering(seen: Observation, record: Record) -> list[str]:
    """The candidates whose stable weight is 0 and that no whole window has shown at zero completions yet."""
    live_at = record.progress.live_at or 0.0
    windows = [reading for reading in seen.look.readings if reading.start >= live_at]
    return [
        arm.name
        for arm in record.attempt.candidates
        if arm.stable == 0 and not any(window.completions.get(arm.name) == 0 for window in windows)
    ]


def _asking(record: Record, message: str) -> Decision:
    verdict = record.progress.verdict
    why = f" because {verdict.message}" if verdict else ""
    return Decision(
        Phase.ROLLING_BACK,
        Reason.ROLLING_BACK,
        f"going back to {in_words(weights_of(record))}{why}. Now {message}",
        _order(record),
        record=record,
        lacking=(message,),
        wake_after_s=GATEWAY_POLL_S,
    )


def _order(record: Record) -> RouteOrder:
    attempt = record.attempt
    return RouteOrder(split_of(attempt.arms, weights_of(record)), attempt.stable, rollback_of=attempt.name)


def _done(record: Record, remark: str, now: float) -> Decision:
    verdict, attempt = record.progress.verdict, record.attempt
    blameless = verdict is not None and verdict.reason is Reason.SPEC_CHANGED
    stage = Stage.SUPERSEDED if blameless else Stage.ROLLED_BACK
    done = Record(attempt, replace(record.progress, stage=stage, finished_at=now))
    why = verdict.message if verdict else "no reason was kept"
    message = f"attempt {attempt.number} is back at {in_words(weights_of(done))}{remark}: {why}"
    return Decision(
        Phase.HOLDING if blameless else Phase.ROLLED_BACK,
        Reason.SPEC_CHANGED if blameless else Reason.ROLLED_BACK,
        message,
        _order(done),
        record=done,
        announcements=(Announcement(Reason.ROLLED_BACK, message, warning=not blameless),),
        stalled=not blameless,
        wake_after_s=0.0 if blameless else 5.0,
    )
