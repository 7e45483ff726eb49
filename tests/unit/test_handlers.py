"""What wakes a ModelRoute's task: what a person or the gateway did, and not what the operator itself wrote."""

from __future__ import annotations

import copy
from typing import Any

import kopf
import pytest

from modelroute.controller.handlers import Backoffs, register
from modelroute.controller.loop import Loop
from modelroute.gateway.overlaps import Overlaps

Json = dict[str, Any]
ROUTE: Json = {
    "metadata": {"name": "support", "namespace": "chat", "uid": "u1", "generation": 1, "resourceVersion": "1"},
    "spec": {},
}
HTTP_ROUTE: Json = {
    "metadata": {"name": "support", "namespace": "chat", "uid": "h1", "labels": {"modelroute.dev/route": "support"}},
    "spec": {"rules": []},
    "status": {"parents": []},
}


class Woken(Loop):
    """A loop that only notes who was woken, and spread over which time."""

    def __init__(self) -> None:
        self.wakes: list[tuple[str, str, float]] = []

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        return frozenset({("chat", "support")})

    def wake(self, namespace: str, name: str, *, spread_s: float = 0.0) -> None:
        self.wakes.append((namespace, name, spread_s))


class Watch:
    """kopf's part: it calls the handler of a kind with every event."""

    def __init__(self) -> None:
        self.loop = Woken()
        registry = kopf.OperatorRegistry()
        self.overlaps = Overlaps()
        register(registry, self.loop, self.overlaps)
        handlers: dict[str, Any] = {
            str(handler.id).split(".")[-1]: handler.fn for handler in registry._watching.get_all_handlers()
        }
        assert set(handlers) == {"model_route", "http_route"}
        self._handlers = handlers

    async def see(self, kind: str, body: Json, type: str | None = "MODIFIED") -> bool:
        """Whether it woke the ModelRoute."""
        before = len(self.loop.wakes)
        await self._handlers[kind](event={"type": type, "object": copy.deepcopy(body)})
        return len(self.loop.wakes) > before


def with_(body: Json, part: str, **fields: object) -> Json:
    return {**body, part: {**body.get(part, {}), **fields}}


@pytest.mark.parametrize(
    ("kind", "changed", "wakes"),
    [
        ("model_route", with_(ROUTE, "status", phase="Stable"), False),
        ("model_route", with_(ROUTE, "metadata", resourceVersion="2"), False),
        ("model_route", with_(ROUTE, "metadata", generation=2), True),
        ("model_route", with_(ROUTE, "metadata", uid="u2"), True),
        ("model_route", with_(ROUTE, "metadata", annotations={"modelroute.dev/action": "approve@1"}), True),
        ("model_route", with_(ROUTE, "metadata", deletionTimestamp="2026-01-02T12:00:00Z"), True),
        ("http_route", with_(HTTP_ROUTE, "metadata", resourceVersion="2"), False),
        ("http_route", with_(HTTP_ROUTE, "spec", hostnames=["theirs.example.com"]), True),
        ("http_route", with_(HTTP_ROUTE, "status", parents=[{"conditions": []}]), True),
    ],
    ids=[
        "our status",
        "nothing that we know of",
        "a new spec",
        "another object of its name",
        "an annotation",
        "a deletion that began",
        "the route, nothing that matters",
        "the route's spec",
        "the gateway's word",
    ],
)
async def test_only_what_others_did_wakes(kind: str, changed: Json, wakes: bool) -> None:
    watch = Watch()
    await watch.see(kind, ROUTE if kind == "model_route" else HTTP_ROUTE, None)

    assert await watch.see(kind, changed) is wakes
    assert await watch.see(kind, changed) is False, "the same again is nothing new"


async def test_objects_that_were_there_at_the_start_are_spread_and_new_ones_are_looked_at_now() -> None:
    watch = Watch()
    await watch.see("model_route", ROUTE, None)
    await watch.see("model_route", with_(ROUTE, "metadata", name="new"), "ADDED")

    assert [(name, spread_s > 0) for _, name, spread_s in watch.loop.wakes] == [("support", True), ("new", False)]


@pytest.mark.parametrize(("kind", "body"), [("model_route", ROUTE), ("http_route", HTTP_ROUTE)])
async def test_a_deletion_wakes_and_what_comes_back_under_its_name_does_too(kind: str, body: Json) -> None:
    watch = Watch()
    await watch.see(kind, body, "ADDED")

    assert await watch.see(kind, body, "DELETED")
    assert await watch.see(kind, body, "ADDED")


@pytest.mark.parametrize(
    "body",
    [
        with_(HTTP_ROUTE, "metadata", labels={}, name="other"),
        with_(HTTP_ROUTE, "metadata", labels=None, name="other"),
        with_(HTTP_ROUTE, "metadata", labels={"modelroute.dev/route": "nobody"}),
        with_(HTTP_ROUTE, "metadata", namespace="mail"),
    ],
    ids=["no label of ours", "no labels", "a route that is not there", "another namespace"],
)
async def test_routes_of_others_wake_nobody(body: Json) -> None:
    assert await Watch().see("http_route", body, "ADDED") is False


def test_kopf_never_runs_out_of_patience() -> None:
    backoffs = Backoffs()

    for _ in range(2):
        iterator = iter(backoffs)
        assert [next(iterator) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_a_route_of_somebody_else_that_has_our_name_wakes_us_so_that_we_see_it_go() -> None:
    theirs = with_(HTTP_ROUTE, "metadata", labels=None)

    assert await Watch().see("http_route", theirs, "DELETED") is True


async def test_since_when_a_gateway_says_so_is_no_news() -> None:
    watch = Watch()
    said = {"type": "Accepted", "status": "True", "lastTransitionTime": "2026-01-02T12:00:00Z"}
    again = {**said, "lastTransitionTime": "2026-01-02T12:00:01Z"}
    await watch.see("http_route", with_(HTTP_ROUTE, "status", parents=[{"conditions": [said]}]), "ADDED")

    assert not await watch.see("http_route", with_(HTTP_ROUTE, "status", parents=[{"conditions": [again]}]))
    other = {**again, "status": "False"}
    assert await watch.see("http_route", with_(HTTP_ROUTE, "status", parents=[{"conditions": [other]}]))


async def test_what_routes_want_is_known_from_the_watch_until_they_are_deleted() -> None:
    watch = Watch()
    body = with_(HTTP_ROUTE, "spec", parentRefs=[{"name": "inference"}], rules=[{}])
    await watch.see("http_route", body)
    theirs = with_(body, "metadata", name="theirs", uid="h2", labels={})
    await watch.see("http_route", theirs)
    assert "chat/theirs" in watch.overlaps.told_of(("chat", "support"))
    await watch.see("http_route", theirs, type="DELETED")

    assert watch.overlaps.told_of(("chat", "support")) == ""
