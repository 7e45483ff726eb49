"""From a ModelRoute's spec to the plan: what is asked for, what is not in force yet, and the revision that names it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from modelroute.api.parse import parse
from modelroute.api.routing import BackendRef, Model, ParentRef, Price, RouteRef
from modelroute.api.spec import CounterRef, Guard, Metrics, ModelRouteSpec, Objective, Rollout, Step
from modelroute.controller.spec import Gap, gaps_in, indistinct_in, plan_of, problems_of
from modelroute.rollout.attempt import Requirement
from modelroute.rollout.split import Backend

EXAMPLES = Path(__file__).parents[2] / "examples"
Json = dict[str, Any]
Change = Callable[[Json], object]


def example(name: str) -> Json:
    manifest: Json = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    spec: Json = manifest["spec"]
    return spec


def changed(change: Change, *, of: str = "minimal") -> ModelRouteSpec:
    spec = copy.deepcopy(example(of))
    change(spec)
    return parse(ModelRouteSpec, spec)


def unchanged(_spec: Json) -> None:
    """No change."""


def in_rollout(**fields: object) -> Change:
    return lambda spec: spec.setdefault("rollout", {}).update(fields)


def in_objective(**fields: object) -> Change:
    return lambda spec: spec["objectives"][0].update(fields)


def replaced(**fields: object) -> Change:
    return lambda spec: spec.update(fields)


# The plan.


def test_the_plan_of_the_example_is_what_its_author_wrote() -> None:
    plan = plan_of(parse(ModelRouteSpec, example("modelroute")), "chat")

    assert [(share.model, share.backend, share.weight) for share in plan.split] == [
        ("large", Backend("chat", "llama-70b", 8000), 6_000),
        ("small", Backend("chat", "llama-8b", 8000), 4_000),
    ]
    assert (plan.reference, plan.initial, plan.paused) == ("large", "large", False)
    assert (plan.alpha, plan.beta) == (0.05, 0.05)
    assert [(each.name, each.margin, each.ratio, each.limit, each.action.value) for each in plan.objectives] == [
        ("safety", 0.002, None, 0.005, "RollBack"),
        ("errors", 0.005, None, None, "RollBack"),
        ("slow", None, None, 0.05, "Pause"),
        ("cost", None, None, None, "Report"),
    ]
    assert [(step.progress, step.min_duration_s, step.min_requests) for step in plan.steps] == [
        (5, 600.0, 100),
        (25, 600.0, 500),
        (50, 600.0, 100),
        (75, 600.0, 100),
        (100, 600.0, 100),
    ]
    assert [step.require for step in plan.steps].index(Requirement.PROVEN_SAFE) == 2
    assert [step.approval for step in plan.steps] == [False, False, False, True, False]


def test_a_minimal_spec_has_the_defaults_that_the_schema_shows() -> None:
    plan = plan_of(changed(unchanged), "chat")

    assert [step.progress for step in plan.steps] == [5, 25, 50, 100]
    assert {step.min_duration_s for step in plan.steps} == {600.0}
    assert (plan.reference, plan.initial) == ("large", "large")


def test_a_backend_of_another_namespace_is_that_of_the_namespace_it_names() -> None:
    spec = changed(lambda spec: spec["models"][1]["backendRef"].update(namespace="models"))

    assert plan_of(spec, "chat").split[1].backend.namespace == "models"


# What is not in force.


@pytest.mark.parametrize(
    ("change", "field", "blocks"),
    [
        (replaced(metrics={"source": "Istio"}), "spec.metrics.source", True),
        (replaced(metrics={"source": "EnvoyGateway"}), "spec.metrics.source", True),
        (replaced(metrics={"source": "Custom"}), "spec.metrics.source", True),
        (
            in_objective(metric="CostPerRequest", maxIncrease=None, maxRatio="1.1", onBreach="Report"),
            "spec.objectives[0].maxRatio",
            False,
        ),
        (
            in_objective(metric="TokensPerRequest", maxIncrease=None, maxRatio="1.1"),
            "spec.objectives[0].maxRatio",
            True,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_is_not_in_force_is_named_and_stops_what_it_was_to_make_safer(
    change: Change, field: str, blocks: bool
) -> None:
    gaps = gaps_in(changed(change))

    assert {gap.field: gap.blocks for gap in gaps} == {field: blocks}
    assert [problem.message.startswith(f"{field}: ") for problem in problems_of(gaps)] == [True] * blocks


@pytest.mark.parametrize(
    "change",
    [
        unchanged,
        in_objective(metric="CostPerRequest", maxIncrease=None, onBreach="Report"),
        in_objective(metric="TokensPerRequest", maxIncrease=None, onBreach="Report"),
        lambda spec: spec["models"][1].update(price={"inputPerMillionTokens": "1", "outputPerMillionTokens": "2"}),
    ],
    ids=["the example", "cost", "tokens", "a price"],
)
def test_a_spec_of_fields_that_are_all_in_force_has_no_gap(change: Change) -> None:
    assert gaps_in(changed(change)) == ()


def test_a_gap_stands_in_the_status_with_what_happens_instead() -> None:
    gap = Gap("spec.models[1].price", "kept for reports", blocks=False)

    assert gap.to_status().to_wire() == {"field": "spec.models[1].price", "message": "kept for reports"}


IN_FORCE = {
    ModelRouteSpec: "parentRefs routeRef hostnames matches filters timeouts models objectives rollout guard metrics"
    " paused historyLimit",
    ParentRef: "group kind name namespace sectionName port",
    Model: "name tier weight backendRef price",
    Price: "inputPerMillionTokens outputPerMillionTokens currency",
    BackendRef: "group kind name namespace port",
    RouteRef: "name rule",
    Objective: "name metric max maxIncrease maxRatio threshold minCoverage bad total onBreach",
    CounterRef: "metric labels",
    Rollout: "reference initialModel steps falseRollbackRate falseSafeRate progressDeadline onDeadline",
    Step: "progress minDuration minRequests approval require",
    Guard: "bake onBreach falseAlarmsPerYear",
    Metrics: "prometheus",
}
NAMED_AS_GAPS: dict[type[BaseModel], str] = {
    Metrics: "source",
}


def models_in(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`of`, and all types that its fields are made of."""

    def below(annotation: Any) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from models_in(annotation)
        for argument in get_args(annotation):
            yield from below(argument)

    yield of
    for field in of.model_fields.values():
        yield from below(field.annotation)


