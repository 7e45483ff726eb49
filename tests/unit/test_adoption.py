"""A rule of the user's own route: only its weights are ever written, and they are put back. Whole ticks, fakes."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, WINDOW_S, Fault, World, Write, in_phase, run_until

from modelroute.cluster.client import Json
from modelroute.controller.finalizer import FINALIZER
from modelroute.controller.tick import Ticker
from modelroute.errors import ModelRouteError, Unavailable

OWN = "shop"
BACK = {"large-v1": 10_000, "small-v1": 0}
ADOPTING: dict[str, Any] = {"routeRef": {"name": OWN, "rule": "chat"}, "parentRefs": None}


def ref(name: str, weight: int | None, **more: Any) -> Json:
    weighted = {} if weight is None else {"weight": weight}
    return {"group": "", "kind": "Service", "name": name, "port": 8000, **weighted, **more}


def own_route(*, large: int | None = 100, small: int | None = 0, **metadata: Any) -> Json:
    """A route as people keep it in Git: rules of others around the named one, filters, and an annotation."""
    foreign = {"name": "images", "matches": [{"path": {"value": "/img"}}], "backendRefs": [ref("cdn", 1)]}
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}
    chat = {
        "name": "chat",
        "matches": [{"path": {"value": "/v1"}}],
        "filters": [header],
        "backendRefs": [ref("large-v1", large), ref("small-v1", small, filters=[header])],
        "timeouts": {"request": "30s"},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": OWN,
            "namespace": NAMESPACE,
            "annotations": {"modelroute.dev/adopt": NAME, "team": "chat"},
            **metadata,
        },
        "spec": {"parentRefs": [{"name": "inference"}], "hostnames": ["a.example"], "rules": [foreign, chat]},
    }


def weights(world: World) -> dict[str, int]:
    rules = world.get("httproutes", OWN)["spec"]["rules"]
    chat: Json = next((rule for rule in rules if rule["name"] == "chat"), {"backendRefs": []})
    return {each["name"]: each.get("weight", 1) for each in chat["backendRefs"]}


class Adopting(World):
    """A world whose traffic follows the adopted rule."""

    def weights(self) -> dict[str, int]:
        return weights(self) if self.get("httproutes", OWN) else {}


def apply(world: World, large: int, small: int, **spec: Any) -> None:
    world.apply(large=large, small=small, **{**ADOPTING, **spec})


async def adopted(**spec: Any) -> tuple[World, Ticker]:
    """At rest on a rule that gives all traffic to the large model."""
    world = Adopting()
    world.store("httproutes", own_route())
    apply(world, 100, 0, **spec)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker


async def under_way() -> tuple[World, Ticker]:
    world, ticker = await adopted()
    apply(world, 60, 40)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    return world, ticker


def without_weights(route: Json) -> Json:
    bare = copy.deepcopy({"spec": route["spec"], "annotations": route["metadata"]["annotations"]})
    for each in bare["spec"]["rules"][1]["backendRefs"]:
        each.pop("weight", None)
    return bare


async def test_a_rollout_on_an_adopted_rule_changes_no_byte_but_its_weights() -> None:
    world, ticker = await adopted()
    before = without_weights(world.get("httproutes", OWN))
    apply(world, 60, 40)
    await run_until(world, ticker, in_phase("Stable"))

    assert weights(world) == {"large-v1": 6000, "small-v1": 4000}
    assert without_weights(world.get("httproutes", OWN)) == before
    assert [str(each) for each in world.journal if each.kind == "httproutes" and each.verb != "patch"] == []


async def test_the_split_that_the_rule_carries_is_where_the_rollout_starts() -> None:
    world = Adopting()
    world.store("httproutes", own_route(large=3, small=1))
    apply(world, 0, 100, objectives=[{"name": "errors", "metric": "ErrorRate", "max": "5%"}])
    await run_until(world, world.ticker(), lambda status: status.get("step") == "1/2")

    assert weights(world) == {"large-v1": 3750, "small-v1": 6250}


async def test_harm_takes_an_adopted_rule_back() -> None:
    world, ticker = await under_way()
    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, in_phase("RolledBack"))

    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}


def renamed(route: Json) -> None:
    route["spec"]["rules"][1]["name"] = "other"


def not_let(route: Json) -> None:
    del route["metadata"]["annotations"]["modelroute.dev/adopt"]


def without_the_small_one(route: Json) -> None:
    route["spec"]["rules"][1]["backendRefs"].pop()


def with_a_stranger(route: Json) -> None:
    route["spec"]["rules"][1]["backendRefs"].append(ref("stranger", 5))


def listed_twice(route: Json) -> None:
    route["spec"]["rules"][1]["backendRefs"].append(ref("small-v1", 0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (renamed, "spec.routeRef.rule: HTTPRoute shop has no rule named chat"),
        (not_let, "does not have the annotation modelroute.dev/adopt: support"),
        (without_the_small_one, "does not list the backend of small, Service chat/small-v1:8000"),
        (with_a_stranger, "sends traffic to Service chat/stranger:8000, which is no model's backend"),
        (listed_twice, "lists a backend twice"),
    ],
)
async def test_a_rule_that_cannot_be_adopted_is_told_and_not_written(change: Any, says: str) -> None:
    route = own_route()
    change(route)
    world = Adopting()
    world.store("httproutes", route)
    apply(world, 60, 40)
    ticker = world.ticker()
    for _ in range(5):
        world.now += await ticker.tick(NAMESPACE, NAME) or 0

    assert says in world.status["message"]
    assert [each for each in world.journal if each.kind == "httproutes"] == []
    assert not world.status["stable"]


@pytest.mark.parametrize("change", [not_let, renamed])
async def test_a_way_back_on_a_rule_that_cannot_be_written_any_more_does_not_claim_weights(change: Any) -> None:
    world, ticker = await under_way()
    route = copy.deepcopy(world.get("httproutes", OWN))
    change(route)
    world.store("httproutes", route)
    await ticks(world, ticker, 20)
    world.act("abort")
    await ticks(world, ticker, 400)

    (ended,) = world.said("RolledBack")
    assert ended.startswith("attempt 1 ends with unknown weights, for the rule cannot be written any more (")
    assert ended.endswith("): a person aborted it")
    assert world.rollouts()[-1]["status"]["phase"] == "Aborted"
    assert world.status["phase"] == "Pending"
    assert "; which weights are live is not known. Before, attempt 1 was rolled back" in world.status["message"]
    assert "large 100 %" not in world.status["message"]


async def test_a_route_that_is_not_there_is_waited_for() -> None:
    world = Adopting()
    apply(world, 60, 40)
    ticker = world.ticker()
    await ticker.tick(NAMESPACE, NAME)
    assert "HTTPRoute shop does not exist" in world.status["message"]

    world.store("httproutes", own_route())
    await run_until(world, ticker, in_phase("Stable"))
    assert weights(world) == {"large-v1": 6000, "small-v1": 4000}


async def test_rules_and_backends_that_change_places_in_the_middle_of_a_rollout_keep_their_weights() -> None:
    world, ticker = await under_way()
    route = world.get("httproutes", OWN)
    route["spec"]["rules"].reverse()
    route["spec"]["rules"][0]["backendRefs"].reverse()
    world.store("httproutes", route)
    await ticker.tick(NAMESPACE, NAME)

    rules = world.get("httproutes", OWN)["spec"]["rules"]
    assert [rule["name"] for rule in rules] == ["chat", "images"]
    assert [each["name"] for each in rules[0]["backendRefs"]] == ["small-v1", "large-v1"]
    assert [each.get("weight") for each in rules[1]["backendRefs"]] == [1]


async def test_weights_that_somebody_else_sets_are_restored_with_an_event() -> None:
    world, ticker = await under_way()
    expected = weights(world)
    world.store("httproutes", own_route(large=50, small=50))
    await run_until(world, ticker, lambda _: weights(world) == expected, within_s=60)

    assert len(world.said("RouteRestored")) == 1


async def fought_over() -> tuple[World, Ticker, int]:
    """Somebody sets the weights back before each tick, for five minutes; the writes that came of it."""
    world, ticker = await under_way()
    world.journal.clear()
    end = world.now + 300
    while world.now < end:
        world.store("httproutes", own_route(large=50, small=50))
        world.now += min(await ticker.tick(NAMESPACE, NAME) or 0, 10)
    return world, ticker, sum(each.kind == "httproutes" for each in world.journal)


async def test_a_route_that_is_fought_over_is_left_alone_after_a_few_times_and_says_so() -> None:
    world, _, writes = await fought_over()

    assert writes <= 5
    conditions = {each["type"]: each for each in world.status["conditions"]}
    assert (conditions["Programmed"]["status"], conditions["Programmed"]["reason"]) == ("False", "RouteContended")
    assert world.status["phase"] == "Holding"


async def test_a_rollback_does_not_heed_the_limit_of_a_fight() -> None:
    world, ticker, _ = await fought_over()
    world.act("abort")
    await ticker.tick(NAMESPACE, NAME)

    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}


async def test_a_fight_during_a_rollback_costs_few_writes_and_fewer_events_and_goes_on() -> None:
    """Somebody writes the weights back a second after each of ours, for ten minutes."""
    world, ticker = await under_way()
    world.act("abort")
    await ticker.tick(NAMESPACE, NAME)
    assert weights(world) == BACK
    world.journal.clear()
    world.events.clear()
    back = 0
    for _ in range(600):
        world.store("httproutes", own_route(large=50, small=50))
        await ticker.tick(NAMESPACE, NAME)
        back += weights(world) == BACK
        world.now += 1.0

    written = [str(each) for each in world.journal]
    assert 100 <= back == written.count("patch httproutes") <= 125
    assert len(world.events) <= 16
    assert written.count("status modelroutes") + written.count("status modelrollouts") <= 10
    assert "somebody else keeps changing the weights" in world.status["message"]
    await run_until(world, ticker, in_phase("RolledBack"))
    assert weights(world) == BACK


@pytest.mark.parametrize("record", ["is kept", "was deleted"])
async def test_what_was_rolled_back_is_taken_back_in_a_fight_that_goes_on_after_it(record: str) -> None:
    """Somebody gives the failing candidate half of the traffic again, every 20 s, for 15 minutes."""
    world, ticker = await under_way()
    world.bad_share["small-v1"] = 1.0
    await run_until(world, ticker, in_phase("RolledBack"))
    if record == "was deleted":
        for key in [key for key in world.objects if key[0] == "modelrollouts"]:
            del world.objects[key]
    world.events.clear()
    failing_s, due = 0, world.now
    for second in range(900):
        if second % 20 == 0:
            world.store("httproutes", own_route(large=50, small=50))
            due = world.now
        if world.now >= due:
            due = world.now + (await ticker.tick(NAMESPACE, NAME) or 0)
        world.now += 1.0
        failing_s += weights(world) != BACK

    assert failing_s == 0
    assert world.status["phase"] == "Holding"
    assert "what was rolled back is taken back every few seconds" in world.status["message"]
    assert len(world.said("RouteRestored")) <= 20
    world.now += 700
    await run_until(world, ticker, in_phase("RolledBack"))


async def test_in_a_fight_nobody_gives_a_candidate_that_is_refused_what_somebody_took_from_it() -> None:
    world, ticker = await adopted()
    apply(world, 60, 40)
    await run_until(world, ticker, in_phase("Stable"))
    apply(world, 20, 80)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))
    for _ in range(20):
        world.store("httproutes", own_route(large=100, small=0))
        world.now += min(await ticker.tick(NAMESPACE, NAME) or 0, 10)

    assert world.status["phase"] == "Holding"
    assert weights(world) == {"large-v1": 100, "small-v1": 0}


async def test_a_fight_that_ends_is_forgotten() -> None:
    world, ticker, _ = await fought_over()
    world.now += 700
    await run_until(world, ticker, in_phase("Stable"))

    assert weights(world) == {"large-v1": 6000, "small-v1": 4000}


# A rollback is not undone.


def rolling_back(write: Write) -> bool:
    return str(write) == "status modelrollouts" and write.body["status"].get("phase") == "RollingBack"


def once(is_it: Callable[[Write], bool]) -> Fault:
    """The first such write fails."""
    left = [True]

    def fault(write: Write) -> Exception | None:
        if left[0] and is_it(write):
            left[0] = False
            return Unavailable("500: etcdserver: leader changed")
        return None

    return fault


async def harmed_while(fault: Fault) -> tuple[World, Ticker]:
    """Harm is shown, `fault` befalls what is written of it, and the route is back at the stable split."""
    world, ticker = await under_way()
    for _ in range(3):
        await ticker.tick(NAMESPACE, NAME)
        world.now += WINDOW_S
    world.bad_share["small-v1"] = 0.5
    world.faults.before = fault
    for _ in range(10):
        with contextlib.suppress(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        if weights(world) == BACK:
            return world, ticker
        world.now += WINDOW_S
    raise AssertionError("never went back")


async def never_rises_again(world: World, ticker: Ticker) -> None:
    end = world.now + 400
    while world.now < end and world.status.get("phase") != "RolledBack":
        with contextlib.suppress(ModelRouteError):
            await ticker.tick(NAMESPACE, NAME)
        assert weights(world) == BACK
        world.now += 2.0
    assert world.status["phase"] == "RolledBack"


LATER: dict[str, Callable[[World], Any]] = {
    "as it was": lambda _world: None,
    "Prometheus is down": lambda world: setattr(world, "prometheus_problem", Unavailable("down")),
    "the counts were lost": lambda world: world.bad_share.clear(),
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("later", LATER)
async def test_no_tick_undoes_a_rollback_that_could_not_be_written_down(later: str, restarted: bool) -> None:
    world, ticker = await harmed_while(once(rolling_back))
    LATER[later](world)

    await never_rises_again(world, world.ticker() if restarted else ticker)


@pytest.mark.parametrize("later", LATER)
async def test_no_tick_undoes_a_rollback_of_which_nothing_could_be_written_down_but_the_route(later: str) -> None:
    world, ticker = await harmed_while(lambda write: None if write.kind == "httproutes" else Unavailable("down"))
    LATER[later](world)
    for _ in range(10):
        with contextlib.suppress(ModelRouteError):
            await ticker.tick(NAMESPACE, NAME)
        assert weights(world) == BACK
        world.now += 1.0
    world.faults.before = lambda _write: None

    await never_rises_again(world, ticker)


async def baking() -> tuple[World, Ticker]:
    """A promotion that a breach takes back."""
    spec: dict[str, Any] = {
        "objectives": [{"name": "errors", "metric": "ErrorRate", "max": "5%"}],
        "guard": {"bake": "30m", "onBreach": "RollBack"},
    }
    world, ticker = await adopted(**spec)
    apply(world, 60, 40, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker


async def test_no_tick_undoes_what_the_guard_took_back_and_could_not_write_down() -> None:
    """Its record says Promoted until the rollback is written down."""
    world, ticker = await baking()
    world.bad_share["small-v1"] = 0.5
    world.faults.before = once(rolling_back)
    while weights(world) != BACK:
        with contextlib.suppress(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += WINDOW_S
    world.bad_share.clear()

    await never_rises_again(world, ticker)


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_abort_that_could_not_be_written_down_at_once_is_told_as_an_abort(restarted: bool) -> None:
    world, ticker = await under_way()
    world.act("abort")
    world.faults.before = once(rolling_back)
    with pytest.raises(Unavailable):
        await ticker.tick(NAMESPACE, NAME)
    world.now += 1.0
    await run_until(world, world.ticker() if restarted else ticker, in_phase("RolledBack"))

    ended = world.rollouts()[-1]["status"]
    assert (ended["phase"], ended["reason"]) == ("Aborted", "Aborted")
    assert world.status["message"] == "attempt 1 is back at large 100 %: a person aborted it"
    assert world.status["refused"]["reason"] == "Aborted"


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_the_guard_took_back_and_could_not_write_down_at_once_says_which_bound_was_broken(
    restarted: bool,
) -> None:
    world, ticker = await baking()
    world.bad_share["small-v1"] = 0.5
    world.faults.before = once(rolling_back)
    while weights(world) != BACK:
        with contextlib.suppress(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += WINDOW_S
    world.bad_share.clear()
    await run_until(world, world.ticker() if restarted else ticker, in_phase("RolledBack"))

    ended = world.rollouts()[-1]["status"]
    assert (ended["phase"], ended["reason"]) == ("RolledBack", "GuardBreached")
    # The status that a new operator goes by says so in its message only.
    assert restarted or ended["decision"]["objective"] == "errors"
    assert "small breaks the bound of errors, at most 5.00%" in world.status["message"]


# A rule that lost the backend of the way back.


def without_the_large_one(world: World) -> None:
    route = copy.deepcopy(world.get("httproutes", OWN))
    route["spec"]["rules"][1]["backendRefs"].pop(0)
    world.store("httproutes", route)


async def ticks(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        delay: float | None = 5.0
        with contextlib.suppress(ModelRouteError):
            delay = await ticker.tick(NAMESPACE, NAME)
        world.now += min(delay or 5.0, 5.0)


async def test_the_guard_does_not_go_back_to_what_the_rule_no_longer_lists() -> None:
    spec: dict[str, Any] = {
        "objectives": [{"name": "errors", "metric": "ErrorRate", "max": "1%"}],
        "guard": {"bake": "30m", "onBreach": "RollBack"},
    }
    world, ticker = await adopted(**spec)
    apply(world, 0, 100, **spec)
    await run_until(world, ticker, lambda status: "promoted" in status.get("message", ""))
    without_the_large_one(world)
    world.bad_share["small-v1"] = 0.3
    await ticks(world, ticker, 120)

    assert weights(world) == {"small-v1": 10_000}
    assert world.status["phase"] == "Stable"
    assert len(world.said("GuardBreached")) >= 1
    assert "rule chat of HTTPRoute shop does not list the backend of large" in world.status["guard"]


async def test_a_rollback_to_what_the_rule_no_longer_lists_leaves_the_split_and_says_what_to_do() -> None:
    world, ticker = await under_way()
    without_the_large_one(world)
    world.bad_share["small-v1"] = 0.5
    world.act("abort")
    await ticks(world, ticker, 60)

    assert weights(world)["small-v1"] > 0
    assert world.status["phase"] == "RollingBack"
    assert "add Service chat/large-v1:8000 to rule chat of HTTPRoute shop" in world.status["message"]

    route = copy.deepcopy(world.get("httproutes", OWN))
    route["spec"]["rules"][1]["backendRefs"].insert(0, ref("large-v1", 0))
    world.store("httproutes", route)
    await run_until(world, ticker, in_phase("RolledBack"))
    assert weights(world) == BACK


# Deletion.


def deleted(world: World) -> None:
    """`kubectl delete`: gone at once, or when the finalizer is."""
    route = world.get("modelroutes")
    if FINALIZER in (route["metadata"].get("finalizers") or []):
        route["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
        world.store("modelroutes", route)
    else:
        world.objects.pop(("modelroutes", NAMESPACE, NAME))


async def test_a_finalizer_stands_only_while_there_is_something_to_put_back() -> None:
    world, ticker = await adopted()
    assert not world.get("modelroutes")["metadata"].get("finalizers")
    apply(world, 60, 40)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    assert world.get("modelroutes")["metadata"]["finalizers"] == [FINALIZER]
    await run_until(world, ticker, in_phase("Stable"))
    await ticker.tick(NAMESPACE, NAME)
    assert not world.get("modelroutes")["metadata"].get("finalizers")


async def test_deleting_in_the_middle_puts_the_adopted_rule_back_and_the_object_goes() -> None:
    world, ticker = await under_way()
    deleted(world)
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert world.get("modelroutes") == {}
    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}


async def test_deleting_while_the_route_cannot_be_written_waits_for_it() -> None:
    world, ticker = await under_way()
    deleted(world)
    world.faults.before = lambda write: Unavailable("down") if write.kind == "httproutes" else None
    with pytest.raises(Unavailable):
        await ticker.tick(NAMESPACE, NAME)
    assert world.get("modelroutes")

    world.faults.before = lambda _write: None
    assert await ticker.tick(NAMESPACE, NAME) is None
    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}


async def test_deleting_both_the_route_and_the_model_route_leaves_nothing_stuck() -> None:
    world, ticker = await under_way()
    deleted(world)
    world.objects.pop(("httproutes", NAMESPACE, OWN))
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert world.get("modelroutes") == {}


async def test_a_route_that_its_owner_took_back_is_left_as_it_is_when_the_model_route_goes() -> None:
    world, ticker = await under_way()
    route = own_route(large=9, small=1)
    not_let(route)
    world.store("httproutes", route)
    deleted(world)
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert weights(world) == {"large-v1": 9, "small-v1": 1}
    assert world.get("modelroutes") == {}


async def test_a_backend_that_somebody_gives_traffic_at_rest_loses_it_also_long_after_its_attempt() -> None:
    world, ticker = await adopted()
    world.now += 3600
    route = copy.deepcopy(world.get("httproutes", OWN))
    route["spec"]["rules"][1]["backendRefs"][1]["weight"] = 4_000
    world.store("httproutes", route)
    await run_until(world, ticker, lambda status: status["phase"] == "Stable" and weights(world)["small-v1"] == 0)

    assert weights(world)["large-v1"] > 0


async def test_a_rollout_on_an_adopted_rule_starts_over_where_its_record_was_deleted() -> None:
    world, _ = await under_way()
    for key in [key for key in world.objects if key[0] == "modelrollouts"]:
        del world.objects[key]
    await run_until(world, world.ticker(), in_phase("Stable", attempt=2))

    assert weights(world) == {"large-v1": 6_000, "small-v1": 4_000}


async def test_deleting_in_the_middle_puts_the_adopted_rule_back_also_without_its_record() -> None:
    world, ticker = await under_way()
    for key in [key for key in world.objects if key[0] == "modelrollouts"]:
        del world.objects[key]
    body = world.get("modelroutes")
    world.store("modelroutes", {**body, "metadata": {**body["metadata"], "deletionTimestamp": "now"}})
    await ticker.tick(NAMESPACE, NAME)

    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}
    assert not world.get("modelroutes")


async def test_deleting_it_when_the_rule_no_longer_lists_the_way_back_leaves_the_rule_serving() -> None:
    world, ticker = await under_way()
    without_the_large_one(world)
    deleted(world)
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert world.get("modelroutes") == {}
    assert weights(world) == {"small-v1": 2000}


# Another rule.


def at(world: World, route: str) -> dict[str, int]:
    chat = next(rule for rule in world.get("httproutes", route)["spec"]["rules"] if rule["name"] == "chat")
    return {each["name"]: each.get("weight", 1) for each in chat["backendRefs"]}


class TwoRoutes(Adopting):
    """Traffic follows whichever of the two rules the ModelRoute is on."""

    def weights(self) -> dict[str, int]:
        ref = self.status.get("routeRef") or {"name": OWN}
        return at(self, ref["name"]) if self.get("httproutes", ref["name"]) else {}


ELSEWHERE: dict[str, Any] = {"routeRef": {"name": "other", "rule": "chat"}}


def made_elsewhere(world: World, **weights: int) -> None:
    route = own_route(**weights)
    route["metadata"]["name"] = "other"
    world.store("httproutes", route)


async def under_way_on_one_of_two() -> tuple[World, Ticker]:
    world = TwoRoutes()
    world.store("httproutes", own_route())
    made_elsewhere(world, large=90, small=10)
    apply(world, 100, 0)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    apply(world, 60, 40)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    return world, ticker


async def test_another_route_ref_in_the_middle_goes_back_on_the_old_rule_before_the_new_one_is_written() -> None:
    world, ticker = await under_way_on_one_of_two()
    apply(world, 60, 40, **ELSEWHERE)
    await run_until(world, ticker, lambda _: at(world, OWN) == BACK, within_s=10)
    assert at(world, "other") == {"large-v1": 90, "small-v1": 10}
    await run_until(world, ticker, in_phase("Stable"))

    assert [each["status"]["phase"] for each in world.rollouts()] == ["Superseded", "Promoted"]
    assert at(world, OWN) == BACK
    assert at(world, "other") == {"large-v1": 6000, "small-v1": 4000}
    started = world.rollouts()[1]["spec"]["from"]
    assert {share["arm"]: share["weight"] for share in started} == {"large": 9000, "small": 1000}


async def test_another_route_ref_at_rest_starts_from_what_the_new_rule_carries() -> None:
    world, ticker = await under_way_on_one_of_two()
    await run_until(world, ticker, in_phase("Stable"))
    apply(world, 60, 40, **ELSEWHERE)
    await ticker.tick(NAMESPACE, NAME)
    assert at(world, "other") == {"large-v1": 9000, "small-v1": 1000}
    await run_until(world, ticker, in_phase("Stable", attempt=2))

    assert at(world, "other") == {"large-v1": 6000, "small-v1": 4000}
    assert at(world, OWN) == {"large-v1": 6000, "small-v1": 4000}


async def test_a_rule_that_is_named_again_starts_from_what_it_carries_by_then() -> None:
    """Not from what was promoted on it before another one was named."""
    world, ticker = await under_way_on_one_of_two()
    await run_until(world, ticker, in_phase("Stable"))
    made_elsewhere(world, large=60, small=40)
    apply(world, 60, 40, **ELSEWHERE)
    await ticks(world, ticker, 30)
    assert (world.status["phase"], world.status["routeRef"]["name"]) == ("Stable", "other")
    # Nobody manages it any more: its owner takes it back by hand.
    world.store("httproutes", own_route())
    world.prometheus_problem = Unavailable("down")
    apply(world, 60, 40)
    await ticks(world, ticker, 60)
    assert at(world, OWN) == BACK

    world.prometheus_problem = None
    await run_until(world, ticker, in_phase("Stable", attempt=2))
    assert at(world, OWN) == {"large-v1": 6000, "small-v1": 4000}
    started = world.rollouts()[1]["spec"]["from"]
    assert {share["arm"]: share["weight"] for share in started if share["weight"]} == {"large": 10_000}
    await ticks(world, ticker, 60)
    assert world.status["rollout"] == "support-2"


async def test_a_rule_that_carries_what_is_wanted_is_watched_over_like_any_other() -> None:
    world, ticker = await under_way_on_one_of_two()
    await run_until(world, ticker, in_phase("Stable"))
    made_elsewhere(world, large=60, small=40)
    apply(world, 60, 40, **ELSEWHERE)
    for _ in range(3):
        await ticker.tick(NAMESPACE, NAME)
        world.now += 2.0
    assert (world.status["phase"], world.status["routeRef"]["name"]) == ("Stable", "other")
    made_elsewhere(world, large=10, small=90)
    for _ in range(3):
        await ticker.tick(NAMESPACE, NAME)
        world.now += 2.0

    assert at(world, "other") == {"large-v1": 6000, "small-v1": 4000}


async def test_deleting_it_after_its_route_ref_changed_puts_back_the_rule_that_the_attempt_was_on() -> None:
    world, ticker = await under_way_on_one_of_two()
    apply(world, 60, 40, **ELSEWHERE)
    deleted(world)
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert at(world, OWN) == BACK
    assert at(world, "other") == {"large-v1": 90, "small-v1": 10}


async def test_a_rule_whose_owner_took_it_back_is_not_waited_for_for_ever_when_the_route_ref_changes() -> None:
    world, ticker = await under_way_on_one_of_two()
    route = copy.deepcopy(world.get("httproutes", OWN))
    not_let(route)
    world.store("httproutes", route)
    apply(world, 60, 40, **ELSEWHERE)
    await ticks(world, ticker, 400)

    assert len(world.rollouts()) == 2
    assert world.rollouts()[0]["status"]["phase"] == "Superseded"


@pytest.mark.parametrize("unreadable", ["spec", "record"])
async def test_deleting_what_only_a_newer_operator_can_read_puts_the_adopted_rule_back(unreadable: str) -> None:
    world, ticker = await under_way()
    if unreadable == "spec":
        body = world.get("modelroutes")
        world.store("modelroutes", {**body, "spec": {**body["spec"], "metrics": {"source": "Semaphore"}}})
    else:
        (record,) = [each for each in world.rollouts() if not each["status"].get("finishedAt")]
        record["spec"]["objectives"][0]["metric"] = "GroundednessBelow"
    deleted(world)
    assert await ticker.tick(NAMESPACE, NAME) is None

    assert world.get("modelroutes") == {}
    assert weights(world) == {"large-v1": 10_000, "small-v1": 0}
