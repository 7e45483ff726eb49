"""The operator's ticks on a real API server and a real gateway, with a clock and request counts that a test sets.

What people, other controllers and the network do is real or injected by the proxy; only time and what Prometheus would
have counted are the test's, so that an hour takes no hour and a verdict no chance.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import NAME, STEP, T0, Prometheus, manifest
from tests.recording_proxy import Recording, kubeconfig_through, recording

from devstack.stack import Stack
from modelroute.cluster.backends import Backends
from modelroute.cluster.client import HTTP_ROUTES, MODEL_ROLLOUTS, MODEL_ROUTES, Json, Objects
from modelroute.cluster.credentials import configuration
from modelroute.cluster.events import Events
from modelroute.cluster.store import KindStore
from modelroute.controller.ports import Ports
from modelroute.controller.settings import AnalysisSettings, PrometheusSettings, Settings
from modelroute.controller.tick import Ticker
from modelroute.errors import ModelRouteError
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.routes import Routes

STEPS = {"steps": [{**STEP, "progress": 50}, {**STEP, "progress": 100}]}


@dataclass(slots=True)
class LiveWorld:
    """One ModelRoute in a namespace of the stack; the operator's way to the API server goes through `proxy`."""

    stack: Stack
    namespace: str
    proxy: Recording
    objects: Objects
    now: float = T0
    requests: float = 600.0
    bad_share: dict[str, float] = field(default_factory=dict)
    prometheus_problem: Exception | None = None
    errors: list[str] = field(default_factory=list)
    route: str = NAME
    """The HTTPRoute that carries the traffic, and which of its rules."""
    rule: int = 0
    smalls: list[int] = field(default_factory=list)
    """What the small model had after each tick, in order, without repetitions."""

    def ticker(self) -> Ticker:
        """A fresh operator: it remembers nothing."""
        settings = Settings(
            prometheus={"default": PrometheusSettings.model_validate({"url": "http://p", "scrapeInterval": "1s"})},
            analysis=AnalysisSettings.model_validate({"window": "5s", "settleMin": "5s"}),
        )
        objects = self.objects
        ports = Ports(
            model_routes=KindStore(objects, MODEL_ROUTES),
            model_rollouts=KindStore(objects, MODEL_ROLLOUTS),
            routes=Routes(KindStore(objects, HTTP_ROUTES)),
            adopted=AdoptedRoutes(KindStore(objects, HTTP_ROUTES)),
            backends=Backends(objects),
            events=Events(objects),
            readers={"default": Prometheus(self)},
            settings=settings,
        )
        return Ticker(ports, lambda: self.now)

    # What a person does and sees; never through the proxy.

    def apply(self, *, small: int, **spec: Any) -> None:
        hostnames = [f"{self.namespace}.example.com"]
        body = manifest(large=100 - small, small=small, **{"hostnames": hostnames, "rollout": STEPS, **spec})
        body["metadata"] = {"name": NAME, "namespace": self.namespace}
        self.stack.apply(body)

    def get(self, resource: str, name: str = NAME) -> Json:
        """The object, or {} where there is none."""
        return self.stack.read(resource, self.namespace, name)

    @property
    def status(self) -> Json:
        status: Json = self.get("modelroutes").get("status") or {}
        return status

    def rollouts(self) -> list[Json]:
        return sorted(
            self.stack.read_all("modelrollouts", self.namespace), key=lambda each: int(each["spec"]["attempt"])
        )

    def weights(self) -> dict[str, int]:
        """The weights that the HTTPRoute carries, by Service."""
        rules = self.get("httproutes", self.route).get("spec", {}).get("rules") or [{}]
        refs = rules[self.rule].get("backendRefs") or []
        whole = sum(ref["weight"] for ref in refs)
        return {ref["name"]: ref["weight"] * 10_000 // max(whole, 1) for ref in refs}

    def weights_at(self, _at: float) -> dict[str, int]:
        return self.weights()

    @property
    def small(self) -> int:
        return self.weights().get("small-v1", 0)

    def events(self) -> list[Json]:
        """What was told of the ModelRoute, oldest first."""
        listed = self.stack.admin.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        ours = [each for each in listed if each["involvedObject"]["kind"] == "ModelRoute"]
        return sorted(ours, key=lambda each: str(each["eventTime"]))

    def said(self, reason: str) -> list[str]:
        """The messages of the events with that reason."""
        return [each["message"] for each in self.events() if each["reason"] == reason]

    def address(self, service: str, namespace: str = "") -> str:
        """The address that a Service has, by default one beside the ModelRoute; its successor must take it over."""
        where = namespace or self.namespace
        return self.stack.kubectl("get", "service", service, "-n", where, "-o", "jsonpath={.spec.clusterIP}").strip()

    def say(self, verb: str) -> None:
        asked = f"modelroute.dev/action={verb}@{self.status['nextAction']}"
        self.stack.kubectl("annotate", "--overwrite", "modelroute", NAME, "-n", self.namespace, asked)

    # Time.

    async def tick(self, ticker: Ticker, *, at_most_s: float = 5.0) -> None:
        """One tick, as the loop would make it: errors of our tree are for later. Then time passes."""
        try:
            delay = await ticker.tick(self.namespace, NAME)
        except ModelRouteError as error:
            self.errors.append(str(error))
            delay = at_most_s
        assert delay is not None, "the ModelRoute is gone"
        if self.smalls[-1:] != [small := self.small]:
            self.smalls.append(small)
        # The gateway is real, and needs real time.
        await asyncio.sleep(0.05)
        self.now += min(delay, at_most_s)

    async def run(self, ticker: Ticker, seconds: float, *, at_most_s: float = 5.0) -> None:
        end = self.now + seconds
        while self.now < end:
            await self.tick(ticker, at_most_s=at_most_s)

    async def until(self, ticker: Ticker, holds: Callable[[Json], bool], *, within: int = 200) -> Json:
        """Tick until the status `holds`; the status then."""
        for _ in range(within):
            await self.tick(ticker)
            if holds(status := self.status):
                return status
        raise AssertionError(f"never; last: {status.get('phase')}: {status.get('message')}; {self.errors[-3:]}")

    async def started(self, ticker: Ticker, *, small: int = 40, **spec: Any) -> None:
        """A rollout whose first step is ordered."""
        self.apply(small=0, **spec)
        await self.until(ticker, in_phase("Stable"))
        self.apply(small=small, **spec)
        await self.until(ticker, lambda status: str(status.get("step", "")).startswith("1/"))


def in_phase(phase: str, *, attempt: int | None = None) -> Callable[[Json], bool]:
    return lambda status: status.get("phase") == phase and attempt in (None, status.get("attempt"))


@contextlib.contextmanager
def live_world(stack: Stack, namespace: str, directory: Path, *, timeout_s: float = 2.0) -> Iterator[LiveWorld]:
    """A namespace with a gateway and two Services with ready endpoints, and the operator's rights to it."""
    stack.create_gateway(namespace, "inference", hostname=f"{namespace}.example.com")
    for name in ("large-v1", "small-v1"):
        stack.create_service(namespace, name)
    with recording(stack.apiserver_url, stack.admin.ca) as proxy:
        config = kubeconfig_through(proxy.url, stack.operator_kubeconfig(), directory / "kubeconfig")
        objects = Objects(configuration(str(config)), timeout_s=timeout_s)
        try:
            yield LiveWorld(stack, namespace, proxy, objects)
        finally:
            proxy.ended.set()
            objects.close()
