"""Two routes that want the same requests: which, and which of them gets them, from what the watch brought."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, World, in_phase, run_until

from modelroute.gateway.overlaps import Overlaps

Json = dict[str, Any]


def route(name: str, *, made: str = "2026-01-01T00:00:00Z", namespace: str = "chat", **spec: Any) -> Json:
    said = {"parentRefs": [{"name": "inference"}], "hostnames": ["chat.example.com"], "rules": [{}], **spec}
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": made}, "spec": said}


def told(*others: Json, of: Json | None = None) -> str:
    overlaps = Overlaps()
    ours = of or route("ours", made="2026-01-02T00:00:00Z")
    for each in (ours, *others):
        overlaps.note(each)
    return overlaps.told_of((ours["metadata"]["namespace"], ours["metadata"]["name"]))


def test_the_older_route_is_named_and_so_is_what_comes_of_it() -> None:
    assert told(route("theirs")) == (
        "HTTPRoute chat/theirs has the same Gateway, hostname and match and is older, so by Gateway API's rules this"
        " route gets no request: change one of the two"
    )


def test_a_younger_route_is_named_too() -> None:
    assert "chat/theirs has the same" in told(route("theirs", made="2026-01-03T00:00:00Z"))
    assert "is younger" in told(route("theirs", made="2026-01-03T00:00:00Z"))


def test_of_the_same_age_the_first_by_name_goes_before() -> None:
    at = "2026-01-02T00:00:00Z"
    assert "comes first by name of those made in the same second, so by Gateway API's rules this route gets no" in told(
        route("a", made=at)
    )
    assert "comes later by name of those made in the same second, so by Gateway API's rules it gets no" in told(
        route("z", made=at)
    )


PATH = {"path": {"type": "PathPrefix", "value": "/v1"}}


@pytest.mark.parametrize(
    ("spec", "overlaps"),
    [
        ({}, True),
        ({"rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]}, True),
        ({"hostnames": ["CHAT.example.com"]}, True),
        ({"hostnames": ["a.example.com", "chat.example.com"]}, True),
        ({"parentRefs": [{"name": "inference", "namespace": "chat", "kind": "Gateway"}]}, True),
        ({"rules": [{"matches": [PATH]}, {}]}, True),
        ({"hostnames": ["other.example.com"]}, False),
        ({"hostnames": []}, False),
        ({"rules": [{"matches": [PATH]}]}, False),
        ({"rules": []}, False),
        ({"parentRefs": [{"name": "other"}]}, False),
        ({"parentRefs": [{"name": "inference", "namespace": "infra"}]}, False),
        ({"parentRefs": [{"name": "inference", "sectionName": "web"}]}, False),
        ({"parentRefs": None, "rules": None, "hostnames": None}, False),
    ],
)
def test_what_is_the_same_and_what_is_not(spec: Json, overlaps: bool) -> None:
    assert bool(told(route("theirs", **spec))) is overlaps


def test_a_route_that_went_or_changed_overlaps_no_more() -> None:
    overlaps = Overlaps()
    for each in (route("ours"), route("theirs"), route("more")):
        overlaps.note(each)
    overlaps.forget(("chat", "theirs"))
    overlaps.note(route("more", hostnames=["other.example.com"]))

    assert overlaps.told_of(("chat", "ours")) == ""
    assert overlaps.told_of(("chat", "nobody")) == ""


async def test_it_is_told_in_the_condition_and_by_one_event_and_moves_nothing() -> None:
    world = World()
    world.apply(large=100, small=0)
    overlaps = Overlaps()
    ticker = world.ticker()
    ticker = replace(ticker, ports=replace(ticker.ports, overlaps=overlaps))
    await run_until(world, ticker, in_phase("Stable"))
    overlaps.note(world.get("httproutes"))
    theirs = world.get("httproutes")["spec"]
    overlaps.note({"metadata": {"name": "a-rival", "namespace": NAMESPACE}, "spec": theirs})
    before = world.get("httproutes")
    for _ in range(5):
        world.now += await ticker.tick(NAMESPACE, NAME) or 0.0

    programmed = next(each for each in world.status["conditions"] if each["type"] == "Programmed")
    assert (programmed["status"], programmed["reason"]) == ("True", "RouteOverlaps")
    assert "HTTPRoute chat/a-rival has the same Gateway" in programmed["message"]
    assert len(world.said("RouteOverlaps")) == 1
    assert world.status["phase"] == "Stable"
    assert world.get("httproutes") == before
    overlaps.forget((NAMESPACE, "a-rival"))
    await ticker.tick(NAMESPACE, NAME)
    assert "RouteOverlaps" not in str(world.status)
