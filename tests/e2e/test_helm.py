"""The chart on a real API server: installed with rights in one namespace, upgraded with a rollout in flight, removed.

There is no kubelet, so the operator runs as a process, with the ServiceAccount's token and the ConfigMap's content:
what it may do and what it is told is the chart's, and it finds its way to the API server as a pod does. `make node`
runs a real pod.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
CRD_FILE = "modelroute.dev_modelroutes.yaml"
SYSTEM, RELEASE, FULL_NAME = "packaged", "mr", "mr-modelroute"
# Where there is no history to take an older version from: the field that its CRD does not know yet.
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


@dataclass(frozen=True)
class Previous:
    """An older version: its chart, packaged, and the folder that its operator is imported from."""

    chart: Path
    source: Path
    told: str


def previous_version(helm: Helm, tmp_path: Path) -> Previous:
    """The version that first had a chart, chart and operator, where this clone goes back that far and the CRDs differ;
    else today's operator with a chart whose CRD lacks a field.
    """
    folder, chart, source = tmp_path / "older", tmp_path / "older" / "charts" / "modelroute", REPOSITORY / "operator"
    first = older_sources(folder)
    if first:
        source = folder / "operator"
    else:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(CHART, chart)
        place = chart / "files" / "crds" / CRD_FILE
        crd = yaml.safe_load(place.read_text())
        del status_fields(crd)[NEW_FIELD]
        place.write_text(yaml.safe_dump(crd))
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.0.9", "appVersion": "0.0.9"}))
    helm("package", chart, "--destination", tmp_path)
    told = (
        f"commit {first}" if first else f"today's, with a chart whose CRD lacks {NEW_FIELD}: no history in this clone"
    )
    return Previous(tmp_path / "modelroute-0.0.9.tgz", source, told)


def older_sources(folder: Path) -> str:
    """The commit whose chart and operator are now in `folder`; empty where the clone has none that differs."""

    def git(*arguments: str) -> bytes:
        done = subprocess.run(["git", "-C", REPOSITORY, *arguments], capture_output=True, check=False, timeout=60)
        return done.stdout if done.returncode == 0 else b""

    if git("rev-parse", "--is-shallow-repository").strip() != b"false":
        return ""
    added = git("log", "--diff-filter=A", "--format=%h", "--", "charts/modelroute/Chart.yaml").decode().split()
    if not added:
        return ""
    archived = git("archive", added[-1], "charts/modelroute", "operator")
    with tarfile.open(fileobj=io.BytesIO(archived)) as tar:
        tar.extractall(folder, filter="data")
    older, today = (place / "files" / "crds" / CRD_FILE for place in (folder / "charts" / "modelroute", CHART))
    return added[-1] if older.read_text() != today.read_text() else ""


def status_fields(crd: Json) -> Json:
    fields: Json = schema(crd)["status"]["properties"]
    return fields


def schema(crd: Json) -> Json:
    found: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found


def schema_in(chart: Path) -> Json:
    return schema(yaml.safe_load((chart / "files" / "crds" / CRD_FILE).read_text()))


def get(stack: Stack, *what: str) -> Json:
    found: Json = json.loads(stack.kubectl("get", *what, "-o", "json"))
    return found


def start_operator(stack: Stack, tmp_path: Path, name: str, source: Path) -> Process:
    """The operator of `source` as the Deployment would run it; an older one with a kubeconfig, for it ran in no pod."""
    config = tmp_path / f"{name}.yaml"
    config.write_text(get(stack, "configmap", FULL_NAME, "-n", SYSTEM)["data"]["operator.yaml"])
    (container,) = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]["spec"]["containers"]
    arguments = [each.replace("/etc/modelroute/config/operator.yaml", str(config)) for each in container["args"]]
    own = source == REPOSITORY / "operator"
    paths = f"{source}:{REPOSITORY / 'hack'}" if own else str(source)
    env = {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    argv: list[str | Path] = [sys.executable, "-m"]
    if own:
        folder, of_pod = stack.service_account_pod(SYSTEM, FULL_NAME)
        return stack.spawn(name, [*argv, "devstack.pod", folder, "modelroute.cli.main", *arguments], {**env, **of_pod})
    kubeconfig = stack.service_account_kubeconfig(SYSTEM, FULL_NAME)
    return stack.spawn(name, [*argv, "modelroute.cli.main", *arguments, "--kubeconfig", kubeconfig], env)


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
    own_stack: Stack, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    stack, helm = own_stack, Helm(own_stack, tmp_path / "helm")
    scene = Scene(stack, stack.create_namespace("chat"))
    scene.set_up()
    values: Json = {
        "image": {"repository": "registry.example.com/modelroute"},
        "watch": {"namespaces": [scene.namespace]},
        "config": {
            "prometheus": {"default": {"url": stack.prometheus_url, "scrapeInterval": "1s"}},
            "analysis": {"window": "5s", "settleMin": "5s"},
            **own_ports(stack),
        },
    }

    # Installed: an older version, with rights in one namespace.
    place = ("--namespace", SYSTEM)
    previous = previous_version(helm, tmp_path)
    record_property("upgraded from", previous.told)
    print(f"upgraded from {previous.told}")
    told = helm("install", RELEASE, previous.chart, *place, "--create-namespace", values=values)
    assert f"It looks at ModelRoutes in: {scene.namespace}." in told
    stack.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "modelroutes.modelroute.dev")
    assert schema(get(stack, "crd", "modelroutes.modelroute.dev")) != schema_in(CHART)

    # The pod that the Deployment would make is one that the restricted profile lets in.
    stack.kubectl("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted")
    template = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]
    template["metadata"].pop("creationTimestamp", None)
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "tried"}}
    stack.kubectl("create", "--dry-run=server", "-n", SYSTEM, "-f", "-", input=json.dumps(pod))

    # A rollout under way.
    for seed, name in enumerate(("large-v1", "small-v1")):
        scene.add_model(name, seed=seed)
    operator = start_operator(stack, tmp_path, "before", previous.source)
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
    assert schema(get(stack, "crd", "modelroutes.modelroute.dev")) == schema_in(CHART)
    upgraded = get(stack, "deployment", FULL_NAME, "-n", SYSTEM)["spec"]["template"]
    assert upgraded["metadata"]["annotations"]["checksum/config"] != checksum
    operator = start_operator(stack, tmp_path, "after", REPOSITORY / "operator")
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
