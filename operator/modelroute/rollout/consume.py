"""Folding what was counted into an attempt: each window once, in order, and only what one split stood for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from modelroute.analysis.design import Window
from modelroute.analysis.engine import advance
from modelroute.rollout.attempt import Progress, Record, weights_of
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.split import TOTAL

SETTLE_MAX_S = 300.0


def went_live(record: Record, now: float) -> Record:
    """The gateway was seen to have the split: evidence starts with the first window that begins after that.

    The window in which the weights changed is skipped, whatever it holds: a window never spans a weight change.
    """
    progress = record.progress
    if progress.live_at is not None:
        return record
    begin = math.ceil(now / record.attempt.window_s) * record.attempt.window_s
    return Record(
        record.attempt,
        replace(progress, live_at=now, consumed_until=max(progress.consumed_until, begin)),
    )


def settled_at(record: Record, scrape_interval_s: float) -> float | None:
    """When this step's evidence starts (STATISTICS.md, Settle); None before the split is live."""
    progress = record.progress
    if progress.live_at is None:
        return None
    wait = max(record.attempt.settle_min_s, 2 * scrape_interval_s, progress.slowest_p99_s)
    return progress.live_at + min(wait, SETTLE_MAX_S)


def consume(record: Record, readings: Iterable[WindowReading], scrape_interval_s: float) -> Record:
    """`record` with the windows of `readings` folded in; one that was seen before changes nothing.

    Before the split is live nothing is consumed. While it settles only the engine's fast path gets the counts.
    """
    if record.progress.live_at is None:
        return record
    attempt, progress = record.attempt, record.progress
    asked = {name: weight / TOTAL for name, weight in weights_of(record).items()}
    for reading in sorted(readings, key=lambda reading: reading.end):
        if reading.end <= progress.consumed_until:
            continue
        start = settled_at(Record(attempt, progress), scrape_interval_s)
        settled = start is not None and reading.start >= start
        window = Window(reading.start, reading.end, reading.outcomes, asked, settled, reading.completions)
        progress = replace(
            progress,
            engine=advance(attempt.design, progress.engine, window),
            consumed_until=reading.end,
            requests=_counted(record, progress, reading) if settled else progress.requests,
            slowest_p99_s=max(progress.slowest_p99_s, reading.slowest_p99_s or 0.0),
            unknown=reading.unknown,
        )
    return Record(attempt, progress)


def _counted(record: Record, progress: Progress, reading: WindowReading) -> dict[str, float]:
    names = [arm.name for arm in record.attempt.candidates]
    return {name: progress.requests.get(name, 0.0) + reading.completions.get(name, 0.0) for name in names}
