"""A window, cut from each target's scrapes, or why it is not known.

    scrapes of a target      |     |     |     x     |     |     |        x: missed
    cuts                        a           b           c
    window (a, b]: from the last scrape at or before a to the last one at or before b; what the missed scrape
    would have shown is in the next delta.

A target seen first counts from 0 only if its process was born within sight, else its first values are a
baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from modelroute.metrics.scrapes import (
    GONE_AFTER_SCRAPES,
    JITTER,
    Scrape,
    TargetId,
    is_gone,
    latest_of,
    lookback_s,
    name_of,
)
from modelroute.rollout.reasons import Reason

RARELY = 1.5
"""Scrapes that are all at least so many intervals apart are rarer than configured."""

START_JITTER_S = 2.0
"""The kernel's boot time, and with it a process' start, is seen to move by a second when the clock is
adjusted.
"""

CLOCK_SKEW_S = 60.0
"""How far a target's clock may be behind when its new process is compared with the last scrape of the old
one.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a window is not known."""

    reason: Reason
    message: str


class Step(Enum):
    """How the process at one scrape relates to the one at the scrape before."""

    SAME = auto()
    NEW = auto()  # all of its life is within sight: it counts from 0
    BASELINE = auto()  # what it counted before is not ours


@dataclass(frozen=True, slots=True)
class Span:
    """A target's part in a window: each scrape in it, with the scrape before."""

    steps: tuple[tuple[float, float, Step], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """The spans of a window by target; with a `problem`, none of them may be used."""

    spans: Mapping[TargetId, Span]
    problem: Problem | None = None


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
    latest = latest_of(targets)
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
        if target in alive or (not strict and is_gone(targets[target], latest, end, scrape_interval_s)):
            continue
        if silent_s <= GONE_AFTER_SCRAPES * scrape_interval_s:
            rarely = _rarely(targets[target], horizon, scrape_interval_s)
            return Cut({}, Problem(Reason.SCRAPE_GAP, f"{name_of(target)} was not scraped in this window{rarely}"))
        if not alive:
            message = (
                f"{name_of(target)} was last scraped {silent_s:.0f} s before the end of this window: is it still a"
                f" target, scraped every {scrape_interval_s:g} s?"
            )
            return Cut({}, Problem(Reason.STALE_DATA, message))
    problem = _scraped_twice(alive) or _no_start(alive)
    due = end + JITTER * scrape_interval_s
    missing = next((target for target in alive if not any(end < scrape.t <= due for scrape in targets[target])), None)
    if problem is None and missing is not None and seen_until >= due:
        problem = Problem(Reason.SCRAPE_GAP, f"{name_of(missing)} was not scraped after this window")
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


def _span(scrapes: Sequence[Scrape], start: float, horizon: float) -> Span:
    steps: list[tuple[float, float, Step]] = []
    before: Scrape | None = None
    for scrape in scrapes:
        if scrape.t > start:
            steps.append((before.t if before else math.nan, scrape.t, _relation(before, scrape, horizon)))
        before = scrape
    return Span(tuple(steps))


def _relation(before: Scrape | None, scrape: Scrape, horizon: float) -> Step:
    if before is None:
        return Step.NEW if scrape.started > horizon else Step.BASELINE
    moved_s = scrape.started - before.started
    if abs(moved_s) <= START_JITTER_S:
        return Step.SAME
    # A start that moved, yet lies long before the last scrape, is a clock set anew or an older process under
    # the same name: counting all of its life would invent requests.
    return Step.NEW if moved_s > 0 and scrape.started > before.t - CLOCK_SKEW_S else Step.BASELINE


def _scraped_twice(alive: Mapping[TargetId, Sequence[Scrape]]) -> Problem | None:
    """One process under two names (two jobs, two Prometheus replicas) would count every request twice."""
    seen: dict[tuple[str, float], TargetId] = {}
    for target, scrapes in alive.items():
        key = (dict(target).get("instance", ""), scrapes[-1].started)
        if key[0] and key in seen:
            message = f"one process is scraped twice: as {name_of(seen[key])} and as {name_of(target)}"
            return Problem(Reason.AMBIGUOUS_SERIES, message)
        seen[key] = target
    return None


def _no_start(alive: Mapping[TargetId, Sequence[Scrape]]) -> Problem | None:
    for target, scrapes in alive.items():
        if not all(math.isfinite(scrape.started) for scrape in scrapes):
            return Problem(Reason.NO_DATA, f"{name_of(target)} has no process_start_time_seconds to go by")
    return None
