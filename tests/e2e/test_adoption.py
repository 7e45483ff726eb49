"""A rule of the user's own route, and what people say to a rollout, on real parts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.own_route import own_route
from tests.fakes import NAME, STEP, manifest

from devstack.load_report import failed_at_gateway
from devstack.scene import Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

Json = dict[str, Any]
GATED = {"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]}


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def apply(scene: Scene, *, small: int) -> None:
    reference: Json = {"parentRefs": None, "routeRef": {"name": "own", "rule": "chat"}, "rollout": GATED}
    scene.apply({**manifest(large=100 - small, small=small, **reference), "metadata": {"name": NAME}})


def say(scene: Scene, verb: str) -> None:
    token = scene.status(NAME)["nextAction"]
    annotation = f"modelroute.dev/action={verb}@{token}"
    scene.stack.kubectl("annotate", "--overwrite", "modelroute", NAME, "-n", scene.namespace, annotation)


def reached(scene: Scene, phase: str) -> Callable[[], bool]:
    return lambda: scene.status(NAME).get("phase") == phase


def split(scene: Scene) -> dict[str, int]:
    rules = scene.get("httproutes", "own")["spec"]["rules"]
    return {ref["name"]: ref["weight"] for ref in next(r for r in rules if r["name"] == "chat")["backendRefs"]}


def but_for_weights(scene: Scene) -> Json:
    route = copy.deepcopy(scene.get("httproutes", "own"))
    for ref in route["spec"]["rules"][1]["backendRefs"]:
        ref.pop("weight", None)
    return {"spec": route["spec"], "annotations": route["metadata"]["annotations"]}


def test_an_adopted_rule_is_moved_approved_fought_over_and_put_back_when_its_model_route_is_deleted(
    scene: Scene,
) -> None:
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    scene.apply(own_route(scene, adopted_by=NAME))
    before = but_for_weights(scene)
    scene.start_operator()
    load = scene.start_load(rate=50.0, duration_s=240.0, seed=3)
    apply(scene, small=0)
    wait_until(reached(scene, "Stable"), what="it is Stable", timeout_s=60)

    apply(scene, small=40)
    wait_until(reached(scene, "AwaitingApproval"), what="the gate is reached", timeout_s=90)
    assert split(scene) == {"large-v1": 8_000, "small-v1": 2_000}
    say(scene, "approve")
    wait_until(reached(scene, "Stable"), what="it is promoted", timeout_s=90)
    assert split(scene) == {"large-v1": 6_000, "small-v1": 4_000}

    apply(scene, small=80)
    wait_until(lambda: split(scene) == {"large-v1": 4_000, "small-v1": 6_000}, what="the next one is under way")
    weights = [{"op": "replace", "path": "/spec/rules/1/backendRefs/0/weight", "value": 1}]
    scene.stack.kubectl(
        "patch", "httproute", "own", "-n", scene.namespace, "--type=json", "-p", str(weights).replace("'", '"')
    )
    wait_until(lambda: split(scene)["large-v1"] == 4_000, what="somebody else's weight is restored")
    assert "RouteRestored" in {reason for _, reason, _ in scene.events()}
    assert but_for_weights(scene) == before

    scene.stack.kubectl("delete", "modelroute", NAME, "-n", scene.namespace, "--timeout=60s")
    assert split(scene) == {"large-v1": 6_000, "small-v1": 4_000}
    assert but_for_weights(scene) == before
    assert failed_at_gateway(load.records()) == []
