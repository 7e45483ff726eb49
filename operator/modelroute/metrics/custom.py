"""Counters of a user's own: how many were bad of how many, by label matchers that only equality can be asked of.

Which series are an arm's: those of the metric whose labels equal what the objective says, with `$(arm)`,
`$(namespace)` and `$(backend)` filled in, and whose `namespace` is the backend's, whatever the objective says.
Which processes are behind them: those of the jobs and instances that the series are seen on, so that it does
not matter whether a label is the target's or the metric's own.

Both counters are read at the same scrapes of the same process, and held against each other there. What does
not add up is not known, and says which metric does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelroute.analysis.design import Outcomes
from modelroute.metrics import ledger
from modelroute.metrics.reading import ArmQuery, CounterQuery, ObjectiveQuery, RouteQuery
from modelroute.metrics.selectors import Question, re2_quote
from modelroute.metrics.sources import Samples, Source
from modelroute.rollout.reasons import Reason

NAMESPACE = "namespace"
PLACEHOLDERS = ("arm", "namespace", "backend")
_PLACEHOLDER = re.compile(rf"\$\(({'|'.join(PLACEHOLDERS)})\)")

BAD, TOTAL = "bad", "total"

ROUNDING = 1e-9
"""Counters of fractions add up to a hair more than they should; this share of the total is no disagreement."""


def labels_for(counter: CounterQuery, arm: ArmQuery) -> tuple[tuple[str, str], ...]:
    """What the labels of an arm's series equal, by name. A name that is filled in is not looked into again."""
    values = {"arm": arm.model or arm.name, "namespace": arm.namespace, "backend": arm.service}
    filled = {label: _PLACEHOLDER.sub(lambda found: values[found[1]], value) for label, value in counter.labels}
    return tuple(sorted({**filled, NAMESPACE: arm.namespace}.items()))


def alike(counter: CounterQuery, arms: Sequence[ArmQuery]) -> tuple[ArmQuery, ...]:
    """The arms that share their series of `counter` with another one: no label tells them apart."""
    labels = [labels_for(counter, arm) for arm in arms]
    return tuple(arm for arm, mine in zip(arms, labels, strict=True) if labels.count(mine) > 1)


def sources(query: RouteQuery) -> Mapping[str, Source]:
    """The questions of every objective that has counters of its own."""
    return {
        _key(objective, arm, which): Source(Question(counter.metric, _matchers(counter, arm)))
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
) -> dict[str, Outcomes | ledger.Problem]:
    """What was counted of each of `arms` in (`start`, `end`], or why that is not known."""
    bads, totals = objective.bad, objective.total
    assert bads is not None, "an objective of its own counters has both"
    assert totals is not None, "an objective of its own counters has both"
    mixed = _mixed(bads, query.arms) | _mixed(totals, query.arms)

    def one(arm: ArmQuery) -> Outcomes | ledger.Problem:
        if arm.name in mixed:
            return mixed[arm.name]
        bad = _Read(bads, arm, samples[_key(objective, arm, BAD)])
        total = _Read(totals, arm, samples[_key(objective, arm, TOTAL)])
        return _counted(bad, total, start, end, scrape_interval_s=scrape_interval_s)

    return {arm.name: one(arm) for arm in arms}


@dataclass(frozen=True, slots=True)
class _Read:
    """One counter of one arm, as it was read."""

    counter: CounterQuery
    arm: ArmQuery
    samples: Samples

    def increases(self, spans: Mapping[ledger.TargetId, ledger.Span]) -> dict[ledger.TargetId, float]:
        """What was counted by target, of those that had a series in the window; NaN where it is no count."""
        found: dict[ledger.TargetId, float] = {}
        for each in self.samples.counters:
            if ledger.seen_in(each, spans):
                found[each.target] = found.get(each.target, 0.0) + ledger.increase(each, spans)
        return found

    def in_words(self) -> str:
        labels = ", ".join(f"{label}={value!r}" for label, value in labels_for(self.counter, self.arm))
        return f"{self.counter.metric}{{{labels}}}"


def _counted(
    bad: _Read, total: _Read, start: float, end: float, *, scrape_interval_s: float
) -> Outcomes | ledger.Problem:
    found = (*bad.samples.counters, *total.samples.counters)
    horizon = start - ledger.lookback_s(scrape_interval_s)
    serving = {each.target for each in found if any(horizon < t <= end for t in each.values)}
    if not serving:
        return ledger.Problem(Reason.NO_DATA, f"no series {total.in_words()} was scraped")
    known = {**bad.samples.targets, **total.samples.targets}
    targets = {target: scrapes for target, scrapes in known.items() if target in serving}
    problem = ledger.misplaced(found, targets, start, end)
    if problem is None:
        window = ledger.cut(targets, start, end, scrape_interval_s=scrape_interval_s)
        problem = window.problem
    if problem:
        return ledger.Problem(problem.reason, f"{total.counter.metric}: {problem.message}")
    return _held_together(bad, total, window.spans)


def _held_together(bad: _Read, total: _Read, spans: Mapping[ledger.TargetId, ledger.Span]) -> Outcomes | ledger.Problem:
    """The sums over the targets, each of which must make sense by itself."""
    bads, totals = bad.increases(spans), total.increases(spans)
    for read, sums in ((bad, bads), (total, totals)):
        if any(math.isnan(each) for each in sums.values()):
            return ledger.Problem(Reason.NOT_A_NUMBER, f"{read.in_words()} has a value that is not a count")
    if not totals:
        return ledger.Problem(Reason.NO_DATA, f"no series {total.in_words()} was scraped in this window")
    for target, counted in bads.items():
        of = totals.get(target, 0.0)
        if counted > of * (1 + ROUNDING):
            message = (
                f"{bad.in_words()} counted {counted:g} and {total.counter.metric} {of:g} at the same scrapes:"
                " the bad ones have to be among all, and counted at the same moment"
            )
            return ledger.Problem(Reason.COUNTERS_DISAGREE, message)
    every = math.fsum(totals.values())
    wrong = min(math.fsum(bads.values()), every)
    return Outcomes(total=every, compared=(wrong,), absolute=wrong)


def _mixed(counter: CounterQuery, arms: Sequence[ArmQuery]) -> dict[str, ledger.Problem]:
    shared = alike(counter, arms)
    names = ", ".join(arm.name for arm in shared)
    message = f"no label of {counter.metric} tells {names} apart: versions of one model differ in $(backend) only"
    return {arm.name: ledger.Problem(Reason.AMBIGUOUS_SERIES, message) for arm in shared}


def _matchers(counter: CounterQuery, arm: ArmQuery) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((label, (re2_quote(value),)) for label, value in labels_for(counter, arm))


def _key(objective: ObjectiveQuery, arm: ArmQuery, which: str) -> str:
    return f"{objective.name}/{arm.name}/{which}"
