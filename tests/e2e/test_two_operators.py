"""Two replicas with Roles in one namespace and a Lease: one of them writes, whoever is stopped, killed or resumed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.test_rights import ROLE
from tests.fakes import NAME, STEP, manifest
from tests.recording_proxy import (
    Delay,
    Fault,
    Gone,
    Hang,
    LoseAnswer,
    Recording,
    Refuse,
    Right,
    kubeconfig_through,
    recording,
)

from devstack.load_report import failed_at_gateway
from devstack.scene import Scene
from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.controller.leading import LOST_EXIT_CODE

ACCOUNT = "namespaced"
LEASE = "modelroute"
Json = dict[str, Any]


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def roles(namespace: str) -> list[Json]:
    """A ServiceAccount with the chart's rights in one namespace, to the one Lease there too, and nothing elsewhere."""
    rbac = "rbac.authorization.k8s.io"
    files = (ROLE, ROLE.with_name("lease-role.yaml"))
    rules = [rule for file in files for rule in yaml.safe_load(file.read_text(encoding="utf-8"))["rules"]]
    at = {"name": ACCOUNT, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": at, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": at,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
        },
    ]


def namespaced_kubeconfig(scene: Scene, seen: Recording, to: Path) -> Path:
    scene.stack.apply(*roles(scene.namespace))
    return kubeconfig_through(seen.url, scene.stack.service_account_kubeconfig(scene.namespace, ACCOUNT), to)


def apply(scene: Scene, *, small: int, **first_step: Any) -> None:
    steps = [{**STEP, "progress": 50, **first_step}, {**STEP, "progress": 100}]
    body = manifest(large=100 - small, small=small, hostnames=[scene.host], rollout={"steps": steps})
    scene.apply({**body, "metadata": {"name": NAME}})


def settings(scene: Scene) -> Json:
    """With the Lease's own terms: one that is silent for 15 s is no leader any more."""
    return {"leaderElection": {"enabled": True, "namespace": scene.namespace, "name": LEASE}}


def holder(scene: Scene) -> str:
    return str(scene.get("leases", LEASE).get("spec", {}).get("holderIdentity") or "")


ROUTE_WRITE = Right("gateway.networking.k8s.io", "httproutes", "patch")
STOPPED_S = 30.0


def test_of_two_replicas_one_writes_and_a_leader_that_was_stopped_for_30_s_changes_nothing_any_more(
    stack: Stack, scene: Scene, tmp_path: Path
) -> None:
    """It is stopped while its order of the first step is on the wire; that arrives when the other has given the second.

    The Lease keeps it from writing once it goes on; that order carries a resourceVersion, and is a conflict.
    """
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    is_held, let_go = threading.Event(), threading.Event()

    def hold_one(right: Right) -> None:
        if right == ROUTE_WRITE and not is_held.is_set():
            is_held.set()
            let_go.wait(300.0)

    with recording(stack.apiserver_url, stack.admin.ca) as one, recording(stack.apiserver_url, stack.admin.ca) as two:
        config = namespaced_kubeconfig(scene, one, tmp_path / "one")
        first = scene.start_operator(kubeconfig=config, settings=settings(scene))
        leader = wait_until(lambda: holder(scene), what="the first leads", timeout_s=60)
        scene.start_operator(kubeconfig=namespaced_kubeconfig(scene, two, tmp_path / "two"), settings=settings(scene))
        apply(scene, small=0)
        wait_until(lambda: scene.status(NAME).get("phase") == "Stable", what="it is Stable", timeout_s=60)
        load = scene.start_load(rate=50.0, duration_s=400.0, seed=3)
        wait_until(lambda: two.asked, what="the second stands by", timeout_s=60)
        one.choose = hold_one
        apply(scene, small=40)
        wait_until(is_held.is_set, what="the first orders the first step", timeout_s=90)
        first.pause()
        stopped_at = time.monotonic()
        one.asked.clear()
        one.answered.clear()
        assert not written(two), "the one that stands by writes nothing"

        wait_until(lambda: holder(scene) not in {"", leader}, what="the second leads", timeout_s=120)
        wait_until(
            lambda: time.monotonic() - stopped_at >= STOPPED_S and scene.weights(NAME).get("small-v1") == 4_000,
            what="the first has been stopped for 30 s, and the second has moved the rollout on",
            timeout_s=180,
        )
        let_go.set()
        late = wait_until(
            lambda: [status for right, status in one.answered if right == ROUTE_WRITE],
            what="the order that was on the wire arrives",
        )
        assert late == [409], "it was of a route that has changed since"
        first.resume()
        assert first.wait(timeout_s=60) == LOST_EXIT_CODE
        again = scene.start_operator(kubeconfig=config, settings=settings(scene))
        wait_until(
            lambda: (scene.status(NAME).get("phase"), scene.status(NAME).get("attempt")) == ("Stable", 1),
            what="the second ends what the first began",
            timeout_s=120,
        )
        wait_until(lambda: "leads" in again.log.read_text(encoding="utf-8"), what="it is told who leads", timeout_s=60)
        assert not written(one), "neither what woke up too late writes, nor what was started in its place"
        scene.tear_down()
        assert scene.weights(NAME) == {"large-v1": 6_000, "small-v1": 4_000}
        (rollout,) = scene.rollouts()
        ends = [window["end"] for window in rollout["status"]["windows"]]
        assert ends == sorted(set(ends)), "each window once, in order"
        assert (one.refused, two.refused) == (set(), set()), "Roles alone are enough"
        of_leases = {right.verb for right in one.used | two.used if right.resource == "leases"}
        assert of_leases == {"get", "create", "update"}, "and used"
        assert failed_at_gateway(load.records()) == []


