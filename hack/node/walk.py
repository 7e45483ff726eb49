"""What is tried on the node, as a user or a cluster would do it; what does not come to pass is an exception."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from controlplane import programs
from devstack.errors import StackError
from devstack.scene import Scene
from devstack.stack import REPOSITORY
from devstack.waiting import wait_until
from node.machine import ADDRESS, PROMETHEUS, Node

HERE = Path(__file__).parent
SYSTEM, RELEASE, ROUTE = "modelroute-system", "modelroute", "support-chat"
STEPS = [{"progress": 50, "minDuration": "60s", "minRequests": 30}, {"progress": 100, "minDuration": "20s"}]
HANGS_FOR_S = 240.0
"""The liveness probe gives up after 60 s, and the kubelet waits 30 s more for an orderly end."""
Json = dict[str, Any]


class Walk:
    """The release `modelroute` on one node, and one ModelRoute in `scene`, under load."""

    def __init__(self, scene: Scene, node: Node, say: Callable[[str], None]) -> None:
        self._scene, self._stack, self._node, self._say = scene, scene.stack, node, say

    def all(self) -> None:
        self.install()
        self.look_inside()
        self.promote_though_it_is_killed_and_its_pod_deleted()
        self.hang()
        self.stand_by()
        self.remove()

    def install(self) -> None:
        self._stack.create_namespace(SYSTEM)
        self._stack.kubectl("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted")
        self._helm("install", "--wait", "--timeout=3m")
        self._say(f"helm install: {self._pod()['metadata']['name']} is Ready, in a restricted namespace")

    def look_inside(self) -> None:
        code = "import os; print(os.getuid(), os.statvfs('/').f_flag & os.ST_RDONLY, open('/proc/1/status').read())"
        user, read_only, *status = self._in_pod("python", "-c", code).split()
        told = {name: status[status.index(f"{name}:") + 1] for name in ("CapEff", "NoNewPrivs", "Seccomp")}
        assert (user, read_only) == ("65532", "1"), (user, read_only)
        assert told == {"CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}, told
        kubelet = HTTPSConnection(ADDRESS, 10250, timeout=10, context=ssl._create_unverified_context())
        answers = [asked(kubelet, "/pods"), asked(HTTPConnection(PROMETHEUS, timeout=10), "/api/v1/status/buildinfo")]
        assert answers == ["401", "nothing"], answers
        self._say("its process is user 65532 with no capability, under seccomp, on a read-only root;")
        self._say("the kubelet, which the API server asked for that, and Prometheus answer nobody else on this machine")

    def promote_though_it_is_killed_and_its_pod_deleted(self) -> None:
        self._split(small=0)
        self._until(lambda: self._status().get("phase") == "Stable", "the first split", 60)
        self._scene.start_load(rate=15.0, duration_s=1200.0)
        self._split(small=40)
        self._until(lambda: self._status().get("step") == "1/2", "the first step", 60)
        os.kill(self._process(self._pod()), signal.SIGKILL)
        self._until(lambda: self._restarts(self._pod()) == 1 and self._is_ready(self._pod()), "another container", 60)
        self._say(f"killed in step {self._status()['step']}: the kubelet started it again")
        first = self._pod()["metadata"]["name"]
        self._kubectl("delete", "pod", first, "--wait=false")
        self._until(lambda: len(pods := self._pods()) == 1 and self._is_ready(pods[0]), "another pod", 90)
        assert self._pod()["metadata"]["name"] != first
        self._say(f"its pod deleted in step {self._status()['step']}: another one is Ready")
        self._until(lambda: self._status().get("phase") == "Stable", "the promotion", 180)
        assert [each["status"]["phase"] for each in self._scene.rollouts()] == ["Promoted"]
        assert self._scene.weights(ROUTE) == {"large-v1": 6000, "small-v1": 4000}
        self._say("promoted in one attempt, by Traefik's counters: large 60 %, small 40 %")

    def hang(self) -> None:
        started = time.monotonic()
        os.kill(self._process(self._pod()), signal.SIGSTOP)
        self._until(lambda: not self._is_ready(self._pod()), "the readiness probe fails", 60)
        after = time.monotonic() - started
        self._until(lambda: self._restarts(self._pod()) == 1, "the liveness probe has it started anew", HANGS_FOR_S)
        self._say(f"stopped: not ready after {after:.0f} s, started anew after {time.monotonic() - started:.0f} s")

    def stand_by(self) -> None:
        self._helm("upgrade", "--wait", "--timeout=3m", "--set=replicas=2")
        self._until(lambda: len(self._pods()) == 2 and self._budget() == 1, "two replicas", 60)
        leader = self._leader()
        other = next(name for each in self._pods() if (name := each["metadata"]["name"]) != leader)
        started = time.monotonic()
        assert self._evict(leader) == ""
        assert "disruption budget" in self._evict(other)
        self._until(lambda: self._leader() not in ("", leader), "another leader", 60)
        self._say(f"helm upgrade to 2 replicas: one evicted, {other} leads {time.monotonic() - started:.0f} s later;")
        self._say("the budget refuses to evict that one, too")

    def remove(self) -> None:
        before = self._scene.weights(ROUTE)
        self._helm("uninstall", "--wait")
        self._until(lambda: not self._pods(), "the pods are gone", 60)
        assert self._scene.weights(ROUTE) == before
        assert self._status()["phase"] == "Stable"
        self._say("helm uninstall: the ModelRoute and its HTTPRoute stay as they were")

    def _helm(self, verb: str, *options: str) -> None:
        chart: list[str | Path] = [] if verb == "uninstall" else [
            REPOSITORY / "charts" / "modelroute", f"--values={HERE / 'values.yaml'}",
            f"--post-renderer={sys.executable}", f"--post-renderer-args={HERE / 'post_render.py'}",
            f"--post-renderer-args={ADDRESS}",
        ]  # fmt: skip
        done = subprocess.run(
            [programs.locate("helm").path, verb, RELEASE, *chart, f"--namespace={SYSTEM}", *options],
            capture_output=True, text=True, check=False,
            env={**os.environ, "KUBECONFIG": str(self._stack.kubeconfig), "HELM_CACHE_HOME": str(self._stack.dir)},
        )  # fmt: skip
        if done.returncode:
            raise StackError(f"helm {verb}: {done.stderr.strip()}\n{self._kubectl('get', 'pods,events')}")

    def _split(self, *, small: int) -> None:
        models = [
            {"name": name, "tier": name.title(), "weight": weight, "backendRef": {"name": f"{name}-v1", "port": 8000}}
            for name, weight in (("large", 100 - small), ("small", small))
        ]
        self._scene.apply({
            "apiVersion": "modelroute.dev/v1alpha1",
            "kind": "ModelRoute",
            "metadata": {"name": ROUTE},
            "spec": {
                "parentRefs": [{"name": "inference"}],
                "hostnames": [self._scene.host],
                "models": models,
                "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
                "rollout": {"steps": STEPS},
            },
        })  # fmt: skip

    def _kubectl(self, *arguments: str) -> str:
        return self._stack.kubectl("--namespace", SYSTEM, *arguments)

    def _in_pod(self, *command: str) -> str:
        return self._kubectl("exec", self._pod()["metadata"]["name"], "--", *command)

    def _pods(self) -> list[Json]:
        found: list[Json] = json.loads(self._kubectl("get", "pods", "-o", "json"))["items"]
        return found

    def _pod(self) -> Json:
        (found,) = self._pods()
        return found

    def _is_ready(self, pod: Json) -> bool:
        return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"]["conditions"])

    def _restarts(self, pod: Json) -> int:
        return int(pod["status"]["containerStatuses"][0]["restartCount"])

    def _process(self, pod: Json) -> int:
        return self._node.pid(pod["status"]["containerStatuses"][0]["containerID"])

    def _leader(self) -> str:
        """The pod that the Lease names."""
        held = self._kubectl("get", "lease", RELEASE, "-o", "jsonpath={.spec.holderIdentity}")
        return held.rpartition("_")[0]

    def _budget(self) -> int:
        return int(self._kubectl("get", "pdb", RELEASE, "-o", "jsonpath={.status.disruptionsAllowed}") or 0)

    def _evict(self, pod: str) -> str:
        """Why it is refused; empty where it is not."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": SYSTEM}}
        path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod}/eviction"
        try:
            self._stack.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))
        except StackError as refused:
            return str(refused)
        return ""

    def _status(self) -> Json:
        return self._scene.status(ROUTE)

    def _until(self, check: Callable[[], bool], what: str, timeout_s: float) -> None:
        wait_until(check, what=what, timeout_s=timeout_s, interval_s=0.5)


def asked(connection: HTTPConnection, path: str) -> str:
    """The status that somebody without any credential is answered with, or "nothing" where the connection is closed."""
    with closing(connection):
        try:
            connection.request("GET", path)
            return str(connection.getresponse().status)
        except (ConnectionResetError, BrokenPipeError):
            return "nothing"
