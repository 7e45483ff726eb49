"""The role that the chart ships is what the operator uses: all of it, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.own_route import own_route
from tests.fakes import NAME, STEP, manifest
from tests.recording_proxy import Right, kubeconfig_through, recording

from devstack.scene import Scene
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

ROLE = REPOSITORY / "charts" / "modelroute" / "files" / "clusterrole.yaml"


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def granted() -> set[Right]:
    role = yaml.safe_load(ROLE.read_text(encoding="utf-8"))
    return {
        Right(group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_uses_every_right_of_its_role_and_asks_for_no_other(
    stack: Stack, scene: Scene, tmp_path: Path
) -> None:
    """A backend that may not be named, promotions, a rollback, a ModelRoute made anew and a promotion on an adopted
    route, seen from between operator and API server.
    """
    scene.add_model("large-v1", seed=1)
    small = scene.add_model("small-v1", seed=2)

    def apply(weight: int, **spec: Any) -> None:
        steps = {"steps": [{**STEP, "progress": 100}]}
        spec = {"hostnames": [scene.host], "historyLimit": 1, "rollout": steps, **spec}
        body = manifest(large=100 - weight, small=weight, **spec)
        scene.apply({**body, "metadata": {"name": NAME}})

    def wait_for(phase: str, attempt: int | None) -> None:
        def reached() -> bool:
            status = scene.status(NAME)
            return (status.get("phase"), status.get("attempt")) == (phase, attempt)

        wait_until(reached, what=f"attempt {attempt} is {phase}", timeout_s=90.0, interval_s=0.25)

    with recording(stack.apiserver_url, stack.admin.ca) as seen:
        config = kubeconfig_through(seen.url, stack.operator_kubeconfig(), tmp_path / "kubeconfig")
        scene.start_operator(kubeconfig=config)
        apply(0)
        wait_for("Stable", None)
        elsewhere = manifest(large=60, small=40)["spec"]["models"]
        elsewhere[1]["backendRef"]["namespace"] = "elsewhere"
        apply(40, models=elsewhere)
        wait_for("Holding", None)
        scene.start_load(rate=50.0, duration_s=400.0, seed=3)
        apply(40)
        wait_for("Stable", 1)
        small.control(fail_rate=0.5)
        apply(80)
        wait_for("RolledBack", 2)
        small.control(fail_rate=0.0)
        apply(60)
        wait_for("Stable", 3)
        # Until then the first attempt's split was the one that the guard watched.
        wait_until(lambda: len(scene.rollouts()) == 1, what="the older attempts are deleted")
        scene.stack.kubectl("delete", "modelroute", NAME, "-n", scene.namespace, "--cascade=orphan")
        apply(60)
        wait_for("Stable", 3)
        scene.stack.kubectl("delete", "modelroute", NAME, "-n", scene.namespace)
        scene.apply(own_route(scene, adopted_by=NAME))
        adopting = {"parentRefs": None, "hostnames": None, "routeRef": {"name": "own", "rule": "chat"}}
        apply(0, **adopting)
        wait_for("Stable", None)
        apply(40, **adopting)
        wait_for("Stable", 1)
        wait_until(lambda: "finalizers" not in scene.get("modelroutes", NAME)["metadata"], what="it may go")
        scene.tear_down()

    assert sorted(seen.used) == sorted(granted())
    assert seen.refused == set()
