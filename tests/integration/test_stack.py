"""The local stack itself: it serves, it fails in words, and two of it do not get into each other's way."""

import json
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane import programs
from devstack import prometheus
from devstack.component import Component
from devstack.errors import ComponentFailed, StackError
from devstack.ground import Ground
from devstack.http import HttpError, answers, fetch
from devstack.process import Process, alive
from devstack.stack import Stack
from devstack.waiting import wait_until

# Answers everything with the name it was given, and /metrics with one counter.
_SERVER = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"judged_total 7\\n" if self.path == "/metrics" else sys.argv[3].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def _serve(stack: Stack, namespace: str, name: str) -> str:
    """A Service and a server behind it; returns HOST:PORT."""
    ip = stack.create_service(namespace, name)
    stack.spawn(f"{namespace}-{name}", [sys.executable, "-c", _SERVER, ip, "8000", name])
    wait_until(lambda: answers(f"http://{ip}:8000/"), what=f"{name} answers")
    return f"{ip}:8000"


def _route(namespace: str, hostname: str, weights: dict[str, int]) -> dict[str, Any]:
    backends = [{"name": name, "port": 8000, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "hostnames": [hostname],
            "rules": [{"backendRefs": backends}],
        },
    }


def _through_the_gateway(stack: Stack, hostname: str) -> str:
    """The answer's text, or the status of an error."""
    try:
        return fetch(stack.gateway_url, headers={"Host": hostname}).decode()
    except HttpError as error:
        return str(error.status)


def _samples(stack: Stack, query: str) -> list[dict[str, str]]:
    answer = fetch(f"{stack.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    return [result["metric"] for result in json.loads(answer)["data"]["result"]]


def test_a_route_splits_real_traffic_and_a_new_weight_acts_within_seconds(stack: Stack, namespace: str) -> None:
    host = f"{namespace}.example.com"
    stack.create_gateway(namespace, hostname=host)
    for name in ("large", "small"):
        _serve(stack, namespace, name)

    stack.apply(_route(namespace, host, {"large": 1, "small": 1}))
    wait_until(lambda: _through_the_gateway(stack, host) in ("large", "small"), what="the route answers")
    assert {_through_the_gateway(stack, host) for _ in range(10)} == {"large", "small"}

    stack.apply(_route(namespace, host, {"large": 0, "small": 1}))
    wait_until(
        lambda: {_through_the_gateway(stack, host) for _ in range(10)} == {"small"},
        what="all traffic goes to small",
        timeout_s=5,
    )


def test_prometheus_counts_the_requests_of_each_backend(stack: Stack, namespace: str) -> None:
    host = f"{namespace}.example.com"
    stack.create_gateway(namespace, hostname=host)
    _serve(stack, namespace, "large")
    stack.apply(_route(namespace, host, {"large": 1}))
    wait_until(lambda: _through_the_gateway(stack, host) == "large", what="the route answers")

    query = f'traefik_service_requests_total{{code="200",service=~"httproute-{namespace}-chat-.*-svc-.*-large-0@.*"}}'
    assert len(wait_until(lambda: _samples(stack, query), what="Traefik's counter is in Prometheus")) == 1


def test_a_scrape_target_is_scraped_and_carries_its_labels(stack: Stack, namespace: str) -> None:
    address = _serve(stack, namespace, "large")

    stack.add_scrape_target(address, namespace=namespace, service="large", model="llama")

    query = f'judged_total{{namespace="{namespace}",service="large"}} == 7'
    found = wait_until(lambda: _samples(stack, query), what="the target's counter is in Prometheus")
    assert found[0]["model"] == "llama"
    stack.remove_scrape_target(address)
    wait_until(lambda: not _samples(stack, query), what="the target is scraped no more")


def test_the_operators_token_has_the_charts_role_and_no_other_rights(stack: Stack, namespace: str) -> None:
    operator = stack.operator_kubeconfig()

    def may(*what: str) -> bool:
        try:
            return stack.kubectl("auth", "can-i", *what, "-n", namespace, kubeconfig=operator).strip() == "yes"
        except StackError:
            return False

    assert may("patch", "httproutes.gateway.networking.k8s.io")
    assert not may("get", "secrets")
    assert not may("delete", "httproutes.gateway.networking.k8s.io")
    assert stack.admin.token not in operator.read_text()


def test_what_is_owned_goes_with_its_owner(stack: Stack, namespace: str) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}}
    stack.apply(config_map)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    owner["uid"] = stack.admin.get(f"{path}/owner")["metadata"]["uid"]
    stack.apply(config_map | {"metadata": {"name": "owned", "namespace": namespace, "ownerReferences": [owner]}})

    stack.kubectl("delete", "configmap", "owner", "-n", namespace)

    wait_until(lambda: not stack.admin.exists(f"{path}/owned"), what="the owned object is collected")


