"""Counters, read honestly: what was counted in a window.

`increase()` extrapolates to fractions and loses the first sample of a new series (prometheus#3746, #3886):
the first safety violation would be invisible. So raw samples are read, and this module says what they mean
between the scrapes that `cutting` chose: a counter that was absent at an earlier scrape of the same process
counts from 0; one seen first together with its target counts as the target's `Step` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelroute.metrics.cutting import Problem, Span, Step
from modelroute.metrics.scrapes import Scrape, Series, TargetId, name_of, target_of
from modelroute.rollout.reasons import Reason


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one target: its labels, and its values by time of scrape."""

    labels: Mapping[str, str]
    target: TargetId
    values: Mapping[float, float]


def valid_count(value: float) -> bool:
    """A counter's value: finite and not negative."""
    return math.isfinite(value) and value >= 0


def counter_deltas(samples: Sequence[float | None], *, new: bool) -> tuple[list[float | None], float]:
    """The increase at each sample after the first (of a process known to be `new`: at the first too), and
    their sum.

    None is a missed scrape: its delta is None and the next one spans it. NaN, an infinity and a negative
    value say nothing, like a missed scrape. A value below the one before is a reset: all of it was counted
    since.

    >>> counter_deltas([5, 9, None, 4], new=False)
    ([4, None, 4], 8)
    >>> counter_deltas([3], new=True)
    ([3], 3)
    """
    deltas: list[float | None] = []
    last: float | None = 0 if new else None
    for position, value in enumerate(samples):
        delta: float | None = None
        if value is not None and valid_count(value):
            if last is not None:
                delta = value - last if value >= last else value
            last = value
        if position > 0 or new:
            deltas.append(delta)
    return deltas, sum(delta for delta in deltas if delta is not None)


def counters(series: Iterable[Series], own: frozenset[str]) -> tuple[Counter, ...]:
    """The series with their targets, and their values by time."""
    return tuple(
        Counter(each.labels, target_of(each.labels, own), {sample.t: sample.value for sample in each.samples})
        for each in series
    )


def increase(counter: Counter, spans: Mapping[TargetId, Span]) -> float:
    """How much was counted in the window; NaN if any value that it takes is not a count.

    A target without a span adds nothing. A counter that vanishes while its process lives was deleted there,
    and starts again from 0.
    """
    span = spans.get(counter.target)
    total = 0.0
    for before, t, step in span.steps if span else ():
        value, last = counter.values.get(t), counter.values.get(before)
        if step is not Step.SAME:
            last = None
        if not all(valid_count(seen) for seen in (value, last) if seen is not None):
            return math.nan
        if value is None or step is Step.BASELINE:
            continue
        total += value - last if last is not None and value >= last else value
    return total


def seen_in(counter: Counter, spans: Mapping[TargetId, Span]) -> bool:
    """Was the counter there at any scrape of the window?"""
    span = spans.get(counter.target)
    return any(t in counter.values for _, t, _ in span.steps) if span else False


def misplaced(
    found: Iterable[Counter], targets: Mapping[TargetId, Sequence[Scrape]], start: float, end: float
) -> Problem | None:
    """A counter in the window that was not scraped together with its process' start: nothing says how to
    count it.
    """
    scraped = {target: {scrape.t for scrape in scrapes} for target, scrapes in targets.items()}
    for counter in found:
        known = scraped.get(counter.target, set())
        if any(start < t <= end and t not in known for t in counter.values):
            message = f"{name_of(counter.target)} has no process_start_time_seconds with the same labels and times"
            return Problem(Reason.NO_DATA, message)
    return None
