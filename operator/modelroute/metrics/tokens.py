"""Tokens and requests as vLLM counts them, for what a request takes or costs.

All three come from the same scrapes of the same processes. vLLM's own requests, and not the gateway's: those are
of another scrape, with failures among them. vLLM counts a request that was answered to the end, and none that was
aborted (vllm#31503), whose tokens are counted all the same: they are a cost, and it is borne by the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from modelroute.metrics import cutting, scrapes
from modelroute.metrics.counters import Read, not_told_apart, source, spans_of
from modelroute.metrics.reading import ArmQuery, CounterQuery, Metric, RouteQuery
from modelroute.metrics.sources import Samples, Source, seen_until
from modelroute.rollout.evidence import Tokens

_LABELS = (("service", "$(backend)"),)
READ = CounterQuery("vllm:prompt_tokens_total", _LABELS)
GENERATED = CounterQuery("vllm:generation_tokens_total", _LABELS)
ANSWERED = CounterQuery("vllm:request_success_total", _LABELS)
COUNTERS = (READ, GENERATED, ANSWERED)

AMOUNTS = frozenset({Metric.TOKENS_PER_REQUEST, Metric.COST_PER_REQUEST})


def sources(query: RouteQuery) -> Mapping[str, Source]:
    """The questions, where an objective is an amount per request."""
    if not any(objective.metric in AMOUNTS for objective in query.objectives):
        return {}
    return {_key(arm, counter): source(counter, arm) for arm in query.arms for counter in COUNTERS}


def counted(
    query: RouteQuery,
    arms: Iterable[ArmQuery],
    samples: Mapping[str, Samples],
    start: float,
    end: float,
    *,
    scrape_interval_s: float,
) -> dict[str, Tokens | cutting.Problem]:
    """What was counted of each of `arms` in (`start`, `end`], or why that is not known."""
    latest = seen_until(samples)
    mixed = not_told_apart(ANSWERED, query.arms)

    def one(arm: ArmQuery) -> Tokens | cutting.Problem:
        if arm.name in mixed:
            return mixed[arm.name]
        reads = tuple(Read(counter, arm, samples[_key(arm, counter)]) for counter in COUNTERS)
        spans = spans_of(reads, reads[-1], start, end, scrape_interval_s=scrape_interval_s, seen_until=latest)
        return spans if isinstance(spans, cutting.Problem) else _summed(reads, spans)

    return {arm.name: one(arm) for arm in arms}


def _summed(reads: tuple[Read, ...], spans: Mapping[scrapes.TargetId, cutting.Span]) -> Tokens | cutting.Problem:
    """The sums over the processes, each of which has to serve all three counters."""
    increases = [read.increases(spans) for read in reads]
    serving = set().union(*increases)
    for read, by_target in zip(reads, increases, strict=True):
        if any(math.isnan(each) for each in by_target.values()):
            return read.no_count()
        if not serving or serving - by_target.keys():
            return read.missing(" in this window")
        if torn := read.torn(spans):
            return torn
    return Tokens(*(math.fsum(by_target.values()) for by_target in increases))


def _key(arm: ArmQuery, counter: CounterQuery) -> str:
    return f"tokens/{arm.name}/{counter.metric}"