ENDS_WITHIN_S = 20.0
"""A call that is not answered is given up after 10 s; Kubernetes kills after 30."""

LOOKS: dict[str, tuple[Right, Fault]] = {
    "a read that is late": (Right("modelroute.dev", "modelroutes", "get"), Delay(2.0)),
    "a read that hangs": (Right("modelroute.dev", "modelrollouts", "list"), Hang(60.0)),
    "a write that is late": (Right("modelroute.dev", "modelrollouts/status", "update"), Delay(2.0)),
    "a write that hangs": (Right("modelroute.dev", "modelrollouts/status", "update"), Hang(60.0)),
    "a write whose answer is lost": (Right("modelroute.dev", "modelrollouts/status", "update"), LoseAnswer()),
}


def test_sigterm_in_the_middle_of_a_look_ends_the_process_cleanly_and_the_next_one_goes_on(
    stack: Stack, scene: Scene, tmp_path: Path
) -> None:
    """One rollout, and five operators one after the other; each is told to end while a call of its look is held."""
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    with recording(stack.apiserver_url, stack.admin.ca) as seen:
        config = kubeconfig_through(seen.url, stack.operator_kubeconfig(), tmp_path / "config")
        operator = scene.start_operator(kubeconfig=config)
        apply(scene, small=0)
        wait_until(lambda: scene.status(NAME).get("phase") == "Stable", what="it is Stable", timeout_s=60)
        load = scene.start_load(rate=50.0, duration_s=400.0, seed=3)
        apply(scene, small=40, approval=True)
        wait_until(lambda: scene.status(NAME).get("step") == "1/2", what="the rollout is under way", timeout_s=60)

        for what, (held, fault) in LOOKS.items():
            is_held = threading.Event()

            def hold(right: Right, held: Right = held, fault: Fault = fault, is_held: Any = is_held) -> Fault | None:
                if right != held or is_held.is_set():
                    return None
                is_held.set()
                return fault

            seen.choose = hold
            assert is_held.wait(60), f"{what}: it never came"
            told = time.monotonic()
            operator.stop(grace_s=ENDS_WITHIN_S)
            assert operator.wait() == 0, f"{what}: {operator.log.read_text(encoding='utf-8')[-2000:]}"
            assert time.monotonic() - told < ENDS_WITHIN_S, what
            assert "Traceback" not in operator.log.read_text(encoding="utf-8"), what
            seen.choose = lambda _right: None
            assert len(scene.rollouts()) == 1
            assert scene.weights(NAME)["small-v1"] == 2_000, f"{what}: the gate is kept"
            operator = scene.start_operator(kubeconfig=config)

        wait_until(lambda: scene.status(NAME)["phase"] == "AwaitingApproval", what="all else is met", timeout_s=60)
        token = scene.status(NAME)["nextAction"]
        stack.kubectl("annotate", "modelroute", NAME, "-n", scene.namespace, f"modelroute.dev/action=approve@{token}")
        wait_until(
            lambda: (scene.status(NAME).get("phase"), scene.status(NAME).get("attempt")) == ("Stable", 1),
            what="the last one ends what the first began",
            timeout_s=120,
        )
        scene.tear_down()
        ends = [window["end"] for window in scene.rollouts()[-1]["status"]["windows"]]
        assert ends == sorted(set(ends)), "each window once, in order"
        assert scene.weights(NAME) == {"large-v1": 6_000, "small-v1": 4_000}
        assert failed_at_gateway(load.records()) == []


