"""A window's cut for its counters, or why they cannot be counted in it: what neither their scrapes nor their values say
alone.

One process scraped under two names counts every request twice. Two jobs that find one address are seen by `cutting`.
Where the addresses differ as well (a pod's own and its node's), what tells is the moment of its start, to the
kernel's tick. That alone is weak: of many pods on one node two do start within a tick. So what they counted has to
fit, too: put in the order of time, the samples of both never go back, and both go on. Two processes that share a load
are further apart before long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from modelroute.metrics import cutting
from modelroute.metrics.cutting import Problem, Span
from modelroute.metrics.ledger import Counter
from modelroute.metrics.scrapes import Sample, Scrape, TargetId, name_of
from modelroute.rollout.reasons import Reason

TICK_S = 0.01
"""Linux tells a process' start in hundredths of a second."""

SCRAPED_WITHIN_S = 0.5
"""Scrapes no further apart may have been answered in the other order."""

_Labels = frozenset[tuple[str, str]]


def cut(
    found: Sequence[Counter],
    targets: Mapping[TargetId, Sequence[Scrape]],
    start: float,
    end: float,
    *,
    scrape_interval_s: float,
    seen_until: float = -math.inf,
) -> cutting.Cut:
    """`cutting.cut` of the window (`start`, `end`]; a problem also where nothing says how to count one of `found`."""
    homeless = [each for each in found if each.target not in targets]
    window = cutting.cut(targets, start, end, scrape_interval_s=scrape_interval_s, seen_until=seen_until)
    problem = (
        _misplaced(homeless, {}, start, end)
        or window.problem
        or _misplaced(found, window.spans, start, end)
        or _scraped_twice(found, window.spans)
    )
    return cutting.Cut({}, problem) if problem else window


def _misplaced(found: Iterable[Counter], spans: Mapping[TargetId, Span], start: float, end: float) -> Problem | None:
    """A counter in the window of which nothing says which process counted it. A 0 says nothing, and needs nobody to
    say it: a Prometheus that knows since when a counter counts puts one there (created-timestamp-zero-ingestion).
    """
    for counter in found:
        span = spans.get(counter.target)
        if all(sample.value == 0 or (span and span.life_at(sample.t)) for sample in counter.within(start, end)):
            continue
        if span is None:
            message = f"{name_of(counter.target)} has no process_start_time_seconds with the same labels and times"
        else:
            message = (
                f"a sample of {counter.name} is of no scrape of {name_of(counter.target)}, and not between two of"
                " one process: do two Prometheus replicas answer as one?"
            )
        return Problem(Reason.NO_DATA, message)
    return None


def _scraped_twice(found: Iterable[Counter], spans: Mapping[TargetId, Span]) -> Problem | None:
    """Two targets of the window that are one process, by all that is known of them."""
    by_start = sorted(spans, key=lambda target: spans[target].lives[-1].started)
    alike = [
        (one, other)
        for one, other in pairwise(by_start)
        if spans[other].lives[-1].started - spans[one].lives[-1].started <= TICK_S
    ]
    counted: dict[TargetId, dict[_Labels, tuple[Sample, ...]]] = {}
    for counter in found if alike else ():
        if (span := spans.get(counter.target)) is not None:
            samples = (
                each for each in counter.within(span.horizon, span.end) if span.life_at(each.t) is span.lives[-1]
            )
            counted.setdefault(counter.target, {})[frozenset(counter.labels.items() - counter.target)] = tuple(samples)
    for one, other in alike:
        if _count_the_same(counted.get(one, {}), counted.get(other, {})):
            message = f"one process is scraped twice, by all that it counts: as {name_of(one)} and as {name_of(other)}"
            return Problem(Reason.AMBIGUOUS_SERIES, message)
    return None


def _count_the_same(one: Mapping[_Labels, Sequence[Sample]], other: Mapping[_Labels, Sequence[Sample]]) -> bool:
    shared = [(one[labels], other[labels]) for labels in one.keys() & other.keys()]
    return any(_goes_on(a) and _goes_on(b) for a, b in shared) and all(_never_goes_back((*a, *b)) for a, b in shared)


def _goes_on(samples: Sequence[Sample]) -> bool:
    return len(samples) > 1 and samples[-1].value > samples[0].value


def _never_goes_back(samples: Iterable[Sample]) -> bool:
    ordered = sorted(samples, key=lambda sample: sample.t)
    return all(
        before.value <= after.value or after.t - before.t <= SCRAPED_WITHIN_S for before, after in pairwise(ordered)
    )
