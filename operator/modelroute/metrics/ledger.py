"""Counters, read honestly: what was counted between two cuts of the wall clock, or why that is not known.

`increase()` extrapolates to fractions and loses the first sample of a new series (prometheus#3746, #3886):
the first safety violation would be invisible. So raw samples are read, and this module says what they mean:

    scrapes of a target      |     |     |     x     |     |     |        x: missed
    cuts                        a           b           c
    window (a, b]: from the last scrape at or before a to the last one at or before b; what the missed scrape
    would have shown is in the next delta.

A target's scrapes are the timestamps of its `process_start_time_seconds` (one scrape, one timestamp), whose
value tells whether the process is new. A counter that was absent at an earlier scrape of the same process
counts from 0; a counter seen first together with its target counts from 0 only if the process was born within
sight, else its first value is a baseline.

What was counted is a function of the samples in (start − lookback, end] of the one window that is asked for,
once they are final (see `ripeness`): a window read again after a crash, alone or among others, gives the same
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from modelroute.rollout.reasons import Reason

GONE_AFTER_SCRAPES = 5
"""A target silent for more scrapes than this is gone, if another one is there; it is also how far back one
looks.
"""

RARELY = 1.5
"""Scrapes that are all at least so many intervals apart are rarer than configured."""

JITTER = 1.25
"""Scrapes this many intervals apart are neighbours: none was missed between them."""

START_JITTER_S = 2.0
"""The kernel's boot time, and with it a process' start, is seen to move by a second when the clock is
adjusted.
"""

CLOCK_SKEW_S = 60.0
"""How far a target's clock may be behind when its new process is compared with the last scrape of the old
one.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A value as scraped; `t` in unix seconds."""

    t: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Samples in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]


TargetId = frozenset[tuple[str, str]]
"""The labels that a target gives to all of its series."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One successful scrape of a target; `started` is its process' start, both in unix seconds."""

    t: float
    started: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a window is not known."""

    reason: Reason
    message: str


class Ripeness(Enum):
    """Whether the samples of a window are all there."""

    RIPE = auto()
    UNRIPE = auto()  # a scrape after its end is still to be seen: ask again
    SPOILT = auto()  # none came in time: what is there may be half of it


class _Step(Enum):
    """How the process at one scrape relates to the one at the scrape before."""

    SAME = auto()
    NEW = auto()  # all of its life is within sight: it counts from 0
    BASELINE = auto()  # what it counted before is not ours


@dataclass(frozen=True, slots=True)
class Span:
    """A target's part in a window: each scrape in it, with the scrape before."""

    steps: tuple[tuple[float, float, _Step], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """The spans of a window by target; with a `problem`, none of them may be used."""

    spans: Mapping[TargetId, Span]
    problem: Problem | None = None


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


def lookback_s(scrape_interval_s: float) -> float:
    """How far before a window's start its samples may reach; `scrape_interval_s` > 0."""
    return GONE_AFTER_SCRAPES * scrape_interval_s


def window_end_for(now: float, window_s: float, scrape_interval_s: float) -> float:
    """The end of the last window that is complete at `now`: a multiple of `window_s`, two scrapes in the
    past.
    """
    return math.floor((now - 2 * scrape_interval_s) / window_s) * window_s


def target_of(labels: Mapping[str, str], own: frozenset[str]) -> TargetId:
    """The target that a series was scraped from: its labels without the name and without the metric's
    `own`.
    """
    return frozenset((key, value) for key, value in labels.items() if key != "__name__" and key not in own)


def timelines(processes: Iterable[Series], own: frozenset[str]) -> dict[TargetId, tuple[Scrape, ...]]:
    """Each target's scrapes in order, from `process_start_time_seconds`."""
    found: dict[TargetId, dict[float, float]] = {}
    for series in processes:
        scrapes = found.setdefault(target_of(series.labels, own), {})
        for sample in series.samples:
            # Two processes at one time would be one target scraped under two names: neither start is
            # believed.
            same = sample.t not in scrapes or scrapes[sample.t] == sample.value
            scrapes[sample.t] = sample.value if same else math.nan
    return {
        target: tuple(Scrape(t, scrapes[t]) for t in sorted(scrapes))
        for target, scrapes in sorted(found.items(), key=lambda item: sorted(item[0]))
    }


def counters(series: Iterable[Series], own: frozenset[str]) -> tuple[Counter, ...]:
    """The series with their targets, and their values by time."""
    return tuple(
        Counter(each.labels, target_of(each.labels, own), {sample.t: sample.value for sample in each.samples})
        for each in series
    )


def cut(
    targets: Mapping[TargetId, Sequence[Scrape]],
    start: float,
    end: float,
    *,
    scrape_interval_s: float,
    seen_until: float = -math.inf,
) -> Cut:
    """The window (`start`, `end`] of all targets together: it is known for all of them or for none.

    A target is needed if it was scraped in the window or is merely between two scrapes. One that is silent
    makes the window unknown: a gap for up to `GONE_AFTER_SCRAPES` scrapes; after that it is gone if another
    target is there (it counted up to its last scrape), else the data are stale. Where later scrapes of others
    show that it never came back, it was gone all along.

    With `seen_until`, the latest scrape of anything (unix seconds), nobody has been waited for that long: then a
    target that missed the scrape after the end, while others went on, did not say all that it counted.
    """
    strict = math.isfinite(seen_until)
    latest = _latest(targets)
    horizon = start - lookback_s(scrape_interval_s)
    visible = {
        target: tuple(scrape for scrape in scrapes if horizon < scrape.t <= end) for target, scrapes in targets.items()
    }
    visible = {target: scrapes for target, scrapes in visible.items() if scrapes}
    if not visible:
        return Cut(
            {},
            Problem(
                Reason.NO_DATA,
                f"no instance of the source was scraped: is it a target, scraped every {scrape_interval_s:g} s?",
            ),
        )
    alive = {
        target: scrapes
        for target, scrapes in visible.items()
        if scrapes[-1].t > start or end - scrapes[-1].t <= JITTER * scrape_interval_s
    }
    for target, scrapes in visible.items():
        silent_s = end - scrapes[-1].t
        if target in alive or (not strict and _is_gone(targets[target], latest, end, scrape_interval_s)):
            continue
        if silent_s <= GONE_AFTER_SCRAPES * scrape_interval_s:
            rarely = _rarely(targets[target], horizon, scrape_interval_s)
            return Cut({}, Problem(Reason.SCRAPE_GAP, f"{_name(target)} was not scraped in this window{rarely}"))
        if not alive:
            return Cut({}, Problem(Reason.STALE_DATA, f"{_name(target)} was last scraped {silent_s:.0f} s before"))
    problem = _scraped_twice(alive) or _no_start(alive)
    due = end + JITTER * scrape_interval_s
    missing = next((target for target in alive if not any(end < scrape.t <= due for scrape in targets[target])), None)
    if problem is None and missing is not None and seen_until >= due:
        problem = Problem(Reason.SCRAPE_GAP, f"{_name(missing)} was not scraped after this window")
    if problem:
        return Cut({}, problem)
    return Cut({target: _span(scrapes, start, horizon) for target, scrapes in alive.items()})


def _rarely(scrapes: Sequence[Scrape], horizon: float, scrape_interval_s: float) -> str:
    """What to add where all scrapes are further apart than configured: it is the setting that has to be mended.

    One gap is a scrape that a pod just born missed; it takes two. Of a process that is older than the `horizon`, unix
    seconds, the time from there to its first scrape is part of one: scraped at every fourth interval, it may be seen
    twice only.
    """
    gaps = [after.t - before.t for before, after in pairwise(scrapes)]
    apart_s = min(gaps, default=0.0)
    first_s = scrapes[0].t - horizon if scrapes[0].started < horizon else 0.0
    if apart_s < RARELY * scrape_interval_s or (len(gaps) < 2 and first_s < RARELY * scrape_interval_s):
        return ""
    configured = f"scrapeInterval in the operator's configuration says {scrape_interval_s:g} s"
    return f"; it is scraped every {apart_s:.0f} s, and {configured}"


def counted_from(spans: Mapping[TargetId, Span], start: float) -> float:
    """The earliest scrape that a count of the window goes back to; `start` where none is earlier.

    After a missed scrape that is long before the window.
    """
    firsts = (span.steps[0][0] for span in spans.values() if span.steps)
    return min((before for before in firsts if math.isfinite(before)), default=start)


def ripeness(
    targets: Mapping[TargetId, Sequence[Scrape]], start: float, end: float, *, now: float, scrape_interval_s: float
) -> Ripeness:
    """Whether all that the targets counted in (`start`, `end`] is there to be read at `now`, unix seconds.

    Scrapes arrive in order, but late where they come by remote write or through Thanos: what is not there yet
    would be counted as nothing, and never again. So every target that was seen before the end must have been
    seen after it, unless others went on so long without it that it is gone. Where nobody was seen for that
    long, nothing more is waited for.
    """
    if not late(targets, start, end, scrape_interval_s=scrape_interval_s):
        return Ripeness.RIPE
    silent_s = now - _latest(targets)
    return Ripeness.UNRIPE if silent_s <= GONE_AFTER_SCRAPES * scrape_interval_s else Ripeness.SPOILT


def late(
    targets: Mapping[TargetId, Sequence[Scrape]], start: float, end: float, *, scrape_interval_s: float
) -> tuple[str, ...]:
    """The targets of the window that were not seen after its end, and are not gone, in words."""
    horizon, latest = start - lookback_s(scrape_interval_s), _latest(targets)
    return tuple(
        _name(target)
        for target, scrapes in targets.items()
        if scrapes
        and scrapes[-1].t <= end
        and any(horizon < scrape.t for scrape in scrapes)
        and not _is_gone(scrapes, latest, end, scrape_interval_s)
    )


def _latest(targets: Mapping[TargetId, Sequence[Scrape]]) -> float:
    return max((scrapes[-1].t for scrapes in targets.values() if scrapes), default=-math.inf)


def _is_gone(scrapes: Sequence[Scrape], latest: float, end: float, scrape_interval_s: float) -> bool:
    """Not seen after the window's `end`, while others were seen for `GONE_AFTER_SCRAPES` scrapes more."""
    last = scrapes[-1].t
    return last <= end and latest - last > GONE_AFTER_SCRAPES * scrape_interval_s


def increase(counter: Counter, spans: Mapping[TargetId, Span]) -> float:
    """How much was counted in the window; NaN if any value that it takes is not a count.

    A target without a span adds nothing. A counter that vanishes while its process lives was deleted there,
    and starts again from 0.
    """
    span = spans.get(counter.target)
    total = 0.0
    for before, t, step in span.steps if span else ():
        value, last = counter.values.get(t), counter.values.get(before)
        if step is not _Step.SAME:
            last = None
        if not all(valid_count(seen) for seen in (value, last) if seen is not None):
            return math.nan
        if value is None or step is _Step.BASELINE:
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
            message = f"{_name(counter.target)} has no process_start_time_seconds with the same labels and times"
            return Problem(Reason.NO_DATA, message)
    return None


def _span(scrapes: Sequence[Scrape], start: float, horizon: float) -> Span:
    steps: list[tuple[float, float, _Step]] = []
    before: Scrape | None = None
    for scrape in scrapes:
        if scrape.t > start:
            steps.append((before.t if before else math.nan, scrape.t, _relation(before, scrape, horizon)))
        before = scrape
    return Span(tuple(steps))


def _relation(before: Scrape | None, scrape: Scrape, horizon: float) -> _Step:
    if before is None:
        return _Step.NEW if scrape.started > horizon else _Step.BASELINE
    moved_s = scrape.started - before.started
    if abs(moved_s) <= START_JITTER_S:
        return _Step.SAME
    # A start that moved, yet lies long before the last scrape, is a clock set anew or an older process under
    # the same name: counting all of its life would invent requests.
    return _Step.NEW if moved_s > 0 and scrape.started > before.t - CLOCK_SKEW_S else _Step.BASELINE


def _scraped_twice(alive: Mapping[TargetId, Sequence[Scrape]]) -> Problem | None:
    """One process under two names (two jobs, two Prometheus replicas) would count every request twice."""
    seen: dict[tuple[str, float], TargetId] = {}
    for target, scrapes in alive.items():
        key = (dict(target).get("instance", ""), scrapes[-1].started)
        if key[0] and key in seen:
            message = f"one process is scraped twice: as {_name(seen[key])} and as {_name(target)}"
            return Problem(Reason.AMBIGUOUS_SERIES, message)
        seen[key] = target
    return None


def _no_start(alive: Mapping[TargetId, Sequence[Scrape]]) -> Problem | None:
    for target, scrapes in alive.items():
        if not all(math.isfinite(scrape.started) for scrape in scrapes):
            return Problem(Reason.NO_DATA, f"{_name(target)} has no process_start_time_seconds to go by")
    return None


def _name(target: TargetId) -> str:
    labels = dict(target)
    return f"target {labels.get('instance', '?')} of job {labels.get('job', '?')}"
