"""`modelroute lint`: what the API server refuses is refused without one, at the same field; and more is found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.integration.test_schema import ACCEPTED, CUSTOM, ERRORS, REFUSED, ROOT, STEPS, Manifest, both, put

from modelroute.cli.linting.check import check_route
from modelroute.cli.linting.finding import Severity
from modelroute.cli.main import cli

KUBECTLS = re.compile(
    r'unknown field|"|: (Invalid|Unsupported|Duplicate|Required) value.*|: Too many|:? at (least|most).*'
)


@pytest.fixture
def good() -> Manifest:
    manifest: Manifest = yaml.safe_load((ROOT / "examples/modelroute.yaml").read_text(encoding="utf-8"))
    return manifest


def errors_in(manifest: Manifest) -> dict[str, str]:
    return {each.path: each.message for each in check_route(manifest) if each.severity is Severity.ERROR}


def warnings_in(manifest: Manifest) -> dict[str, str]:
    return {each.path: each.message for each in check_route(manifest) if each.severity is Severity.WARNING}


def lint(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["lint", *arguments], input=stdin)


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_api_server_refuses_is_refused_at_the_same_field(what: str, good: Manifest) -> None:
    mutate, where, _ = REFUSED[what]
    mutate(good)

    found = errors_in(good)

    field = KUBECTLS.sub("", where).strip()
    if what == "a name of 64 characters":
        field = ""  # a rule of the whole object
    assert field in found


@pytest.mark.parametrize(
    "what",
    [
        what
        for what, (_, where, advice) in REFUSED.items()
        if "Invalid value" in where and advice and "must be of" not in advice
    ],
)
def test_the_advice_is_the_api_servers_own(what: str, good: Manifest) -> None:
    mutate, _, advice = REFUSED[what]
    mutate(good)

    told = " ".join(errors_in(good).values())

    assert advice in told or "fewer than the least" in told, told


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_the_api_server_takes_breaks_neither_schema_nor_rule(what: str, good: Manifest) -> None:
    ACCEPTED[what](good)

    beyond = ("is not in force yet", "not held to a bound yet", "nothing tells large and small apart")
    assert [told for told in errors_in(good).values() if not any(words in told for words in beyond)] == []


# Beyond the schema.


@pytest.mark.parametrize(
    ("mutation", "field", "says"),
    {
        "a share below 0.01 %": (
            both(put("spec.models[0].weight", 1_000_000), put("spec.models[1].weight", 1)),
            "spec.models[1].weight",
            "less than 0.01 % of the traffic",
        ),
        "ProvenSafe at 100 of a candidate whose reference has left": (
            both(
                put("spec.rollout.reference", ...),
                put("spec.models[0].weight", 0),
                put("spec.models[0].tier", "Small"),
                put("spec.models[1].tier", "Large"),
                put("spec.rollout.initialModel", "large"),
                put(f"{STEPS}[4]", {"progress": 100, "require": "ProvenSafe"}),
            ),
            f"{STEPS}[4].require",
            "ProvenSafe at progress 100 could never be shown of small",
        ),
        "a placeholder that there is not": (
            put("spec.objectives[]", CUSTOM | {"bad": {"metric": "x", "labels": {"service": "$(service)"}},
                                               "total": {"metric": "y", "labels": {"service": "$(backend)"}}}),
            "spec.objectives[4].bad.labels.service",
            "$(service) is no placeholder; there are $(arm), $(namespace), $(backend)",
        ),
        "a placeholder without its bracket": (
            put("spec.objectives[]", CUSTOM | {"bad": {"metric": "x", "labels": {"service": "$(backend"}},
                                               "total": {"metric": "y", "labels": {"service": "$(backend)"}}}),
            "spec.objectives[4].bad.labels.service",
            "lacks the closing bracket",
        ),
        "one Service, with its own namespace written out once": (
            both(
                put("spec.models[1].backendRef", {"name": "llama-70b", "port": 8000, "namespace": "chat"}),
                put("metadata.namespace", "chat"),
            ),
            "spec.models[1].backendRef",
            "is that of large, as chat is the namespace where none is set",
        ),
        "bad ones that are the same for all models": (
            put("spec.objectives[]", CUSTOM | {"bad": {"metric": "x"},
                                               "total": {"metric": "y", "labels": {"service": "$(backend)"}}}),
            "spec.objectives[4].bad.labels",
            "nothing tells large and small apart, so all would be judged by the same x",
        ),
        "mirroring on Traefik": (
            put("spec.filters", [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "x"}}}]),
            "spec.filters[0].type",
            "answers 500",
        ),
        "a source that is not in force": (
            put("spec.metrics.source", "Istio"), "spec.metrics.source", "no rollout would start",
        ),
        "a name in capitals": (put("metadata.name", "Chat"), "metadata.name", "lower-case"),
        "no name": (put("metadata.name", ...), "metadata.name", "is missing"),
    }.values(),
)  # fmt: skip
def test_what_could_never_work_is_an_error(mutation: Any, field: str, says: str, good: Manifest) -> None:
    mutation(good)

    assert says in errors_in(good).get(field, ""), errors_in(good)


@pytest.mark.parametrize(
    ("mutation", "field", "says"),
    {
        "steps that move nothing": (
            both(
                put("spec.models[0].weight", 9_999), put("spec.models[1].weight", 1),
            ),
            f"{STEPS}[1].progress",
            "moves nothing",
        ),
        "nothing to roll out": (put("spec.models[1].weight", 0), "spec.models", "nothing is rolled out"),
        "counters that are the same for two versions of a model": (
            put("spec.objectives[]", CUSTOM | {"bad": {"metric": "x", "labels": {"model": "$(arm)"}},
                                               "total": {"metric": "y", "labels": {"model": "$(arm)"}}}),
            "spec.objectives[4].bad.labels",
            "not two versions of one",
        ),
        "a backend elsewhere": (
            put("spec.models[1].backendRef.namespace", "models"),
            "spec.models[1].backendRef.namespace",
            "ReferenceGrant in models",
        ),
        "a guard without anything to watch": (
            both(
                put("spec.guard", {"onBreach": "RollBack"}), put("spec.objectives[0].max", ...),
                put("spec.objectives[2]", ...),
            ),
            "spec.guard.onBreach",
            "nothing to watch",
        ),
        "harm that nobody takes back": (
            both(
                put(f"{ERRORS}.onBreach", "Report"), put("spec.objectives[0].onBreach", "Pause"),
                put(f"{STEPS}[2].require", "NotHarmful"),
            ),
            "spec.objectives",
            "harm is never taken back",
        ),
        "paused": (put("spec.paused", True), "spec.paused", "nothing is promoted"),
    }.values(),
)  # fmt: skip
def test_what_is_worth_a_look_is_a_warning(mutation: Any, field: str, says: str, good: Manifest) -> None:
    mutation(good)

    assert says in warnings_in(good).get(field, ""), check_route(good)


# Files.


def test_a_finding_names_file_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "route.yaml"
    text = (ROOT / "examples/minimal.yaml").read_text(encoding="utf-8").replace("weight: 40", "weight: -1")
    file.write_text(text, encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), start=1) if "weight: -1" in each)

    done = lint("-f", str(file))

    assert done.exit_code == 1
    assert done.stdout == f"{file}:{line}: error: spec.models[1].weight: must be at least 0, but is -1\n"


def test_a_good_folder_is_exit_code_0_and_other_kinds_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "route.yml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n---\n"
        + (ROOT / "examples/minimal.yaml").read_text(encoding="utf-8"),
        encoding="utf-8",
    )

    done = lint("-f", str(tmp_path))

    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "1 ModelRoute: 0 errors, 0 warnings" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "<stdin>:1: error: this is not YAML"),
        ("kind: {{ .Values.kind }}", "is it a template? Render it first"),
        ("apiVersion: modelroute.dev/v1\nkind: ModelRoute", "1: error: apiVersion: modelroute.dev/v1 is not known"),
        ("apiVersion: modelroute.dev/v1alpha1\nkind: ModelRout", "2: error: kind: ModelRout is no kind of modelroute"),
        ("apiVersion: modelroute.dev/v1alpha1\nkind: ModelRollout", "2: warning: kind: a ModelRollout is written by"),
        ("apiVersion: modelroute.dev/v1alpha1\nkind: ModelRoute\nspec: []", "3: error: spec: must be of type object"),
        ("apiVersion: modelroute.dev/v1alpha1\nkind: ModelRoute\nspec: {}", "spec.models: is missing"),
        (
            "apiVersion: modelroute.dev/v1alpha1\nkind: A\nkind: B",
            "3: error: kind: kind stands here twice (first in line 2)",
        ),
        ("a: 1\na: 2", "0 ModelRoutes: 0 errors, 1 warning"),
        ("", "1: warning: there is no ModelRoute in it, so nothing was checked"),
        ("kind: ModelRoute\nspec: {}", "1: error: apiVersion: is missing: a ModelRoute has modelroute.dev/v1alpha1"),
        ("apiVersion: modelroutes.dev/v1alpha1\nkind: ModelRoute", "modelroutes.dev/v1alpha1 is not known: use"),
        (
            "apiVersion: modelroute.dev/compare/v1\nkind: Comparison",
            "0 errors, 1 warning; passed over: 1 file for modelroute compare",
        ),
        ("apiVersion: modelroute.dev/suite/v1\nid: x", "passed over: 1 file for modelroute compare"),
    ],
)
def test_what_cannot_be_read_as_a_modelroute_says_so(text: str, says: str) -> None:
    assert says in lint("-f", "-", stdin=text).output


def test_the_projects_own_examples_have_no_errors_and_test_data_is_passed_over_aloud() -> None:
    done = lint("-f", str(ROOT / "examples"))
    asked_for = lint("-f", str(ROOT / "examples/argocd/resource_customizations/modelroute.dev/ModelRoute/testdata"))

    assert done.exit_code == 0, done.output
    assert "files in testdata" in done.stderr
    assert asked_for.exit_code == 1
    assert "the same ModelRoute stands in" in asked_for.stdout


def test_lists_are_looked_into() -> None:
    route = yaml.safe_load((ROOT / "examples/minimal.yaml").read_text(encoding="utf-8"))
    route["spec"]["models"][0]["tier"] = "Medium"

    done = lint("-f", "-", stdin=yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [route]}))

    assert "spec.models[0].tier: 'Medium' is not one of Large, Small" in done.output


def test_two_routes_that_take_the_same_requests_are_noticed() -> None:
    route = yaml.safe_load((ROOT / "examples/minimal.yaml").read_text(encoding="utf-8"))
    route["spec"]["hostnames"] = ["chat.example.com"]
    other = {**route, "metadata": {**route["metadata"], "name": "other"}}

    done = lint("-f", "-", stdin=yaml.safe_dump_all([route, other, other]))

    assert "chat/support-chat takes all requests of chat.example.com at the same gateway" in done.output
    assert "the same ModelRoute stands in <stdin>" in done.output


def test_strict_makes_warnings_count_and_json_is_for_programs() -> None:
    route = yaml.safe_load((ROOT / "examples/minimal.yaml").read_text(encoding="utf-8"))
    route["spec"]["paused"] = True
    text = yaml.safe_dump(route)

    lenient, strict = lint("-f", "-", stdin=text), lint("-f", "-", "--strict", "-o", "json", stdin=text)

    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    (found,) = map(json.loads, strict.stdout.splitlines())
    assert (found["severity"], found["field"], found["object"]) == ("warning", "spec.paused", "chat/support-chat")
