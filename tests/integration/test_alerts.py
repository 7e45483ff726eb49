"""The alerts and the dashboard's queries, as Prometheus' own tool reads them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from controlplane.programs import locate

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "modelroute" / "files"
GRAFANA = {
    "$__rate_interval": "5m",
    "$route_namespace": ".*",
    "$route": ".*",
}
"""What Grafana puts in the place of its variables; the longer names first, because one begins with another."""


@pytest.fixture(scope="module")
def promtool() -> Path:
    return locate("promtool").path


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_alerts_fire_when_they_should_and_only_then(promtool: Path) -> None:
    done = run(promtool, "test", "rules", ROOT / "tests" / "alerts" / "alerts.test.yaml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_rules_without_a_doubt(promtool: Path) -> None:
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", FILES / "alerts.yaml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_every_query_of_the_dashboard(promtool: Path, tmp_path: Path) -> None:
    queries = []
    for panel in json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        queries += [target["expr"] for target in panel.get("targets", ())]
    for variable, text in GRAFANA.items():
        queries = [query.replace(variable, text) for query in queries]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    done = run(promtool, "check", "rules", file)

    assert len(queries) > 20
    assert "$" not in "".join(queries)
    assert done.returncode == 0, done.stdout + done.stderr
