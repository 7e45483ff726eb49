"""The operator's configuration: what is in force, and a sentence for whatever is wrong with the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelroute.controller.settings import Settings, read_settings
from modelroute.errors import Invalid

EXAMPLE = Path(__file__).parents[2] / "examples" / "operator.yaml"


def set_in(node: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings that a configuration gives, each as its section and its key."""
    for choice in schema.get("anyOf", ()):
        yield from set_in(node, choice, definitions)
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if isinstance(node, list):
        for each in node:
            yield from set_in(each, schema.get("items", {}), definitions)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in schema.get("properties", {}):
                yield schema["title"], key
                yield from set_in(value, schema["properties"][key], definitions)
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from set_in(value, schema["additionalProperties"], definitions)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "operator.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_durations_are_read_as_people_write_them(tmp_path: Path) -> None:
    text = """
      prometheus:
        default: {url: "http://prometheus:9090", scrapeInterval: 30s, tokenFile: /var/run/token}
      analysis: {window: 1m, settleMin: 1m30s}
      judge: {maxDelay: 2m}
      namespaces: [chat, mail]
    """

    settings = read_settings(written(tmp_path, text))

    assert settings.prometheus["default"].scrape_interval_s == 30.0
    assert settings.prometheus["default"].token_file == Path("/var/run/token")
    assert (settings.analysis.window_s, settings.analysis.settle_min_s) == (60.0, 90.0)
    assert settings.judge.max_delay_s == 120.0
    assert settings.namespaces == ("chat", "mail")


def test_what_a_prometheus_calls_things_is_its_own(tmp_path: Path) -> None:
    text = """
      prometheus:
        default: {url: "http://prometheus:9090"}
        other:
          url: http://other:9090
          serviceLabel: exported_service
          judge: {metric: verdicts_total, namespaceLabel: kubernetes_namespace, routeLabel: route}
    """

    settings = read_settings(written(tmp_path, text))

    assert settings.prometheus["default"].service_label == "service"
    assert settings.prometheus["default"].judge.metric == "modelroute_judge_total"
    assert settings.prometheus["other"].service_label == "exported_service"
    judge = settings.prometheus["other"].judge
    assert (judge.metric, judge.namespace_label, judge.service_label, judge.route_label) == (
        "verdicts_total",
        "kubernetes_namespace",
        "service",
        "route",
    )
    assert settings.prometheus["default"].judge.route_label == "", "one counter for all routes of a Service"


def test_a_name_that_cannot_be_a_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"prometheus.default.serviceLabel"):
        read_settings(written(tmp_path, 'prometheus: {default: {url: "http://p", serviceLabel: a-b}}'))


def test_labels_of_all_series_are_read_as_they_are_written(tmp_path: Path) -> None:
    text = "prometheus: {default: {url: 'http://p', matchers: {cluster: eu-1, team_Name: 'a\"b|.*'}}}"

    assert read_settings(written(tmp_path, text)).prometheus["default"].matchers == {
        "cluster": "eu-1",
        "team_Name": 'a"b|.*',
    }


@pytest.mark.parametrize(
    ("matchers", "field", "says"),
    [
        ("a-b: c", "prometheus.default.matchers.a-b.[key]", "String should match pattern"),
        ("cluster: ''", "prometheus.default.matchers.cluster", "String should have at least 1 character"),
        ("cluster: [a]", "prometheus.default.matchers.cluster", "Input should be a valid string"),
        ("namespace: mail", "prometheus.default", "matchers.namespace: the operator asks for namespace itself"),
        ("__name__: up", "prometheus.default", "matchers.__name__: the operator asks for __name__ itself"),
        ("service: x", "prometheus.default", "matchers.service: the operator asks for service itself"),
    ],
)
def test_labels_of_all_series_that_are_none_or_asked_for_anyway_are_refused(
    tmp_path: Path, matchers: str, field: str, says: str
) -> None:
    path = written(tmp_path, f"prometheus: {{default: {{url: 'http://p', matchers: {{{matchers}}}}}}}")

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert str(caught.value).startswith(f"{path}: {field}: {says}")


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        ("routeLabel: verdict", "verdictLabel and routeLabel are both verdict: one label cannot say both"),
        ("routeLabel: namespace", "namespaceLabel and routeLabel are both namespace: one label cannot say both"),
        ("routeLabel: svc, serviceLabel: svc", "serviceLabel and routeLabel are both svc: one label cannot say both"),
        ("namespaceLabel: service", "namespaceLabel and serviceLabel are both service: one label cannot say both"),
    ],
)
def test_labels_of_a_judge_that_are_the_same_are_refused(tmp_path: Path, judge: str, says: str) -> None:
    path = written(tmp_path, f"prometheus: {{default: {{url: 'http://p', judge: {{{judge}}}}}}}")

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert str(caught.value) == f"{path}: prometheus.default.judge: {says}"


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, "")) == Settings()