def test_a_service_can_have_no_ready_endpoint(stack: Stack, namespace: str) -> None:
    def ready() -> object:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/large-stack"
        return stack.admin.get(path)["endpoints"][0]["conditions"]["ready"]

    ip = stack.create_service(namespace, "large")
    assert ready() is True

    stack.create_service(namespace, "large", ip=ip, ready=False)
    assert ready() is False


@pytest.mark.parametrize("name", ["traefik", "prometheus", "controller_manager", "apiserver", "etcd"])
def test_a_component_that_was_killed_starts_again_and_serves(stack: Stack, name: str) -> None:
    component = getattr(stack, name)
    before = component.pid

    component.kill()
    assert not component.running
    component.start()

    assert component.pid != before
    wait_until(lambda: _is_whole(stack), what="the stack serves again")


def test_a_paused_component_answers_nothing_until_it_is_resumed(stack: Stack) -> None:
    url = f"{stack.prometheus_url}/-/ready"
    stack.prometheus.pause()
    try:
        with pytest.raises(OSError, match="timed out"):
            fetch(url, timeout_s=0.5)
    finally:
        stack.prometheus.resume()

    assert answers(url)


def test_a_second_stack_runs_beside_the_first(stack: Stack, tmp_path: Path) -> None:
    with Stack.start(tmp_path / "second") as second:
        assert {second.apiserver_url, second.gateway_url, second.prometheus_url}.isdisjoint(
            {stack.apiserver_url, stack.gateway_url, stack.prometheus_url}
        )
        second.create_namespace("only-in-the-second")
        wait_until(lambda: _is_whole(second), what="the second stack serves")
        assert _is_whole(stack)
        assert not stack.admin.exists("/api/v1/namespaces/only-in-the-second")

    assert not (tmp_path / "second").exists()
    assert _is_whole(stack)


def test_a_port_taken_in_between_is_replaced(tmp_path: Path, stack: Stack) -> None:
    ground = Ground(tmp_path / "stack", report=lambda _line: None)
    taken = int(stack.prometheus_url.rpartition(":")[2])
    given: list[int] = []
    really_free = ground.slot.free_port

    def free_port() -> int:
        given.append(really_free() if given else taken)
        return given[-1]

    ground.slot.free_port = free_port  # type: ignore[method-assign]  # of this ground alone
    try:
        program = programs.locate("prometheus").path
        started = prometheus.start(ground, program, traefik="127.0.0.1:1", scrape_interval_s=1.0)

        assert given[0] == taken
        assert started.port == given[1]
        assert answers(f"{started.url}/-/ready")
    finally:
        ground.close()


def _broken(tmp_path: Path) -> Path:
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho it cannot be\nexit 3\n")
    program.chmod(0o755)
    return program


def test_a_component_that_fails_names_its_log_and_shows_how_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = programs.locate_all() | {"kube-apiserver": _broken(tmp_path)}
    monkeypatch.setattr(programs, "locate_all", lambda **_options: found)
    pids = _pids_of_started_processes(monkeypatch)
    folder = tmp_path / "stack"

    with pytest.raises(ComponentFailed) as caught:
        Stack.start(folder)

    log = folder / "logs" / "kube-apiserver.log"
    assert str(caught.value) == (f"kube-apiserver ended with code 3; its log is {log} and ends with:\n    it cannot be")
    assert log.read_text() == "it cannot be\n"
    assert f"The stack's logs are kept, because the stack did not start: {folder / 'logs'}" in capsys.readouterr().err
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_a_component_that_is_never_ready_is_a_failure_at_its_deadline(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "stack", report=lambda _line: None)
    try:
        component = Component(ground.process("sleeper", ["sleep", "600"]), lambda: False, deadline_s=0.2)
        with pytest.raises(ComponentFailed, match=r"sleeper was not ready within 0\.2 s[^$]*the log is empty"):
            component.start()
    finally:
        ground.close()


def test_a_folder_that_holds_a_stack_already_is_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match="holds logs/ already"):
        Stack.start(stack.dir)


def _pids_of_started_processes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    pids: list[int] = []
    start: Callable[[Process], None] = Process.start

    def remembering(process: Process) -> None:
        start(process)
        pids.append(process.pid)

    monkeypatch.setattr(Process, "start", remembering)
    return pids


def _is_whole(stack: Stack) -> bool:
    """Whether everything answers, and Traefik is scraped."""
    return (
        stack.admin.exists("/api/v1/namespaces/default")
        and answers(f"http://127.0.0.1:{stack.traefik.metrics_port}/ping")
        and answers(f"{stack.prometheus_url}/-/ready")
        and bool(_samples(stack, 'up{job="traefik"} == 1'))
        and stack.controller_manager.running
    )
