"""Reading what a user wrote: leniently as the operator does, strictly as a person may want, with the field's
path.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from modelroute.api.parse import parse, unknown_fields
from modelroute.api.resources import ModelRollout, ModelRoute
from modelroute.api.rollout_status import ModelRolloutStatus, WindowRecord
from modelroute.api.spec import Metric, ModelRouteSpec, Objective, OnBreach, Require, Tier
from modelroute.api.status import Condition, Evidence, ModelRouteStatus
from modelroute.errors import Invalid

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    return manifest


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_reads_strictly(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if manifest.get("kind") == "ModelRoute":
            parse(ModelRoute, manifest, strict=True)


def test_the_full_example_says_everything_that_can_be_said() -> None:
    said = example("modelroute")["spec"]

    left_out = {"routeRef", "filters"}  # the one excludes parentRefs, the other is the gateway's
    fields = {field.alias for field in ModelRouteSpec.model_fields.values()}
    assert fields == set(said) | left_out


def test_what_is_read_is_what_was_written() -> None:
    manifest = example("modelroute")

    route = parse(ModelRoute, manifest)

    assert [model.tier for model in route.spec.models] == [Tier.LARGE, Tier.SMALL]
    assert route.spec.objectives[0].metric is Metric.SAFETY_VIOLATION_RATE
    assert route.spec.objectives[0].max == "0.5%"
    assert route.spec.objectives[2].on_breach is OnBreach.PAUSE
    assert route.spec.rollout.steps[2].require is Require.PROVEN_SAFE
    assert route.spec.matches == manifest["spec"]["matches"]
    assert route.spec.to_wire()["timeouts"] == {"request": "120s"}


def test_the_first_large_model_is_reference_and_start_unless_others_are_named() -> None:
    manifest = example("minimal")["spec"]

    assert parse(ModelRouteSpec, manifest).reference_name == "large"
    assert parse(ModelRouteSpec, manifest).initial_name == "large"
    manifest["rollout"] = {"reference": "small", "initialModel": "small"}
    assert parse(ModelRouteSpec, manifest).reference_name == "small"
    assert parse(ModelRouteSpec, manifest).initial_name == "small"


@pytest.mark.parametrize(
    ("metric", "said", "expected"),
    [
        ("SafetyViolationRate", None, "90%"),
        ("SafetyViolationRate", "99%", "99%"),
        ("ErrorRate", None, None),
    ],
)
def test_coverage_is_asked_of_a_judge_only(metric: str, said: str | None, expected: str | None) -> None:
    objective = Objective(name="a", metric=Metric(metric), max="1%", min_coverage=said)

    assert expected == objective.coverage_in_force


def test_the_operator_lets_unknown_fields_pass() -> None:
    manifest = example("minimal")
    manifest["spec"]["fromTheFuture"] = {"a": 1}

    assert "fromTheFuture" not in parse(ModelRoute, manifest).spec.to_wire()


def test_a_strict_reader_names_every_unknown_field() -> None:
    manifest = example("modelroute")
    manifest["spec"]["canary"] = True
    manifest["spec"]["models"][1]["backendRef"]["weight"] = 1
    manifest["spec"]["rollout"]["steps"][0]["pause"] = "1m"
    manifest["spec"]["matches"][0]["anything"] = "is the gateway's business"

    expected = ["spec.models[1].backendRef.weight", "spec.rollout.steps[0].pause", "spec.canary"]
    assert expected == list(unknown_fields(ModelRoute, manifest))
    with pytest.raises(Invalid, match=r"^spec\.models\[1\]\.backendRef\.weight: no such field"):
        parse(ModelRoute, manifest, strict=True)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("models", 1, "weight"), -1, "spec.models[1].weight"),
        (("models", 0, "tier"), "Medium", "spec.models[0].tier"),
        (("objectives", 0, "max"), 5, "spec.objectives[0].max"),
        (("rollout", "steps"), [], "spec.rollout.steps"),
        (("guard",), "none", "spec.guard"),
    ],
)
def test_what_cannot_be_read_is_invalid_at_its_path(path: tuple[Any, ...], value: Any, field: str) -> None:
    spec = example("modelroute")["spec"]
    here = spec
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value

    with pytest.raises(Invalid) as caught:
        parse(ModelRouteSpec, spec, at="spec")

    assert field == caught.value.field


def test_a_spec_is_a_value() -> None:
    spec = parse(ModelRouteSpec, example("minimal")["spec"])

    with pytest.raises(ValidationError):
        spec.paused = True  # type: ignore[misc]  # that it cannot be set is what is tested


def test_from_is_a_word_of_python_but_not_of_the_wire() -> None:
    rollout = parse(
        ModelRollout,
        {
            "metadata": {"name": "support-chat-1"},
            "spec": {
                "modelRoute": "support-chat",
                "revision": "v1-3f2a9c",
                "attempt": 1,
                "trigger": "FirstApply",
                "engineVersion": "1",
                "arms": [{"name": "a", "model": "a", "tier": "Large", "backendRef": {"name": "a", "port": 80}}],
                "from": [{"arm": "a", "weight": 10000}],
                "to": [{"arm": "a", "weight": 10000}],
                "objectives": [{"name": "errors", "metric": "ErrorRate", "max": "1%"}],
                "steps": [{"progress": 100}],
                "falseRollbackRate": "5%",
                "falseSafeRate": "5%",
                "progressDeadline": "24h",
                "windowSeconds": 5,
                "settleMinSeconds": 30,
                "metrics": {},
            },
        },
    )

    assert rollout.spec.from_[0].arm == "a"
    assert "from" in rollout.spec.to_wire()


def test_a_status_cuts_what_is_too_long_instead_of_refusing_it() -> None:
    evidence = Evidence(name="errors", candidate="small", message="x" * 5000)
    status = ModelRouteStatus(message="y" * 5000, lacking=["z"] * 100)

    assert evidence.message is not None
    assert status.message is not None
    assert status.lacking is not None
    assert (len(evidence.message), len(status.message), len(status.lacking)) == (2048, 2048, 64)
    assert status.message.endswith("…")


def test_a_status_keeps_the_last_windows() -> None:
    windows = [WindowRecord(end="2026-01-02T03:04:05Z", step=0, counts=str(number)) for number in range(100)]

    kept = ModelRolloutStatus(windows=windows).windows

    assert kept is not None
    assert [str(number) for number in range(40, 100)] == [window.counts for window in kept]


def test_a_status_written_by_a_newer_operator_is_read() -> None:
    newer = {"phase": "Shadowing", "verdict": "Unheard", "somethingNew": [1], "step": None}

    status = parse(ModelRouteStatus, newer)

    assert (status.phase, status.step) == ("Shadowing", None)


def test_a_status_has_no_nulls_on_the_wire() -> None:
    status = ModelRouteStatus(phase="Stable")

    assert status.to_wire() == {"phase": "Stable"}


def test_not_a_number_never_gets_into_a_status() -> None:
    with pytest.raises(ValidationError):
        Evidence(name="errors", candidate="small", candidate_bad=float("nan"))


def test_parsing_leaves_its_input_alone() -> None:
    manifest = example("modelroute")
    before = copy.deepcopy(manifest)

    parse(ModelRoute, manifest, strict=True)

    assert before == manifest


def test_a_condition_needs_a_reason() -> None:
    with pytest.raises(ValidationError):
        Condition(type="Ready", status="True", last_transition_time="2026-01-02T03:04:05Z", reason="", message="")
