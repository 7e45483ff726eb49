"""What is not tried again by itself: it is noted outside of the attempt's own record, which somebody may delete."""

from __future__ import annotations

from dataclasses import dataclass

from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A revision that went back, is going back, or stopped for a breach. Only `retry` or another attempt ends it.

    `serial` is the n of the token that `retry` needs where the record is gone; `told` says why, in a sentence.
    """

    revision: str
    attempt: int
    reason: str
    told: str
    serial: int

    @property
    def token(self) -> str:
        return f"{self.revision}.{self.serial}"


def refusal_in(record: Record | None, noted: Refusal | None) -> Refusal | None:
    """What is refused now: by the latest attempt, or as `noted` where its record is gone."""
    return noted if record is None else refusal_of(record)


def refusal_of(record: Record) -> Refusal | None:
    """The refusal that follows from an attempt; None where its revision may be tried (again)."""
    attempt, progress = record.attempt, record.progress
    verdict = progress.verdict
    match progress.stage:
        case Stage.PROMOTED | Stage.SUPERSEDED:
            return None
        case Stage.PROGRESSING if not progress.pause_breached:
            return None
        case Stage.PROGRESSING:
            reason, told = Reason.HARM_DETECTED, "an objective with onBreach: Pause was breached"
        case Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.ABORTED if verdict is None:
            reason, told = Reason.ROLLED_BACK, "no reason was kept"
        case Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.ABORTED:
            if verdict.reason is Reason.SPEC_CHANGED:
                return None
            reason, told = verdict.reason, verdict.message
    # What the guard took back broke the bounds of the spec that was in force then, which may not be the attempt's own.
    revision = progress.guarded.partition(".")[0] or attempt.revision
    return Refusal(revision, attempt.number, reason.value, told, progress.serial)
