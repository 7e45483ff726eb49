"""One tick after another on a world in memory: the order of writes, crashes between any two of them, and failures."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes import (
    NAME,
    NAMESPACE,
    STEP,
    WINDOW_S,
    Crash,
    Fault,
    Faults,
    World,
    Write,
    in_phase,
    run_for,
    run_until,
)

from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout
from modelroute.controller.records import attempt_of, progress_of
from modelroute.controller.tick import Ticker
from modelroute.errors import Conflict, Invalid, Unavailable
from modelroute.rollout.attempt import Record, weights_of
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend

ROUTE, ROLLOUT, STATUS = "apply httproutes", "status modelrollouts", "status modelroutes"
BACK = {"large-v1": 10_000}


async def stable(world: World | None = None) -> tuple[World, Ticker]:
    """A world at rest with all traffic on large."""
    world = world or World()
    world.apply(large=100, small=0)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker


async def progressing() -> tuple[World, Ticker]:
    """A world in the first step of a rollout, live and settled, with minutes to go."""
    world, ticker = await stable()
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "3m"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, lambda status: bool((status.get("objectives") or [{}])[0].get("candidateRequests")))
    return world, ticker


def failing(error: Exception, *kinds: str) -> Fault:
    """`error` for every write but those to the route; only for `kinds` of writes where some are given."""
    return lambda write: error if str(write) != ROUTE and (not kinds or str(write) in kinds) else None


def crash_at(number: int) -> Fault:
    """Crash at the write of that number, from 0, and at no later one."""
    counted = itertools.count()
    return lambda _write: Crash() if next(counted) == number else None


# The order.


async def test_a_step_is_written_down_before_the_route_and_told_after_it() -> None:
    world, ticker = await stable()
    world.apply()
    since = len(world.journal)

    await ticker.tick(NAMESPACE, NAME)

    writes = [str(write) for write in world.journal[since:]]
    assert writes == ["create modelrollouts", ROLLOUT, ROUTE, STATUS, "create events", "create events"]


async def test_weights_rise_only_to_what_is_written_down() -> None:
    world, ticker = await stable()
    written: dict[str, int] = {}

    def check(write: Write) -> None:
        if str(write) == ROLLOUT:
            rollout = parse(ModelRollout, write.body)
            attempt = attempt_of(rollout.spec, name=rollout.metadata.name, namespace=NAMESPACE)
            weights = weights_of(Record(attempt, progress_of(rollout.status, attempt)))
            written.update({arm.backend.name: weights[arm.name] for arm in attempt.arms})
        if str(write) == ROUTE and written:
            refs = write.body["spec"]["rules"][0]["backendRefs"]
            assert {ref["name"]: ref["weight"] for ref in refs} == written

    world.faults = Faults(before=check)
    world.apply()

    await run_until(world, ticker, in_phase("Stable", attempt=1))

    assert world.splits() == [BACK, {"large-v1": 8_000, "small-v1": 2_000}, {"large-v1": 6_000, "small-v1": 4_000}]


# Crashes.


async def promotion(world: World, ticker: Callable[[], Ticker]) -> None:
    await until_done(world, ticker, in_phase("Stable", attempt=1))


async def rollback(world: World, ticker: Callable[[], Ticker]) -> None:
    world.bad_share = {"small-v1": 0.3}
    await until_done(world, ticker, in_phase("RolledBack", attempt=1))


async def until_done(world: World, ticker: Callable[[], Ticker], done: Callable[[Any], bool]) -> None:
    """Run, and after a crash run on with a fresh operator, as Kubernetes would."""
    while True:
        try:
            await run_until(world, ticker(), done)
            return
        except Crash:
            world.now += 0.5


async def run_with(scenario: Callable[[World, Callable[[], Ticker]], Any], faults: Faults) -> World:
    world, _ = await stable()
    world.apply()
    world.faults = faults
    await scenario(world, world.ticker)
    return world


@pytest.mark.parametrize("scenario", [promotion, rollback])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_at_any_write_repeats_and_skips_nothing(
    scenario: Callable[[World, Callable[[], Ticker]], Any], moment: str
) -> None:
    undisturbed = await run_with(scenario, Faults())
    writes = len(undisturbed.journal)
    assert writes > 20

    for number in range(writes):
        world = await run_with(scenario, Faults(**{moment: crash_at(number)}))

        context = f"crashed {moment} write {number}"
        assert world.splits() == undisturbed.splits(), context
        (rollout,) = world.rollouts()
        (expected,) = undisturbed.rollouts()
        assert rollout["status"]["phase"] == expected["status"]["phase"], context
        assert rollout["status"].get("decision", {}).get("reason") == expected["status"].get("decision", {}).get(
            "reason"
        ), context
        assert world.status["live"] == undisturbed.status["live"], context


async def test_windows_that_passed_while_nobody_looked_are_counted_once_each() -> None:
    world, _ = await progressing()
    before = world.rollouts()[-1]["status"]
    world.now += 10 * WINDOW_S

    await world.ticker().tick(NAMESPACE, NAME)
    await world.ticker().tick(NAMESPACE, NAME)

    after = world.rollouts()[-1]["status"]
    per_window = world.requests * 0.2
    counted = (after["objectives"][0]["candidateRequests"] - before["objectives"][0]["candidateRequests"]) / per_window
    assert counted == 10
    assert after["startedAt"] == before["startedAt"]


# What fails while a rollback is due.


@pytest.mark.parametrize(
    "kinds",
    [(ROLLOUT,), (STATUS,), ("create events",), ()],
    ids=["ModelRollout", "status", "events", "all but the route"],
)
@pytest.mark.parametrize("error", [Unavailable("500"), Conflict("409"), Invalid("422")], ids=str)
async def test_no_failing_write_keeps_a_rollback_from_the_route(error: Exception, kinds: tuple[str, ...]) -> None:
    world, ticker = await progressing()
    world.bad_share = {"small-v1": 0.5}
    world.faults = Faults(before=failing(error, *kinds))

    for _ in range(10):
        world.now += WINDOW_S
        try:
            await ticker.tick(NAMESPACE, NAME)
        except (Unavailable, Conflict, Invalid):
            continue
    assert world.splits()[-1] == BACK

    world.faults = Faults()
    await run_until(world, world.ticker(), in_phase("RolledBack"))
    (rollout,) = world.rollouts()
    assert rollout["status"]["phase"] == "RolledBack"
    assert world.splits()[-2:] == [{"large-v1": 8_000, "small-v1": 2_000}, BACK]


@pytest.mark.parametrize("good_s", [30, 150, 900])
async def test_harm_that_begins_long_after_the_last_write_that_was_taken_still_rolls_back(good_s: float) -> None:
    world, ticker = await stable()
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "3h"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, in_phase("Progressing"))
    await run_for(world, ticker, 30)
    world.faults = Faults(before=failing(Unavailable("403: denied by policy"), ROLLOUT))
    await run_for(world, ticker, good_s)
    world.bad_share, world.bad_since = {"small-v1": 0.5}, world.now

    await run_for(world, ticker, 120)

    assert world.splits()[-1] == BACK
    world.faults = Faults()
    await run_until(world, ticker, in_phase("RolledBack"))
    (rollout,) = world.rollouts()
    assert rollout["status"]["decision"]["objective"] == "errors"


async def test_what_was_counted_while_writes_failed_is_written_once_they_are_taken() -> None:
    undisturbed, ticker = await progressing()
    await run_for(undisturbed, ticker, 120)
    world, ticker = await progressing()
    world.faults = Faults(before=failing(Unavailable("500"), ROLLOUT))
    await run_for(world, ticker, 120)
    before, world.faults = world.splits(), Faults()

    await ticker.tick(NAMESPACE, NAME)

    assert world.splits() == before == undisturbed.splits()
    await undisturbed.ticker().tick(NAMESPACE, NAME)
    written, expected = (each.rollouts()[-1]["status"] for each in (world, undisturbed))
    assert [written[key] for key in ("sums", "stepRequests", "evidenceUntil", "engineState")] == [
        expected[key] for key in ("sums", "stepRequests", "evidenceUntil", "engineState")
    ]
    assert written["windows"] == expected["windows"]


async def test_while_the_modelrollout_cannot_be_written_no_traffic_rises_and_the_status_says_why() -> None:
    world, ticker = await progressing()
    splits, token = world.splits(), world.status["nextAction"]
    world.faults = Faults(before=failing(Unavailable("403: denied by policy"), ROLLOUT))
    await run_for(world, ticker, 900)

    assert world.splits() == splits
    message = "the ModelRollout cannot be written, and no traffic rises before it is: 403: denied by policy"
    assert (world.status["phase"], world.status["message"], world.status["lacking"]) == ("Holding", message, [message])
    assert (world.status["step"], world.status["nextAction"]) == ("1/2", token)
    assert world.said(Reason.ROLLOUT_NOT_WRITTEN) == [message]
    assert world.said(Reason.STEP_PASSED) == []

    world.faults = Faults()
    await run_until(world, ticker, in_phase("Stable"))
    assert len(world.said(Reason.STEP_PASSED)) == 2


async def test_one_write_that_fails_is_not_told() -> None:
    world, ticker = await progressing()
    refusals = itertools.count()
    refused = failing(Unavailable("500"), ROLLOUT)
    world.faults = Faults(before=lambda write: refused(write) if str(write) == ROLLOUT and not next(refusals) else None)
    await run_for(world, ticker, 60)

    assert next(refusals) > 1
    assert world.said(Reason.ROLLOUT_NOT_WRITTEN) == []
    assert world.status["phase"] == "Progressing"


async def test_an_attempt_that_cannot_be_created_is_told_of_and_starts_once_it_can() -> None:
    world, ticker = await stable()
    quota = Unavailable("403: exceeded quota: count/modelrollouts.modelroute.dev")
    world.faults = Faults(before=failing(quota, "create modelrollouts"))
    world.apply()
    await run_for(world, ticker, 60)

    assert (world.status["phase"], world.splits()) == ("Holding", [BACK])
    assert "exceeded quota" in world.status["message"]
    assert world.status["observedGeneration"] == world.get("modelroutes")["metadata"]["generation"]
    assert len(world.said(Reason.ROLLOUT_NOT_WRITTEN)) == 1

    world.faults = Faults()
    await run_until(world, ticker, in_phase("Stable", attempt=1))


async def test_a_rollback_does_not_wait_for_a_gateway_that_says_far_too_much() -> None:
    world, ticker = await progressing()
    world.gateway_takes = False
    route = world.get("httproutes")
    for condition in route["status"]["parents"][0]["conditions"]:
        condition.update(status="False", message="no " * 10_000, observedGeneration=99)
    world.apply(large=100, small=0)

    for _ in range(5):
        world.now += WINDOW_S
        await ticker.tick(NAMESPACE, NAME)

    assert world.splits()[-1] == BACK
    assert world.rollouts()[-1]["status"]["phase"] == "RollingBack"
    assert len(world.rollouts()[-1]["status"]["message"]) <= 2048


async def test_what_was_done_is_announced_even_where_the_status_cannot_be_written() -> None:
    world, ticker = await progressing()
    world.bad_share = {"small-v1": 0.5}
    world.faults = Faults(before=failing(Conflict("409"), STATUS))
    while world.splits()[-1] != BACK:
        world.now += WINDOW_S
        with pytest.raises(Conflict):
            await ticker.tick(NAMESPACE, NAME)

    world.faults = Faults()
    await run_until(world, ticker, in_phase("RolledBack"))

    told = [said.reason for said in world.events]
    assert [told.count(reason) for reason in (Reason.HARM_DETECTED, Reason.ROLLING_BACK, Reason.ROLLED_BACK)] == [1] * 3


async def test_a_step_whose_route_was_changed_meanwhile_is_finished_and_told_once() -> None:
    undisturbed = await run_with(promotion, Faults())
    world, ticker = await stable()
    world.apply()
    refused: list[str] = []

    def conflict_once_per_split(write: Write) -> Exception | None:
        weights = str(write.body.get("spec", {}).get("rules"))
        if str(write) != ROUTE or weights in refused:
            return None
        refused.append(weights)
        return Conflict("409")

    world.faults = Faults(before=conflict_once_per_split)
    while world.status.get("attempt") != 1 or world.status["phase"] != "Stable":
        try:
            world.now += await ticker.tick(NAMESPACE, NAME) or 0.0
        except Conflict:
            world.now += 0.3

    assert len(refused) == 2
    assert world.splits() == undisturbed.splits()
    assert [said.reason for said in world.events] == [said.reason for said in undisturbed.events]


async def test_an_outage_of_prometheus_does_not_stop_a_rollback_that_was_decided() -> None:
    world, _ = await progressing()
    world.bad_share = {"small-v1": 0.5}
    world.faults = Faults(before=lambda write: Crash() if world.rollouts()[-1]["status"]["phase"] != "Progressing"
                          and str(write) == ROUTE else None)  # fmt: skip
    with pytest.raises(Crash):
        await run_until(world, world.ticker(), in_phase("RolledBack"))
    world.faults, world.prometheus_problem = Faults(), Unavailable("no answer")

    await world.ticker().tick(NAMESPACE, NAME)

    assert world.splits()[-1] == BACK


# What is read and cannot be used.


async def test_a_deleted_modelroute_is_let_go() -> None:
    world, ticker = await stable()
    world.delete()
    since = len(world.journal)

    assert await ticker.tick(NAMESPACE, NAME) is None
    assert world.journal[since:] == []


async def test_a_modelroute_that_is_being_deleted_is_left_alone() -> None:
    world, ticker = await stable()
    world.get("modelroutes")["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
    world.apply(large=0, small=100)
    world.get("modelroutes")["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
    since = len(world.journal)

    assert await ticker.tick(NAMESPACE, NAME) is None
    assert world.journal[since:] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phase", "Dancing"),
        ("engineState", "{}"),
        ("engineState", "not JSON"),
        ("stepIndex", 7),
        ("startedAt", "yesterday"),
    ],
)
async def test_a_record_that_cannot_be_read_leaves_its_candidate_no_traffic_and_says_why(
    field: str, value: object
) -> None:
    world, ticker = await progressing()
    world.rollouts()[-1]["status"][field] = value

    for _ in range(3):
        world.now += WINDOW_S
        await ticker.tick(NAMESPACE, NAME)

    assert {backend: weight for backend, weight in world.weights().items() if weight} == {"large-v1": 10_000}
    assert world.status["phase"] == "Holding"
    assert "ModelRollout support-1 cannot be read" in world.status["message"]
    assert "delete it to start over from the stable split" in world.status["message"]
    assert [said.reason for said in world.events].count(Reason.RECORD_UNREADABLE) == 1


async def test_a_deleted_record_starts_over_from_the_stable_split_with_a_number_of_its_own() -> None:
    world, ticker = await progressing()
    world.objects.pop(("modelrollouts", NAMESPACE, "support-1"))

    await run_until(world, ticker, in_phase("Stable", attempt=2))

    assert [each["metadata"]["name"] for each in world.rollouts()] == ["support-2"]
    step = {"large-v1": 8_000, "small-v1": 2_000}
    assert world.splits() == [BACK, step, BACK, step, {"large-v1": 6_000, "small-v1": 4_000}]


async def test_records_that_a_modelroute_of_the_same_name_left_behind_are_not_in_the_way() -> None:
    world, _ = await progressing()
    left = world.get("modelrollouts", "support-1")
    world.delete()
    # kubectl delete --cascade=orphan: nobody owns it any more.
    world.store("modelrollouts", {**left, "metadata": {**left["metadata"], "ownerReferences": []}})
    world, ticker = await stable(world)
    world.apply()

    await run_until(world, ticker, in_phase("Stable", attempt=2))

    assert [each["metadata"]["name"] for each in world.rollouts()] == ["support-1", "support-2"]


async def test_two_models_on_one_service_are_told_also_where_one_writes_its_own_namespace_out() -> None:
    world = World()
    world.apply(
        models=[
            {"name": "large", "tier": "Large", "weight": 60, "backendRef": {"name": "llama", "port": 8000}},
            {
                "name": "small",
                "tier": "Small",
                "weight": 40,
                "backendRef": {"name": "llama", "port": 8000, "namespace": NAMESPACE},
            },
        ]
    )
    await world.ticker().tick(NAMESPACE, NAME)

    accepted = next(each for each in world.status["conditions"] if each["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "spec.models[1].backendRef: is that of large" in world.status["message"]
    assert {each.kind for each in world.journal} <= {"modelroutes", "events"}


def answers(problem: Problem | Exception) -> Callable[[Backend, str], Problem | None]:
    def answer(backend: Backend, field: str) -> Problem | None:
        if backend.name != "small-v1":
            return None
        if isinstance(problem, Exception):
            raise problem
        return problem

    return answer


@pytest.mark.parametrize(
    ("problem", "reason", "says"),
    [
        (Problem(Reason.BACKEND_NOT_FOUND, "no such Service"), "BackendNotFound", "no such Service"),
        (
            Unavailable("GET services: 403: forbidden"),
            "BackendUnknown",
            "spec.models[1].backendRef could not be checked: GET services: 403: forbidden",
        ),
    ],
)
async def test_a_backend_that_cannot_be_checked_holds_and_does_not_crash(
    problem: Problem | Exception, reason: str, says: str
) -> None:
    world, ticker = await progressing()
    world.backends.answer = answers(problem)

    for _ in range(20):
        world.now += WINDOW_S
        await ticker.tick(NAMESPACE, NAME)

    assert (world.status["phase"], world.weights()["small-v1"]) == ("Holding", 2_000)
    assert says in world.status["message"]
    accepted = next(each for each in world.status["conditions"] if each["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", reason)

    world.bad_share = {"small-v1": 0.5}
    world.now += 2 * WINDOW_S
    await ticker.tick(NAMESPACE, NAME)
    assert world.splits()[-1] == BACK, "harm rolls back all the same"


@pytest.mark.parametrize("kind", ["modelroutes", "modelrollouts", "httproutes"])
async def test_a_read_that_fails_writes_nothing(kind: str) -> None:
    world, ticker = await progressing()
    since = len(world.journal)
    world.read_problem = lambda read: Unavailable("500") if read == kind else None

    with pytest.raises(Unavailable):
        await ticker.tick(NAMESPACE, NAME)

    assert world.journal[since:] == []


# What is told, and what is kept.


async def test_a_steady_state_is_one_event_and_no_writes() -> None:
    world, ticker = await progressing()
    world.prometheus_problem = Unavailable("connection refused")
    since = len(world.events)
    for _ in range(50):
        world.now += WINDOW_S
        await ticker.tick(NAMESPACE, NAME)

    assert world.status["phase"] == "Holding"
    (said,) = world.events[since:]
    assert (said.reason, said.warning) == (Reason.PROMETHEUS_UNAVAILABLE, True)
    assert "Prometheus default: connection refused" in said.message


async def test_a_route_at_rest_is_read_and_not_written() -> None:
    world, ticker = await stable()
    await ticker.tick(NAMESPACE, NAME)
    since = len(world.journal)

    for _ in range(10):
        world.now += 60
        await ticker.tick(NAMESPACE, NAME)

    assert world.journal[since:] == []


async def test_a_route_that_somebody_changes_is_restored_and_that_is_told_once() -> None:
    world, ticker = await stable()
    await ticker.tick(NAMESPACE, NAME)
    world.get("httproutes")["spec"]["rules"][0]["backendRefs"][0]["weight"] = 1
    since = len(world.events)

    for _ in range(3):
        world.now += 1
        await ticker.tick(NAMESPACE, NAME)

    assert world.weights()["large-v1"] == 10_000
    assert [said.reason for said in world.events[since:]].count(Reason.ROUTE_RESTORED) == 1


async def test_the_oldest_attempts_beyond_the_limit_go_and_the_latest_stays() -> None:
    world, ticker = await stable()
    for attempt in range(1, 6):
        world.apply(small=10 * attempt, large=100 - 10 * attempt, historyLimit=2)
        await run_until(world, ticker, in_phase("Stable", attempt=attempt))
    await ticker.tick(NAMESPACE, NAME)

    assert [each["metadata"]["name"] for each in world.rollouts()] == ["support-4", "support-5"]


async def test_a_gateway_that_keeps_silent_is_asked_now_and_then_and_not_all_the_time() -> None:
    world, ticker = await stable()
    world.gateway_takes = False
    world.apply(large=60, small=40)
    end, ticks = world.now + 50, 0
    while world.now < end:
        world.now += await ticker.tick(NAMESPACE, NAME) or 0
        ticks += 1

    assert world.status["phase"] == "Progressing"
    assert ticks < 50


@pytest.mark.parametrize("at_rest", [False, True], ids=["first visit", "at rest"])
async def test_a_gateway_that_keeps_silent_is_asked_twice_a_minute_where_nothing_is_under_way(at_rest: bool) -> None:
    world = World()
    ticker = world.ticker()
    if at_rest:
        await stable(world)
    world.gateway_takes = False
    world.apply(large=100, small=0, hostnames=["chat.example.com"])

    assert await run_for(world, ticker, 300) < 60
    assert await run_for(world, ticker, 300) <= 11
    assert (world.status["phase"], ready_reason(world)) == ("Holding" if at_rest else "Pending", "WaitingForGateway")

    world.gateway_takes = True
    world.store("httproutes", world.get("httproutes"))
    await run_until(world, ticker, in_phase("Stable"))
    world.gateway_takes = False
    world.apply(large=100, small=0, hostnames=["another.example.com"])
    await ticker.tick(NAMESPACE, NAME)
    assert await run_for(world, ticker, 20) >= 9, "silent anew: soon at first"


def ready_reason(world: World) -> str:
    return str(next(each["reason"] for each in world.status["conditions"] if each["type"] == "Ready"))


async def test_an_attempt_that_was_created_and_never_begun_is_deleted_once_nobody_wants_it() -> None:
    world, ticker = await stable()
    world.faults.before = lambda write: Unavailable("down") if str(write) == "status modelrollouts" else None
    world.apply(large=60, small=40)
    with pytest.raises(Unavailable):
        await run_until(world, ticker, in_phase("Progressing"))
    assert [each["metadata"]["name"] for each in world.rollouts()] == ["support-1"]
    world.faults.before = lambda _write: None
    world.apply(large=100, small=0)
    await run_until(world, ticker, in_phase("Stable"))

    assert world.rollouts() == []


async def test_a_rolled_back_revision_is_not_tried_again_by_a_fresh_operator() -> None:
    world = await run_with(rollback, Faults())

    world.bad_share = {}
    for _ in range(20):
        world.now += 60
        await world.ticker().tick(NAMESPACE, NAME)

    assert world.status["phase"] == "RolledBack"
    assert len(world.rollouts()) == 1


async def flapping(world: World, ticker: Ticker, times: int) -> None:
    """Prometheus is down at every other look."""
    for turn in range(times):
        world.prometheus_problem = None if turn % 2 else Unavailable("down")
        await ticker.tick(NAMESPACE, NAME)
        world.now += WINDOW_S


async def test_a_hold_that_flaps_is_told_once_in_ten_minutes() -> None:
    world, ticker = await stable()
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "3h"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, in_phase("Progressing"))
    await flapping(world, ticker, 100)
    assert len(world.said(Reason.PROMETHEUS_UNAVAILABLE)) == 1
    world.now += 600.0
    await flapping(world, ticker, 10)

    assert len(world.said(Reason.PROMETHEUS_UNAVAILABLE)) == 2


async def test_each_gate_that_waits_for_a_person_is_told_however_soon_it_comes() -> None:
    world, ticker = await stable()
    world.apply(rollout={"steps": [{**STEP, "progress": each, "approval": True} for each in (25, 50, 100)]})
    for _ in range(3):
        await run_until(world, ticker, in_phase("AwaitingApproval"))
        world.act("approve")
        await run_until(world, ticker, lambda status: status["phase"] != "AwaitingApproval")

    assert len(world.said(Reason.AWAITING_APPROVAL)) == 3


@pytest.mark.parametrize("weights", [(7_000, 9_000), (20_000, -10_000), (0, 0), (10_000, 0)])
async def test_a_stable_split_in_a_status_that_is_none_is_not_believed(weights: tuple[int, int]) -> None:
    """Somebody writes it, and deletes the route with the note on it: the traffic starts as for a new one."""
    world, _ = await stable()
    body = world.get("modelroutes")
    shares = [
        {"model": name, "backendRef": {"name": f"{name}-v1", "port": 8000}, "weight": weight}
        for name, weight in zip(("large", "small"), weights, strict=True)
    ]
    world.store("modelroutes", {**body, "status": {**body["status"], "stable": shares}})
    world.objects.pop(("httproutes", NAMESPACE, NAME))
    await world.ticker().tick(NAMESPACE, NAME)

    assert world.weights() == BACK


def told(world: World) -> tuple[str, str]:
    """Reconciling and Stalled."""
    conditions = {each["type"]: each["status"] for each in world.status["conditions"]}
    return conditions["Reconciling"], conditions["Stalled"]


WAITED_FOR, GIVEN_UP = ("True", "False"), ("False", "True")
MISSING = Problem(Reason.BACKEND_NOT_FOUND, "no such Service")


async def waiting(world: World, ticker: Ticker, seconds: float) -> list[tuple[str, str]]:
    """What was told in that time."""
    found, end = [], world.now + seconds
    while world.now < end:
        await ticker.tick(NAMESPACE, NAME)
        found.append(told(world))
        world.now += 15
    return found


async def test_a_service_that_is_missing_is_waited_for_for_five_minutes_and_then_a_person_is() -> None:
    world = World()
    ticker = world.ticker()
    world.backends.answer = answers(MISSING)
    world.apply(large=60, small=40)

    found = await waiting(world, ticker, 600)

    assert found == [WAITED_FOR] * 20 + [GIVEN_UP] * 20

    world.backends.answer = lambda _backend, _field: None
    await run_until(world, ticker, in_phase("Stable"))


async def test_what_was_wrong_before_takes_nothing_from_the_time_that_a_service_has() -> None:
    world = World()
    ticker = world.ticker()
    world.backends.answer = answers(Problem(Reason.BACKEND_NOT_FOUND, "another Service is missing"))
    world.apply(large=60, small=40)
    assert (await waiting(world, ticker, 600))[-1] == GIVEN_UP

    world.backends.answer = answers(MISSING)
    assert await waiting(world, ticker, 300) == [WAITED_FOR] * 20, "another problem"
    assert await waiting(world, ticker, 15) == [GIVEN_UP]

    world.apply(large=61, small=39)
    assert await waiting(world, ticker, 300) == [WAITED_FOR] * 20, "another spec"
    assert await waiting(world, ticker, 15) == [GIVEN_UP]


async def test_neither_a_restart_nor_an_api_server_that_does_not_answer_begins_the_wait_anew() -> None:
    world = World()
    world.backends.answer = answers(MISSING)
    world.apply(large=60, small=40)
    await waiting(world, world.ticker(), 150)
    ticker = world.ticker()
    assert await waiting(world, ticker, 60) == [WAITED_FOR] * 4

    world.backends.answer = answers(Unavailable("GET services: 503"))
    assert await waiting(world, ticker, 60) == [WAITED_FOR] * 4
    world.backends.answer = answers(MISSING)

    found = await waiting(world, ticker, 60)
    assert (found[0], found[-1]) == (WAITED_FOR, GIVEN_UP)
