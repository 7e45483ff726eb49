"""The checks that run while the soak does: what they see of all routes, and what is not as it has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.soak.judging import sums_to_whole
from tests.bench.soak.plan import Fault, Json, host_of
from tests.bench.soak.routes import AT_REST, Route, weights_of
from tests.bench.soak.vitals import Life, Metrics, Usage
from tests.bench.soak.world import Key

from devstack.request_record import GAVE_UP

RESTORED_WITHIN_S = 90.0
"""A route that somebody edited or deleted: the operator's own look comes once a minute, if it has not heard of it."""
TOLD_WITHIN_S = 60.0
"""After a start, until the operator's metrics know of every route."""
EVIDENCE_AGE_S = 60.0
"""Of a rollout under way, where nothing is broken: windows of 5 s, two scrapes, a look, and much patience."""
QUIET_S = 20.0
"""After a fault, until evidence has to flow again."""
AFTER_RESTORED_S = 3.0
"""Until the gateway has a route that was made anew."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be; `at_s` from the start."""

    at_s: float
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Mended:
    """A route that somebody edited or deleted, and how long that stood (None: to the end)."""

    key: Key
    fault: Fault
    at: float
    after_s: float | None


@dataclass(slots=True)
class Watch:
    """What was seen. Times are unix seconds; each violation is told once for each thing that it is about."""

    started_at: float
    violations: list[Violation] = field(default_factory=list)
    mended: list[Mended] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    oldest_evidence_s: float = 0.0
    weights_checked: int = 0
    _told: set[tuple[str, str]] = field(default_factory=set)
    _meddled: dict[Key, tuple[Fault, float]] = field(default_factory=dict)
    _astray: dict[Key, int] = field(default_factory=dict)

    def violated(self, now: float, kind: str, about: str, what: str) -> None:
        if (kind, about) not in self._told:
            self._told.add((kind, about))
            self.violations.append(Violation(round(now - self.started_at, 1), kind, what))

    def meddled(self, key: Key, fault: Fault, now: float) -> None:
        """Somebody has just edited or deleted this HTTPRoute."""
        self._meddled[key] = fault, now

    def routes(
        self, routes: Mapping[Key, Route], found: Mapping[Key, Json], live: Mapping[Key, Json], now: float
    ) -> None:
        """A look at all ModelRoutes and HTTPRoutes, in the order of the arguments."""
        for key, route in routes.items():
            name, httproute = "/".join(key), live.get(key)
            weights = weights_of(httproute) if httproute is not None else {}
            self.weights_checked += 1
            whole = sums_to_whole(weights.values())
            if key in self._meddled:
                self._mend(key, whole=whole, now=now)
            elif httproute is None:
                self.violated(now, "route missing", name, f"{name} has no HTTPRoute")
            elif not whole:
                self.violated(now, "weights", f"{name} {weights}", f"{name} has the weights {weights}")
            elif route.under_way is None:
                self._at_rest(route, found[key], weights, now)

    def _mend(self, key: Key, *, whole: bool, now: float) -> None:
        fault, at = self._meddled[key]
        if whole:
            del self._meddled[key]
            self.mended.append(Mended(key, fault, at, now - at))
        elif now - at > RESTORED_WITHIN_S:
            name = "/".join(key)
            self.violated(
                now, "not restored", f"{name} {at}", f"{name}: {fault.value}, and not restored for {now - at:.0f} s"
            )

    def _at_rest(self, route: Route, found: Json, weights: Mapping[str, int], now: float) -> None:
        status = found.get("status") or {}
        has = {service: weight for service, weight in weights.items() if weight}
        if status.get("phase") not in AT_REST or has == route.expected_weights:
            self._astray.pop(route.key, None)
            return
        # The two lists are not of one moment: once is nothing.
        self._astray[route.key] = self._astray.get(route.key, 0) + 1
        if self._astray[route.key] > 2:
            name = "/".join(route.key)
            what = f"{name} is {status.get('phase')} with {has} instead of {route.expected_weights}"
            self.violated(now, "split at rest", f"{name} {has}", what)

    def usage(self, usage: Usage, pid: int) -> None:
        if not self.lives or self.lives[-1].pid != pid:
            self.lives.append(Life(pid))
        self.lives[-1].usage.append(usage)

    def metrics(self, metrics: Metrics, *, routes: int, now: float, quiet_for_s: float) -> None:
        """What the operator tells; `quiet_for_s`: since when nothing is broken."""
        life = self.lives[-1]
        life.metrics = metrics
        age_s = now - life.usage[0].at
        if metrics.overdue:
            self.violated(now, "tick unanswered", f"{life.pid}", f"{metrics.overdue:.0f} ModelRoutes are overdue")
        if unforeseen := metrics.ticks.get("unforeseen"):
            self.violated(now, "tick failed", f"{life.pid}", f"{unforeseen:.0f} looks failed in a way nobody foresaw")
        if age_s > TOLD_WITHIN_S and quiet_for_s > QUIET_S and metrics.routes < routes:
            what = f"{age_s:.0f} s after its start the operator tells of {metrics.routes} of {routes} routes"
            self.violated(now, "routes unheard of", f"{life.pid}", what)
        if quiet_for_s > QUIET_S and metrics.evidence_at:
            key, at = min(metrics.evidence_at.items(), key=lambda each: each[1])
            self.oldest_evidence_s = max(self.oldest_evidence_s, now - at)
            if now - at > EVIDENCE_AGE_S:
                name = "/".join(key)
                self.violated(now, "stale evidence", name, f"{name}: the last window ended {now - at:.0f} s ago")

    def finish(self, now: float) -> None:
        """Nothing more is seen: what is still as somebody left it was not restored."""
        for key, (fault, at) in self._meddled.items():
            self.mended.append(Mended(key, fault, at, None))
            if now - at > RESTORED_WITHIN_S:
                name = "/".join(key)
                self.violated(
                    now, "not restored", f"{name} {at}", f"{name}: {fault.value}, and not restored at the end"
                )

    def failed(self, failed: Sequence[Json], now: float) -> tuple[list[Json], list[Json]]:
        """Of the requests that no model server answered: those that nobody but us can be blamed for, and the rest."""
        ours: list[Json] = []
        excused: list[Json] = []
        for each in failed:
            (excused if each["status"] == GAVE_UP or self._is_excused(each) else ours).append(each)
        for each in ours[:20]:
            what = f"a request to {each['host']} was answered {each['status']}: {each['error'][:120]}"
            self.violated(now, "request failed", f"{each['host']} {each['status']}", what)
        return ours, excused

    def _is_excused(self, record: Json) -> bool:
        """Whether its HTTPRoute had been deleted by somebody."""
        return any(
            host_of(*mended.key) == record["host"]
            and mended.fault is Fault.ROUTE_DELETED
            and mended.at - 1 <= record["sent_at"]
            and (mended.after_s is None or record["sent_at"] <= mended.at + mended.after_s + AFTER_RESTORED_S)
            for mended in self.mended
        )
