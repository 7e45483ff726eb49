"""What a rollout must never lose while it is under way: somebody to go back to, and somebody who looks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.controller.reading import read_model_route
from modelroute.controller.tick import Ticker
from modelroute.errors import Invalid
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend

STEPS = {"steps": [{**STEP, "progress": 50}, {**STEP, "progress": 100}]}


async def replacing() -> tuple[World, Ticker]:
    """The small model takes over from the large one, and is in its first step."""
    world = World()
    ticker = world.ticker()
    world.apply(large=100, small=0, rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    return world, ticker


async def run(world: World, ticker: Ticker, seconds: float) -> int:
    """How many looks that took."""
    end, looks = world.now + seconds, 0
    while world.now < end:
        world.now += await ticker.tick(NAMESPACE, NAME) or 1.0
        looks += 1
    return looks


def large_is_scaled_to_nothing(backend: Backend, field: str) -> Problem | None:
    if backend.name != "large-v1":
        return None
    return Problem(Reason.NO_READY_ENDPOINTS, f"{field}: Service large-v1 has no ready endpoint")


async def test_no_more_traffic_while_nobody_could_take_it_back_and_on_it_goes_when_somebody_can() -> None:
    world, ticker = await replacing()
    world.backends.answer = large_is_scaled_to_nothing
    await run(world, ticker, 120)

    assert world.weights()["small-v1"] == 5_000
    assert world.status["phase"] == "Holding"
    assert "the way back to large: Service large-v1 has no ready endpoint" in world.status["message"]

    world.backends.answer = lambda _backend, _field: None
    await run_until(world, ticker, in_phase("Stable"))
    assert world.weights()["small-v1"] == 10_000


async def test_a_person_may_go_on_without_a_way_back() -> None:
    world, ticker = await replacing()
    world.backends.answer = large_is_scaled_to_nothing
    await run(world, ticker, 60)
    world.act("promote")
    await run_until(world, ticker, lambda status: status.get("step") == "2/2")


NEWER: list[tuple[str, Any]] = [
    ("objectives", [{"name": "errors", "metric": "GroundednessBelow", "maxIncrease": "0.5pp"}]),
    ("rollout", {**STEPS, "onDeadline": "AskTheOracle"}),
    ("metrics", {"source": "Semaphore"}),
    ("guard", {"onBreach": "Sing"}),
]


@pytest.mark.parametrize(("field", "value"), NEWER, ids=[field for field, _ in NEWER])
async def test_a_spec_that_only_a_newer_operator_can_read_keeps_nobody_from_seeing_harm(field: str, value: Any) -> None:
    world, ticker = await replacing()
    body = world.get("modelroutes")
    world.store("modelroutes", {**body, "spec": {**body["spec"], field: value}})
    await run(world, ticker, 60)

    assert world.weights()["small-v1"] == 5_000
    assert world.status["phase"] == "Holding"
    assert f"spec.{field}" in world.status["message"]
    assert "this operator cannot read it" in world.status["message"]

    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, lambda _: world.weights()["large-v1"] == 10_000)


async def test_what_a_newer_operator_wrote_into_the_status_is_no_obstacle() -> None:
    world, ticker = await replacing()
    world.get("modelroutes")["status"]["phase"] = "Dancing"
    await run_until(world, ticker, in_phase("Stable"))


def test_without_models_that_can_be_read_nothing_can_be_said() -> None:
    world = World()
    world.apply()
    body = world.get("modelroutes")
    body["spec"]["models"][1]["tier"] = "Enormous"

    with pytest.raises(Invalid, match=r"spec\.models\[1\]\.tier"):
        read_model_route(body)


async def test_a_candidate_whose_record_cannot_be_read_goes_back_also_while_it_fails() -> None:
    world, ticker = await replacing()
    world.rollouts()[-1]["status"]["engineState"] = json.dumps({"v": "99"})
    world.bad_share["small-v1"] = 1.0
    await run(world, ticker, 10)

    assert {name: weight for name, weight in world.weights().items() if weight} == {"large-v1": 10_000}
    assert "until then all traffic is where it was before: large 100 %" in world.status["message"]


async def test_a_gateway_that_keeps_silent_is_asked_once_a_window_and_the_same_is_said_of_it() -> None:
    world, ticker = await replacing()
    world.gateway_takes = False
    world.store("httproutes", {**world.get("httproutes"), "status": {}})
    await run(world, ticker, 90)
    since = len(world.journal)
    looks = await run(world, ticker, 600)

    assert looks <= 600 / 5 + 1
    told = {write.body["status"]["message"] for write in world.journal[since:] if str(write) == "status modelroutes"}
    assert len(told) == 1, told


async def test_samples_that_always_arrive_late_hold_nothing_up_for_ever() -> None:
    """Five scrapes, which are one window here."""
    world, ticker = await replacing()
    world.late_s = 5.0
    await run_until(world, ticker, in_phase("Stable"))

    assert world.weights()["small-v1"] == 10_000


async def test_samples_that_arrive_far_too_late_hold_and_are_asked_for_now_and_then() -> None:
    world, ticker = await replacing()
    world.late_s = 120.0
    await run(world, ticker, 60)
    since = len(world.journal)
    looks = await run(world, ticker, 300)

    assert world.weights()["small-v1"] == 5_000
    assert "the scrapes that complete the last windows are not in Prometheus yet" in world.status["message"]
    ready = next(each for each in world.status["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "LateData")
    assert looks <= 310
    told = {write.body["status"]["message"] for write in world.journal[since:] if str(write) == "status modelroutes"}
    assert len(told) == 1, told


async def test_a_model_that_answers_nobody_keeps_nobody_from_going_back_to_the_reference() -> None:
    world, ticker = await replacing()
    await run_until(world, ticker, in_phase("Stable"))
    world.requests = 0.0
    world.apply(large=100, small=0, rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")


async def moving_on(*, had: int) -> tuple[World, Ticker]:
    """In the first step from `had` % of small to 80 %."""
    world = World()
    ticker = world.ticker()
    world.apply(large=100 - had, small=had, rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=20, small=80, rollout=STEPS)
    await run_until(world, ticker, lambda status: bool((status.get("objectives") or [{}])[0].get("candidateRequests")))
    return world, ticker


@pytest.mark.parametrize("had", [0, 40])
async def test_what_the_failing_model_keeps_is_said_because_nobody_watches_it_there(had: int) -> None:
    world, ticker = await moving_on(had=had)
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RolledBack"))
    await run(world, ticker, 60)

    (told,) = [each.message for each in world.events if each.reason is Reason.ROLLED_BACK]
    for said in (told, world.status["message"]):
        assert "small is worse on errors than allowed" in said
        assert ("small keeps the 40 % that it had before, and is not watched there" in said) == (had == 40)


async def test_of_an_attempt_that_a_person_ended_nobody_is_said_to_fail() -> None:
    world, ticker = await moving_on(had=40)
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))

    assert "keeps" not in world.status["message"]
