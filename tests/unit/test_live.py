"""What the status calls live: what every parent reports accepted, and not what was only ordered."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker

LARGE_ONLY, FIRST_STEP = "large 100 %", "small 20 %, large 80 %"
GATEWAY = f"Gateway {NAMESPACE}/inference"
LONG = {"steps": [{"progress": 50, "minRequests": 10_000_000}, {**STEP, "progress": 100}]}


async def at_rest() -> tuple[World, Ticker]:
    world = World()
    world.apply(large=100, small=0, rollout=LONG)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        delay = await ticker.tick(NAMESPACE, NAME)
        assert delay is not None
        world.now += delay


async def first_step() -> tuple[World, Ticker]:
    """The first step is live and counted."""
    world, ticker = await at_rest()
    world.apply(large=60, small=40, rollout=LONG)
    await run(world, ticker, 30)
    assert world.status["live"] == FIRST_STEP
    return world, ticker


async def ordered(**spec: Any) -> tuple[World, Ticker]:
    """The first step is ordered, and the gateway keeps silent."""
    world, ticker = await at_rest()
    world.gateway_takes = False
    world.apply(large=60, small=40, rollout=LONG, **spec)
    await run(world, ticker, 5)
    return world, ticker


def gateway_takes_what_is_there(world: World) -> None:
    world.gateway_takes = True
    world.store("httproutes", world.get("httproutes"))


def condition(status: Json, kind: str) -> Json:
    return next(each for each in status["conditions"] if each["type"] == kind)


async def test_a_split_that_is_only_ordered_is_not_live_and_the_message_says_whom_it_waits_for() -> None:
    world, ticker = await ordered()

    assert world.weights() == {"large-v1": 8_000, "small-v1": 2_000}
    assert world.status["live"] == LARGE_ONLY
    assert f"{FIRST_STEP}, ordered and not live yet. Waiting: {GATEWAY} has not" in world.status["message"]
    assert condition(world.status, "Programmed")["status"] == "Unknown"
    assert world.rollouts()[-1]["status"]["live"] == LARGE_ONLY

    gateway_takes_what_is_there(world)
    await run(world, ticker, 3)

    assert world.status["live"] == world.rollouts()[-1]["status"]["live"] == FIRST_STEP
    assert "not live yet" not in world.status["message"]
    assert condition(world.status, "Programmed")["status"] == "True"


async def test_the_tick_that_orders_a_split_does_not_call_it_live_even_where_the_gateway_takes_it_at_once() -> None:
    world, ticker = await at_rest()
    world.apply(large=60, small=40, rollout=LONG)

    await ticker.tick(NAMESPACE, NAME)

    assert world.status["live"] == LARGE_ONLY
    assert f"Waiting: {GATEWAY} has not accepted the split yet" in world.status["message"]
    assert (condition(world.status, "Programmed")["status"], condition(world.status, "Programmed")["reason"]) == (
        "Unknown",
        "WaitingForGateway",
    )


async def test_a_split_that_one_of_two_parents_took_is_not_live() -> None:
    world, ticker = await at_rest()
    two = [{"name": "inference"}, {"name": "edge"}]
    world.apply(large=100, small=0, rollout=LONG, parentRefs=two)
    await run(world, ticker, 5)
    world.gateway_takes = False
    world.apply(large=60, small=40, rollout=LONG, parentRefs=two)
    await run(world, ticker, 3)
    route = world.get("httproutes")
    first, second = (copy.deepcopy(each) for each in world._taken(route))
    for each in second["conditions"]:
        each["observedGeneration"] -= 1
    world.store("httproutes", {**route, "status": {"parents": [first, second]}})

    await run(world, ticker, 3)

    assert world.status["live"] == LARGE_ONLY
    assert f"Waiting: Gateway {NAMESPACE}/edge has not reported" in world.status["message"]
    assert "inference has not" not in world.status["message"]


async def test_a_split_that_the_gateway_rejects_is_not_live() -> None:
    world, ticker = await ordered()
    route = world.get("httproutes")
    (taken,) = copy.deepcopy(world._taken(route))
    taken["conditions"][1].update(status="False", reason="BackendNotFound", message="no such Service")
    world.store("httproutes", {**route, "status": {"parents": [taken]}})

    await run(world, ticker, 3)

    assert world.status["live"] == LARGE_ONLY
    assert f"Waiting: {GATEWAY} reports ResolvedRefs=False, BackendNotFound: no such Service" in world.status["message"]


async def test_a_rollback_is_live_only_when_the_gateway_has_it() -> None:
    world, ticker = await first_step()
    world.gateway_takes = False
    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RollingBack"))
    await run(world, ticker, 20)

    assert world.weights() == {"large-v1": 10_000, "small-v1": 0}
    assert world.status["live"] == world.rollouts()[-1]["status"]["live"] == FIRST_STEP
    assert world.status["message"].startswith("going back to large 100 % because ")
    assert f"Waiting: {GATEWAY} has not reported" in world.status["message"]

    gateway_takes_what_is_there(world)
    await run_until(world, ticker, in_phase("RolledBack"))

    assert world.status["live"] == world.rollouts()[-1]["status"]["live"] == LARGE_ONLY


async def test_a_rollback_that_the_gateway_never_confirms_still_names_the_candidates_share() -> None:
    world, ticker = await first_step()
    world.gateway_takes = False
    world.bad_share["small-v1"] = 0.3

    await run_until(world, ticker, lambda status: "not confirmed by the gateway" in status["message"])
    await run(world, ticker, 10)

    assert world.status["phase"] == "Holding"
    assert world.status["live"] == FIRST_STEP
    assert f"large 100 % is ordered, and waits: {GATEWAY} has not reported" in world.status["message"]


async def test_what_is_remembered_of_a_backend_is_told_under_the_name_that_the_attempt_has_for_it() -> None:
    world, ticker = await at_rest()
    world.apply(large=50, small=50, rollout={"steps": [{**STEP, "progress": 100}]})
    await run_until(world, ticker, in_phase("Stable", attempt=1))
    world.gateway_takes = False
    world.apply(large=50, small=50, small_service="small-v2", rollout=LONG)
    await run(world, ticker, 5)

    assert world.status["live"] == "large 50 %, small@small-v1 50 %"
    shares = {each["arm"]: (each["backend"], each["weight"]) for each in world.status["liveWeights"]}
    assert shares["small"] == ("small-v2:8000", 0)
    assert shares["small@small-v1"] == ("small-v1:8000", 5_000)


async def test_what_somebody_else_put_on_the_route_is_live_when_the_gateway_has_it() -> None:
    world, ticker = await at_rest()
    route = world.get("httproutes")
    refs = route["spec"]["rules"][0]["backendRefs"]
    theirs = {**refs[0], "name": "theirs", "weight": 1}
    spec = {
        **route["spec"],
        "rules": [{**route["spec"]["rules"][0], "backendRefs": [{**refs[0], "weight": 3}, theirs]}],
    }
    world.store("httproutes", {**route, "spec": spec})

    await ticker.tick(NAMESPACE, NAME)

    assert world.status["live"] == "theirs 25 %, large 75 %"


@pytest.mark.parametrize("takes", [True, False])
async def test_nothing_is_live_where_there_was_no_route(takes: bool) -> None:
    world, ticker = await at_rest()
    world.gateway_takes = takes
    del world.objects["httproutes", NAMESPACE, NAME]

    await ticker.tick(NAMESPACE, NAME)

    assert "live" not in world.status
    await run(world, ticker, 10)
    assert world.status.get("live") == (LARGE_ONLY if takes else None)


async def test_before_a_first_split_is_accepted_nothing_is_called_live() -> None:
    world = World(gateway_takes=False)
    world.apply()
    ticker = world.ticker()
    await run(world, ticker, 10)

    assert world.weights() == {"large-v1": 10_000}
    assert "live" not in world.status
    assert condition(world.status, "Ready")["message"].endswith("live: nothing reported yet")


async def test_a_lost_status_does_not_make_an_order_live() -> None:
    world, ticker = await ordered()
    world.store("modelroutes", {**world.get("modelroutes"), "status": {}})

    await run(world, ticker, 5)

    assert "live" not in world.status
    gateway_takes_what_is_there(world)
    await run(world, ticker, 3)
    assert world.status["live"] == FIRST_STEP
