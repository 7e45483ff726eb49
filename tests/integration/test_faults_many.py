"""One poisoned object among 200, on a real API server and gateway and, poisoned more, in memory: the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, Prometheus, World, manifest
from tests.integration.live_world import LiveWorld
from tests.recording_proxy import Recording

from devstack.stack import Stack
from modelroute.cluster.client import Objects
from modelroute.cluster.credentials import configuration
from modelroute.controller.tick import Ticker
from modelroute.errors import ModelRouteError
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.evidence import WindowReading

MANY, POISONED, ROUND_S = 200, 77, 15.0
Json = dict[str, Any]
Key = tuple[str, str]


def key_of(body: Json) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]


async def test_one_poisoned_object_among_200_keeps_no_other_from_its_rollout() -> None:
    worlds = [World() for _ in range(MANY)]
    tickers = [world.ticker() for world in worlds]
    for world in worlds:
        world.apply(large=60, small=40)
    poisoned = worlds[POISONED].get("modelroutes")
    poisoned["spec"]["models"] = "not a list"
    failures: dict[int, str] = {}
    for _ in range(4):
        for index, (world, ticker) in enumerate(zip(worlds, tickers, strict=True)):
            try:
                delay = await ticker.tick(NAMESPACE, NAME)
                world.now += delay or 5.0
            except ModelRouteError as error:
                failures[index] = str(error)
                world.now += 5.0

    assert list(failures) == [POISONED]
    assert "spec.models" in failures[POISONED]
    assert {world.status["phase"] for index, world in enumerate(worlds) if index != POISONED} <= {
        "Pending",
        "Stable",
        "Progressing",
    }
    assert all(world.get("httproutes") for index, world in enumerate(worlds) if index != POISONED)
    assert not worlds[POISONED].journal


@dataclass(slots=True)
class CountsBy:
    """What one route's counts are made of."""

    requests: float
    weights: dict[str, int]
    bad_share: dict[str, float] = field(default_factory=dict)
    prometheus_problem: Exception | None = None

    def weights_at(self, _at: float) -> dict[str, int]:
        return self.weights


@dataclass(slots=True)
class CountsOfEach:
    """Counts by the weights of the route that is asked for, as the last `look` found them."""

    live: LiveWorld
    weights: dict[Key, dict[str, int]] = field(default_factory=dict)

    def look(self) -> None:
        """At all routes at once: asking for one for each window would cost more than all else that is done."""
        for each in self.live.stack.admin.get("/apis/gateway.networking.k8s.io/v1/httproutes")["items"]:
            refs = [ref for rule in each["spec"].get("rules") or [] for ref in rule["backendRefs"]]
            self.weights[key_of(each)] = {ref["name"]: ref["weight"] for ref in refs}

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        counts = CountsBy(self.live.requests, self.weights.get((query.namespace, query.route), {}))
        return await Prometheus(counts).read(query)


@dataclass(slots=True)
class Many:
    """As many ModelRoutes, ticked together as the operator's tasks would be. `live` has the operator and its clock."""

    live: LiveWorld
    keys: list[Key]

    def apply(self, *, small: int) -> None:
        """All of them in one apply, each under a host name of its own."""
        bodies = []
        for namespace, name in self.keys:
            body = manifest(
                large=100 - small,
                small=small,
                hostnames=[f"{name}.{namespace}.example.com"],
                rollout={"steps": [{**STEP, "progress": 100}]},
            )
            body["metadata"] = {"name": name, "namespace": namespace}
            bodies.append(body)
        self.live.stack.apply(*bodies)

    def phases(self) -> dict[Key, tuple[str, int]]:
        """Phase and attempt of each."""
        items = self.live.stack.admin.get("/apis/modelroute.dev/v1alpha1/modelroutes")["items"]
        status = {key_of(each): each.get("status") or {} for each in items}
        return {key: (status[key].get("phase", ""), status[key].get("attempt", 0)) for key in self.keys}

    async def until(self, holds: Callable[[dict[Key, tuple[str, int]]], bool]) -> None:
        """A fresh operator looks at all of them, again and again, until their phases `hold`."""
        counts, made = CountsOfEach(self.live), self.live.ticker()
        ticker = Ticker(replace(made.ports, readers={"default": counts}), made.clock)

        async def look_at(key: Key) -> None:
            with contextlib.suppress(ModelRouteError):
                await ticker.tick(*key)

        for _ in range(40):
            counts.look()
            await asyncio.gather(*map(look_at, self.keys))
            self.live.now += ROUND_S
            if holds(self.phases()):
                return
        raise AssertionError(f"never; last: {Counter(self.phases().values())}")


@pytest.fixture
def many(stack: Stack) -> Iterator[Many]:
    """In ten namespaces, each with its Gateway; straight to the API server, with nothing injected on the way."""
    places = [stack.create_namespace(f"many-{place}-{secrets.token_hex(3)}") for place in range(10)]
    for place in places:
        stack.create_gateway(place, "inference", hostname=f"*.{place}.example.com")
        for service in ("large-v1", "small-v1"):
            stack.create_service(place, service)
    objects = Objects(configuration(str(stack.operator_kubeconfig())), timeout_s=30.0)
    keys = [(places[number % len(places)], f"route-{number:03}") for number in range(MANY)]
    yield Many(LiveWorld(stack, keys[POISONED][0], Recording(), objects, route=keys[POISONED][1]), keys)
    objects.close()
    stack.kubectl("delete", "namespace", *places, "--wait=false")


async def test_one_poisoned_object_among_200_on_the_api_server_holds_up_no_other(many: Many) -> None:
    """All of them are in the middle of a rollout when the record of one cannot be read any more."""
    live, poisoned = many.live, many.keys[POISONED]
    many.apply(small=40)
    await many.until(lambda found: all(attempt == 1 for _, attempt in found.values()))
    record = next(each for each in live.rollouts() if each["spec"]["modelRoute"] == live.route)
    live.stack.kubectl(
        "patch",
        "modelrollout",
        record["metadata"]["name"],
        "-n",
        live.namespace,
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': {'engineState': 'poison', 'stepIndex': 99}})}",
    )
    well = set(many.keys) - {poisoned}
    await many.until(lambda found: all(found[key] == ("Stable", 1) for key in well))

    assert many.phases()[poisoned][0] != "Stable"
    told = live.get("modelroutes", live.route)["status"]["conditions"]
    assert "RecordUnreadable" in {each["reason"] for each in told}
    assert live.small == 0, "nobody knows what it has proven"
