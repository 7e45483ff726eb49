"""Counters, read honestly: what was counted in a window.

`increase()` extrapolates to fractions and loses the first sample of a new series (prometheus#3746, #3886):
the first safety violation would be invisible. So raw samples are read, and this module says what they mean
between the scrapes that `cutting` chose: a counter that was absent at an earlier scrape of the same process
counts from 0; one seen first together with its target counts as the target's `Step` says.

    scrapes of the target     |    |    |    |    |
    a sample was lost         5    6    .    9   11     3 in all; a window with an edge in the hole is unknown
    it was deleted            5    6    .    2    4     2, as it came back below what it was
    from another replica        5    6    8    9   11   as ever: each lies between two scrapes of one process
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelroute.metrics.cutting import START_JITTER_S, Life, Problem, Span, Step
from modelroute.metrics.scrapes import (
    Sample,
    Scrape,
    Series,
    TargetId,
    latest_of,
    lookback_s,
    name_of,
    target_of,
)
from modelroute.rollout.reasons import Reason

LOST_AT_MOST = 2
"""A counter that more scrapes on end were without, while its process was scraped, was deleted and not lost."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one target: its labels, and its samples in the order of time."""

    labels: Mapping[str, str]
    target: TargetId
    samples: tuple[Sample, ...]
    times: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", tuple(sample.t for sample in self.samples))

    @property
    def name(self) -> str:
        return self.labels.get("__name__", "a counter")

    def within(self, after: float, until: float) -> tuple[Sample, ...]:
        """The samples in (`after`, `until`]."""
        return self.samples[bisect_right(self.times, after) : bisect_right(self.times, until)]

    def last_at(self, t: float) -> Sample | None:
        """The last sample up to `t`."""
        place = bisect_right(self.times, t)
        return self.samples[place - 1] if place else None


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
    """The series with their targets."""
    return tuple(Counter(each.labels, target_of(each.labels, own), each.samples) for each in series)


def increase(counter: Counter, spans: Mapping[TargetId, Span]) -> float:
    """How much was counted in the window; NaN if any value that it takes is not a count.

    A target without a span adds nothing. A value below the last one of the same process in sight says that the
    counter was deleted there, and started again from 0; so does one that more than `LOST_AT_MOST` scrapes of the
    process were without. Any other has been counted up to the last: that it was deleted and has counted as much again
    cannot be told from samples that were lost, and would invent all of its life.
    """
    span = spans.get(counter.target)
    if span is None:
        return 0.0
    total = 0.0
    last: float | None = None
    last_t, last_life = -math.inf, None
    for sample in counter.within(span.horizon, span.end):
        life = span.life_at(sample.t)
        if life is None:
            continue
        if sample.t > span.start:
            before = last if life is last_life else None
            if not all(valid_count(seen) for seen in (sample.value, before) if seen is not None):
                return math.nan
            if before is not None and sample.value >= before and _missed(life, last_t, sample.t) <= LOST_AT_MOST:
                total += sample.value - before
            elif before is not None or life.begun is Step.NEW or life.times[0] < sample.t:
                total += sample.value
        last, last_t, last_life = sample.value, sample.t, life
    return total


def _missed(life: Life, after: float, before: float) -> int:
    """How many scrapes of the process were without the counter between two that had it."""
    return max(0, bisect_left(life.times, before) - bisect_right(life.times, after))


def seen_in(counter: Counter, spans: Mapping[TargetId, Span]) -> bool:
    """Was the counter there in the window?"""
    span = spans.get(counter.target)
    return span is not None and bool(counter.within(span.start, span.end))


def torn(counter: Counter, spans: Mapping[TargetId, Span]) -> Problem | None:
    """Where the counter missed a scrape at an edge of the window, of which its target was not: what it counted up to
    there is in the one window or in the other, while the others' is in both. Half of a window is no evidence, nor is
    one and a half: requests without their failures, or failures without their requests.
    """
    span = spans.get(counter.target)
    if span is None or not any(_is_lost(counter, span, edge) for edge in (span.start, span.end)):
        return None
    return Problem(Reason.SCRAPE_GAP, f"{counter.name} is missing from a scrape of {name_of(counter.target)}")


def behind(
    found: Iterable[Counter],
    targets: Mapping[TargetId, Sequence[Scrape]],
    start: float,
    end: float,
    *,
    scrape_interval_s: float,
) -> bool:
    """Is a sample still to come of a counter that the window needs? Where samples come by several ways, such as the
    shards of a remote write, one counter's may be later than its target's others.

    Like a target, a counter is gone once others went on for long without it: its process deleted it.
    """
    sight_s = lookback_s(scrape_interval_s)
    latest = latest_of(targets)
    for counter in found:
        last_t = counter.samples[-1].t if counter.samples else -math.inf
        if not start - sight_s < last_t <= end or latest - last_t > sight_s:
            continue
        scrapes = targets.get(counter.target, ())
        there, now = (bisect_right(scrapes, t, key=lambda scrape: scrape.t) for t in (last_t, end))
        if 0 < there < now and abs(scrapes[now - 1].started - scrapes[there - 1].started) <= START_JITTER_S:
            return True
    return False


def _is_lost(counter: Counter, span: Span, edge: float) -> bool:
    """Is the counter's value at `edge` not the one of its process' last scrape up to there, and not known to be?"""
    last = counter.last_at(edge)
    if last is None or last.t >= span.lives[-1].times[-1]:
        return False
    life = span.life_at(last.t) if last.t > span.horizon else None
    if life is None:
        return False
    # One that comes from another replica's scrapes has one of ours after each of its own.
    most = 0 if last.t in life.times else 1
    if sum(last.t < t <= edge for t in life.times) <= most:
        return False
    if span.strict and edge == span.end:
        return True
    after = next(iter(counter.within(edge, last.t + span.gone_s)), None)
    if after is None or after.value < last.value:
        return False
    return after.t > life.until or span.life_at(after.t) is life
