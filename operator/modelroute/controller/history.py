"""What a ModelRollout keeps of its windows, for people and auditors: the last ones one by one, all of them in sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from modelroute.analysis.design import Window
from modelroute.api.fields import format_instant
from modelroute.api.rollout_status import (
    CHECKPOINT_LIMIT,
    Checkpoint,
    ModelRolloutStatus,
    StepSums,
    Tally,
    WindowRecord,
)
from modelroute.controller.window_text import written
from modelroute.rollout.attempt import Progress, Record, Stage
from modelroute.rollout.consume import slowest_p99_s, window_of
from modelroute.rollout.evidence import WindowReading

WINDOWS_KEPT: Final = 60
CHECKPOINT_EVERY: Final = 30
"""Windows: of the 60 that are kept at least the last 30 can be gone through again, at no more than two states more."""


def consumed_in(readings: Iterable[WindowReading], before: Progress, after: Progress) -> tuple[WindowReading, ...]:
    """The readings that were folded in between two states of an attempt, oldest first."""
    new = (each for each in readings if before.consumed_until < each.end <= after.consumed_until)
    return tuple(sorted(new, key=lambda each: each.end))


def shown_to_engine(before: Record, new: Sequence[WindowReading], scrape_interval_s: float) -> list[Window]:
    """What the engine was shown of `new`, the readings that `before` was about to take."""
    windows = []
    for reading in new:
        windows.append(window_of(before, reading, scrape_interval_s))
        slowest = slowest_p99_s(before.progress, reading)
        before = Record(before.attempt, replace(before.progress, slowest_p99_s=slowest))
    return windows


def windows_after(
    status: ModelRolloutStatus, new: Sequence[WindowReading], shown: Sequence[Window], step: int
) -> list[WindowRecord]:
    """The windows that the status keeps, with `new` ones of the step of that index; `shown` is what the engine saw."""
    added = (written(window, step, _note(reading)) for reading, window in zip(new, shown, strict=True))
    return [*(status.windows or ()), *added][-WINDOWS_KEPT:]


def checkpoints_after(status: ModelRolloutStatus) -> list[Checkpoint] | None:
    """The states that are kept beside the windows: the present one too, where the last is many windows ago.

    `status` is the one before new windows are added; its engine's state costs nothing to keep once more.
    """
    kept = list(status.checkpoints or ())
    since = [each for each in status.windows or () if not kept or each.end > kept[-1].until]
    state, until = status.engine_state, status.evidence_until
    if len(since) >= CHECKPOINT_EVERY and state is not None and until is not None and len(state) <= CHECKPOINT_LIMIT:
        kept.append(Checkpoint(until=until, state=state))
    return kept[-2:] or None


def sums_after(
    status: ModelRolloutStatus, new: Sequence[WindowReading], before: Progress, record: Record
) -> list[StepSums]:
    """What was counted in each step and when it was live, with `new` windows of the step that was live `before`."""
    return with_times(_counted(status, new, record, before.step), before, record.progress)


def with_times(sums: Sequence[StepSums], before: Progress, after: Progress) -> list[StepSums]:
    """`sums` with the times of the step that was live `before`: since when, and until when if it was left since."""
    step = before.step
    stays = after.stage is Stage.PROGRESSING and after.step == step
    live_at = after.live_at if stays else before.live_at
    left_at = None if stays else after.finished_at or after.step_at
    times = {
        "live_at": None if live_at is None else format_instant(live_at),
        "left_at": None if left_at is None else format_instant(left_at),
    }
    return [each.model_copy(update=times) if each.step == step else each for each in sums]


def _counted(status: ModelRolloutStatus, new: Sequence[WindowReading], record: Record, step: int) -> list[StepSums]:
    sums = {each.step: each for each in status.sums or ()}
    if new:
        before = sums.get(step)
        counts = {(each.objective, each.arm): (each.bad, each.total) for each in (before.tallies if before else ())}
        for reading in new:
            for key, outcome in reading.outcomes.items():
                bad, total = counts.get(key, (0.0, 0.0))
                counts[key] = bad + outcome.compared[0], total + outcome.total
        sums[step] = StepSums(
            step=step,
            progress=record.attempt.steps[step].progress,
            windows=(before.windows or 0 if before else 0) + len(new),
            tallies=[
                Tally(objective=objective, arm=arm, bad=bad, total=total)
                for (objective, arm), (bad, total) in sorted(counts.items())
            ],
        )
    return [sums[index] for index in sorted(sums)]


def _note(reading: WindowReading) -> str:
    return "; ".join(dict.fromkeys(f"{each.reason}: {each.message}" for each in reading.unknown))
