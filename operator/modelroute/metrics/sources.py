"""What a gateway's metrics must tell: the port that the presets of Traefik, and later of others,
implement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelroute.metrics import cutting, ledger, scrapes
from modelroute.metrics.reading import RouteQuery
from modelroute.metrics.selectors import Question

PROCESS_START = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Source:
    """Counters to be read, and how their targets are found.

    `targets` asks for `process_start_time_seconds` itself, or for any metric that each of the targets has at
    every scrape: the jobs and instances it is seen on lead to the processes. `own` are the labels that the
    metrics themselves carry; all the others are the target's. Without `targets`, the processes are those of the
    jobs and instances that the counters themselves are seen on, and what else a counter carries is its own.
    """

    counters: Question
    targets: Question | None = None
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Samples:
    """What a source's questions brought: the targets' scrapes, and their counters."""

    targets: Mapping[scrapes.TargetId, tuple[scrapes.Scrape, ...]] = field(default_factory=dict)
    counters: tuple[ledger.Counter, ...] = ()

    @classmethod
    def of(cls, processes: Iterable[scrapes.Series], series: Iterable[scrapes.Series], own: frozenset[str]) -> Samples:
        return cls(scrapes.timelines(processes, own), ledger.counters(series, own))

    @classmethod
    def beside(cls, processes: Iterable[scrapes.Series], series: Iterable[scrapes.Series]) -> Samples:
        """Counters whose own labels nobody knows: a counter is of the process whose labels are all among its own."""
        targets = scrapes.timelines(processes, frozenset())
        known: dict[tuple[str, str], list[scrapes.TargetId]] = {}
        for target in targets:
            known.setdefault(_place(dict(target)), []).append(target)

        def of(labels: Mapping[str, str]) -> scrapes.TargetId:
            place = _place(labels)
            fits = (target for target in known.get(place, ()) if target <= labels.items())
            return max(fits, key=len, default=frozenset(zip(("job", "instance"), place, strict=True)))

        counters = tuple(ledger.Counter(each.labels, of(each.labels), each.samples) for each in series)
        served = {counter.target for counter in counters}
        return cls({target: scrapes for target, scrapes in targets.items() if target in served}, counters)


def _place(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def seen_until(samples: Mapping[str, Samples]) -> float:
    """The latest scrape of any target, unix seconds: up to then Prometheus has what there is."""
    return max((scrapes[-1].t for each in samples.values() for scrapes in each.targets.values()), default=-math.inf)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a gateway counted for a rule in one window; one of `problem` and the counts.

    `requests` by (arm, status code); `durations` by (arm, status code, boundary in seconds), cumulative over
    boundaries as histograms are. `unknown` arms are those whose series cannot be counted, with the reason;
    where `timing_problem` is set, no durations can be. `counted_from`: since when it counted, in unix seconds.
    `gateways`: the processes that counted; `restarts`: how often one of them was configured anew.
    """

    problem: cutting.Problem | None = None
    unknown: Mapping[str, cutting.Problem] = field(default_factory=dict)
    requests: Mapping[tuple[str, int], float] = field(default_factory=dict)
    durations: Mapping[tuple[str, int, float], float] = field(default_factory=dict)
    boundaries: tuple[float, ...] = ()
    timing_problem: cutting.Problem | None = None
    counted_from: float = math.inf
    gateways: int = 0
    restarts: float = 0.0


class Preset(Protocol):
    """One kind of gateway: what to ask for a route, and what the answers count."""

    def identity(self, query: RouteQuery) -> str:
        """The text by which the gateway's metrics know the route; where two routes share it, neither is known."""

    def sources(self, query: RouteQuery) -> Mapping[str, Source]:
        """The questions, by names of the preset's own."""

    def tally(
        self,
        query: RouteQuery,
        samples: Mapping[str, Samples],
        start: float,
        end: float,
        *,
        scrape_interval_s: float,
    ) -> Tally:
        """The counts in (`start`, `end`]; `samples` by the names of `sources`.

        An arm without a series on a gateway that was scraped had no requests, and is not unknown.
        """
