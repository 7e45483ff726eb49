"""The operator's metrics: what the statuses say, and how the operator itself is doing.

What is told of a ModelRoute replaces what was told before, all of it at once, and only after the status that it
reports was written. So a scrape never mixes two looks, and a ModelRoute that is gone leaves no series behind.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from modelroute import __version__
from modelroute.api.status import ModelRouteStatus
from modelroute.controller import families
from modelroute.controller.families import Family, FamilyKind
from modelroute.controller.observe import Seen
from modelroute.controller.report import Sample, samples_of
from modelroute.errors import Conflict, Invalid, ModelRouteError, Unavailable
from modelroute.rollout.attempt import Stage
from modelroute.rollout.decision import Decision
from modelroute.rollout.reasons import Reason

log = logging.getLogger(__name__)

Key = tuple[str, str]
M = TypeVar("M", bound=MetricWrapperBase)

OUTCOMES = tuple(stage.value for stage in Stage if not stage.under_way)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was last told of one ModelRoute. `attempt` and `stage` are those of its latest ModelRollout; `finished` (by
    outcome) and `breaches` count up from the first time that it was told of."""

    uid: str
    samples: tuple[Sample, ...]
    attempt: str
    stage: str
    finished: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    breaches: int = 0


class Telemetry:
    """Everything that is scraped. `registry` is its own, so that two in one process do not meet."""

    def __init__(self) -> None:
        # A second series for every counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has types, and forgot this one
        self.registry = CollectorRegistry()
        self._routes = RouteSeries()
        self.registry.register(self._routes)
        ProcessCollector(registry=self.registry)
        self._own = {each.name: _made(each, self.registry) for each in families.OF_THE_OPERATOR}
        self.gauge(families.BUILD, __version__).set(1)

    def report(self, seen: Seen, decision: Decision, status: ModelRouteStatus) -> None:
        """Tell of a ModelRoute whose `status` stands written. Nothing that fails here is worth a tick."""
        try:
            self._routes.replace(seen, decision, status)
        except Exception:
            log.exception("%s: its metrics could not be told", seen.key)

    def forget(self, namespace: str, name: str) -> None:
        """The ModelRoute is gone, and its series with it."""
        self._routes.remove((namespace, name))

    def counter(self, family: Family, *labels: str) -> Counter:
        """A series of one of the operator's own counters; likewise below."""
        return _series(self._own[family.name], Counter, labels)

    def gauge(self, family: Family, *labels: str) -> Gauge:
        return _series(self._own[family.name], Gauge, labels)

    def histogram(self, family: Family, *labels: str) -> Histogram:
        return _series(self._own[family.name], Histogram, labels)


class RouteSeries(Collector):
    """The series of all ModelRoutes. Told in the event loop, scraped from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[Key, _Told] = {}

    def replace(self, seen: Seen, decision: Decision, status: ModelRouteStatus) -> None:
        metadata = seen.route.metadata
        key = metadata.namespace, metadata.name
        samples = tuple(samples_of(seen, decision, status))
        record = decision.record or seen.observation.record
        attempt, stage = (record.attempt.name, record.progress.stage.value) if record is not None else ("", "")
        told = _Told(metadata.uid, samples, attempt, stage)
        before = self._told.get(key)
        if before is not None and before.uid == metadata.uid:
            finished = _counted(before.finished, _ended(before, attempt, stage, seen))
            breaches = sum(said.reason is Reason.GUARD_BREACHED for said in decision.announcements)
            told = replace(told, finished=finished, breaches=before.breaches + breaches)
        with self._lock:
            self._told[key] = told

    def remove(self, key: Key) -> None:
        with self._lock:
            self._told.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            told = list(self._told.items())
        made: dict[str, GaugeMetricFamily] = {}
        for each in (*families.OF_ROUTES, *families.OF_ATTEMPTS):
            if each.kind is FamilyKind.GAUGE:
                made[each.name] = GaugeMetricFamily(each.name, each.help, labels=each.labels)
        finished, breaches = _counter_of(families.ATTEMPTS_FINISHED), _counter_of(families.GUARD_BREACHES)
        for key, route in told:
            for sample in route.samples:
                made[sample.family.name].add_metric((*key, *sample.labels), sample.value)
            for outcome, count in route.finished.items():
                finished.add_metric((*key, outcome), count)
            breaches.add_metric(key, route.breaches)
        yield from (*made.values(), finished, breaches)


def _counter_of(family: Family) -> CounterMetricFamily:
    return CounterMetricFamily(family.name, family.help, labels=family.labels)


def _ended(before: _Told, attempt: str, stage: str, seen: Seen) -> Iterator[str]:
    """How attempts ended since a ModelRoute was last told of; none of them twice, none left out."""
    if before.attempt and before.attempt != attempt and before.stage not in OUTCOMES:
        # Its end was never told, because that status could not be written: its ModelRollout has kept it.
        old = (each for each in seen.rollouts if each["metadata"]["name"] == before.attempt)
        yield from (str((each.get("status") or {}).get("phase")) for each in old)
    if (before.attempt, before.stage) != (attempt, stage):
        yield stage


def _counted(finished: Mapping[str, int], ended: Iterable[str]) -> dict[str, int]:
    counts = defaultdict(int, finished)
    for outcome in ended:
        if outcome in OUTCOMES:
            counts[outcome] += 1
    return dict(counts)


def word_for(error: ModelRouteError) -> str:
    """What went wrong, in the one word of the label `outcome`."""
    match error:
        case Conflict():
            return "conflict"
        case Invalid():
            return "invalid"
        case Unavailable():
            return "unavailable"
        case _:
            return "unforeseen"


def _made(family: Family, registry: CollectorRegistry) -> MetricWrapperBase:
    match family.kind:
        case FamilyKind.COUNTER:
            return Counter(family.name, family.help, family.labels, registry=registry)
        case FamilyKind.GAUGE:
            return Gauge(family.name, family.help, family.labels, registry=registry)
        case FamilyKind.HISTOGRAM:
            return Histogram(family.name, family.help, family.labels, registry=registry, buckets=family.buckets_s)


def _series(metric: MetricWrapperBase, kind: type[M], labels: Sequence[str]) -> M:
    found = metric.labels(*labels) if labels else metric
    assert isinstance(found, kind), f"{metric} is no {kind.__name__}"
    return found