def test_every_field_of_the_schema_is_acted_on_or_named() -> None:
    """Whoever adds a field says here which of the two it is."""
    for model in set(models_in(ModelRouteSpec)):
        fields = {field.alias or name for name, field in model.model_fields.items()}
        known = {*IN_FORCE.get(model, "").split(), *NAMED_AS_GAPS.get(model, "").split()}
        assert fields == known, model.__name__


# Counters of a user's own.


def own_counters(bad: Json, total: Json, **fields: object) -> Change:
    return in_objective(
        metric="Custom", bad={"metric": "bad_total", **bad}, total={"metric": "all_total", **total}, **fields
    )


APART = {"labels": {"service": "$(backend)"}}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (own_counters(APART, APART), []),
        (own_counters({"labels": {"model": "v-$(arm)-2"}}, APART), []),
        (own_counters({}, APART), ["bad"]),
        (own_counters(APART, {"labels": {"app": "chat", "ns": "$(namespace)"}}), ["total"]),
        (own_counters({"labels": {"a": "$(service)"}}, {}), ["bad", "total"]),
    ],
    ids=["both by backend", "part of a value", "no labels", "the same labels", "a placeholder that is none"],
)
def test_counters_that_are_the_same_series_for_two_models_are_named(change: Change, fields: list[str]) -> None:
    found = dict(indistinct_in(changed(change), "chat"))

    assert list(found) == [f"spec.objectives[0].{field}.labels" for field in fields]
    assert all("nothing tells large and small apart" in what for what in found.values())


def test_backends_in_two_namespaces_are_told_apart_by_the_namespace_that_is_always_asked_for() -> None:
    spec = changed(
        lambda spec: (own_counters({}, {})(spec), spec["models"][1]["backendRef"].update(namespace="models"))
    )

    assert list(indistinct_in(spec, "chat")) == []


