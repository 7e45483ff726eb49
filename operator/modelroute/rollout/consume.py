"""Folding what was counted into an attempt: each window once, in order, and only what one split stood for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from modelroute.analysis.design import Action, Window
from modelroute.analysis.engine import Assessment, State, advance, assess, start_gate
from modelroute.rollout.attempt import Coverage, Progress, Record, weights_of
from modelroute.rollout.evidence import Tokens, WindowReading
from modelroute.rollout.split import TOTAL

SETTLE_MAX_S = 300.0
PATIENCE_S = 60.0
"""How long a step may wait for the gateway before its windows are looked at for harm all the same."""


def went_live(record: Record, now: float) -> Record:
    """The gateway was seen to have the split: evidence starts with the first window that begins after that.

    The window in which the weights changed is skipped, whatever it holds: a window never spans a weight change.
    What a silent gateway's windows seemed to prove of safety is dropped: nobody knows which split they show.
    """
    progress = record.progress
    if progress.live_at is not None:
        return record
    begin = math.ceil(now / record.attempt.window_s) * record.attempt.window_s
    engine = progress.engine
    if progress.consumed_until > looks_from(replace(record, progress=replace(progress, consumed_until=-math.inf))):
        engine = start_gate(record.attempt.design, engine)
    return Record(
        record.attempt,
        replace(progress, live_at=now, consumed_until=max(progress.consumed_until, begin), engine=engine),
    )


def went_off(record: Record, now: float) -> Record:
    """Somebody else changed the weights: what is counted until they are restored stands for no split of ours."""
    progress = record.progress
    if progress.live_at is None:
        return record
    skipped = math.ceil(now / record.attempt.window_s) * record.attempt.window_s
    until = max(progress.consumed_until, skipped)
    # The step starts again with the restored split: its time, and what has to be seen of it. `step_counts` stay, for
    # they only keep it from being left.
    return Record(
        record.attempt,
        replace(progress, live_at=None, live_until=None, step_at=now, consumed_until=until, requests={}, covered={}),
    )


def settled_at(record: Record, scrape_interval_s: float) -> float | None:
    """When this step's evidence starts (STATISTICS.md, Settle); None before the split is live.

    Verdicts may be late, and violations later than passes: then the growing arm would look better than it is for as
    long as the judge takes, after the last of its requests from before the step.
    """
    progress = record.progress
    if progress.live_at is None:
        return None
    wait = max(record.attempt.settle_min_s, 2 * scrape_interval_s, progress.slowest_p99_s)
    return progress.live_at + min(wait, SETTLE_MAX_S) + record.attempt.judge_delay_s


def slowest_p99_s(progress: Progress, reading: WindowReading) -> float:
    """The largest 99th percentile of duration so far, `reading` included; ∞ (unknown, long) reads as `SETTLE_MAX_S`."""
    return max(progress.slowest_p99_s, min(reading.slowest_p99_s or 0.0, SETTLE_MAX_S))


def looks_from(record: Record) -> float:
    """From when on windows are looked at: since the split is live, or once the gateway has kept silent for too long.

    A gateway that does not report goes on serving, and nobody can say since when it serves the new split: after
    `PATIENCE_S` its windows count as evidence for harm, and for nothing else.
    """
    progress = record.progress
    if progress.live_at is not None:
        return progress.consumed_until
    patient = math.ceil((progress.step_at + PATIENCE_S) / record.attempt.window_s) * record.attempt.window_s
    return max(progress.consumed_until, patient)


def consume(record: Record, readings: Iterable[WindowReading], scrape_interval_s: float) -> Record:
    """`record` with the windows of `readings` folded in; one that was seen before changes nothing.

    While the split settles only the engine's fast path gets the counts. It ends with the window whose evidence decides:
    what comes after it, in a batch that was read late, cannot take the decision away.
    """
    attempt, begin = record.attempt, looks_from(record)
    for reading in sorted(readings, key=lambda reading: reading.end):
        if reading.end <= record.progress.consumed_until or reading.start < begin:
            continue
        window = window_of(record, reading, scrape_interval_s)
        engine = advance(attempt.design, record.progress.engine, window)
        found = assess(attempt.design, engine)
        record = folded(record, reading, engine, found, scrape_interval_s)
        if found.rollback_breached:
            break
    return record


def window_of(record: Record, reading: WindowReading, scrape_interval_s: float) -> Window:
    """What the engine is shown of `reading`, the next that `record` is about to take.

    Nothing, where it counts from before the split was live: a window after a missed scrape holds what that scrape would
    have shown, and a window never spans a weight change.
    """
    reading = _shown(record, reading)
    live = record.progress.live_at is not None
    asked = {name: weight / TOTAL for name, weight in weights_of(record).items()}
    settled = not live or _has_settled(record, reading, scrape_interval_s)
    # Where the evidence begins, each process is somewhere in its round: that may cost an arm a request, like a restart.
    begins = reading.gateways if is_settling(record, scrape_interval_s) else 0
    return Window(
        reading.start,
        reading.end,
        reading.outcomes,
        asked,
        settled,
        completions=reading.completions if live else {},
        restarts=reading.restarts + begins if live and settled else 0.0,
    )


def folded(
    record: Record, reading: WindowReading, engine: State, found: Assessment, scrape_interval_s: float
) -> Record:  # fmt: skip
    """`record` after `reading`, which made the engine's state `engine` and what is known `found`."""
    progress = record.progress
    settled = _has_settled(record, reading, scrape_interval_s)
    return Record(
        record.attempt,
        replace(
            progress,
            engine=engine,
            consumed_until=reading.end,
            requests=_counted(record, progress, reading) if settled else progress.requests,
            covered=_covered(record, progress, reading) if settled else progress.covered,
            step_counts=_summed(progress, _shown(record, reading)),
            tokens=_taken(progress, reading) if settled else progress.tokens,
            slowest_p99_s=slowest_p99_s(progress, reading),
            unknown=reading.unknown,
            pause_breached=progress.pause_breached or found.pause_breached,
        ),
    )


