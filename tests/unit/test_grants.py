"""A backend of another namespace: without a ReferenceGrant there it gets nothing, and nothing is told or read of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.cluster.backends import Backends
from modelroute.cluster.client import REFERENCE_GRANTS, Json, Kind, NotFound, Objects
from modelroute.controller.ports import Reader
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend

V1BETA1, V1 = REFERENCE_GRANTS
GATEWAY_API = "gateway.networking.k8s.io"
OURS, THEIRS = Backend("chat", "large-v1", 8000), Backend("shared", "small-v1", 8000)
FROM: Json = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": "chat"}
TO: Json = {"group": "", "kind": "Service"}


class Grants(Objects):
    """The ReferenceGrants of each namespace, in memory, as the versions of `served` have them."""

    def __init__(self, *, served: tuple[Kind, ...] = REFERENCE_GRANTS, **held: list[Json] | Unavailable) -> None:
        self._served, self._held = served, held
        self.asked: list[tuple[Kind, str]] = []

    async def list(self, kind: Kind, namespace: str, *, labels: str) -> list[Json]:
        assert labels == ""
        self.asked.append((kind, namespace))
        if kind not in self._served:
            raise NotFound("404: the server could not find the requested resource")
        found = self._held.get(namespace, [])
        if isinstance(found, Unavailable):
            raise found
        return found


def grant(*to: Json, of: Json = FROM) -> Json:
    return {"spec": {"from": [{**FROM, "namespace": "another"}, of], "to": list(to)}}


def closed(grants: Grants, *backends: Backend) -> dict[Backend, Problem]:
    return dict(asyncio.run(Backends(grants).closed(backends, to="chat")))


@pytest.mark.parametrize(
    ("grants", "is_closed"),
    [
        ([grant(TO)], False),
        ([grant({**TO, "name": "small-v1"})], False),
        ([grant({**TO, "name": "another"}), grant({**TO, "name": "small-v1"})], False),
        ([], True),
        ([{"metadata": {"name": "empty"}}], True),
        ([grant()], True),
        ([grant({**TO, "name": "another"})], True),
        ([grant({"group": "", "kind": "Secret"})], True),
        ([grant({"group": "inference.networking.k8s.io", "kind": "Service"})], True),
        ([grant(TO, of={**FROM, "namespace": "chat-2"})], True),
        ([grant(TO, of={**FROM, "kind": "GRPCRoute"})], True),
        ([grant(TO, of={**FROM, "group": "example.com"})], True),
        ([grant(TO, of={**FROM, "kind": "Gateway"}), grant({"group": "", "kind": "Secret"})], True),
    ],
    ids=[
        "to all",
        "to it by its name",
        "one of several",
        "none",
        "an empty one",
        "to nothing",
        "to another Service",
        "to another kind",
        "to another group",
        "from another namespace",
        "from another kind of route",
        "from another group",
        "half of it in each of two",
    ],
)
def test_a_service_of_another_namespace_may_be_named_where_a_grant_there_says_so(
    grants: list[Json], is_closed: bool
) -> None:
    found = closed(Grants(shared=grants), OURS, THEIRS)

    assert list(found) == ([THEIRS] if is_closed else [])


def test_a_missing_grant_is_told_with_the_one_that_it_takes() -> None:
    problem = closed(Grants(), THEIRS)[THEIRS]

    assert problem.reason is Reason.REF_NOT_PERMITTED
    assert problem.message == (
        "Service small-v1 is in namespace shared, which does not let HTTPRoutes of namespace chat name it: make a"
        " ReferenceGrant in shared, from HTTPRoute (gateway.networking.k8s.io) of namespace chat, to Service small-v1"
    )


def test_grants_are_listed_once_in_each_other_namespace_and_never_in_ones_own() -> None:
    grants = Grants(shared=[grant(TO)])
    third = Backend("third", "small-v1", 8000)
    closed(grants, OURS, THEIRS, THEIRS, Backend("shared", "small-v2", 8000), third)
    assert grants.asked == [(V1BETA1, "shared"), (V1BETA1, "third")]

    grants.asked.clear()
    assert closed(grants, OURS) == {}
    assert grants.asked == []


def test_grants_are_found_where_only_the_later_version_is_served() -> None:
    assert closed(Grants(served=(V1,), shared=[grant(TO)]), THEIRS) == {}


@pytest.mark.parametrize(
    ("grants", "says"),
    [
        (Grants(shared=Unavailable('403: cannot list resource "referencegrants"')), 'list resource "referencegrants"'),
        (Grants(served=()), "could not find the requested resource"),
    ],
    ids=["no right", "no such kind"],
)
def test_grants_that_cannot_be_read_are_no_grants(grants: Grants, says: str) -> None:
    problem = closed(grants, THEIRS)[THEIRS]

    assert problem.reason is Reason.BACKEND_UNKNOWN
    assert "whether namespace shared has a ReferenceGrant for it is not known" in problem.message
    assert says in problem.message


# Whole ticks.

STEPS: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}
CLOSED = Problem(Reason.REF_NOT_PERMITTED, "make a ReferenceGrant in shared")


@dataclass
class Asked:
    """Prometheus, and all that it was asked."""

    reader: Reader
    queries: list[RouteQuery] = field(default_factory=list)

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        self.queries.append(query)
        return await self.reader.read(query)


def models(*, small: int, namespace: str | None = "shared") -> list[Json]:
    there = {} if namespace is None else {"namespace": namespace}
    return [
        {"name": "large", "tier": "Large", "weight": 100 - small, "backendRef": {"name": "large-v1", "port": 8000}},
        {"name": "small", "tier": "Small", "weight": small, "backendRef": {"name": "small-v1", "port": 8000, **there}},
    ]


async def resting() -> tuple[World, Ticker, Asked]:
    """All of the traffic is on the large model, as the spec wants it."""
    world = World()
    ticker = world.ticker()
    asked = Asked(ticker.ports.readers["default"])
    ticker = replace(ticker, ports=replace(ticker.ports, readers={"default": asked}))
    world.apply(models=models(small=0), rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker, asked


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        world.now += await ticker.tick(NAMESPACE, NAME) or 1.0


async def test_without_a_grant_nothing_moves_nothing_is_asked_and_the_service_is_not_looked_at() -> None:
    world, ticker, asked = await resting()
    looked_at: list[str] = []

    def look(backend: Backend, _field: str) -> Problem | None:
        looked_at.append(backend.name)
        return None

    world.backends.answer, world.backends.closing = look, {"small-v1": CLOSED}
    asked.queries.clear()
    world.apply(models=models(small=40), rollout=STEPS)
    await run(world, ticker, 600)

    assert world.splits() == [{"large-v1": 10_000}]
    assert not world.rollouts()
    assert set(looked_at) == {"large-v1"}
    assert {arm.service for query in asked.queries for arm in query.arms} == {"large-v1"}
    assert world.status["phase"] == "Holding"
    assert world.status["message"] == (
        "spec.models[1].backendRef: make a ReferenceGrant in shared; the live route stays as it was: large 100 %"
    )
    conditions = {each["type"]: (each["status"], each["reason"]) for each in world.status["conditions"]}
    assert conditions["Accepted"] == ("False", "RefNotPermitted")
    assert conditions["Stalled"] == ("True", "RefNotPermitted"), "it is waited for as a Service is, then a person is"

    world.backends.closing = {}
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    assert world.weights()["small-v1"] == 2_000


async def test_a_first_route_is_not_made_for_a_backend_that_it_may_not_name() -> None:
    world = World()
    world.backends.closing = {"small-v1": CLOSED}
    world.apply(models=models(small=100), rollout={**STEPS, "initialModel": "small"})
    await run(world, world.ticker(), 60)

    assert world.splits() == []
    assert world.status["phase"] == "Pending"
    assert "no route is made" in world.status["message"]


async def test_a_grant_that_goes_holds_the_step_and_what_its_backend_counts_is_read_no_more() -> None:
    world, ticker, asked = await resting()
    world.apply(models=models(small=40), rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    await run(world, ticker, 30)
    assert not any(arm.is_closed for query in asked.queries for arm in query.arms)

    world.backends.closing = {"small-v1": CLOSED}
    asked.queries.clear()
    await run(world, ticker, 30)
    assert {arm.service: arm.is_closed for query in asked.queries for arm in query.arms} == {
        "large-v1": False,
        "small-v1": True,
    }
    assert (world.status["phase"], world.weights()["small-v1"]) == ("Holding", 2_000)
    assert "make a ReferenceGrant in shared" in world.status["message"]

    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, in_phase("RolledBack"))


async def test_a_way_back_that_may_not_be_named_any_more_is_closed() -> None:
    world, ticker, _ = await resting()
    world.apply(models=models(small=100), rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    world.backends.closing = {"large-v1": CLOSED}
    await run(world, ticker, 30)

    assert "the way back to large: make a ReferenceGrant in shared" in world.status["message"]
