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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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

CLUSTER = "cluster"

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
class Life:
    """The scrapes in sight of one process, in order, up to the window's end; `until` is the last of them, or the one
    after the end. Whatever was sampled from the first up to then is its own. Unix seconds.
    """

    begun: Step
    started: float
    times: tuple[float, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Span:
    """A target's part in the window (`start`, `end`]: its processes that were scraped since `horizon`, unix seconds.

    A counter that is silent for longer than `gone_s` was deleted; a `strict` span does not wait to see whether it is.
    """

    lives: tuple[Life, ...]
    horizon: float
    start: float
    end: float
    gone_s: float
    strict: bool

    def life_at(self, t: float) -> Life | None:
        """Whose a sample is: where one process was scraped before and after it, that one's."""
        for life in self.lives:
            if life.times[0] <= t <= life.until:
                return life
        return None


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
    problem = _several_clusters(alive) or _scraped_twice(alive) or _no_start(alive)
    due = end + JITTER * scrape_interval_s
    missing = next((target for target in alive if not any(end < scrape.t <= due for scrape in targets[target])), None)
    if problem is None and missing is not None and seen_until >= due:
        problem = Problem(Reason.SCRAPE_GAP, f"{name_of(missing)} was not scraped after this window")
    if problem:
        return Cut({}, problem)
    gone_s = lookback_s(scrape_interval_s)
    return Cut(
        {target: Span(_lives(targets[target], horizon, end), horizon, start, end, gone_s, strict) for target in alive}
    )


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
    """The earliest time that a count of the window goes back to; `start` where none is earlier.

    After a missed scrape that is long before the window, and of a process that was scraped for the first time it is its
    start.
    """
    return min((_counted_from(span) for span in spans.values() if span.lives[-1].times[-1] > start), default=start)


def _counted_from(span: Span) -> float:
    before = [t for life in span.lives for t in life.times if t <= span.start]
    if before:
        return before[-1]
    first = span.lives[0]
    return min(first.started, span.start) if first.begun is Step.NEW else span.start


def _lives(scrapes: Sequence[Scrape], horizon: float, end: float) -> tuple[Life, ...]:
    lives: list[Life] = []
    before: Scrape | None = None
    for scrape in scrapes:
        if scrape.t <= horizon:
            continue
        step = _relation(before, scrape, horizon)
        before = scrape
        if step is Step.SAME:
            life = lives[-1]
            times = life.times if scrape.t > end else (*life.times, scrape.t)
            lives[-1] = replace(life, times=times, until=scrape.t)
        elif scrape.t <= end:
            lives.append(Life(step, scrape.started, (scrape.t,), scrape.t))
        if scrape.t > end:
            break
    return tuple(lives)


def _relation(before: Scrape | None, scrape: Scrape, horizon: float) -> Step:
    if before is None:
        return Step.NEW if scrape.started > horizon else Step.BASELINE
    moved_s = scrape.started - before.started
    if abs(moved_s) <= START_JITTER_S:
        return Step.SAME
    # A start that moved, yet lies long before the last scrape, is a clock set anew or an older process under
    # the same name: counting all of its life would invent requests.
    return Step.NEW if moved_s > 0 and scrape.started > before.t - CLOCK_SKEW_S else Step.BASELINE


def _several_clusters(alive: Iterable[TargetId]) -> Problem | None:
    """A Thanos or Mimir above several clusters has the same names of all of them, and one is ours. `cluster` is what
    tells them apart; `prometheus` and `replica` tell who scraped, and may be several in one.
    """
    clusters = sorted({dict(target).get(CLUSTER, "") for target in alive})
    if len(clusters) < 2:
        return None
    message = (
        f"targets of several clusters ({', '.join(each or 'none' for each in clusters)}): name ours in the operator's"
        " configuration, prometheus.<name>.matchers: {cluster: …}"
    )
    return Problem(Reason.AMBIGUOUS_SERIES, message)


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
