"""Counters that an arm's own processes serve, by label matchers that only equality can be asked of.

Which series are an arm's: those of the metric whose labels equal what is asked, with `$(arm)`, `$(namespace)` and
`$(backend)` filled in, and whose `namespace` is the backend's, whatever is asked. Which processes are behind them:
those of the jobs and instances that the series are seen on, so that it does not matter whether a label is the
target's or the metric's own.

Counters that are put in relation are read at the same scrapes of the same processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelroute.metrics import checks, cutting, ledger, scrapes
from modelroute.metrics.reading import ArmQuery, CounterQuery
from modelroute.metrics.selectors import Question, re2_quote
from modelroute.metrics.sources import Samples, Source
from modelroute.rollout.reasons import Reason

NAMESPACE = "namespace"
PLACEHOLDERS = ("arm", "namespace", "backend")
_PLACEHOLDER = re.compile(rf"\$\(({'|'.join(PLACEHOLDERS)})\)")


def labels_for(counter: CounterQuery, arm: ArmQuery) -> tuple[tuple[str, str], ...]:
    """What the labels of an arm's series equal, by name. A name that is filled in is not looked into again."""
    values = {"arm": arm.model or arm.name, "namespace": arm.namespace, "backend": arm.service}
    filled = {label: _PLACEHOLDER.sub(lambda found: values[found[1]], value) for label, value in counter.labels}
    return tuple(sorted({**filled, NAMESPACE: arm.namespace}.items()))


def source(counter: CounterQuery, arm: ArmQuery) -> Source:
    """What to ask for."""
    matchers = tuple((label, (re2_quote(value),)) for label, value in labels_for(counter, arm))
    return Source(Question(counter.metric, matchers))


def alike(counter: CounterQuery, arms: Sequence[ArmQuery]) -> tuple[ArmQuery, ...]:
    """The arms that share their series of `counter` with another one: no label tells them apart."""
    labels = [labels_for(counter, arm) for arm in arms]
    return tuple(arm for arm, mine in zip(arms, labels, strict=True) if labels.count(mine) > 1)


def not_told_apart(counter: CounterQuery, arms: Sequence[ArmQuery]) -> dict[str, cutting.Problem]:
    """Why nothing is known of the arms that share their series, by name."""
    shared = alike(counter, arms)
    names = ", ".join(arm.name for arm in shared)
    message = f"no label of {counter.metric} tells {names} apart: versions of one model differ in $(backend) only"
    return {arm.name: cutting.Problem(Reason.AMBIGUOUS_SERIES, message) for arm in shared}


@dataclass(frozen=True, slots=True)
class Read:
    """One counter of one arm, as it was read."""

    counter: CounterQuery
    arm: ArmQuery
    samples: Samples

    def increases(self, spans: Mapping[scrapes.TargetId, cutting.Span]) -> dict[scrapes.TargetId, float]:
        """What was counted by target, of those that had a series in the window; NaN where it is no count."""
        found: dict[scrapes.TargetId, float] = {}
        for each in self.samples.counters:
            if ledger.seen_in(each, spans):
                found[each.target] = found.get(each.target, 0.0) + ledger.increase(each, spans)
        return found

    def torn(self, spans: Mapping[scrapes.TargetId, cutting.Span]) -> cutting.Problem | None:
        """Why not all of it can be counted in the window."""
        return next((torn for each in self.samples.counters if (torn := ledger.torn(each, spans))), None)

    def missing(self, when: str = "") -> cutting.Problem:
        return cutting.Problem(Reason.NO_DATA, f"no series {self.in_words()} was scraped{when}")

    def no_count(self) -> cutting.Problem:
        return cutting.Problem(Reason.NOT_A_NUMBER, f"{self.in_words()} has a value that is not a count")

    def in_words(self) -> str:
        labels = ", ".join(f"{label}={value!r}" for label, value in labels_for(self.counter, self.arm))
        return f"{self.counter.metric}{{{labels}}}"


def spans_of(
    reads: Iterable[Read], main: Read, start: float, end: float, *, scrape_interval_s: float, seen_until: float
) -> Mapping[scrapes.TargetId, cutting.Span] | cutting.Problem:
    """The window (`start`, `end`] of all processes that serve one of `reads`; a problem is told of `main`.

    `seen_until` is the latest scrape of anything, unix seconds.
    """
    reads = tuple(reads)
    found = tuple(counter for read in reads for counter in read.samples.counters)
    horizon = start - scrapes.lookback_s(scrape_interval_s)
    serving = {each.target for each in found if each.within(horizon, end)}
    if not serving:
        return main.missing()
    targets = {
        target: scrapes for read in reads for target, scrapes in read.samples.targets.items() if target in serving
    }
    window = checks.cut(found, targets, start, end, scrape_interval_s=scrape_interval_s, seen_until=seen_until)
    if window.problem is None:
        return window.spans
    return cutting.Problem(window.problem.reason, f"{main.counter.metric}: {window.problem.message}")
