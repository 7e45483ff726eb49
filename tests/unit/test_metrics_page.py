"""What is said and asked of the metrics elsewhere: the page, the dashboard and the alerts know the same names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import DASHBOARD, PAGE, made
from dashboards.page import with_tables
from dashboards.panels import WIDTH
from modelroute.controller.families import FAMILIES

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "charts" / "modelroute" / "files" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "alerts.md"
ALERT_TESTS = ROOT / "tests" / "alerts" / "alerts.test.yaml"

SERIES = {name: set(family.labels) for family in FAMILIES for name in family.series}
# Of every target, from Prometheus; of every process, from the Python client.
FROM_ELSEWHERE = {"job", "instance", "namespace", "le"}
STANDARD = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
WORDS = frozenset(
    {"time", "sum", "max", "min", "count", "rate", "increase", "histogram_quantile", "absent", "by", "on"}
)
WORDS |= {"and", "or", "unless", "label_values"}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def dashboard_queries() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel.get("targets", ()))
    for choice in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if choice["type"] == "query":
            yield choice["query"]["query"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def page_queries() -> Iterator[str]:
    text = PAGE.read_text(encoding="utf-8").partition("## Questions and queries")[2]
    yield from (query.replace("\\|", "|") for query in re.findall(r"\| `(.+)` \|", text))


def names_in(query: str) -> set[str]:
    """What a query asks for: its words without strings, label lists, ranges and what PromQL itself knows."""
    bare = re.sub(r'"[^"]*"', '""', query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-z_][a-z0-9_]*", bare)) - WORDS - set().union(*SERIES.values())


def labels_in(query: str) -> set[str]:
    """The labels that a query selects or groups by."""
    lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query)
    matchers = re.findall(r"\{([^}]*)\}", re.sub(r'"[^"]*"', '""', query))
    grouped = {label.strip() for each in lists for label in each.split(",")}
    return grouped | {label for each in matchers for label in re.findall(r"([a-z_]+)\s*[=!]", each)}


QUERIES = [*dashboard_queries(), *(rule["expr"] for rule in rules()), *page_queries()]


def test_the_page_and_the_dashboard_are_those_of_the_list_of_metrics() -> None:
    stale = [path.name for path, text in made().items() if path.read_text(encoding="utf-8") != text]

    assert stale == [], "python -m dashboards"


def test_the_page_names_every_metric_once() -> None:
    named = re.findall(r"^\| `(modelroute_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(named) == sorted(family.name for family in FAMILIES)


def test_a_page_without_a_place_for_a_table_is_told_which() -> None:
    with pytest.raises(ValueError, match="no table of the routes"):
        with_tables("# Metrics\n")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_documented_metrics_and_labels_only(query: str) -> None:
    names, labels = names_in(query), labels_in(query)

    assert names, "no metric was found in it: the test reads it wrongly"
    assert names <= SERIES.keys() | STANDARD
    assert labels <= set().union(FROM_ELSEWHERE, *(SERIES.get(name, set()) for name in names))


def test_the_test_of_queries_sees_what_is_wrong_with_one() -> None:
    assert names_in('sum by (route) (modelroute_fase{x="modelroute_phase"})') == {"modelroute_fase"}
    assert labels_in('sum by (route) (modelroute_phase{fase="x", route=~"y"})') == {"route", "fase"}


def test_a_legend_names_labels_that_its_query_keeps() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= labels_in(target["expr"]), panel["title"]


def test_panels_have_a_word_on_what_they_show_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken.isdisjoint(own), panel["title"]
        assert place["x"] + place["w"] <= WIDTH
        taken |= own
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)


# Alerts.


def test_every_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)

    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"
    assert headings == [rule["alert"] for rule in rules()]


def test_every_alert_is_tested_firing_and_silent() -> None:
    cases = [case for test in yaml.safe_load(ALERT_TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    firing = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}

    assert firing == silent == {rule["alert"] for rule in rules()}


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (PAGE, RUNBOOK):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
