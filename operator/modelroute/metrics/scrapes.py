"""When each target was scraped, and whether the scrapes of a window are all there to be read.

A target's scrapes are the timestamps of its `process_start_time_seconds` (one scrape, one timestamp), whose
value tells whether the process is new.

What was counted is a function of the samples in (start − lookback, end] of the one window that is asked for,
once they are final (see `ripeness`): a window read again after a crash, alone or among others, gives the same
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

GONE_AFTER_SCRAPES = 5
"""A target silent for more scrapes than this is gone, if another one is there; it is also how far back one
looks.
"""

JITTER = 1.25
"""Scrapes this many intervals apart are neighbours: none was missed between them."""


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


class Ripeness(Enum):
    """Whether the samples of a window are all there."""

    RIPE = auto()
    UNRIPE = auto()  # a scrape after its end is still to be seen: ask again
    SPOILT = auto()  # none came in time: what is there may be half of it


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


def ripeness(
    targets: Mapping[TargetId, Sequence[Scrape]],
    start: float,
    end: float,
    *,
    now: float,
    scrape_interval_s: float,
    behind: bool = False,
) -> Ripeness:
    """Whether all that the targets counted in (`start`, `end`] is there to be read at `now`, unix seconds; `behind`: a
    counter's samples are later than its target's scrapes.

    Scrapes arrive in order, but late where they come by remote write or through Thanos: what is not there yet
    would be counted as nothing, and never again. So every target that was seen before the end must have been
    seen after it, unless others went on so long without it that it is gone. Where nobody was seen for that
    long, nothing more is waited for.
    """
    if not behind and not late(targets, start, end, scrape_interval_s=scrape_interval_s):
        return Ripeness.RIPE
    silent_s = now - latest_of(targets)
    return Ripeness.UNRIPE if silent_s <= GONE_AFTER_SCRAPES * scrape_interval_s else Ripeness.SPOILT


def late(
    targets: Mapping[TargetId, Sequence[Scrape]], start: float, end: float, *, scrape_interval_s: float
) -> tuple[str, ...]:
    """The targets of the window that were not seen after its end, and are not gone, in words."""
    horizon, latest = start - lookback_s(scrape_interval_s), latest_of(targets)
    # Of scrapes whose process' start is still on its way, another series was first.
    whole = {
        target: [scrape for scrape in scrapes if math.isfinite(scrape.started)] or scrapes
        for target, scrapes in targets.items()
    }
    return tuple(
        name_of(target)
        for target, scrapes in whole.items()
        if scrapes
        and scrapes[-1].t <= end
        and any(horizon < scrape.t for scrape in scrapes)
        and not is_gone(scrapes, latest, end, scrape_interval_s)
    )


def latest_of(targets: Mapping[TargetId, Sequence[Scrape]]) -> float:
    return max((scrapes[-1].t for scrapes in targets.values() if scrapes), default=-math.inf)


def is_gone(scrapes: Sequence[Scrape], latest: float, end: float, scrape_interval_s: float) -> bool:
    """Not seen after the window's `end`, while others were seen for `GONE_AFTER_SCRAPES` scrapes more."""
    last = scrapes[-1].t
    return last <= end and latest - last > GONE_AFTER_SCRAPES * scrape_interval_s


def name_of(target: TargetId) -> str:
    labels = dict(target)
    return f"target {labels.get('instance', '?')} of job {labels.get('job', '?')}"
