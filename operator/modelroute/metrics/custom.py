"""Counters of a user's own: how many were bad of how many.

Each process is held against itself: what does not add up there is not known, and says which metric does not. A
counter of bad ones that is not there yet has counted none, where the counter of all is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from modelroute.analysis.design import Outcomes
from modelroute.metrics import cutting, scrapes
from modelroute.metrics.counters import Read, not_told_apart, source, spans_of
from modelroute.metrics.reading import ArmQuery, ObjectiveQuery, RouteQuery
from modelroute.metrics.sources import Samples, Source, seen_until
from modelroute.rollout.reasons import Reason

BAD, TOTAL = "bad", "total"

ROUNDING = 1e-9
"""Counters of fractions add up to a hair more than they should; this share of the total is no disagreement."""


def sources(query: RouteQuery) -> Mapping[str, Source]:
    """The questions of every objective that has counters of its own."""
    return {
        _key(objective, arm, which): source(counter, arm)
        for objective in query.objectives
        for arm in query.arms
        for which, counter in ((BAD, objective.bad), (TOTAL, objective.total))
        if counter is not None
    }


def outcomes(
    query: RouteQuery,
    objective: ObjectiveQuery,
    arms: Iterable[ArmQuery],
    samples: Mapping[str, Samples],
    start: float,
    end: float,
    *,
    scrape_interval_s: float,
) -> tuple[dict[str, Outcomes | cutting.Problem], float]:
    """What was counted of each of `arms` in (`start`, `end`], or why that is not known; and since when it counted."""
    bads, totals = objective.bad, objective.total
    assert bads is not None, "an objective of its own counters has both"
    assert totals is not None, "an objective of its own counters has both"
    latest = seen_until(samples)
    mixed = not_told_apart(bads, query.arms) | not_told_apart(totals, query.arms)
    earliest = start

    def one(arm: ArmQuery) -> Outcomes | cutting.Problem:
        nonlocal earliest
        if arm.name in mixed:
            return mixed[arm.name]
        bad = Read(bads, arm, samples[_key(objective, arm, BAD)])
        total = Read(totals, arm, samples[_key(objective, arm, TOTAL)])
        spans = spans_of((bad, total), total, start, end, scrape_interval_s=scrape_interval_s, seen_until=latest)
        if isinstance(spans, cutting.Problem):
            return spans
        earliest = min(earliest, cutting.counted_from(spans, start))
        return _held_together(bad, total, spans)

    return {arm.name: one(arm) for arm in arms}, earliest


def _held_together(
    bad: Read, total: Read, spans: Mapping[scrapes.TargetId, cutting.Span]
) -> Outcomes | cutting.Problem:
    """The sums over the targets, each of which must make sense by itself."""
    bads, totals = bad.increases(spans), total.increases(spans)
    for read, sums in ((bad, bads), (total, totals)):
        if any(math.isnan(each) for each in sums.values()):
            return read.no_count()
    if not totals:
        return total.missing(" in this window")
    if torn := bad.torn(spans) or total.torn(spans):
        return torn
    for target, counted in bads.items():
        of = totals.get(target, 0.0)
        if counted > of * (1 + ROUNDING):
            message = (
                f"{bad.in_words()} counted {counted:g} and {total.counter.metric} {of:g} at the same scrapes:"
                " the bad ones have to be among all, and counted at the same moment"
            )
            return cutting.Problem(Reason.COUNTERS_DISAGREE, message)
    every = math.fsum(totals.values())
    wrong = min(math.fsum(bads.values()), every)
    return Outcomes(total=every, compared=(wrong,), absolute=wrong)


def _key(objective: ObjectiveQuery, arm: ArmQuery, which: str) -> str:
    return f"{objective.name}/{arm.name}/{which}"