def test_the_example_can_be_read_and_has_every_setting() -> None:
    schema = Settings.model_json_schema()
    sections = [schema, *(each for each in schema["$defs"].values() if "properties" in each)]

    read_settings(EXAMPLE)

    assert set(set_in(yaml.safe_load(EXAMPLE.read_text()), schema, schema["$defs"])) == {
        (section["title"], key) for section in sections for key in section["properties"]
    }


def test_endpoints_and_receivers_are_read_as_the_docs_have_them(tmp_path: Path) -> None:
    text = """
      telemetry:
        metrics: {host: 127.0.0.1, port: 9100}
        health: {port: 0}
      notifications:
      - name: ops
        type: Slack
        urlFrom: {file: /etc/modelroute/slack/url}
        when: [RolledBack, Stalled]
        timeout: 5s
    """

    settings = read_settings(written(tmp_path, text))

    assert (settings.telemetry.metrics.host, settings.telemetry.metrics.port) == ("127.0.0.1", 9100)
    assert settings.telemetry.health.port == 0
    (ops,) = settings.notifications
    assert (ops.url_from.file, ops.when, ops.timeout_s) == (
        Path("/etc/modelroute/slack/url"),
        ("RolledBack", "Stalled"),
        5.0,
    )


@pytest.mark.parametrize(
    ("scrape_interval", "analysis", "window_s"),
    [("30s", "{}", 30.0), ("1s", "{}", 5.0), ("1s", "{window: 20s}", 20.0)],
    ids=["one scrape interval", "but at least 5 s", "unless it is set"],
)
def test_a_window_is_one_scrape_interval_and_at_least_5_s_unless_set(
    tmp_path: Path, scrape_interval: str, analysis: str, window_s: float
) -> None:
    text = f"{{prometheus: {{a: {{url: 'http://p', scrapeInterval: {scrape_interval}}}}}, analysis: {analysis}}}"

    assert read_settings(written(tmp_path, text)).window_for("a") == window_s


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("analysys: {window: 5s}", "analysys", "there is no such setting; examples/operator.yaml has"),
        ("analysis: {windows: 5s}", "analysis.windows", "there is no such setting; examples/operator.yaml has"),
        ("analysis: {window: 5 seconds}", "analysis.window", "'5 seconds' is not a duration such as 30s"),
        ("analysis: {window: 1s}", "analysis.window", "greater than or equal to 5"),
        ("prometheus: {default: {url: 'prometheus:9090'}}", "prometheus.default.url", "should match pattern"),
        ("prometheus: {default: {}}", "prometheus.default.url", "Field required"),
        (
            "prometheus: {default: {url: 'http://p', scrapeInterval: soon}}",
            "prometheus.default.scrapeInterval",
            "'soon' is not a duration",
        ),
        ("prometheus: {default: {url: 'http://p', scrapeInterval: 0s}}", "prometheus.default.scrapeInterval", "than 0"),
        ("namespaces: chat", "namespaces", "valid tuple"),
        ("telemetry: {metrics: {port: 70000}}", "telemetry.metrics.port", "less than or equal to 65535"),
        (
            "telemetry: {health: {ports: 1}}",
            "telemetry.health.ports",
            "there is no such setting; examples/operator.yaml has",
        ),
        ("notifications: [{name: Ops!, type: Slack, urlFrom: {env: A}}]", "notifications.0.name", "should match"),
        (
            "notifications: [{name: ops, type: Slack, urlFrom: {env: A}, when: [Stalled, Rolledback]}]",
            "notifications.0.when",
            "when: Rolledback: no reason of docs/reasons.md, and not Stalled",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, text: str, field: str, says: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert str(caught.value).startswith(f"{path}: {field}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(("window", "refused"), [("29s", True), ("30s", False), ("45s", False)])
def test_a_window_that_is_shorter_than_a_scrape_is_refused_with_the_server_that_it_is_too_short_for(
    tmp_path: Path, window: str, refused: bool
) -> None:
    servers = "{near: {url: 'http://n'}, far: {url: 'http://f', scrapeInterval: 30s}}"
    path = written(tmp_path, f"{{prometheus: {servers}, analysis: {{window: {window}}}}}")
    if not refused:
        assert f"{read_settings(path).window_for('far'):g}s" == window
        return

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert str(caught.value) == (
        f"{path}: analysis.window (29s) is shorter than prometheus.far.scrapeInterval (30s): most windows would hold no"
        " scrape"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"prometheus: {default", "cannot be read: while parsing a flow mapping"),
        (b"\xff\xfe\xfa", "cannot be read: 'utf-8' codec can't decode byte"),
        (b"- prometheus", "is not a mapping"),
        (b"prometheus", "is not a mapping"),
        (None, "cannot be read: [Errno 2] No such file or directory"),
    ],
    ids=["broken YAML", "not text", "a list", "a word", "missing"],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line_that_names_it(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "operator.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert f"the configuration {path} {says}" in str(caught.value)
    assert "\n" not in str(caught.value)
