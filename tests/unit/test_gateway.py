"""The HTTPRoute: what is rendered, what is read back, and when it counts as live."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from modelroute.errors import Conflict
from modelroute.gateway.observe import observe
from modelroute.gateway.render import Json, Template, as_it_is, render, split_from_text, split_to_text
from modelroute.gateway.routes import Routes
from modelroute.rollout.decision import RouteOrder
from modelroute.rollout.observation import Acceptance
from modelroute.rollout.split import Backend, Share, Split

LARGE, SMALL = Backend("chat", "llama-70b", 8000), Backend("chat", "llama-8b", 8000)
STABLE: Split = (Share("large", LARGE, 10_000),)
STEP: Split = (Share("large", LARGE, 9_000), Share("small", SMALL, 1_000))
TEMPLATE = Template(
    namespace="chat",
    name="support",
    owner_uid="uid-1",
    parent_refs=({"name": "inference"}, {"name": "edge", "namespace": "infra", "sectionName": "https"}),
    hostnames=("chat.example.com",),
)


def condition(kind: str, status: str = "True", *, generation: int = 3) -> Json:
    return {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "reason": "R",
        "message": "said",
    }


def parent(ref: Json, *conditions: Json) -> Json:
    return {"parentRef": ref, "controllerName": "example.com/gw", "conditions": list(conditions)}


INFERENCE = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inference"}
EDGE = {"name": "edge", "namespace": "infra", "sectionName": "https"}
TAKEN = (condition("Accepted"), condition("ResolvedRefs"))


def live(*parents: Json, order: RouteOrder | None = None) -> Json:
    route = render(TEMPLATE, order or RouteOrder(STEP, STABLE))
    route["metadata"]["generation"] = 3
    route["metadata"]["resourceVersion"] = "7"
    route["status"] = {"parents": list(parents)}
    return route


def test_the_route_says_all_that_the_operator_owns() -> None:
    route = render(TEMPLATE, RouteOrder(STEP, STABLE))

    assert route["spec"] == {
        "parentRefs": list(TEMPLATE.parent_refs),
        "hostnames": ["chat.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": "llama-70b", "port": 8000, "weight": 9_000},
                    {"group": "", "kind": "Service", "name": "llama-8b", "port": 8000, "weight": 1_000},
                ],
            }
        ],
    }
    assert route["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


def test_a_users_matches_filters_and_timeouts_pass_through_untouched() -> None:
    matches = ({"headers": [{"name": "x-tier", "value": "gold"}]},)
    filters = ({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},)
    template = Template("chat", "support", "uid-1", ({"name": "g"},), (), matches, filters, {"request": "30s"})

    rule = render(template, RouteOrder(STEP, STABLE))["spec"]["rules"][0]

    assert (rule["matches"], rule["filters"], rule["timeouts"]) == (
        list(matches),
        list(filters),
        {"request": "30s"},
    )


def test_a_backend_in_another_namespace_is_named_with_it() -> None:
    elsewhere = (Share("small", Backend("models", "llama-8b", 8000), 10_000),)

    ref = render(TEMPLATE, RouteOrder(elsewhere, elsewhere))["spec"]["rules"][0]["backendRefs"][0]

    assert ref["namespace"] == "models"


@pytest.mark.parametrize(
    ("parents", "acceptance", "says"),
    [
        ((parent(INFERENCE, *TAKEN), parent(EDGE, *TAKEN)), Acceptance.LIVE, ""),
        ((parent(INFERENCE, *TAKEN),), Acceptance.WAITING, "infra/edge has not reported on the route"),
        (
            (parent(INFERENCE, *TAKEN), parent(EDGE, condition("Accepted"))),
            Acceptance.WAITING,
            "has not reported ResolvedRefs for generation 3",
        ),
        (
            (
                parent(INFERENCE, *TAKEN),
                parent(EDGE, condition("Accepted", generation=2), condition("ResolvedRefs")),
            ),
            Acceptance.WAITING,
            "has not reported Accepted for generation 3",
        ),
        (
            (
                parent(INFERENCE, condition("Accepted"), condition("ResolvedRefs", "False")),
                parent(EDGE, *TAKEN),
            ),
            Acceptance.REJECTED,
            "Gateway chat/inference reports ResolvedRefs=False, R: said",
        ),
        (
            (parent(INFERENCE, condition("Accepted", "Unknown"), condition("ResolvedRefs")), parent(EDGE, *TAKEN)),
            Acceptance.WAITING,
            "Gateway chat/inference reports Accepted=Unknown, R: said",
        ),
        ((), Acceptance.WAITING, "chat/inference has not reported on the route"),
    ],
)
def test_a_route_is_live_when_every_parent_takes_this_generation(
    parents: tuple[Json, ...], acceptance: Acceptance, says: str
) -> None:
    seen = observe(live(*parents), TEMPLATE)

    assert seen.acceptance is acceptance
    assert says in seen.message


def test_a_route_that_somebody_else_made_is_foreign_and_says_what_to_do() -> None:
    route = live()
    route["metadata"] |= {"ownerReferences": [], "labels": {}}

    seen = observe(route, TEMPLATE)

    assert seen.acceptance is Acceptance.FOREIGN
    assert "rename the ModelRoute, or delete that HTTPRoute" in seen.message


def test_what_the_operator_noted_on_the_route_is_read_back() -> None:
    seen = observe(live(order=RouteOrder(STABLE, STABLE, rollback_of="support-4")), TEMPLATE)

    assert seen.stable == STABLE
    assert seen.rollback_of == "support-4"


def test_where_the_note_is_lost_the_stable_split_is_what_the_route_carries() -> None:
    route = live()
    route["metadata"]["annotations"] = {}

    seen = observe(route, TEMPLATE)

    assert seen.stable is not None
    assert {share.backend: share.weight for share in seen.stable} == {LARGE: 9_000, SMALL: 1_000}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '[["m","","Service","n","b",80,5]]',
        "[[1,2]]",
        '[["m","","","n","b",1,-1]]',
    ],
)
def test_a_note_that_is_not_a_split_is_no_split(text: str) -> None:
    assert split_from_text(text) is None


def test_a_noted_split_comes_back_without_the_arms_at_nothing() -> None:
    assert split_from_text(split_to_text((*STEP, Share("spare", Backend("chat", "x", 1), 0)))) == STEP


class FakeStore:
    """A route in memory, with the API server's defaults and resourceVersions."""

    def __init__(self) -> None:
        self.route: Json | None = None
        self.writes: list[str] = []

    async def get(self, namespace: str, name: str) -> Json | None:
        return copy.deepcopy(self.route)

    async def create(self, namespace: str, body: Json) -> Json:
        if self.route is not None:
            raise Conflict("already exists")
        self.writes.append("create")
        return self._store(body)

    async def apply(self, namespace: str, name: str, body: Json) -> Json:
        expected = body["metadata"].get("resourceVersion")
        if expected is not None and self.route is not None and expected != self.version:
            raise Conflict("the object has been modified")
        self.writes.append("apply")
        return self._store(body)

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json:
        raise AssertionError("no route of these tests is patched")

    @property
    def version(self) -> str:
        return "" if self.route is None else str(self.route["metadata"]["resourceVersion"])

    def _store(self, body: Json) -> Json:
        stored: dict[str, Any] = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(int(self.version or 0) + 1)
        for rule in stored["spec"].get("rules", []):
            rule["defaulted"] = "by the server"
        self.route = stored
        return copy.deepcopy(stored)


