"""The operator's metrics on the wire: scraped by a real Prometheus, asked for as the dashboard and the alerts do."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.test_rollout import ROUTE, begin, in_phase, manifest, wait_for

from devstack.scene import Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

FILES = Path(__file__).parents[2] / "charts" / "modelroute" / "files"
Json = dict[str, Any]

# With one route that was rolled back on an objective without a `max`, and no receiver of notifications.
EMPTY = {
    "modelroute_evidence_safe_ratio": "no step asked for a proof of safety",
    "modelroute_notifications_total": "nobody is notified",
    "modelroute_notifications_queued": "nobody is notified",
}


@pytest.fixture
def scene(stack: Stack, namespace: str) -> Iterator[Scene]:
    made = Scene(stack, namespace)
    made.set_up()
    yield made
    made.tear_down()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked(scene: Scene, query: str, *, over: str = "") -> list[Json]:
    """What Prometheus answers to `query` now, or at any moment of the last `over`."""
    text = f"last_over_time(({query})[{over}:1s])" if over else query
    url = f"{scene.stack.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[Json] = json.load(answer)["data"]["result"]
    return found


def dashboard_queries(scene: Scene) -> Iterator[str]:
    for panel in json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "30s")
            yield query.replace("$route_namespace", scene.namespace).replace("$route", ROUTE)


def test_a_rollback_is_seen_on_every_panel_and_by_the_alert(scene: Scene) -> None:
    begin(scene, small_faults={"fail_rate": 0.3})
    wait_until(lambda: get(scene.health_port, "/readyz")[0] == 200, what="the operator is ready")
    assert get(scene.health_port, "/healthz") == (200, "ok\n")
    here = f'{{route_namespace="{scene.namespace}", route="{ROUTE}"}}'
    wait_until(lambda: bool(asked(scene, f"modelroute_phase{here}")), what="Prometheus has scraped the operator")

    scene.apply(manifest(scene, large=60, small=40))
    wait_for(scene, in_phase("RolledBack"), what="rolled back")

    rules = [rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    (alert,) = (rule["expr"] for rule in rules if rule["alert"] == "ModelRouteRolledBack")
    wait_until(lambda: bool(asked(scene, alert)), what="the alert's query finds the rollback")
    (found,) = asked(scene, alert)
    expected = {"route_namespace": scene.namespace, "route": ROUTE, "objective": "errors", "candidate": "small"}
    assert {**found["metric"], "reason": ""} == {**expected, "reason": ""}
    wait_until(lambda: _phase(scene, here) == "RolledBack", what="Prometheus has scraped the phase")
    # The target's own labels stand beside ours, and rename none of them.
    (phase,) = asked(scene, f"modelroute_phase{here}")
    assert phase["metric"]["namespace"] == "modelroute-system"

    for query in dashboard_queries(scene):
        if not any(name in query for name in EMPTY):
            assert asked(scene, query, over="2m"), query
    assert asked(scene, f"modelroute_evidence_rollback_ratio{here}") == [], "nothing is under way any more"

    scene.stack.kubectl("delete", "modelroute", ROUTE, "-n", scene.namespace)
    wait_until(lambda: f'route="{ROUTE}"' not in get(scene.metrics_port, "/metrics")[1], what="its series are gone")


def _phase(scene: Scene, selector: str) -> str:
    return " ".join(found["metric"]["phase"] for found in asked(scene, f"modelroute_phase{selector}"))
