"""values.schema.json: what cannot work is refused before anything is installed, with the value's path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.packaging.chart import CHART, Json, Template

from modelroute.controller.notices import TOPICS

RECEIVER = {"name": "chat", "type": "Slack", "urlFrom": {"env": "URL"}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 2}, "'replica'"),
        ({"replicas": "2"}, "/replicas"),
        ({"replicas": -1}, "/replicas"),
        ({"crds": {"enable": False}}, "/crds"),
        ({"crds": {"keep": "yes"}}, "/crds/keep"),
        ({"image": {"repository": "<your registry>/modelroute"}}, "/image/repository"),
        ({"image": {"repository": "registry.example.com/modelroute:0.1.0"}}, "/image/repository"),
        ({"image": {"tag": "a b"}}, "/image/tag"),
        ({"image": {"digest": "0123"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"watch": {"namespaces": ["Chat"]}}, "/watch/namespaces/0"),
        ({"watch": {"namespaces": ["chat", "chat"]}}, "/watch/namespaces"),
        ({"watch": {"namespaces": [""]}}, "/watch/namespaces/0"),
        ({"leaderElection": {"leaseDuration": "15 s"}}, "/leaderElection/leaseDuration"),
        ({"config": {"promtheus": {}}}, "/config"),
        ({"config": {"namespaces": ["chat"]}}, "/config"),
        ({"config": {"prometheus": {"default": {}}}}, "/config/prometheus/default"),
        ({"config": {"prometheus": {"default": {"url": "prometheus:9090"}}}}, "/config/prometheus/default/url"),
        ({"config": {"prometheus": {"default": {"url": "http://p", "scrapeInterval": "15 s"}}}}, "scrapeInterval"),
        ({"config": {"analysis": {"overdispersion": 0}}}, "/config/analysis/overdispersion"),
        ({"config": {"notifications": [{**RECEIVER, "when": ["Rolledback"]}]}}, "/config/notifications/0/when/0"),
        ({"config": {"notifications": [{**RECEIVER, "when": []}]}}, "/config/notifications/0/when"),
        ({"prometheusRule": {"runbookUrl": "docs/alerts.md"}}, "/prometheusRule/runbookUrl"),
        ({"logLevel": "trace"}, "/logLevel"),
        ({"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser"),
        ({"podAnnotations": {"a": 1}}, "/podAnnotations/a"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        ({"networkPolicy": {"apiServer": {"ports": []}}}, "/networkPolicy/apiServer/ports"),
        ({"networkPolicy": {"apiServer": {"ports": [70000]}}}, "/networkPolicy/apiServer/ports/0"),
        ({"metrics": {"podMonitor": {"interval": "often"}}}, "/metrics/podMonitor/interval"),
        ({"terminationGracePeriodSeconds": 1}, "/terminationGracePeriodSeconds"),
        ({"livenessProbe": {"terminationGracePeriodSeconds": 0}}, "/livenessProbe/terminationGracePeriodSeconds"),
        ({"readinessProbe": {"terminationGracePeriodSeconds": 5}}, "/readinessProbe"),
    ],
    ids=lambda given: json.dumps(given) if isinstance(given, dict) else "",
)
def test_what_cannot_work_is_refused_with_its_path(template: Template, values: Json, says: str) -> None:
    done = template(values=values)

    assert done.returncode != 0
    assert says in done.stderr


@pytest.mark.parametrize("repository", ["modelroute", "team/modelroute", "registry.example.com:5000/team/modelroute"])
def test_repositories_are_taken_with_the_port_of_their_registry(template: Template, repository: str) -> None:
    assert f'image: "{repository}:' in template(values={"image": {"repository": repository}}).stdout


def test_every_reason_and_stalled_may_be_told(template: Template) -> None:
    receiver = {**RECEIVER, "when": sorted(TOPICS)}

    assert template(values={"config": {"notifications": [receiver]}}).returncode == 0


def test_an_account_that_is_not_made_has_to_be_named(template: Template) -> None:
    done = template(values={"serviceAccount": {"create": False}})

    assert done.returncode != 0
    assert "serviceAccount.name is needed" in done.stderr


def paths(node: Any, schema: Json, definitions: Json, here: str = "") -> Iterator[str]:
    """Values that the schema does not know, or takes without saying what they may be."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        below = schema.get("properties", {}).get(key)
        if below is None and not isinstance(schema.get("additionalProperties"), dict) and schema.get("properties"):
            yield f"{here}/{key}"
        elif below is not None:
            yield from paths(value, below, definitions, f"{here}/{key}")


def test_every_value_is_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    # The restricted profile's fields are Kubernetes' to check.
    assert set(paths(values, schema, schema["$defs"])) == {
        "/podSecurityContext/runAsGroup",
        "/podSecurityContext/fsGroup",
    }
    assert values.keys() == schema["properties"].keys() - {"global"}
