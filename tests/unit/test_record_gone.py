"""Somebody deletes the ModelRollout: what it said of harm is not lost with it, and a way back is gone to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes import NAME, NAMESPACE, World, run_until
from tests.unit.test_adoption import OWN
from tests.unit.test_adoption import under_way as adopted_and_under_way
from tests.unit.test_table import (
    Build,
    Scene,
    aborted,
    backend_gone,
    come,
    paused_by_a_breach,
    progressing,
    promoted,
    record_deleted,
    rolled_back,
    rolling_back,
    superseded,
    until,
)

from modelroute.errors import Unavailable
from modelroute.rollout.table import State

LARGE_ALONE = {"large-v1": 10_000}


def live(world: World, name: str = NAME) -> dict[str, int]:
    rules = world.get("httproutes", name)["spec"]["rules"]
    return {ref["name"]: ref["weight"] for ref in rules[-1]["backendRefs"] if ref["weight"]}


async def taking_a_promotion_back(scene: Scene) -> None:
    """The guard was broken within the bake; the gateway has not answered."""
    await promoted(scene)
    scene.the_gateway()
    scene.bad_share["bounded/small-v1"] = 0.5
    await come(scene, State.ROLLING_BACK)


REFUSED: tuple[tuple[Build, str], ...] = (
    (rolling_back, "small is worse on errors than allowed"),
    (taking_a_promotion_back, "small breaks the bound of bounded"),
    (rolled_back, "small is worse on errors than allowed"),
    (aborted, "a person aborted it"),
    (paused_by_a_breach, "an objective with onBreach: Pause was breached"),
)


async def without_its_record(build: Build) -> Scene:
    """`build`, and then all is well, but the ModelRollout is gone and the operator a new one."""
    scene = Scene()
    await build(scene)
    record_deleted(scene)
    scene.bad_share.clear()
    scene.the_gateway(takes=True)
    return scene


@pytest.mark.parametrize(("build", "told"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
async def test_what_went_back_is_not_tried_again_because_its_record_was_deleted(build: Build, told: str) -> None:
    scene = await without_its_record(build)
    await come(scene, State.ROLLED_BACK)
    risen = await until(scene, scene.ticker(), lambda: live(scene) != LARGE_ALONE, within_s=900.0)

    assert not risen
    assert scene.state is State.ROLLED_BACK
    assert told in scene.status["message"]
    assert "its ModelRollout is gone, or is of another route" in scene.status["message"]
    assert scene.rollouts() == []


@pytest.mark.parametrize(("build", "_told"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
async def test_what_is_refused_without_a_record_is_tried_again_on_retry_or_another_spec(
    build: Build, _told: str
) -> None:
    for way_out in (lambda scene: scene.act("retry"), lambda scene: scene.want(large=70, small=30)):
        scene = await without_its_record(build)
        await come(scene, State.ROLLED_BACK)
        assert scene.status["nextAction"] in scene.status["message"]
        way_out(scene)
        await come(scene, State.PROGRESSING)
        assert "refused" not in scene.status


async def test_a_token_that_was_due_before_the_record_was_deleted_is_never_due_again() -> None:
    scene = Scene()
    await progressing(scene)
    tokens = [scene.status["nextAction"]]
    for verb in ("pause", "resume", "pause", "abort"):
        scene.act(verb)
        await scene.ticker().tick(NAMESPACE, NAME)
        tokens += [scene.status.get("nextAction", "")]
    record_deleted(scene)
    await come(scene, State.ROLLED_BACK)
    scene.act("retry")
    await come(scene, State.PROGRESSING)

    assert scene.status["nextAction"] not in tokens


async def test_a_retry_that_was_said_while_the_gateway_was_silent_gives_no_token_twice() -> None:
    scene = await without_its_record(aborted)
    await come(scene, State.ROLLED_BACK)
    due = scene.status["nextAction"]
    scene.the_gateway()
    await come(scene, State.HELD_BEFORE)
    assert "nextAction" not in scene.status
    scene.act(f"retry@{due}")
    await until(scene, scene.ticker(), lambda: False, within_s=10)
    scene.the_gateway(takes=True)
    await come(scene, State.PROGRESSING)

    before, now = (int(token.rpartition(".")[2]) for token in (due, scene.status["nextAction"]))
    assert now > before


Happens = Callable[[Scene], None]


@pytest.mark.parametrize(
    "happens",
    [
        lambda scene: scene.edit(77),
        lambda scene: scene.the_gateway(),
        lambda scene: scene.the_gateway(rejects=True),
        backend_gone,
        lambda scene: scene.want(paused=True),
    ],
    ids=["route edited", "gateway silent", "gateway rejects", "backend gone", "spec paused"],
)
async def test_what_is_refused_without_a_record_stays_so_whatever_phase_comes_between(happens: Happens) -> None:
    scene = await without_its_record(rolled_back)
    await come(scene, State.ROLLED_BACK)
    happens(scene)
    await until(scene, scene.ticker(), lambda: False, within_s=70)
    scene.the_gateway(takes=True)
    scene.backends.answer = lambda _backend, _field: None
    scene.want(paused=False)
    await until(scene, scene.ticker(), lambda: False, within_s=300)

    assert scene.state is State.ROLLED_BACK
    assert live(scene) == LARGE_ALONE
    assert scene.status["nextAction"]


async def test_a_status_that_an_earlier_operator_wrote_refuses_by_its_phase() -> None:
    scene = await without_its_record(rolled_back)
    status = {key: value for key, value in scene.status.items() if key != "refused"}
    scene.store("modelroutes", {**scene.get("modelroutes"), "status": status})
    await until(scene, scene.ticker(), lambda: False, within_s=300)

    assert scene.state is State.ROLLED_BACK
    assert scene.status["refused"]["revision"] == status["revision"]


async def test_a_change_of_the_spec_that_was_going_back_without_blame_starts_anew_without_its_record() -> None:
    scene = await without_its_record(superseded)
    await come(scene, State.PROGRESSING)

    assert scene.status["attempt"] == 2


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_spec_that_was_changed_to_and_fro_while_it_went_back_is_tried_as_nothing_was_wrong_with_it(
    deleted: bool,
) -> None:
    scene = Scene()
    await superseded(scene)
    scene.want(large=60, small=40)
    if deleted:
        record_deleted(scene)
    scene.the_gateway(takes=True)
    await come(scene, State.PROGRESSING)

    assert scene.status["attempt"] == 2


# The way back itself, where the record is gone before the route was written.


async def harmed_and_not_written(scene: Scene) -> None:
    """Harm was shown and written down, and the route could not be written."""
    await progressing(scene)
    scene.bad_share["small-v1"] = 0.5
    scene.faults.before = lambda write: Unavailable("no right") if write.kind == "httproutes" else None
    await until(scene, scene.ticker(), lambda: scene.status["phase"] == "RollingBack", within_s=60)
    assert live(scene)["small-v1"] == 2_000
    record_deleted(scene)


async def promotion_harmed_and_not_written(scene: Scene) -> None:
    await promoted(scene)
    scene.bad_share["bounded/small-v1"] = 0.5
    scene.faults.before = lambda write: Unavailable("no right") if write.kind == "httproutes" else None
    await until(scene, scene.ticker(), lambda: scene.status["phase"] == "RollingBack", within_s=60)
    assert live(scene) == {"small-v1": 10_000}
    record_deleted(scene)


@pytest.mark.parametrize("build", [harmed_and_not_written, promotion_harmed_and_not_written])
@pytest.mark.parametrize(
    "happens",
    [
        lambda _scene: None,
        backend_gone,
        lambda scene: scene.want(paused=True),
        lambda scene: scene.the_gateway(),
        lambda scene: scene.the_gateway(rejects=True),
        lambda scene: setattr(scene, "prometheus_problem", Unavailable("down")),
    ],
    ids=["all well", "backend gone", "spec paused", "gateway silent", "gateway rejects", "Prometheus down"],
)
async def test_a_way_back_whose_record_is_gone_is_gone_to_its_end(
    build: Callable[[Scene], Awaitable[None]], happens: Happens
) -> None:
    scene = Scene()
    await build(scene)
    happens(scene)
    ticker = scene.ticker()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        assert scene.status["phase"] == "RollingBack"
    scene.faults.before = lambda _write: None
    await ticker.tick(NAMESPACE, NAME)

    assert live(scene) == LARGE_ALONE


async def test_an_adopted_rule_goes_back_without_its_record_and_without_waiting_for_the_finalizer() -> None:
    world, ticker = await adopted_and_under_way()
    world.bad_share["small-v1"] = 0.5
    world.faults.before = lambda write: Unavailable("no right") if write.kind == "httproutes" else None
    while world.status["phase"] != "RollingBack":
        with contextlib.suppress(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += 1.0
    for key in [key for key in world.objects if key[0] == "modelrollouts"]:
        del world.objects[key]
    world.faults.before = lambda write: Unavailable("no right") if str(write) == "patch modelroutes" else None
    await world.ticker().tick(NAMESPACE, NAME)

    assert live(world, OWN) == LARGE_ALONE
    world.faults.before = lambda _write: None
    await run_until(world, world.ticker(), lambda status: status["phase"] == "RolledBack")
    assert not world.get("modelroutes")["metadata"].get("finalizers")
