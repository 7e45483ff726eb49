"""Two ModelRoutes want the same requests: people are told which of them gets none, and nothing is moved for it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from tests.fakes import STEP, manifest

from devstack.scene import Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

Json = dict[str, Any]


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def apply(scene: Scene, name: str, service: str) -> None:
    steps = [{**STEP, "progress": 100}]
    body = manifest(large=100, small=0, hostnames=[scene.host], rollout={"steps": steps})
    body["spec"]["models"][0]["backendRef"]["name"] = service
    scene.apply({**body, "metadata": {"name": name}})


def programmed(scene: Scene, name: str) -> Json:
    conditions = scene.status(name).get("conditions") or []
    return next((each for each in conditions if each["type"] == "Programmed"), {})


def overlaps(scene: Scene, name: str) -> bool:
    return bool(programmed(scene, name).get("reason") == "RouteOverlaps")


def test_of_two_modelroutes_with_the_same_hostname_and_path_both_name_the_other(scene: Scene) -> None:
    for seed, name in enumerate(("large-v1", "small-v1", "large-v2")):
        scene.add_model(name, seed=seed)
    scene.start_operator()
    apply(scene, "first", "large-v1")
    wait_until(lambda: scene.status("first").get("phase") == "Stable", what="the first is Stable", timeout_s=60)
    assert programmed(scene, "first")["reason"] == "Programmed"
    time.sleep(1.1)  # creationTimestamp has whole seconds: in the same one the first by name would come first
    apply(scene, "a-second", "large-v2")
    told = {
        "first": f"HTTPRoute {scene.namespace}/a-second has the same Gateway, hostname and match and is younger",
        "a-second": f"HTTPRoute {scene.namespace}/first has the same Gateway, hostname and match and is older",
    }
    for name, words in told.items():
        wait_until(
            partial(overlaps, scene, name),
            what=f"{name} names the other",
            timeout_s=90,
        )
        found = programmed(scene, name)
        assert (found["status"], words in found["message"]) == ("True", True), found["message"]
        assert scene.status(name)["phase"] == "Stable"
    assert {reason for _, reason, note in scene.events() if "has the same Gateway" in note} == {"RouteOverlaps"}
    assert scene.weights("first") == {"large-v1": 10_000}
    assert scene.weights("a-second") == {"large-v2": 10_000}
    assert {answering(scene) for _ in range(20)} == {"large-v1"}, "as Gateway API has it, and as was told"

    scene.stack.kubectl("delete", "modelroute", "first", "-n", scene.namespace)
    wait_until(lambda: programmed(scene, "a-second").get("reason") == "Programmed", what="it is alone", timeout_s=90)


def answering(scene: Scene) -> str:
    """Which model server a request reaches."""
    request = urllib.request.Request(f"{scene.stack.gateway_url}/health", headers={"Host": scene.host})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(answer.headers["x-served-by"])