def is_settling(record: Record, scrape_interval_s: float) -> bool:
    """Is the window that was looked at last one that only the fast path saw?

    Not where the gateway is silent: what is counted then counts in full (see `window_of`).
    """
    start = settled_at(record, scrape_interval_s)
    return start is not None and record.progress.consumed_until - record.attempt.window_s < start


def _has_settled(record: Record, reading: WindowReading, scrape_interval_s: float) -> bool:
    start = settled_at(record, scrape_interval_s)
    return start is not None and _counted_from(reading) >= start


def _counted_from(reading: WindowReading) -> float:
    return reading.start if reading.counted_from is None else min(reading.start, reading.counted_from)


def _spans_change(record: Record, reading: WindowReading) -> bool:
    live_at = record.progress.live_at
    return live_at is not None and _counted_from(reading) < live_at


def _shown(record: Record, reading: WindowReading) -> WindowReading:
    """`reading` without its counts, where those are of another split as well."""
    return replace(reading, outcomes={}, completions={}) if _spans_change(record, reading) else reading


def _counted(record: Record, progress: Progress, reading: WindowReading) -> dict[str, float]:
    names = [arm.name for arm in record.attempt.candidates]
    return {name: progress.requests.get(name, 0.0) + reading.completions.get(name, 0.0) for name in names}


def _taken(progress: Progress, reading: WindowReading) -> dict[str, Tokens]:
    nothing = Tokens(0.0, 0.0, 0.0)
    return {**progress.tokens, **{arm: progress.tokens.get(arm, nothing) + new for arm, new in reading.tokens.items()}}


def _covered(record: Record, progress: Progress, reading: WindowReading) -> dict[tuple[str, str], Coverage]:
    """What is known of an objective needs the candidate's counts and, where it has traffic, its reference's."""
    sums, weights = dict(progress.covered), weights_of(record)
    gating = (objective for objective in record.attempt.design.objectives if objective.action is not Action.REPORT)
    for objective in gating:
        for each in record.attempt.design.comparisons:
            needed = [each.candidate] if not weights.get(each.reference or "") else [each.candidate, each.reference]
            key = objective.name, each.candidate
            before = sums.get(key, Coverage())
            if all((objective.name, arm) in reading.outcomes for arm in needed):
                requests = before.requests + reading.completions.get(each.candidate, 0.0)
                sums[key] = replace(before, requests=requests)
            else:
                sums[key] = replace(before, blind=before.blind + 1)
    return sums


def _summed(progress: Progress, reading: WindowReading) -> dict[tuple[str, str], tuple[float, float]]:
    sums = dict(progress.step_counts)
    for key, outcome in reading.outcomes.items():
        bad, total = sums.get(key, (0.0, 0.0))
        sums[key] = bad + outcome.compared[0], total + outcome.total
    return sums
