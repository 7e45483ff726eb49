"""The chart on a real API server: installed with rights in one namespace, upgraded with a rollout in flight, removed.

There is no kubelet, so the operator runs as a process, with the ServiceAccount's token and the ConfigMap's content:
what it may do and what it is told is the chart's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.fakes import NAME, manifest

from controlplane import programs
from devstack.http import answers
from devstack.process import Process
from devstack.scene import Scene
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until
from modelroute.controller.settings import Settings

CHART = REPOSITORY / "charts" / "modelroute"
SYSTEM, RELEASE, FULL_NAME = "packaged", "mr", "mr-modelroute"
# The field that the chart's previous version does not know yet: the upgrade has to bring it.
NEW_FIELD = "guard"
STEPS = [{"progress": 50, "minDuration": "25s", "minRequests": 30}, {"progress": 100, "minDuration": "5s"}]
Json = dict[str, Any]


class Helm:
    """helm, speaking to one stack."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self._program, self.stack, self._home = programs.locate("helm").path, stack, home

    def __call__(self, *arguments: str | Path, values: Json | None = None) -> str:
        done = subprocess.run(
            [self._program, *arguments, *(["--values=-"] if values is not None else [])],
            input=yaml.safe_dump(values or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.stack.kubeconfig), "HELM_CACHE_HOME": str(self._home)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack without what the chart is to bring: no CRDs of ours, and no rights for the operator."""
    with Stack.start() as made:
        made.kubectl("delete", "crd", "modelroutes.modelroute.dev", "modelrollouts.modelroute.dev")
        made.kubectl("delete", "clusterrolebinding,clusterrole", "modelroute-operator")
        yield made


def previous_chart(helm: Helm, tmp_path: Path) -> Path:
    """A package of the chart as an older version would have been."""
    folder = tmp_path / "modelroute"
    shutil.copytree(CHART, folder)
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.0.9", "appVersion": "0.0.9"}))
    place = folder / "files" / "crds" / "modelroute.dev_modelroutes.yaml"
    crd = yaml.safe_load(place.read_text())
    del status_fields(crd)[NEW_FIELD]
    place.write_text(yaml.safe_dump(crd))
    helm("package", folder, "--destination", tmp_path)
    return tmp_path / "modelroute-0.0.9.tgz"


def status_fields(crd: Json) -> Json:
    fields: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    return fields


def get(stack: Stack, *what: str) -> Json:
    found: Json = json.loads(stack.kubectl("get", *what, "-o", "json"))
    return found


def start_operator(stack: Stack, tmp_path: Path, name: str) -> Process:
    """The operator as the Deployment would run it."""
    config = tmp_path / f"{name}.yaml"
    config.write_text(get(stack, "configmap", FULL_NAME, "-n", SYSTEM)["data"]["operator.yaml"])
    (container,) = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]["spec"]["containers"]
    arguments = [each.replace("/etc/modelroute/config/operator.yaml", str(config)) for each in container["args"]]
    kubeconfig = stack.service_account_kubeconfig(SYSTEM, FULL_NAME)
    argv: list[str | Path] = [sys.executable, "-m", "modelroute.cli.main", *arguments, "--kubeconfig", kubeconfig]
    return stack.spawn(name, argv, {"PYTHONPATH": str(REPOSITORY / "operator"), "PYTHONUNBUFFERED": "1"})


def own_ports(stack: Stack) -> Json:
    """Endpoints on ports that are free on this machine, where this operator has endpoints."""
    if "telemetry" not in Settings.model_fields:
        return {}
    return {"telemetry": {name: {"host": "127.0.0.1", "port": stack.free_port()} for name in ("metrics", "health")}}


def probes_pass(stack: Stack) -> bool:
    """The Deployment's probes, asked of the process as the kubelet would ask them of the pod."""
    (container,) = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")]
    return all(answers(f"http://127.0.0.1:{ports[probe['port']]}{probe['path']}") for probe in probes)


def apply(scene: Scene, *, small: int) -> None:
    body = manifest(large=100 - small, small=small, hostnames=[scene.host], rollout={"steps": STEPS})
    scene.apply({**body, "metadata": {"name": NAME}})


def test_the_chart_is_installed_upgraded_in_the_middle_of_a_rollout_and_removed(
    own_stack: Stack, tmp_path: Path
) -> None:
    stack, helm = own_stack, Helm(own_stack, tmp_path / "helm")
    scene = Scene(stack, stack.create_namespace("chat"))
    scene.set_up()
    values: Json = {
        "watch": {"namespaces": [scene.namespace]},
        "config": {
            "prometheus": {"default": {"url": stack.prometheus_url, "scrapeInterval": "1s"}},
            "analysis": {"window": "5s", "settleMin": "5s"},
            **own_ports(stack),
        },
    }

    # Installed: an older version, with rights in one namespace.
    place = ("--namespace", SYSTEM)
    told = helm("install", RELEASE, previous_chart(helm, tmp_path), *place, "--create-namespace", values=values)
    assert f"It looks at ModelRoutes in: {scene.namespace}." in told
    stack.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "modelroutes.modelroute.dev")
    assert NEW_FIELD not in status_fields(get(stack, "crd", "modelroutes.modelroute.dev"))

    # The pod that the Deployment would make is one that the restricted profile lets in.
    stack.kubectl("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted")
    template = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]
    template["metadata"].pop("creationTimestamp", None)
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "tried"}}
    stack.kubectl("create", "--dry-run=server", "-n", SYSTEM, "-f", "-", input=json.dumps(pod))

    # A rollout under way.
    for seed, name in enumerate(("large-v1", "small-v1")):
        scene.add_model(name, seed=seed)
    operator = start_operator(stack, tmp_path, "before")
    apply(scene, small=0)
    wait_until(lambda: scene.status(NAME).get("phase") == "Stable", what="the first split", timeout_s=60)
    if own_ports(stack):
        wait_until(lambda: probes_pass(stack), what="the probes pass", timeout_s=10)
    scene.start_load(rate=50.0, duration_s=240.0)
    apply(scene, small=40)
    wait_until(lambda: scene.status(NAME).get("step") == "1/2", what="the first step", timeout_s=60)
    before = scene.weights(NAME)
    assert before == {"large-v1": 8000, "small-v1": 2000}

    # Upgraded in the middle of it, with another configuration.
    values["config"]["analysis"]["settleMin"] = "6s"
    checksum = template["metadata"]["annotations"]["checksum/config"]
    operator.stop()
    helm("upgrade", RELEASE, CHART, *place, values=values)
    assert scene.weights(NAME) == before
    assert NEW_FIELD in status_fields(get(stack, "crd", "modelroutes.modelroute.dev"))
    upgraded = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]
    assert upgraded["metadata"]["annotations"]["checksum/config"] != checksum
    operator = start_operator(stack, tmp_path, "after")
    wait_until(lambda: scene.status(NAME).get("phase") == "Stable", what="the promotion", timeout_s=120)
    assert scene.status(NAME)["attempt"] == 1
    assert [each["status"]["phase"] for each in scene.rollouts()] == ["Promoted"]
    assert scene.weights(NAME) == {"large-v1": 6000, "small-v1": 4000}

    # Removed: the operator goes, what users wrote and what carries their traffic stays.
    operator.stop()
    helm("uninstall", RELEASE, *place)
    assert scene.weights(NAME) == {"large-v1": 6000, "small-v1": 4000}
    assert scene.status(NAME)["phase"] == "Stable"
    assert get(stack, "deployments,roles,rolebindings", "-n", SYSTEM)["items"] == []
