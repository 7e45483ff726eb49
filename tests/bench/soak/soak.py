"""The soak itself: one loop that begins rollouts, breaks and mends things, looks at everything, and ends in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.soak.plan import START, Fault, Json, Planned, draw_faults
from tests.bench.soak.routes import AT_REST, Route
from tests.bench.soak.vitals import read_metrics, usage_of
from tests.bench.soak.watch import Watch
from tests.bench.soak.world import Key, World, hosts_of, read_failed

from devstack.errors import StackError
from devstack.http import HttpError, fetch
from devstack.waiting import wait_until

BEAT_S = 1.0
LOOK_EVERY_S = 3.0
VITALS_EVERY_S = 5.0
INTEREST, NO_INTEREST = 1.0, 0.01
"""Weights of a route with a rollout under way, and of one at rest, in the load."""
DOWN = frozenset({Fault.OPERATOR_KILLED, Fault.OPERATOR_STOPPED, Fault.OPERATOR_ENDED})


@dataclass(frozen=True, slots=True)
class Options:
    """How long (seconds, from the first rollout to the end of the load), how many, how much, how often."""

    duration_s: float
    routes: int
    at_once: int
    rate: float
    namespaces: int
    scrape_interval_s: float
    fault_every_s: float
    seed: int

    @property
    def drain_s(self) -> float:
        """At the end nothing begins or breaks any more, and what is under way may end."""
        return min(180.0, self.duration_s / 3)


@dataclass(slots=True)
class Broken:
    """A fault that was begun; the victim, where there was a choice. Unix seconds."""

    planned: Planned
    at: float
    victim: Key | None = None
    mended_at: float | None = None
    back_after_s: float | None = None
    """from its mending to the operator's next word on all routes"""


