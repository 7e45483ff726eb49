"""A ModelRoute that is made anew after a restore: what it had is its own again, and no traffic jumps. Whole ticks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, World, in_phase, run_until
from tests.unit import test_adoption as adopting

from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.gateway.ownership import is_ours
from modelroute.gateway.render import LABEL_ROUTE, owner_reference

KINDS = ("httproutes", "modelrollouts")


async def promoted() -> tuple[World, Ticker]:
    world = World()
    ticker = world.ticker()
    world.apply(large=100, small=0)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=60, small=40)
    await run_until(world, ticker, in_phase("Stable"))
    return world, ticker


async def in_a_step() -> tuple[World, Ticker]:
    world, ticker = await promoted()
    world.apply(large=0, small=100)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    return world, ticker


async def rolled_back() -> tuple[World, Ticker]:
    world, ticker = await in_a_step()
    world.bad_share["small-v1"] = 0.5
    await run_until(world, ticker, in_phase("RolledBack"))
    return world, ticker


def restored(world: World, *, owners: str = "dropped", status: str = "restored") -> None:
    """All of it as a backup has it, with a ModelRoute of another UID; owner references are `dropped` or name a `dead`
    one, and the status is `restored` or `lost`.
    """
    route = world.objects.pop(("modelroutes", NAMESPACE, NAME))
    world.store("modelroutes", {**route, "status": route["status"] if status == "restored" else {}})
    assert world.get("modelroutes")["metadata"]["uid"] != route["metadata"]["uid"]
    if owners == "dropped":
        for body in [each for (kind, _, _), each in world.objects.items() if kind in KINDS]:
            body["metadata"].pop("ownerReferences", None)
    world.journal.clear()


def owners_in(world: World) -> set[str]:
    """The UIDs that own what was made, all of them controllers and the only ones."""
    found = set()
    for (kind, _, _), body in world.objects.items():
        if kind in KINDS and LABEL_ROUTE in (body["metadata"].get("labels") or {}):
            (owner,) = body["metadata"].get("ownerReferences") or [{}]
            found.add(owner.get("uid", "") if owner.get("controller") else "")
    return found


@pytest.mark.parametrize("status", ["restored", "lost"])
@pytest.mark.parametrize("owners", ["dropped", "dead"])
async def test_a_promoted_split_stays_and_is_stable_after_a_restore(owners: str, status: str) -> None:
    world, _ = await promoted()
    restored(world, owners=owners, status=status)
    ticker = world.ticker()
    await ticker.tick(NAMESPACE, NAME)
    assert owners_in(world) == {world.get("modelroutes")["metadata"]["uid"]}
    # Before anything else: what names a UID that is gone is deleted soon.
    assert [str(each) for each in world.journal[:2]] == ["patch modelrollouts", "patch httproutes"]
    await run_until(world, ticker, in_phase("Stable"), within_s=60)

    assert [dict(split) for split in world.splits()] == [{"large-v1": 6_000, "small-v1": 4_000}]
    assert world.status["rollout"] == "support-1"
    assert len(world.rollouts()) == 1


@pytest.mark.parametrize("status", ["restored", "lost"])
async def test_an_attempt_under_way_goes_on_in_its_step_after_a_restore(status: str) -> None:
    world, _ = await in_a_step()
    restored(world, status=status)
    await run_until(world, world.ticker(), in_phase("Stable", attempt=2))

    assert world.splits()[0] == {"large-v1": 3_000, "small-v1": 7_000}
    assert [each["status"]["phase"] for each in world.rollouts()] == ["Promoted", "Promoted"]


@pytest.mark.parametrize("status", ["restored", "lost"])
async def test_what_was_rolled_back_stays_refused_after_a_restore(status: str) -> None:
    world, _ = await rolled_back()
    restored(world, status=status)
    await run_until(world, world.ticker(), in_phase("RolledBack"))

    assert "small is worse on errors than allowed" in world.status["message"]
    assert [dict(split) for split in world.splits()] == [{"large-v1": 6_000, "small-v1": 4_000}]


async def test_without_its_modelrollouts_the_split_that_the_route_was_left_with_is_the_stable_one() -> None:
    world, _ = await promoted()
    restored(world, status="lost")
    for key in [key for key in world.objects if key[0] == "modelrollouts"]:
        del world.objects[key]
    await run_until(world, world.ticker(), in_phase("Stable"), within_s=60)

    assert [dict(split) for split in world.splits()] == [{"large-v1": 6_000, "small-v1": 4_000}]
    assert world.rollouts() == []


async def test_that_owners_cannot_be_written_holds_up_nothing_and_is_tried_again() -> None:
    world, _ = await in_a_step()
    restored(world)
    world.faults.before = lambda write: Unavailable("403") if str(write) == "patch modelrollouts" else None
    world.bad_share["small-v1"] = 0.5
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("RolledBack"))
    world.faults.before = lambda _write: None
    await ticker.tick(NAMESPACE, NAME)

    assert world.weights()["small-v1"] == 4_000
    assert owners_in(world) == {world.get("modelroutes")["metadata"]["uid"]}


async def test_a_new_modelroute_takes_no_history_of_one_whose_route_is_gone() -> None:
    world, _ = await promoted()
    restored(world, status="lost")
    world.objects.pop(("httproutes", NAMESPACE, NAME))
    await run_until(world, world.ticker(), lambda status: status.get("step") == "1/2")

    assert world.splits()[0] == {"large-v1": 10_000}
    assert world.status["rollout"] == "support-2"


@pytest.mark.parametrize("status", ["restored", "lost"])
async def test_an_adopted_rule_stays_as_it_is_after_a_restore(status: str) -> None:
    world, ticker = await adopting.adopted()
    adopting.apply(world, 60, 40)
    await run_until(world, ticker, in_phase("Stable"))
    restored(world, status=status)
    await run_until(world, world.ticker(), in_phase("Stable"), within_s=60)

    assert adopting.weights(world) == {"large-v1": 6_000, "small-v1": 4_000}
    assert [str(each) for each in world.journal if each.kind == "httproutes"] == []
    own = {world.get("modelroutes")["metadata"]["uid"]}
    # Of a status that was lost nobody can say that it was this ModelRoute's.
    assert owners_in(world) == (own if status == "restored" else {""})


def unlabelled(route: Json) -> None:
    route["metadata"]["labels"].pop(LABEL_ROUTE)


def labelled_for_another(route: Json) -> None:
    route["metadata"]["labels"][LABEL_ROUTE] = "other"


def without_its_note(route: Json) -> None:
    route["metadata"]["annotations"] = {}


def controlled_by_another_kind(route: Json) -> None:
    route["metadata"]["ownerReferences"] = [{**owner_reference(NAME, "uid-9"), "kind": "Canary"}]


def controlled_by_another_name(route: Json) -> None:
    route["metadata"]["ownerReferences"] = [owner_reference("other", "uid-9")]


def going(route: Json) -> None:
    route["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"


@pytest.mark.parametrize(
    "change",
    [
        unlabelled,
        labelled_for_another,
        without_its_note,
        controlled_by_another_kind,
        controlled_by_another_name,
        going,
    ],
)
async def test_what_was_not_made_for_a_modelroute_of_that_name_or_is_somebody_elses_now_stays_foreign(
    change: Callable[[Json], Any],
) -> None:
    world, _ = await promoted()
    restored(world)
    change(world.get("httproutes"))
    before = copy.deepcopy(world.get("httproutes"))
    await world.ticker().tick(NAMESPACE, NAME)

    assert not is_ours(before, NAME, world.get("modelroutes")["metadata"]["uid"])
    assert world.get("httproutes") == before
    assert "was not made for this ModelRoute" in world.status["message"]
