"""`kubectl modelroute` as a person uses it: every verb, every exit code of `wait`, every way to look, on real parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_rollout import ROUTE, begin, in_phase, manifest, wait_for

from devstack.scene import Scene
from devstack.stack import REPOSITORY, Stack
from modelroute.cli.wait import Outcome

Json = dict[str, Any]

LONG = "1h"
"""Longer than any test: such a step is left by a person or not at all."""
STEPS = (
    {"progress": 50, "minDuration": LONG, "minRequests": 30},
    {"progress": 75, "minDuration": "1s", "minRequests": 1, "approval": True},
    {"progress": 100, "minDuration": LONG, "minRequests": 30},
)


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


@dataclass(frozen=True, slots=True)
class Plugin:
    """`kubectl modelroute …` in the scene's namespace, found by kubectl on the PATH as krew would put it there."""

    scene: Scene
    folder: Path

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        """What was printed, on both outputs; fails unless it ended with `exits`."""
        environment = {
            **os.environ,
            "PATH": f"{self.folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "KUBECONFIG": str(self.scene.stack.kubeconfig),
        }
        argv = ["kubectl", "modelroute", *arguments, "-n", self.scene.namespace]
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=60, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == exits, f"{' '.join(argv)}: exit code {done.returncode}\n{printed}"
        return printed


@pytest.fixture
def plugin(scene: Scene, tmp_path: Path) -> Plugin:
    script = tmp_path / "kubectl-modelroute"
    start = "from modelroute.cli.main import kubectl_main; kubectl_main()"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{start}' \"$@\"\n", encoding="utf-8")
    script.chmod(0o755)
    return Plugin(scene, tmp_path)


def at_step(step: str) -> Any:
    return lambda status: status.get("step") == step


def test_a_person_steers_one_rollout_through_every_verb_and_reads_it_on_every_screen(
    scene: Scene, plugin: Plugin, tmp_path: Path
) -> None:
    begin(scene)
    assert "nothing is due" in plugin("pause", ROUTE, exits=1)
    assert "is promoted" in plugin("wait", ROUTE, "--timeout", "5s", exits=Outcome.DONE)
    assert "no-such" in plugin("wait", "no-such", exits=Outcome.ERROR)
    scene.apply(manifest(scene, large=60, small=40, rollout={"steps": list(STEPS)}))
    wait_for(scene, at_step("1/3"), what="the first step")

    # Paused and gone on with.
    plugin("pause", ROUTE)
    wait_for(scene, in_phase("Paused"), what="paused")
    plugin("resume", ROUTE)
    wait_for(scene, in_phase("Progressing"), what="gone on")
    assert f"{ROUTE} is not promoted after 2 s" in plugin("wait", ROUTE, "--timeout", "2s", exits=Outcome.TIMEOUT)

    # Past the waiting of the first step, and through the gate of the second.
    plugin("promote", ROUTE)
    wait_for(scene, in_phase("AwaitingApproval"), what="the second step waits for a person")
    assert scene.weights(ROUTE) == {"large-v1": 7_000, "small-v1": 3_000}
    looks_right(scene, plugin, tmp_path)
    kubectl_alone_is_enough(scene)
    plugin("approve", ROUTE)
    wait_for(scene, at_step("3/3"), what="the third step")

    # Back, tried again, and to the end at once.
    plugin("abort", ROUTE)
    assert "is rolled back" in plugin("wait", ROUTE, "--timeout", "60s", exits=Outcome.FAILED)
    assert scene.weights(ROUTE) == {"large-v1": 10_000, "small-v1": 0}
    plugin("retry", ROUTE)
    wait_for(scene, lambda s: s.get("attempt") == 2, what="the second attempt")
    plugin("promote", ROUTE, "--full")
    assert "is promoted" in plugin("wait", ROUTE, "--timeout", "90s", exits=Outcome.DONE)
    assert scene.weights(ROUTE) == {"large-v1": 6_000, "small-v1": 4_000}
    scene.stack.kubectl("wait", "--for=condition=Ready", f"modelroute/{ROUTE}", "-n", scene.namespace, "--timeout=10s")
    for kind in ("modelroute", "modelrollout"):
        (tmp_path / f"{kind}.txt").write_text(scene.stack.kubectl("describe", kind, "-n", scene.namespace))
    first, second = (rollout["status"]["phase"] for rollout in scene.rollouts())
    assert (first, second) == ("Aborted", "Promoted")
    history = plugin("history", ROUTE)
    assert "Aborted" in history
    assert "Promoted" in history


def kubectl_alone_is_enough(scene: Scene) -> None:
    """Columns, `describe`, `wait` and events, without the plugin."""
    kubectl, here = scene.stack.kubectl, ("-n", scene.namespace)
    narrow, wide = (kubectl("get", "modelroute", ROUTE, *here, *more) for more in ((), ("-o", "wide")))
    assert narrow.splitlines()[0].split() == ["NAME", "PHASE", "STEP", "LIVE", "VERDICT", "REASON", "AGE"]
    assert {"ATTEMPT", "REVISION", "MESSAGE"} <= set(wide.splitlines()[0].split())
    assert "small 30 %, large 70 %" in narrow
    assert "AwaitingApproval" in narrow
    described = kubectl("describe", "modelroute", ROUTE, *here)
    assert "ModelRoute" in described
    told = [reason for _, reason, _ in scene.events()]
    assert {"RolloutStarted", "StepPassed", "ActionTaken"} <= set(told)
    passed = [note for _, reason, note in scene.events() if reason == "StepPassed"]
    assert any("%" in note for note in passed), passed


def looks_right(scene: Scene, plugin: Plugin, tmp_path: Path) -> None:
    """Each screen says where the rollout stands, in the numbers that the API has."""
    assert "small 30 %, large 70 %" in plugin("get")
    status = plugin("status", ROUTE)
    assert "small 30 %, large 70 %" in status
    assert "approve" in status
    told = json.loads(plugin("status", ROUTE, "-o", "json"))
    assert told["route"]["status"]["phase"] == "AwaitingApproval"
    assert "errors" in plugin("explain", ROUTE)
    page = tmp_path / "report.html"
    plugin("report", ROUTE, "-o", str(page))
    assert "small" in page.read_text(encoding="utf-8")
    assert "AwaitingApproval" in plugin("history", ROUTE)
