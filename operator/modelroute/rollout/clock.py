"""The deadline's clock of an attempt: it stands still while a person is waited for."""

from __future__ import annotations

from dataclasses import replace

from modelroute.rollout.attempt import Record


def spent_s(record: Record, now: float) -> float:
    """How long the attempt has taken, in seconds, without the time in which the clock stood still."""
    progress = record.progress
    still = progress.stopped_s
    if progress.stopped_since is not None:
        still += max(0.0, now - progress.stopped_since)
    return now - progress.started_at - still


def is_overdue(record: Record, now: float) -> bool:
    return spent_s(record, now) > record.attempt.deadline.after_s


def deadline_at(record: Record, now: float) -> float | None:
    """When the deadline passes (unix seconds) if nothing stops the clock; None while it stands still."""
    if record.progress.stopped_since is not None:
        return None
    return now + record.attempt.deadline.after_s - spent_s(record, now)


def stopped(record: Record, now: float, *, still: bool) -> Record:
    """`record` with its clock stopped or going on from `now` on."""
    progress = record.progress
    if still and progress.stopped_since is None:
        progress = replace(progress, stopped_since=now)
    elif not still and progress.stopped_since is not None:
        stood = max(0.0, now - progress.stopped_since)
        progress = replace(progress, stopped_s=progress.stopped_s + stood, stopped_since=None)
    return Record(record.attempt, progress)