@dataclass(slots=True)
class Soak:
    """State of one run; `watch` and `broken` are what the report is made of."""

    world: World
    options: Options
    say: Callable[[str], None]
    routes: dict[Key, Route] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    watch: Watch = field(default_factory=lambda: Watch(time.time()))
    failed: list[Json] = field(default_factory=list)
    excused: list[Json] = field(default_factory=list)
    load_averages: list[float] = field(default_factory=list)
    began_at: float = 0.0
    ended_at: float = 0.0
    _statuses: dict[Key, Json] = field(default_factory=dict)
    _quiet_since: float = 0.0
    _looked: float = 0.0
    _vitals: float = 0.0
    _hosts: frozenset[Key] | None = None

    def set_up(self) -> None:
        """The world, the operator and all routes, Stable."""
        self.world.set_up()
        self.world.start_operator()
        for number in range(self.options.routes):
            key = self.world.namespaces[number % len(self.world.namespaces)], f"r{number:03d}"
            self.routes[key] = Route(key, self.options.seed)
            self.world.apply(key, START)
        begun = time.time()
        wait_until(
            self._all_stable, what="all routes are Stable", timeout_s=60 + 2.0 * self.options.routes, interval_s=2
        )
        self.say(f"{len(self.routes)} ModelRoutes were Stable after {time.time() - begun:.0f} s")

    def _all_stable(self) -> bool:
        found = self.world.list("modelroutes")
        return all((found[key].get("status") or {}).get("phase") == "Stable" for key in self.routes)

    def run(self) -> None:
        """Until the time is up; raises nothing for what goes wrong in the world, which is what it is there for."""
        options = self.options
        self.began_at = self.watch.started_at = self._quiet_since = time.time()
        self.world.start_load(rate=options.rate, duration_s=options.duration_s + 60, seed=options.seed)
        ends = self.began_at + options.duration_s
        drains = ends - options.drain_s
        faults = draw_faults(
            options.seed, from_s=10.0, until_s=options.duration_s - options.drain_s, every_s=options.fault_every_s
        )
        self._statuses = {}
        try:
            while (now := time.time()) < ends:
                faults = self._break(faults, now)
                self._keep_running(now)
                self._look(now)
                self._watch_vitals(now)
                if now < drains:
                    self._begin_rollouts(now)
                elif not any(route.under_way for route in self.routes.values()) and now > drains + options.drain_s / 2:
                    break
                time.sleep(BEAT_S)
        finally:
            self.ended_at = time.time()
            self._mend_all()
            self._finish()

    @property
    def _now_broken(self) -> Broken | None:
        return next((each for each in self.broken if each.mended_at is None), None)

    def _is(self, *faults: Fault) -> bool:
        return self._now_broken is not None and self._now_broken.planned.fault in faults

    def _break(self, faults: list[Planned], now: float) -> list[Planned]:
        """Mend what is due, then break what is due; the faults that are still to come."""
        current = self._now_broken
        if current is not None:
            if now >= current.at + current.planned.for_s:
                self._mend(current)
            return faults
        if not faults or now < self.began_at + faults[0].at_s:
            return faults
        planned, at_rest = faults[0], [key for key, route in self.routes.items() if route.under_way is None]
        meddles = planned.fault in {Fault.ROUTE_EDITED, Fault.ROUTE_DELETED}
        if meddles and not at_rest:
            return faults[1:]
        broken = Broken(planned, now)
        try:
            broken.victim = self.world.begin(planned, at_rest)
        except (OSError, HttpError, StackError) as error:
            self.say(f"{planned.fault.value}: could not be done: {error}")
            return faults[1:]
        self.broken.append(broken)
        if meddles and broken.victim is not None:
            self.watch.meddled(broken.victim, planned.fault, now)
        if planned.fault is Fault.OPERATOR_ENDED and self.world.operator_exit != 0:
            what = f"after SIGTERM the operator ended with {self.world.operator_exit}"
            self.watch.violated(now, "no orderly end", f"{now}", what)
        victim = f" ({'/'.join(broken.victim)})" if broken.victim else ""
        self.say(f"  {planned.fault.value}{victim}, {planned.for_s:.0f} s")
        return faults[1:]

    def _mend(self, broken: Broken) -> None:
        try:
            self.world.end(broken.planned)
        except (OSError, HttpError, StackError) as error:
            self.say(f"{broken.planned.fault.value}: could not be mended, trying again: {error}")
            return
        broken.mended_at = self._quiet_since = time.time()

    def _mend_all(self) -> None:
        current = self._now_broken
        if current is not None:
            self._mend(current)

    def _keep_running(self, now: float) -> None:
        """As a Deployment would; an operator that ends by itself is a violation."""
        operator = self.world.operator
        assert operator is not None
        if not operator.running and not self._is(*DOWN):
            what = f"the operator ended by itself with {operator.returncode}; its log is {operator.log}"
            self.watch.violated(now, "operator ended", f"{now}", what)
            operator.start()

    def _look(self, now: float) -> None:
        if now - self._looked < LOOK_EVERY_S or self._is(Fault.API_PAUSED):
            return
        self._looked = now
        try:
            live, found = self.world.list("httproutes"), self.world.list("modelroutes")
            self._statuses = {key: item.get("status") or {} for key, item in found.items()}
            self.watch.routes(self.routes, found, live, now)
            for key, route in self.routes.items():
                if route.under_way is not None:
                    outcome = route.go_on(self.world, self._statuses[key], time.time())
                    if outcome is not None and outcome.verdict != "justified":
                        self.say(f"! {'/'.join(key)} {outcome.verdict.value}: {outcome.truth.value} {outcome.ended}")
        except (OSError, HttpError) as error:
            self.say(f"a look at the API server failed: {type(error).__name__}: {error}"[:200])

    def _begin_rollouts(self, now: float) -> None:
        if self._is(Fault.API_PAUSED) or not self._statuses:
            return
        under_way = sum(route.under_way is not None for route in self.routes.values())
        # Who waited longest goes first; two a beat at most, so that they do not go in step.
        resting = [
            (len(route.outcomes), key)
            for key, route in self.routes.items()
            if route.under_way is None and self._statuses.get(key, {}).get("phase") in AT_REST
        ]
        for _, key in sorted(resting)[: min(2, self.options.at_once - under_way)]:
            try:
                self.routes[key].begin(self.world, self._statuses[key], time.time())
            except (OSError, HttpError) as error:
                self.say(f"{'/'.join(key)} could not be changed: {error}"[:200])
        self._weigh()

    def _weigh(self) -> None:
        interesting = frozenset(key for key, route in self.routes.items() if route.under_way is not None)
        if interesting != self._hosts:
            self._hosts = interesting
            self.world.weigh_hosts(
                hosts_of({key: INTEREST if key in interesting else NO_INTEREST for key in self.routes})
            )

    def _watch_vitals(self, now: float) -> None:
        if now - self._vitals < VITALS_EVERY_S or self._is(*DOWN):
            return
        self._vitals = now
        self.load_averages.append(os.getloadavg()[0])
        operator = self.world.operator
        assert operator is not None
        usage = usage_of(operator.pid, now) if operator.running else None
        if usage is None:
            return
        try:
            text = fetch(f"http://127.0.0.1:{self.world.metrics_port}/metrics", timeout_s=5.0).decode()
        except (OSError, HttpError):
            return  # not up yet; that it stays so is seen by the routes that nobody moves
        self.watch.usage(usage, operator.pid)
        metrics = read_metrics(text)
        last = self.broken[-1] if self.broken else None
        quiet_for_s = 0.0 if self._now_broken is not None else now - self._quiet_since
        if last is not None and last.mended_at and last.back_after_s is None and metrics.routes == len(self.routes):
            last.back_after_s = max(0.0, now - last.mended_at)
        self.watch.metrics(metrics, routes=len(self.routes), now=now, quiet_for_s=quiet_for_s)

    def _finish(self) -> None:
        now = time.time()
        if self.world.load is not None:
            self.world.load.stop(grace_s=12.0)
        try:
            self._looked = 0.0
            self._look(now)
        finally:
            self.watch.finish(now)
            self.failed, self.excused = self.watch.failed(read_failed(self.world.failed), now)
