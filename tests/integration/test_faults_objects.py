"""What happens to the objects a rollout stands on, and what it does then, whatever phase it is in.

docs/faults.md tells what each fault looks like to people.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NAME, STEP, in_phase
from tests.integration.live_world import LiveWorld, live_world
from tests.recording_proxy import Refuse

from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.analysis.engine import ENGINE_VERSION
from modelroute.controller.tick import Ticker
from modelroute.errors import ModelRouteError

Json = dict[str, Any]
HELD: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}
GATED: Json = {"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]}
FAILING = {"small-v1": 0.5}


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        yield made


def reasons(live: LiveWorld) -> set[str]:
    return {each["reason"] for each in live.status.get("conditions") or []}


# The spec and the object itself, in every phase.


async def to_stable(live: LiveWorld, ticker: Ticker) -> None:
    live.apply(small=0)
    await live.until(ticker, in_phase("Stable"))


async def to_progressing(live: LiveWorld, ticker: Ticker) -> None:
    await live.started(ticker, rollout=HELD)


async def to_awaiting_approval(live: LiveWorld, ticker: Ticker) -> None:
    await live.started(ticker, rollout=GATED)
    await live.until(ticker, in_phase("AwaitingApproval"))


async def to_paused(live: LiveWorld, ticker: Ticker) -> None:
    await live.started(ticker, rollout=HELD)
    live.apply(small=40, rollout=HELD, paused=True)
    await live.until(ticker, in_phase("Paused"))


async def to_holding(live: LiveWorld, ticker: Ticker) -> None:
    await live.started(ticker, rollout=HELD)
    live.stack.create_service(live.namespace, "small-v1", ip=live.address("small-v1"), ready=False)
    await live.until(ticker, in_phase("Holding"))


async def to_rolling_back(live: LiveWorld, ticker: Ticker) -> None:
    await live.started(ticker, rollout=HELD)
    live.bad_share.update(FAILING)
    await live.until(ticker, lambda status: status["phase"] in {"RollingBack", "RolledBack"})


async def to_rolled_back(live: LiveWorld, ticker: Ticker) -> None:
    await to_rolling_back(live, ticker)
    await live.until(ticker, in_phase("RolledBack"))


async def to_pending(live: LiveWorld, ticker: Ticker) -> None:
    live.apply(
        small=40,
        models=[
            {"name": "large", "tier": "Large", "weight": 60, "backendRef": {"name": "nowhere", "port": 8000}},
            {"name": "small", "tier": "Small", "weight": 40, "backendRef": {"name": "small-v1", "port": 8000}},
        ],
    )
    await live.run(ticker, 10.0)


PHASES: dict[str, Callable[[LiveWorld, Ticker], Any]] = {
    "Pending": to_pending,
    "Stable": to_stable,
    "Progressing": to_progressing,
    "AwaitingApproval": to_awaiting_approval,
    "Paused": to_paused,
    "Holding": to_holding,
    "RollingBack": to_rolling_back,
    "RolledBack": to_rolled_back,
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_spec_that_is_edited_in_any_phase_is_what_the_traffic_ends_up_at(live: LiveWorld, phase: str) -> None:
    ticker = live.ticker()
    await PHASES[phase](live, ticker)
    live.bad_share.clear()
    live.stack.create_service(live.namespace, "small-v1", ip=live.address("small-v1"))
    live.apply(small=30, paused=False)
    await live.until(ticker, lambda status: status["phase"] == "Stable" and live.small == 3_000)

    assert live.smalls[-3:] == [0, 1_500, 3_000], "first all goes back to the large model"
    assert live.weights() == {"large-v1": 7_000, "small-v1": 3_000}
    assert [each["status"]["phase"] for each in live.rollouts()][-1] == "Promoted"


@pytest.mark.parametrize("phase", PHASES)
async def test_a_modelroute_that_is_deleted_in_any_phase_goes_with_all_that_it_owns(
    live: LiveWorld, phase: str
) -> None:
    ticker = live.ticker()
    await PHASES[phase](live, ticker)
    live.stack.kubectl("delete", "modelroute", NAME, "-n", live.namespace, "--wait=false")

    assert await ticker.tick(live.namespace, NAME) is None
    wait_until(
        lambda: not live.get("modelroutes") and not live.get("httproutes") and not live.rollouts(),
        what="everything is gone",
    )


async def test_a_modelroute_that_is_made_anew_has_its_split_and_its_history_back(live: LiveWorld) -> None:
    """As after a restore: another UID, and nothing that was made for the last one has an owner."""
    ticker = live.ticker()
    await live.started(ticker)
    await live.until(ticker, in_phase("Stable", attempt=1))
    gone, carried = live.get("modelroutes")["metadata"]["uid"], live.get("httproutes")
    live.stack.kubectl("delete", "modelroute", NAME, "-n", live.namespace, "--cascade=orphan")
    assert await ticker.tick(live.namespace, NAME) is None
    assert not live.get("httproutes")["metadata"].get("ownerReferences")
    live.apply(small=40)
    await live.until(ticker, in_phase("Stable"))

    uid = live.get("modelroutes")["metadata"]["uid"]
    assert uid != gone
    for made in (live.get("httproutes"), *live.rollouts()):
        assert [(each["uid"], each["controller"]) for each in made["metadata"]["ownerReferences"]] == [(uid, True)]
    # Of one generation: no other weights at any moment.
    assert live.get("httproutes")["metadata"]["generation"] == carried["metadata"]["generation"]
    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert (live.status["rollout"], len(live.rollouts())) == (f"{NAME}-1", 1)


async def test_a_namespace_that_is_deleted_takes_everything_and_stops_the_ticks(live: LiveWorld) -> None:
    ticker = live.ticker()
    await to_progressing(live, ticker)
    live.stack.kubectl("delete", "namespace", live.namespace, "--wait=false")

    async def gone() -> bool:
        try:
            return await ticker.tick(live.namespace, NAME) is None
        except ModelRouteError:
            return False

    for _ in range(100):
        if await gone():
            break
        # The namespace controller is real, and needs real time.
        await asyncio.sleep(0.2)
    else:
        raise AssertionError("it never let go")
    assert not live.get("httproutes") or not live.small > 2_000


# The record of an attempt.


def delete_records(live: LiveWorld) -> None:
    live.stack.kubectl("delete", "modelrollouts", "--all", "-n", live.namespace)
    assert live.rollouts() == []


async def paused_by_a_breach(live: LiveWorld, ticker: Ticker) -> None:
    pausing = [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp", "onBreach": "Pause"}]
    await live.started(ticker, rollout=HELD, objectives=pausing)
    live.bad_share.update(FAILING)
    await live.until(ticker, in_phase("Paused"))


HARMED: dict[str, Callable[[LiveWorld, Ticker], Any]] = {
    "RollingBack": to_rolling_back,
    "RolledBack": to_rolled_back,
    "Paused by a breach": paused_by_a_breach,
}


@pytest.mark.parametrize("harmed", HARMED)
async def test_harm_is_not_forgotten_where_its_modelrollout_is_deleted(live: LiveWorld, harmed: str) -> None:
    ticker = live.ticker()
    await HARMED[harmed](live, ticker)
    delete_records(live)
    live.bad_share.clear()
    again = live.ticker()
    status = await live.until(again, in_phase("RolledBack"))
    assert "its ModelRollout is gone, or is of another route" in status["message"]
    await live.run(again, 300.0, at_most_s=20.0)
    assert (live.small, live.status["phase"], live.rollouts()) == (0, "RolledBack", [])

    live.say("retry")
    await live.until(again, lambda each: each.get("step") == "1/2")
    assert [each["spec"]["trigger"] for each in live.rollouts()] == ["Retry"]


async def test_a_way_back_that_could_not_be_written_is_gone_without_its_modelrollout(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    live.proxy.choose = lambda right: (
        Refuse(403, "no right") if (right.resource, right.verb) == ("httproutes", "patch") else None
    )
    live.bad_share.update(FAILING)
    await live.until(ticker, in_phase("RollingBack"))
    assert live.small == 2_000
    delete_records(live)
    live.bad_share.clear()
    await live.run(live.ticker(), 20.0)
    assert live.status["phase"] == "RollingBack"
    assert "no right" in live.status["message"]
    live.proxy.choose = lambda _right: None
    await live.until(live.ticker(), in_phase("RolledBack"))

    assert live.small == 0


async def test_an_attempt_that_was_created_and_never_begun_goes_once_nobody_wants_it(live: LiveWorld) -> None:
    ticker = live.ticker()
    live.apply(small=0)
    await live.until(ticker, in_phase("Stable"))
    live.proxy.choose = lambda right: Refuse(503) if right.resource == "modelrollouts/status" else None
    live.apply(small=40)
    await live.run(ticker, 10.0)
    assert [each.get("status") for each in live.rollouts()] == [None]
    live.proxy.choose = lambda _right: None
    live.apply(small=0)
    await live.run(live.ticker(), 10.0)

    assert live.status["phase"] == "Stable"
    assert live.rollouts() == []
    assert live.small == 0


# Another version of the operator.


def patch_status(live: LiveWorld, kind: str, name: str, /, **fields: Any) -> None:
    patch = f"--patch={json.dumps({'status': fields})}"
    live.stack.kubectl("patch", kind, name, "-n", live.namespace, "--subresource=status", "--type=merge", patch)


def patch_rollout_status(live: LiveWorld, /, **fields: Any) -> None:
    patch_status(live, "modelrollout", live.rollouts()[-1]["metadata"]["name"], **fields)


async def test_a_record_of_another_version_leaves_its_candidate_no_traffic_and_names_its_way_out(
    live: LiveWorld,
) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    await live.run(ticker, 15.0)
    later = json.dumps({"v": "99", "of": "a later operator"})
    patch_rollout_status(live, engineState=later)
    fresh = live.ticker()
    await live.run(fresh, 60.0)
    status = live.status
    assert live.smalls == [0, 2_000, 0]
    kept = live.rollouts()[-1]["status"]
    assert (kept["engineState"], kept["phase"]) == (later, "Progressing"), "nothing of it is lost to that operator"
    assert "RecordUnreadable" in reasons(live), status.get("message")
    name = live.rollouts()[-1]["metadata"]["name"]
    assert name in status["message"]
    live.stack.kubectl("delete", "modelrollout", name, "-n", live.namespace)
    live.apply(small=40)
    await live.until(fresh, lambda each: each["phase"] == "Stable" and live.small == 4_000)


RECORDS = Path(__file__).parents[1] / "data" / "records"
RECORDED = {path.stem.removeprefix("engine-"): path for path in RECORDS.glob("engine-*.json")}
"""ModelRollouts in the middle of a first step, as an operator with that version of the engine's state wrote them."""