async def test_a_route_that_is_as_ordered_is_not_written_again() -> None:
    store = FakeStore()
    routes = Routes(store)
    await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), None)

    await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), await store.get("chat", "support"))

    assert store.writes == ["create", "apply"]


async def test_a_restarted_operator_applies_once_and_then_rests() -> None:
    store = FakeStore()
    await Routes(store).ensure(TEMPLATE, RouteOrder(STEP, STABLE), None)
    restarted = Routes(store)
    for _ in range(3):
        await restarted.ensure(TEMPLATE, RouteOrder(STEP, STABLE), await store.get("chat", "support"))

    assert store.writes == ["create", "apply", "apply"]


async def test_what_somebody_else_changed_is_seen_and_restored() -> None:
    store = FakeStore()
    routes = Routes(store)
    await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), None)
    assert store.route is not None
    store.route["spec"]["rules"][0]["matches"][0]["method"] = "GET"
    changed = await store.get("chat", "support")
    assert changed is not None

    assert routes.was_changed(TEMPLATE, changed)
    after = await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), changed)

    assert "method" not in after["spec"]["rules"][0]["matches"][0]


async def test_a_weight_does_not_rise_over_a_route_that_changed_since_it_was_read() -> None:
    store = FakeStore()
    routes = Routes(store)
    read = await routes.ensure(TEMPLATE, RouteOrder(STABLE, STABLE), None)
    await store.apply("chat", "support", {**read, "metadata": {**read["metadata"]}})

    with pytest.raises(Conflict):
        await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), read)


async def test_nothing_fences_a_rollback() -> None:
    store = FakeStore()
    routes = Routes(store)
    read = await routes.ensure(TEMPLATE, RouteOrder(STEP, STABLE), None)
    await store.apply("chat", "support", {**read, "metadata": {**read["metadata"]}})

    after = await routes.ensure(TEMPLATE, RouteOrder(STABLE, STABLE, rollback_of="support-1"), read, fenced=False)

    assert [ref["weight"] for ref in after["spec"]["rules"][0]["backendRefs"]] == [10_000]


async def test_a_route_that_appears_under_our_name_meanwhile_is_not_taken_over() -> None:
    store = FakeStore()
    await store.create("chat", {"metadata": {"name": "support"}, "spec": {}})

    with pytest.raises(Conflict):
        await Routes(store).ensure(TEMPLATE, RouteOrder(STABLE, STABLE), None)


def test_where_the_specs_own_words_cannot_be_used_the_route_keeps_its_own() -> None:
    route = live()
    route["spec"]["rules"][0]["timeouts"] = {"request": "30s"}
    broken = Template("chat", "support", "uid-1", (), filters=({"type": "NoSuchFilter"},))

    after = render(as_it_is(broken, route), RouteOrder(STABLE, STABLE))

    assert after["spec"]["parentRefs"] == route["spec"]["parentRefs"]
    assert after["spec"]["hostnames"] == ["chat.example.com"]
    assert "filters" not in after["spec"]["rules"][0]
    assert after["spec"]["rules"][0]["timeouts"] == {"request": "30s"}
    assert [ref["weight"] for ref in after["spec"]["rules"][0]["backendRefs"]] == [10_000]
