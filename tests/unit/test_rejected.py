"""A step that the gateway rejects goes back: its users may get errors that nothing counts. Whole ticks, fakes."""

from __future__ import annotations

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.rejected import PATIENCE_S
from modelroute.rollout.split import Backend

STEPS: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}
REJECTS = "Gateway chat/inference reports Accepted=False, Accepted: no such listener"
BACK = {"large-v1": 10_000}


async def in_first_step(*, small: int = 40) -> tuple[World, Ticker]:
    world = World()
    ticker = world.ticker()
    world.apply(large=100, small=0, rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=100 - small, small=small, rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    await run(world, ticker, 20)
    return world, ticker


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        world.now += min(await ticker.tick(NAMESPACE, NAME) or 1.0, max(end - world.now, 0.05))
    await ticker.tick(NAMESPACE, NAME)


def small(world: World) -> int:
    return world.weights().get("small-v1", 0)


async def test_a_step_that_the_gateway_goes_on_rejecting_goes_back_and_says_what_the_gateway_said() -> None:
    world, ticker = await in_first_step()
    world.the_gateway(rejects=True)
    await run(world, ticker, PATIENCE_S / 2)
    assert (world.status["phase"], small(world)) == ("Holding", 2_000)
    assert f"{REJECTS}; the attempt goes back unless that ends within 10s" in world.status["message"]
    await run(world, ticker, PATIENCE_S / 2 + 1)
    assert (world.status["phase"], small(world)) == ("RollingBack", 0)
    assert world.said("GatewayRejected")[-1] == REJECTS

    world.the_gateway(takes=True)
    await run_until(world, ticker, in_phase("RolledBack"))
    (rollout,) = world.rollouts()
    assert rollout["status"]["phase"] == "RolledBack"
    assert rollout["status"]["decision"]["reason"] == "GatewayRejected"
    await run(world, ticker, 60)
    retry = f"retry@{world.status['nextAction']}"
    assert world.status["message"] == (
        f"attempt 1 was rolled back: {REJECTS}. Live: large 100 %. Mend what the gateway names, then say {retry}, or"
        " change its models or objectives"
    )
    world.act("retry")
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")


@pytest.mark.parametrize("then", ["takes", "keeps silent"])
async def test_a_rejection_of_a_moment_ends_no_attempt(then: str) -> None:
    world, ticker = await in_first_step()
    for _ in range(5):
        world.the_gateway(rejects=True)
        await run(world, ticker, PATIENCE_S - 1)
        world.the_gateway(takes=then == "takes")
        await run(world, ticker, 5)

    assert small(world) == 2_000
    assert world.said("RollingBack") == []


async def test_a_restarted_operator_is_as_patient_and_no_more() -> None:
    world, ticker = await in_first_step()
    world.the_gateway(rejects=True)
    await run(world, ticker, PATIENCE_S - 1)
    await run(world, world.ticker(), PATIENCE_S - 1)
    assert small(world) == 2_000
    await run(world, world.ticker(), PATIENCE_S + 1)
    assert small(world) == 0


@pytest.mark.parametrize("how", ["paused", "awaiting"])
async def test_neither_a_pause_nor_an_approval_that_is_awaited_keeps_it_from_going_back(how: str) -> None:
    world, ticker = await in_first_step()
    if how == "paused":
        world.act("pause")
    else:
        awaiting = {"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]}
        world.apply(large=60, small=40, rollout=awaiting)
    await run(world, ticker, 20)
    world.the_gateway(rejects=True)
    await run(world, ticker, PATIENCE_S + 5)

    assert small(world) == 0


async def test_what_the_gateway_cannot_resolve_is_left_out_and_stays_so() -> None:
    """With weight 0 it would be rejected all the same, so that it would come and go with every look."""
    world, ticker = await in_first_step()
    world.unresolved.add("small-v1")
    world.the_gateway(takes=True)
    await run_until(world, ticker, in_phase("RolledBack"))
    since = world.served[-1][0]
    await run(world, ticker, 600)

    assert [weights for at, weights in world.served if at >= since] == [BACK, BACK], "the last to take a note off"
    assert world.status["phase"] == "RolledBack"


@pytest.mark.parametrize("wanted", [40, 100])
async def test_it_does_not_go_back_to_what_could_not_take_the_traffic_either(wanted: int) -> None:
    def answer(backend: Backend, field: str) -> Problem | None:
        gone = backend.name == "large-v1"
        return Problem(Reason.BACKEND_NOT_FOUND, f"{field}: Service large-v1 does not exist") if gone else None

    world, ticker = await in_first_step(small=wanted)
    world.backends.answer = answer
    world.unresolved.add("large-v1")
    world.the_gateway(takes=True)
    before = world.weights()
    await run(world, ticker, 120)

    assert world.weights() == before
    assert world.status["phase"] == "Holding"
    assert "goes back" not in world.status["message"]


async def test_a_rejected_route_that_gives_candidates_no_more_than_before_ends_no_attempt() -> None:
    """The step was decided, and the route could not be written."""
    world, ticker = await not_written()
    world.the_gateway(rejects=True)
    for _ in range(10):
        with pytest.raises(Unavailable):
            await run(world, ticker, 10)

    assert world.weights() == BACK
    assert world.rollouts()[-1]["status"]["phase"] == "Progressing"


async def not_written() -> tuple[World, Ticker]:
    world = World()
    ticker = world.ticker()
    world.apply(large=100, small=0, rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    refused = Unavailable("403: an admission policy")
    world.faults.before = lambda write: refused if write.kind == "httproutes" else None
    world.apply(large=60, small=40, rollout=STEPS)
    with pytest.raises(Unavailable):
        await run(world, ticker, 30)
    return world, ticker


async def test_a_problem_that_comes_after_a_rollback_does_not_hide_it() -> None:
    world, ticker = await in_first_step()
    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, in_phase("RolledBack"))
    world.backends.answer = lambda backend, field: (
        Problem(Reason.BACKEND_NOT_FOUND, f"{field}: no such Service") if backend.name == "small-v1" else None
    )
    await run(world, ticker, 30)

    assert world.status["phase"] == "Holding"
    assert world.status["message"].startswith(
        "spec.models[1].backendRef: no such Service; the live route stays as it was: large 100 %. Before, attempt 1 was"
        " rolled back: small is worse on errors than allowed"
    )