def test_there_is_a_record_of_each_version_of_the_engines_state() -> None:
    assert sorted(RECORDED) == [str(number + 1) for number in range(int(ENGINE_VERSION))]


async def taken_over(live: LiveWorld, version: str) -> Json:
    """A ModelRoute whose rollout an operator with that engine began, and that today's looked at once; that record."""
    recorded: Json = json.loads(RECORDED[version].read_text(encoding="utf-8"))
    status: Json = recorded["status"]
    assert json.loads(status["engineState"])["v"] == version
    steps = {"steps": recorded["spec"]["steps"]}
    await live.started(live.ticker(), objectives=recorded["spec"]["objectives"], rollout=steps)
    (ours,) = live.rollouts()
    delete_records(live)
    # The revision names the namespace too.
    spec = {**recorded["spec"], "revision": ours["spec"]["revision"]}
    metadata = {key: ours["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    live.stack.apply({"apiVersion": ours["apiVersion"], "kind": ours["kind"], "metadata": metadata, "spec": spec})
    patch_rollout_status(live, **status)
    live.now = datetime.fromisoformat(status["evidenceUntil"]).timestamp() + 2.0
    await live.tick(live.ticker())
    return status


def counted(status: Json) -> int:
    return int(status["objectives"][0]["candidateRequests"])


@pytest.mark.parametrize("version", sorted(RECORDED))
async def test_a_rollout_that_an_older_operator_began_is_taken_over_with_what_was_counted_and_ends(
    live: LiveWorld, version: str
) -> None:
    before = await taken_over(live, version)
    assert live.small == 2_000
    after = live.rollouts()[-1]["status"]
    assert (after["startedAt"], after["step"]) == (before["startedAt"], "1/2")
    assert counted(after) == counted(before) > 0
    status = await live.until(live.ticker(), in_phase("Stable", attempt=1))

    assert live.smalls == [0, 2_000, 4_000]
    (rollout,) = live.rollouts()
    assert rollout["status"]["phase"] == "Promoted"
    assert json.loads(rollout["status"]["engineState"])["v"] == ENGINE_VERSION
    assert counted(status) > counted(before)


@pytest.mark.parametrize("version", sorted(RECORDED))
async def test_harm_in_a_rollout_that_an_older_operator_began_goes_back(live: LiveWorld, version: str) -> None:
    await taken_over(live, version)
    live.bad_share.update(FAILING)
    await live.until(live.ticker(), in_phase("RolledBack", attempt=1))

    assert live.smalls == [0, 2_000, 0]


async def test_what_a_later_version_left_in_the_status_of_a_modelroute_is_not_believed(live: LiveWorld) -> None:
    """Up and down again: a phase, a reason and a condition of its own, and another step."""
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    conditions = live.status["conditions"]
    later = {**conditions[0], "type": "OfALaterVersion", "reason": "OfALaterVersion"}
    patch_status(
        live, "modelroute", NAME, phase="Rehearsing", step="2/2", verdict="Splendid", nextAction="later.9",
        conditions=[*({**each, "reason": "OfALaterVersion"} for each in conditions), later],
    )  # fmt: skip
    fresh = live.ticker()
    await live.run(fresh, 60.0)
    assert live.smalls == [0, 2_000]
    assert (live.status["phase"], live.status["step"]) == ("Progressing", "1/2")
    ours = {each["type"] for each in conditions}
    assert later["reason"] not in {each["reason"] for each in live.status["conditions"] if each["type"] in ours}
    live.bad_share.update(FAILING)
    await live.until(fresh, in_phase("RolledBack", attempt=1))

    assert live.small == 0
