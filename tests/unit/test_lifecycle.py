"""What people may do to a rollout, and what time does: verbs, gates, deadlines. Whole ticks, a fake clock."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable

GATED = {"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]}
ENDLESS = {"steps": [{"progress": 50, "minRequests": 10_000_000}, {**STEP, "progress": 100}]}
SLOW = {"steps": [{"progress": 50, "minDuration": "2h"}, {**STEP, "progress": 100}]}


async def started(**spec: Any) -> tuple[World, Ticker]:
    """A rollout of 40 % whose first step is live and settled."""
    world = World()
    world.apply(large=100, small=0, **spec)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=60, small=40, **spec)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    await run(world, ticker, 30)
    return world, ticker


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        delay = await ticker.tick(NAMESPACE, NAME)
        assert delay is not None
        world.now += min(delay, max(end - world.now, 0.05))


def small(world: World) -> int:
    return world.weights().get("small-v1", 0)


# Approval.


async def test_a_gate_waits_for_a_person_after_all_else_is_met_and_names_what_to_say() -> None:
    world, ticker = await started(rollout=GATED)
    await run_until(world, ticker, in_phase("AwaitingApproval"))

    assert small(world) == 2000
    assert f"approve@{world.status['nextAction']}" in world.status["message"]
    await run(world, ticker, 600)
    assert small(world) == 2000


async def test_an_approved_gate_is_left_and_the_next_step_needs_a_token_of_its_own() -> None:
    world, ticker = await started(rollout=GATED)
    await run_until(world, ticker, in_phase("AwaitingApproval"))
    token = world.status["nextAction"]
    world.act("approve")
    await run_until(world, ticker, in_phase("Stable"))

    assert small(world) == 4000
    assert world.said("ActionTaken") == ["approved: the step is left when all else is met too"]
    assert world.status["lastAction"] == f"approve@{token}"


async def test_an_approval_that_comes_early_does_not_shorten_the_rest() -> None:
    world, ticker = await started(rollout={"steps": [{**SLOW["steps"][0], "approval": True}, SLOW["steps"][1]]})
    world.act("approve")
    await run(world, ticker, 600)

    assert small(world) == 2000
    assert "minDuration" in world.status["message"]


async def test_harm_rolls_back_while_a_person_is_waited_for() -> None:
    world, ticker = await started(rollout=GATED)
    await run_until(world, ticker, in_phase("AwaitingApproval"))
    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"))

    assert small(world) == 0


# Tokens.


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ("approve@0000000000.1", "that was for another moment; due now is"),
        ("approve", "that was for another moment; due now is"),
        ("dance@{due}", "'dance' is no action; there are approve, promote, promote-full, pause"),
        ("@{due}", "'nothing' is no action"),
        ("retry@{due}", "still under way"),
        ("approve@{due}", "does not wait for an approval"),
        ("resume@{due}", "it is not paused"),
    ],
)
async def test_a_verb_that_cannot_be_taken_has_one_event_and_no_effect(request_: str, says: str) -> None:
    world, ticker = await started(rollout=SLOW)
    asked = request_.format(due=world.status["nextAction"])
    world.act(asked if "@" in asked else f"{asked}@")
    before = world.weights()
    await run(world, ticker, 60)

    (told,) = world.said("ActionRefused")
    assert says in told
    assert world.weights() == before
    assert world.said("ActionTaken") == []


async def test_a_verb_that_was_refused_can_be_said_again_once_what_stood_in_its_way_is_gone() -> None:
    world, ticker = await started(rollout=SLOW)
    world.apply(rollout=SLOW, paused=True)
    await run(world, ticker, 30)
    world.act("promote")
    await run(world, ticker, 60)
    assert world.said("ActionRefused") == ["promote: spec.paused is true; set it to false"]
    assert world.status["lastAction"] != f"promote@{world.status['nextAction']}"

    world.apply(rollout=SLOW)
    await run(world, ticker, 30)
    assert world.said("ActionTaken") == [], "what was refused is not taken later"
    world.act("promote")
    await run_until(world, ticker, lambda status: status.get("step") == "2/2")


async def test_an_action_that_stays_on_the_object_is_taken_once() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("pause")
    await run(world, ticker, 60)
    world.act("resume")
    await run(world, ticker, 60)
    restarted = world.ticker()
    await run(world, restarted, 60)

    assert [told.split(":")[0] for told in world.said("ActionTaken")] == ["paused", "resumed"]
    assert world.said("ActionRefused") == []
    assert world.status["phase"] == "Progressing"


async def test_the_token_changes_with_every_action_so_that_none_can_be_played_again() -> None:
    world, ticker = await started(rollout=SLOW)
    seen = {world.status["nextAction"]}
    for verb in ("pause", "resume", "pause"):
        world.act(verb)
        await run(world, ticker, 10)
        seen.add(world.status["nextAction"])

    assert len(seen) == 4


async def test_a_verb_at_rest_is_refused_with_the_reason() -> None:
    world = World()
    world.apply(large=100, small=0)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.act("abort@x.1")
    await run(world, ticker, 120)

    assert world.said("ActionRefused") == ["abort: nothing is due: no rollout is under way and none was rolled back"]
    assert world.status["lastAction"] == "abort@x.1"


# Pause, promote, abort, retry.


async def test_a_paused_rollout_is_not_promoted_and_still_rolls_back() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("pause")
    await run(world, ticker, 600)
    assert (world.status["phase"], small(world)) == ("Paused", 2000)

    world.bad_share["small-v1"] = 0.3
    await run_until(world, ticker, in_phase("RolledBack"))
    assert small(world) == 0


async def test_a_pause_outlives_the_operator() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("pause")
    await run(world, ticker, 10)
    await run(world, world.ticker(), 600)

    assert (world.status["phase"], small(world)) == ("Paused", 2000)


async def test_promote_ends_the_waiting_of_one_step_only() -> None:
    world, ticker = await started(rollout={"steps": [SLOW["steps"][0], {"progress": 100, "minDuration": "3h"}]})
    world.act("promote")
    await run(world, ticker, 120)

    assert (world.status["step"], small(world)) == ("2/2", 4000)
    await run(world, ticker, 600)
    assert world.status["phase"] == "Progressing"


async def test_promote_full_goes_through_every_step_each_live_and_settled_first() -> None:
    world, ticker = await started(rollout={"steps": [SLOW["steps"][0], {"progress": 100, "minDuration": "3h"}]})
    world.act("promote-full")
    await run_until(world, ticker, in_phase("Stable"))

    assert small(world) == 4000
    assert {2000, 4000} <= {split.get("small-v1", 0) for split in world.splits()}


async def test_promote_never_goes_past_a_breach() -> None:
    world, ticker = await started(rollout=SLOW)
    world.bad_share["small-v1"] = 0.3
    world.act("promote-full")
    await run_until(world, ticker, in_phase("RolledBack"))

    assert small(world) == 0


async def test_promote_leaves_no_step_without_a_request_that_was_counted_in_it() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("promote-full")
    await run_until(world, ticker, lambda _: small(world) == 4000)
    world.requests = 0
    await run(world, ticker, 300)

    assert world.status["step"] == "2/2"
    assert "0 of 1 requests by small" in world.status["message"]


async def test_promote_does_not_make_a_pass_of_what_is_not_known() -> None:
    world, ticker = await started(rollout=SLOW)
    world.prometheus_problem = Unavailable("down")
    world.act("promote-full")
    await run(world, ticker, 600)

    assert (world.status["phase"], small(world)) == ("Holding", 2000)


async def test_an_aborted_rollout_goes_back_and_stays_back_until_someone_says_retry() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))
    assert small(world) == 0
    assert world.rollouts()[-1]["status"]["phase"] == "Aborted"
    await run(world, ticker, 600)
    assert (world.status["phase"], small(world)) == ("RolledBack", 0)

    world.act("retry")
    await run_until(world, ticker, in_phase("Progressing", attempt=2))
    assert small(world) == 2000
    assert world.rollouts()[-1]["spec"]["trigger"] == "Retry"
    assert world.said("ActionTaken")[-1] == "retry: attempt 2 starts"


async def test_a_retry_waits_for_what_is_not_known_and_is_not_forgotten() -> None:
    world, ticker = await started(rollout=SLOW)
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))
    world.prometheus_problem = Unavailable("down")
    world.act("retry")
    await run(world, ticker, 300)
    assert (world.status["phase"], world.status["attempt"]) == ("Holding", 1)
    assert world.said("ActionRefused") == []

    world.prometheus_problem = None
    await run_until(world, ticker, in_phase("Progressing", attempt=2))


@pytest.mark.parametrize("record_gone", [False, True], ids=["", "its ModelRollout is gone"])
async def test_a_retry_that_waits_ends_where_the_spec_goes_back_and_starts_nothing_later(record_gone: bool) -> None:
    world, ticker = await started(rollout=SLOW)
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RolledBack"))
    if record_gone:
        world.objects.pop(("modelrollouts", NAMESPACE, "support-1"))
    world.prometheus_problem = Unavailable("down")
    world.act("retry")
    await run(world, ticker, 10)
    world.apply(large=100, small=0, rollout=SLOW)
    world.prometheus_problem = None
    await run(world, ticker, 200)
    assert world.status["phase"] == "Stable"
    assert world.said("ActionRefused") == ["retry: the spec does not want what was rolled back any more"]

    world.bad_share = {}
    world.now += 30 * 86_400
    world.apply(rollout=SLOW)
    await run(world, ticker, 120)
    assert (world.status["phase"], world.status["attempt"], small(world)) == ("RolledBack", 1, 0)
    assert len(world.said("ActionRefused")) == 1

    world.act("retry")
    await run_until(world, ticker, in_phase("Progressing", attempt=2))


async def test_a_retry_whose_status_was_not_written_starts_one_attempt_and_not_two() -> None:
    world, ticker = await started()
    world.act("abort")
    await run_until(world, ticker, in_phase("RolledBack"))
    world.act("retry")
    world.faults.before = lambda write: Unavailable("down") if str(write) == "status modelroutes" else None
    for _ in range(20):
        with pytest.raises(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += 1
    world.faults.before = lambda _write: None
    await run_until(world, ticker, in_phase("Stable"))

    assert [each["spec"]["attempt"] for each in world.rollouts()] == [1, 2]
    assert world.said("ActionRefused") == []


# The deadline.


async def test_after_the_deadline_the_split_is_held_and_a_person_is_told_what_to_say() -> None:
    world, ticker = await started(rollout={**ENDLESS, "progressDeadline": "5m"})
    await run(world, ticker, 420)

    assert world.status["phase"] == "Holding"
    assert small(world) == 2000
    stalled = {each["type"]: each for each in world.status["conditions"]}["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "ProgressDeadlineExceeded")
    assert f"promote@{world.status['nextAction']}" in world.status["message"]

    world.act("promote")
    await run_until(world, ticker, lambda status: status.get("step") == "2/2")


async def test_on_deadline_roll_back_goes_back() -> None:
    world, ticker = await started(rollout={**ENDLESS, "progressDeadline": "5m", "onDeadline": "RollBack"})
    await run_until(world, ticker, in_phase("RolledBack"), within_s=600)

    assert small(world) == 0
    assert world.said("ProgressDeadlineExceeded") == ["progressDeadline 5m has passed"]


async def test_the_deadline_does_not_run_while_a_person_is_waited_for() -> None:
    world, ticker = await started(rollout={**GATED, "progressDeadline": "10m", "onDeadline": "RollBack"})
    await run_until(world, ticker, in_phase("AwaitingApproval"))
    await run(world, ticker, 900)
    assert world.status["phase"] == "AwaitingApproval"
    assert "deadline" not in world.status

    world.act("approve")
    await run_until(world, ticker, in_phase("Stable"))
    assert small(world) == 4000


async def test_the_deadline_is_told_while_its_clock_runs() -> None:
    world, _ = await started(rollout={**SLOW, "progressDeadline": "24h"})

    started_at = world.rollouts()[0]["status"]["startedAt"]
    assert world.status["deadline"][:10] > started_at[:10]