# The revision.


def revision(change: Change = unchanged, *, of: str = "minimal") -> str:
    return plan_of(changed(change, of=of), "chat").revision


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["models"].reverse(),
        lambda spec: [model.update(weight=model["weight"] // 20) for model in spec["models"]],
        replaced(hostnames=["other.example.com"]),
        replaced(filters=[{"type": "RequestHeaderModifier"}]),
        replaced(matches=[{"path": {"value": "/v2"}}]),
        replaced(timeouts={"request": "5s"}),
        replaced(parentRefs=[{"name": "elsewhere"}]),
        replaced(paused=True),
        replaced(historyLimit=3),
        replaced(guard={"bake": "3h"}),
        in_rollout(steps=[{"progress": 100}]),
        in_rollout(progressDeadline="2h"),
        lambda spec: spec["models"][0]["backendRef"].update(namespace="chat"),
        in_objective(maxIncrease="0.50pp"),
    ],
    ids=[
        "models in another order",
        "60/40 as 3/2",
        "hostnames",
        "filters",
        "matches",
        "timeouts",
        "parentRefs",
        "paused",
        "historyLimit",
        "guard",
        "steps",
        "the deadline",
        "the own namespace, said",
        "0.5pp as 0.50pp",
    ],
)
def test_what_a_rollout_is_not_about_keeps_the_revision(change: Change) -> None:
    assert revision(change) == revision()


@pytest.mark.parametrize(
    ("of", "same"),
    [
        (in_objective(metric="LatencyAbove", threshold="2s"), in_objective(metric="LatencyAbove", threshold="2000ms")),
        (
            in_objective(metric="SafetyViolationRate"),
            in_objective(metric="SafetyViolationRate", minCoverage="90.0%"),
        ),
    ],
    ids=["2s as 2000ms", "the default coverage, said"],
)
def test_what_means_the_same_has_the_same_revision(of: Change, same: Change) -> None:
    assert revision(of) == revision(same)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["models"][0].update(weight=61),
        lambda spec: spec["models"][1]["backendRef"].update(name="llama-8b-v2"),
        lambda spec: spec["models"][1]["backendRef"].update(port=8001),
        lambda spec: spec["models"][1]["backendRef"].update(namespace="models"),
        lambda spec: spec["models"][1].update(name="tiny"),
        in_objective(maxIncrease="0.6pp"),
        in_objective(maxIncrease=None, maxRatio="1.2"),
        in_objective(max="5%"),
        in_objective(onBreach="Pause"),
        in_objective(name="failures"),
        in_objective(metric="SafetyViolationRate"),
        lambda spec: spec["objectives"].append({"name": "slow", "metric": "LatencyAbove", "maxRatio": "2"}),
    ],
    ids=[
        "a weight",
        "a backend",
        "a port",
        "a namespace",
        "a model's name",
        "a bound",
        "another kind of bound",
        "an absolute bound",
        "onBreach",
        "an objective's name",
        "a metric",
        "one more objective",
    ],
)
def test_what_a_rollout_is_about_changes_the_revision(change: Change) -> None:
    assert revision(change) != revision()


PINNED: Json = {
    "parentRefs": [{"name": "inference"}],
    "models": [
        {"name": "large", "tier": "Large", "weight": 60, "backendRef": {"name": "llama-70b", "port": 8000}},
        {"name": "small", "tier": "Small", "weight": 40, "backendRef": {"name": "llama-8b", "port": 8000}},
    ],
    "objectives": [
        {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"},
        {"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "max": "5%", "onBreach": "Pause"},
        {"name": "safety", "metric": "SafetyViolationRate", "maxRatio": "1.2"},
        {
            "name": "wrong",
            "metric": "Custom",
            "max": "1%",
            "bad": {"metric": "wrong_total", "labels": {"b": "2", "a": "$(arm)"}},
            "total": {"metric": "answers_total"},
        },
    ],
}


def test_a_later_version_gives_the_same_spec_the_same_revision() -> None:
    """A rolled-back spec must not be tried again because the operator was upgraded: this value never changes."""
    assert plan_of(parse(ModelRouteSpec, PINNED), "chat").revision == "a6abb7a9a6"
