"""The operator as a process among others: it notifies, it stands by, and it ends when it is told to."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_rollout import RATE, ROUTE, in_phase, manifest, wait_for

from devstack.scene import Scene
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

Json = dict[str, Any]
ENDS_WITHIN_S = 10.0
"""Kubernetes kills after 30 s (terminationGracePeriodSeconds); an operator that needs them all hands over late."""


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


@contextmanager
def receiver() -> Iterator[tuple[str, list[Json]]]:
    """An address on loopback, and the CloudEvents that were sent to it."""
    received: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="receiver")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def answers(port: int, path: str) -> int:
    """The HTTP status, 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_rollback_is_notified_by_one_of_two_replicas_and_both_end_when_told_to(scene: Scene, tmp_path: Path) -> None:
    lease = {"enabled": True, "namespace": scene.namespace, "name": "modelroute"}
    url = tmp_path / "url"
    with receiver() as (address, received):
        url.write_text(address, encoding="utf-8")
        hook = {"name": "audit", "type": "CloudEvents", "urlFrom": {"file": str(url)}, "when": ["RolledBack"]}
        settings: Json = {"notifications": [hook], "leaderElection": lease}
        scene.add_model("large-v1", seed=1)
        scene.add_model("small-v1", seed=2, fail_rate=0.4)
        admin = scene.stack.kubeconfig  # which may write the Lease; that Roles are enough is test_two_operators' part
        leader = scene.start_operator(kubeconfig=admin, settings=settings)
        scene.apply(manifest(scene, large=100, small=0))
        wait_for(scene, in_phase("Stable"), what="the route is Stable")
        port = scene.stack.free_port()
        telemetry = {
            "metrics": {"host": "127.0.0.1", "port": 0},
            "health": {"host": "127.0.0.1", "port": port},
        }
        standby = scene.start_operator(kubeconfig=admin, settings={**settings, "telemetry": telemetry})
        wait_until(lambda: answers(port, "/readyz") == 200, what="the one that stands by is ready", timeout_s=60)
        assert answers(port, "/healthz") == 200
        scene.start_load(rate=RATE, duration_s=120.0, seed=3)
        scene.apply(manifest(scene, large=60, small=40))
        wait_for(scene, in_phase("RolledBack"), what="rolled back")

        wait_until(lambda: bool(received), what="the receiver is told", timeout_s=30)
        assert [event["subject"] for event in received] == [ROUTE]
        assert "small is worse on errors than allowed" in json.dumps(received)

        for process in (standby, leader):
            asked = time.monotonic()
            process.stop(grace_s=ENDS_WITHIN_S)
            assert process.wait() == 0, "it ended by itself, and cleanly"
            assert time.monotonic() - asked < ENDS_WITHIN_S
        assert "Traceback" not in leader.log.read_text(encoding="utf-8")


def test_an_operator_that_is_there_before_its_crds_begins_anew_once_they_come(scene: Scene) -> None:
    """As where Argo CD or a script applies the Deployment first; the kubelet starts what ended."""
    names = [f"{plural}.modelroute.dev" for plural in ("modelroutes", "modelrollouts")]
    try:
        scene.stack.kubectl("delete", "crd", *names)
        first = scene.start_operator()
        wait_until(lambda: answers(scene.health_port, "/readyz") == 503, what="it says that it is not ready")
        assert first.running
    finally:
        scene.stack.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "crds"))
        scene.stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *names)
    wait_until(lambda: not first.running, what="the first process ends by itself", timeout_s=60)
    assert first.wait() == 0
    assert "modelroutes are defined now" in first.log.read_text(encoding="utf-8")

    scene.add_model("large-v1", seed=1)
    scene.add_model("small-v1", seed=2)
    scene.start_operator()
    scene.apply(manifest(scene, large=100, small=0))
    wait_for(scene, in_phase("Stable"), what="the next one watches them")
    assert answers(scene.health_port, "/readyz") == 200
