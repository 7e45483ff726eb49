"""What a ModelRollout keeps of its windows, for people and auditors: the last ones one by one, all of them in sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelroute.api.fields import format_instant
from modelroute.api.rollout_status import ModelRolloutStatus, StepSums, Tally, WindowRecord
from modelroute.rollout.attempt import Progress, Record
from modelroute.rollout.evidence import WindowReading

WINDOWS_KEPT = 60


def consumed_in(readings: Iterable[WindowReading], before: Progress, after: Progress) -> tuple[WindowReading, ...]:
    """The readings that were folded in between two states of an attempt, oldest first."""
    new = (each for each in readings if before.consumed_until < each.end <= after.consumed_until)
    return tuple(sorted(new, key=lambda each: each.end))


def windows_after(status: ModelRolloutStatus, new: Sequence[WindowReading], step: int) -> list[WindowRecord]:
    """The windows that the status keeps, with `new` ones of the step of that index."""
    kept = [*(status.windows or ()), *(_window(reading, step) for reading in new)]
    return kept[-WINDOWS_KEPT:]


def sums_after(status: ModelRolloutStatus, new: Sequence[WindowReading], record: Record, step: int) -> list[StepSums]:
    """What was counted in each step, with `new` windows of the step of that index."""
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


def _window(reading: WindowReading, step: int) -> WindowRecord:
    counts = (
        f"{objective}/{arm}={outcome.compared[0]:g}/{outcome.total:g}"
        for (objective, arm), outcome in sorted(reading.outcomes.items())
    )
    return WindowRecord(
        end=format_instant(reading.end),
        step=step,
        counts=" ".join(counts),
        note="; ".join(dict.fromkeys(f"{each.reason}: {each.message}" for each in reading.unknown)) or None,
    )
