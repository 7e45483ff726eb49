"""Whole rollouts on real parts: kube-apiserver, Traefik, Prometheus, model servers, HTTP, the operator as a process.

Windows and settle.min are 5 s and scrapes 1 s, so that a step takes seconds; nothing else is different from production.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from devstack.load_report import between, failed_at_gateway, last_sent_to
from devstack.scene import Load, Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

ROUTE = "support-chat"
RATE = 50.0
Json = dict[str, Any]


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def manifest(scene: Scene, *, large: int, small: int, small_service: str = "small-v1", **spec: Any) -> Json:
    step = {"minDuration": "5s", "minRequests": 30}
    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "metadata": {"name": ROUTE},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "hostnames": [scene.host],
            "models": [
                {"name": "large", "tier": "Large", "weight": large, "backendRef": {"name": "large-v1", "port": 8000}},
                {
                    "name": "small",
                    "tier": "Small",
                    "weight": small,
                    "backendRef": {"name": small_service, "port": 8000},
                },
            ],
            "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
            "rollout": {"steps": [{**step, "progress": 50}, {**step, "progress": 100}]},
            **spec,
        },
    }


def wait_for(scene: Scene, check: Callable[[Json], bool], *, what: str, timeout_s: float = 90.0) -> Json:
    """The status once `check` holds; a failure shows what the route said last."""
    last: Json = {}

    def holds() -> bool:
        nonlocal last
        last = scene.status(ROUTE)
        return check(last)

    try:
        wait_until(holds, what=what, timeout_s=timeout_s, interval_s=0.25)
    except Exception as error:
        error.add_note(f"{last.get('phase')}: {last.get('message')}")
        raise
    return last


def in_phase(phase: str) -> Callable[[Json], bool]:
    return lambda status: status.get("phase") == phase


def conditions(status: Json) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def begin(scene: Scene, *, small_faults: Json | None = None) -> Load:
    """Two model servers, the operator, a Stable route with all traffic on large, and load."""
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2, **(small_faults or {}))
    scene.start_operator()
    scene.apply(manifest(scene, large=100, small=0))
    wait_for(scene, in_phase("Stable"), what="the route is Stable")
    load = scene.start_load(rate=RATE, duration_s=240.0, seed=3)
    wait_until(lambda: len(load.records()) > 50, what="requests are answered")
    return load


def test_a_healthy_model_is_promoted_and_kill_9_in_the_middle_of_a_step_loses_nothing(scene: Scene) -> None:
    load = begin(scene)
    slow = [{"progress": 50, "minDuration": "30s", "minRequests": 30}, {"progress": 100, "minDuration": "5s"}]
    scene.apply(manifest(scene, large=60, small=40, rollout={"steps": slow}))
    wait_for(
        scene,
        lambda s: s.get("step") == "1/2" and any(o.get("candidateRequests") for o in s.get("objectives") or ()),
        what="the first step has evidence",
    )
    before = scene.rollouts()[-1]["status"]
    assert scene.weights(ROUTE) == {"large-v1": 8_000, "small-v1": 2_000}

    assert scene.operator is not None
    scene.operator.kill()
    split_while_dead = scene.weights(ROUTE)
    time.sleep(6.0)  # more than a window passes unseen; the point of the test, and no fake clock rules another process
    scene.start_operator()
    promoted = wait_for(scene, lambda s: s.get("phase") == "Stable" and s.get("attempt") == 1, what="promoted")

    (rollout,) = scene.rollouts()
    after = rollout["status"]
    assert split_while_dead == {"large-v1": 8_000, "small-v1": 2_000}
    assert after["startedAt"] == before["startedAt"], "it went on with the attempt that it had"
    assert after["phase"] == "Promoted"
    assert scene.weights(ROUTE) == {"large-v1": 6_000, "small-v1": 4_000}
    assert promoted["live"] == "small 40 %, large 60 %"
    assert conditions(promoted) == {
        "Accepted": "True",
        "Programmed": "True",
        "MetricsAvailable": "True",
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }
    assert [reason for _, reason, _ in scene.events()].count("StepPassed") == 2
    load.process.stop(grace_s=15.0)
    records = load.records()
    assert failed_at_gateway(records) == []
    assert {record.arm for record in records if record.ok} == {"large-v1", "small-v1"}


def test_a_version_that_fails_goes_back_and_gets_no_more_requests(scene: Scene) -> None:
    load = begin(scene, small_faults={"fail_rate": 0.4})
    scene.apply(manifest(scene, large=60, small=40))

    back = wait_for(scene, in_phase("RolledBack"), what="rolled back")

    (rollout,) = scene.rollouts()
    status = rollout["status"]
    assert status["phase"] == "RolledBack"
    assert (status["decision"]["reason"], status["decision"]["candidate"]) == ("HarmDetected", "small")
    assert "small is worse on errors than allowed" in back["message"]
    assert scene.weights(ROUTE) == {"large-v1": 10_000, "small-v1": 0}
    assert conditions(back)["Stalled"] == "True"
    assert conditions(back)["Ready"] == "False"
    asked_for = time.time()
    wait_until(lambda: len(between(load.records(), since=asked_for)) > 100, what="load goes on")
    load.process.stop(grace_s=15.0)
    records = load.records()
    last = last_sent_to(records, "small-v1")
    assert last is not None
    assert last.sent_at < asked_for
    assert failed_at_gateway(records) == []
    assert scene.status(ROUTE)["phase"] == "RolledBack", "it is not tried again by itself"


def test_a_version_that_fails_every_request_goes_back_on_the_fast_path_before_it_settles(scene: Scene) -> None:
    begin(scene, small_faults={"unknown": True})
    scene.apply(manifest(scene, large=60, small=40))

    wait_for(scene, in_phase("RolledBack"), what="rolled back")

    (rollout,) = scene.rollouts()
    status = rollout["status"]
    assert status["stepIndex"] == 0
    assert status["evidenceUntil"] >= status["stepLiveAt"]
    windows = (_seconds(status["decidedAt"]) - _seconds(status["startedAt"])) / 5.0
    assert windows < 5, f"decided after {windows:.1f} windows"


SETBACKS: tuple[tuple[Json, Json], ...] = (
    ({"name": "safety", "metric": "SafetyViolationRate", "maxIncrease": "0.5pp"}, {"unsafe_rate": 0.2}),
    ({"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "maxIncrease": "5pp"}, {"slow_factor": 8.0}),
    ({"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}, {"hang_rate": 1.0}),
)


def test_versions_that_are_unsafe_slow_or_hanging_go_back_side_by_side(scene: Scene) -> None:
    """Three routes at once under one operator, each with an objective of its own."""
    made = [Scene(scene.stack, scene.stack.create_namespace(f"{scene.namespace}-{n}")) for n in range(len(SETBACKS))]
    try:
        for each, (objective, faults) in zip(made, SETBACKS, strict=True):
            each.set_up()
            each.add_model("large-v1", seed=1)
            each.add_model("small-v1", seed=2, **faults)
            each.apply(manifest(each, large=100, small=0, objectives=[objective]))
        made[0].start_operator(also=made[1:])
        loads = [each.start_load(rate=30.0, duration_s=240.0, seed=3) for each in made]
        for each, (objective, _) in zip(made, SETBACKS, strict=True):
            wait_for(each, in_phase("Stable"), what=f"{objective['name']} is Stable")
            each.apply(manifest(each, large=60, small=40, objectives=[objective]))
        for each, load, (objective, _) in zip(made, loads, SETBACKS, strict=True):
            wait_for(each, in_phase("RolledBack"), what=f"{objective['name']} is rolled back", timeout_s=150)
            (rollout,) = each.rollouts()
            assert rollout["status"]["decision"]["objective"] == objective["name"]
            assert each.weights(ROUTE) == {"large-v1": 10_000, "small-v1": 0}
            load.process.kill()
            live_at = rollout["status"]["startedAt"]
            assert failed_at_gateway(between(load.records(), since=_seconds(live_at))) == []
    finally:
        for each in made:
            each.tear_down()
            scene.stack.kubectl("delete", "namespace", each.namespace, "--wait=false")


def test_careless_input_is_told_in_a_sentence_and_moves_no_traffic(scene: Scene) -> None:
    scene.add_model("large-v1", seed=1)
    scene.start_operator()

    scene.apply(manifest(scene, large=60, small=40, small_service="smal-v1"))
    missing = wait_for(scene, lambda s: bool(s.get("conditions")), what="a first status")
    assert missing["phase"] == "Pending"
    assert "spec.models[1].backendRef: Service smal-v1 in namespace" in missing["message"]
    assert "does not exist: create it, or correct the name" in missing["message"]
    assert scene.get("httproutes", ROUTE) == {}

    scene.add_model("small-v1", seed=2)
    scene.apply(manifest(scene, large=100, small=0))
    wait_for(scene, in_phase("Stable"), what="mended")
    scene.apply(manifest(scene, large=60, small=40, metrics={"prometheus": "elsewhere"}))
    unknown = wait_for(scene, lambda s: "elsewhere" in s.get("message", ""), what="told of the Prometheus")
    assert "no Prometheus server is named 'elsewhere' in the operator's configuration" in unknown["message"]
    assert scene.weights(ROUTE) == {"large-v1": 10_000}

    filters = [{"type": "RequestHeaderModifier"}]
    scene.apply(manifest(scene, large=100, small=0, filters=filters))
    refused = wait_for(scene, lambda s: "refuses the HTTPRoute" in s.get("message", ""), what="told of the filter")
    assert conditions(refused)["Accepted"] == "False"
    assert "filters" not in scene.get("httproutes", ROUTE)["spec"]["rules"][0]


def test_a_route_that_somebody_else_made_under_our_name_is_left_alone(scene: Scene) -> None:
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": ROUTE, "namespace": scene.namespace},
        "spec": {"parentRefs": [{"name": "inference"}], "hostnames": ["theirs.example.com"]},
    }
    scene.stack.apply(theirs)
    before = scene.get("httproutes", ROUTE)["spec"]
    scene.start_operator()
    scene.apply(manifest(scene, large=60, small=40))

    told = wait_for(scene, lambda s: bool(s.get("conditions")), what="a first status")

    assert "was not made for this ModelRoute" in told["message"]
    assert scene.get("httproutes", ROUTE)["spec"] == before
    scene.stack.kubectl("delete", "httproute", ROUTE, "-n", scene.namespace)
    wait_for(scene, lambda s: s.get("phase") != "Pending", what="it goes on by itself once the name is free")


def test_a_deleted_modelroute_takes_its_route_and_history_with_it(scene: Scene) -> None:
    begin(scene)
    scene.stack.kubectl("delete", "modelroute", ROUTE, "-n", scene.namespace)

    wait_until(lambda: scene.get("httproutes", ROUTE) == {}, what="the route is gone")


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def test_prometheus_the_api_server_and_a_second_operator_come_and_go_and_nothing_is_lost(scene: Scene) -> None:
    load = begin(scene)
    slow = [{"progress": 50, "minDuration": "35s", "minRequests": 30}, {"progress": 100, "minDuration": "5s"}]
    scene.apply(manifest(scene, large=60, small=40, rollout={"steps": slow}))
    wait_for(scene, lambda s: s.get("step") == "1/2", what="the first step")
    second = scene.start_operator()

    scene.stack.prometheus.pause()
    try:
        held = wait_for(scene, in_phase("Holding"), what="it holds without Prometheus")
        assert "Prometheus" in held["message"]
    finally:
        scene.stack.prometheus.resume()
    scene.stack.apiserver.restart()
    wait_until(lambda: scene.weights(ROUTE) == {"large-v1": 8_000, "small-v1": 2_000}, what="the split as it was")
    second.kill()
    wait_for(scene, lambda s: s.get("phase") == "Stable" and s.get("attempt") == 1, what="promoted", timeout_s=180)

    (rollout,) = scene.rollouts()
    assert rollout["status"]["phase"] == "Promoted"
    load.process.kill()
    assert failed_at_gateway(load.records()) == []