def written(seen: Recording) -> list[Right]:
    """What was written of rollouts; the Lease is what they agree on, and a try to take it is none."""
    return [right for right in seen.asked if right.verb not in {"get", "list", "watch"} and right.resource != "leases"]


WATCH = Right("modelroute.dev", "modelroutes", "watch")


def test_a_watch_that_is_gone_and_one_that_says_nothing_hide_no_change_for_long(
    stack: Stack, scene: Scene, tmp_path: Path
) -> None:
    """410 makes kopf list anew and watch on from there, long before the look that every route gets once a minute.

    That one makes up for a watch that is silent.
    """
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    gone, silent = 3, False

    def choose(right: Right) -> Gone | Hang | None:
        nonlocal gone
        if right.verb != "watch":
            return None
        if right == WATCH and gone:
            gone -= 1
            return Gone()
        return Hang(300.0) if silent else None

    with recording(stack.apiserver_url, stack.admin.ca) as seen:
        seen.choose = choose
        config = kubeconfig_through(seen.url, stack.operator_kubeconfig(), tmp_path / "config")
        operator = scene.start_operator(kubeconfig=config)
        wait_until(lambda: seen.asked.count(WATCH) > 3, what="three watches are gone, a fourth is asked for")
        assert gone == 0
        apply(scene, small=0)
        wait_until(lambda: scene.status(NAME), what="the change is seen by the watch", timeout_s=10)
        wait_until(lambda: scene.status(NAME).get("phase") == "Stable", what="it is Stable", timeout_s=60)
        operator.kill()
        silent = True
        scene.start_load(rate=50.0, duration_s=200.0, seed=3)
        scene.start_operator(kubeconfig=config)
        time.sleep(5.0)  # it has listed, and hears nothing from now on
        apply(scene, small=40)
        wait_until(lambda: scene.status(NAME).get("attempt") == 1, what="the change is seen all the same", timeout_s=90)
        scene.tear_down()


def test_where_no_watch_can_be_had_a_new_route_is_found_all_the_same(
    stack: Stack, scene: Scene, tmp_path: Path
) -> None:
    """kopf gives up on a watch that is forbidden; the list is looked at once a minute."""
    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    with recording(stack.apiserver_url, stack.admin.ca) as seen:
        seen.choose = lambda right: Refuse(403, "forbidden") if right.verb == "watch" else None
        config = kubeconfig_through(seen.url, stack.operator_kubeconfig(), tmp_path / "config")
        operator = scene.start_operator(kubeconfig=config)
        time.sleep(5.0)  # it has listed, and has no watch
        apply(scene, small=0)
        wait_until(
            lambda: scene.status(NAME).get("phase") == "Stable" or not operator.running,
            what="the route is found, or the process has ended to be started anew",
            timeout_s=100,
        )
        scene.tear_down()
