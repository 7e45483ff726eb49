"""comparison.yaml as people get it wrong: one sentence each, with the field's path."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelroute.compare.domain import Kind, Measure, Operator, RequestPrice, TokenPrice
from modelroute.compare.spec import parse_comparison, read_comparison
from modelroute.errors import Invalid

GOOD: dict[str, Any] = yaml.safe_load("""
apiVersion: modelroute.dev/compare/v1
name: support
currency: USD
models:
- name: large
  endpoint: http://127.0.0.1:8001/v1
  servedName: llama-70b
  tier: Large
  price: {inputPerMillionTokens: "3.00", outputPerMillionTokens: "15.00"}
- name: small
  endpoint: http://127.0.0.1:8002/v1/
  tier: Small
  price: {perRequest: "0.001"}
  hosting: {perMonth: "600"}
suites:
- {name: negation}
- {name: own, path: own.yaml, limit: 20}
constraints: ["latencyP95 < 2s", "costPerInteraction<0.01 USD", "accuracy@negation >= 60%"]
criteria:
- {name: accuracy, weight: 5, worst: 50%, target: 95%}
- {name: latencyP95, weight: 2, worst: 4s, target: 0.5s}
- {name: costPerInteraction, weight: 1, worst: "0.02", target: "0"}
- {name: score.rougeL@own, weight: 0, worst: 0%, target: 60%}
baseline: large
volume: {requestsPerDay: 20000}
errors: {errorsRise: 3pp, escalationsRise: 5%, baseEscalationRate: 6%, costPerEscalation: "4.00"}
overheads: {perMonth: "100", once: "5000"}
nonInferiority: {margin: 2pp}
evaluation: {concurrency: 2, maxCost: "5.00"}
""")


def changed(path: str, value: object) -> dict[str, Any]:
    """GOOD with one field set (or taken away, where the value is ...)."""
    told = copy.deepcopy(GOOD)
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    at: Any = told
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return told


def test_what_was_written_is_what_is_compared() -> None:
    found = parse_comparison(GOOD, folder=Path("/somewhere"))

    assert found.models[0].price == TokenPrice(Decimal("3.00"), Decimal("15.00"))
    assert found.models[1].price == RequestPrice(Decimal("0.001"))
    assert (found.models[0].served_name, found.models[1].served_name) == ("llama-70b", "small")
    assert found.models[1].endpoint == "http://127.0.0.1:8002/v1"
    assert found.suites[1].path == Path("/somewhere/own.yaml")
    assert found.constraints[1].operator is Operator.BELOW
    assert found.constraints[1].bound == 0.01
    assert found.constraints[2].measure == Measure(Kind.ACCURACY, "accuracy", "negation")
    assert [str(criterion.measure) for criterion in found.criteria] == [
        "accuracy",
        "latencyP95",
        "costPerInteraction",
        "score.rougeL@own",
    ]
    assert found.criteria[1].target == 0.5
    assert found.error_cost is not None
    assert found.error_cost.per_error == pytest.approx(0.05 * 0.06 / 0.03 * 4)
    assert found.margin == 0.02
    assert found.evaluation.max_cost == Decimal("5.00")


@pytest.mark.parametrize(
    ("rise", "base", "per_error"),
    [("5pp", ..., 0.05 / 0.03), ("5%", "6%", 0.05 * 0.06 / 0.03)],
    ids=["of all requests", "of today's escalations"],
)
def test_five_percent_more_escalations_can_be_of_two_things(rise: str, base: object, per_error: float) -> None:
    told = changed("errors/escalationsRise", rise)
    if base is ...:
        del told["errors"]["baseEscalationRate"]

    found = parse_comparison(told, folder=Path()).error_cost

    assert found is not None
    assert found.escalations_per_error == pytest.approx(per_error)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("criteria/0/name", "niceness", "criteria[0].name: 'niceness' is not measured: use one of accuracy, "),
        ("criteria/0/name", "accuracy@poems", "criteria[0].name: no suite is called 'poems': use one of negation, own"),
        ("criteria/0/name", "score", "criteria[0].name: 'score': a score is written with its name, for example "),
        ("criteria/0/name", "latencyP95", "criteria[0].worst: '50%' is not a duration"),
        ("criteria/1/name", "accuracy", "criteria[1].name: accuracy is there twice: keep one"),
        ("criteria/0/weight", -1, "criteria[0].weight: input should be greater than or equal to 0"),
        ("criteria/0/target", "40%", "criteria[0].target: accuracy is better when higher, so target must be above wor"),
        ("criteria/1/target", "9s", "criteria[1].target: latencyP95 is better when lower, so target must be below wor"),
        ("criteria/0/worst", 0.5, "criteria[0].worst: 0.5 has no unit: write a percentage, for example 95%"),
        ("criteria", [], "criteria: needs at least 1 entry"),
        (
            "criteria",
            [{"name": "accuracy", "weight": 0, "worst": "0%", "target": "90%"}],
            "criteria: the weights sum to 0, so nothing would matter",
        ),
        ("constraints/0", "latencyP95 is low", "constraints[0]: 'latencyP95 is low' is not a constraint"),
        ("constraints/0", "latencyP95 > 2s", "constraints[0]: latencyP95 is better when lower: write latencyP95 < 2s"),
        (
            "constraints/0",
            "outputTokens < 2s",
            "constraints[0]: '2s' is not a number of tokens: write a number",
        ),
        ("constraints/0", "speed < 2s", "constraints[0]: 'speed' is not measured"),
        ("constraints/1", "costPerInteraction < 0.01 EUR", "constraints[1]: 'EUR' is not the comparison's currency, U"),
        ("models/0/price/currency", "EUR", "models[0].price.currency: 'EUR' is not the comparison's currency, USD"),
        ("models/1/hosting/currency", "EUR", "models[1].hosting.currency: 'EUR' is not the comparison's currency, USD"),
        ("models/0/price/inputPerMillionTokens", 3.0, "models[0].price.inputPerMillionTokens: 3.0 must be a text: put"),
        ("models/0/price/outputPerMillionTokens", ..., "models[0].price: set inputPerMillionTokens and outputPerMill"),
        ("models/0/price/perRequest", "0.1", "models[0].price: perRequest and prices of tokens exclude each other"),
        ("models/0/endpoint", "localhost:8000", "models[0].endpoint: 'localhost:8000' is not the base URL of an API"),
        ("models/0/endpoint", "http://me:pw@host/v1", "models[0].endpoint: 'http://me:pw@host/v1' is not the base URL"),
        ("models/1/name", "large", "models[1].name: 'large' is there twice"),
        ("models/1/name", "../small", "models[1].name: '../small' must be lower-case letters, digits and dashes"),
        ("models/1", ..., "models: needs at least 2 entries"),
        ("models/0/tier", "Medium", "models[0].tier: input should be 'Large' or 'Small'"),
        ("models/0/colour", "red", "models[0].colour: no such field"),
        ("suites/1/name", "negation", "suites[1].name: 'negation' is there twice"),
        ("baseline", "medium", "baseline: no model is called 'medium': use one of large, small"),
        ("volume", ..., "models[1].hosting: a price per month can be spread over requests only if volume.requestsP"),
        ("errors/baseEscalationRate", ..., "errors.baseEscalationRate: a rise in % is a part of today's rate"),
        ("errors/errorsRise", ..., "errors: set escalationRate, or both errorsRise and escalationsRise"),
        ("errors/errorsRise", "0pp", "errors.errorsRise: must be above 0pp"),
        ("errors/escalationRate", "20%", "errors.escalationRate: escalationRate excludes errorsRise"),
        ("nonInferiority/margin", "3%", "nonInferiority.margin: '3%' is not percentage points"),
        ("nonInferiority/margin", "0pp", "nonInferiority.margin: must be above 0pp"),
        ("confidence", "5%", "confidence: '5%' must be from 50% to 99.99%"),
        ("currency", "$", "currency: '$' is not a currency's three-letter code"),
        ("apiVersion", "v7", "apiVersion: 'v7' is not a version that this modelroute reads: write modelroute.dev/comp"),
        ("name", ..., "name: is missing"),
        ("evaluation/timeout", "0s", "evaluation.timeout: must be above 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_path(path: str, value: object, says: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_comparison(changed(path, value), folder=Path())

    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read: "),
        ("- a list", "the file is not a mapping of fields: start it with apiVersion: modelroute.dev/compare/v1"),
        ("", "the file is not a mapping of fields"),
        (None, "cannot be read: "),
    ],
    ids=["broken YAML", "a list", "empty", "no file"],
)
def test_a_file_that_is_no_comparison_is_named(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "comparison.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(Invalid) as error:
        read_comparison(path)

    assert str(path) in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("criteria/0/weight", 9, True),
        ("models/0/price/inputPerMillionTokens", "9", True),
        ("models/0/servedName", "llama-80b", False),
        ("suites/1/limit", 30, False),
    ],
)
def test_only_what_the_answers_depend_on_changes_the_hash_of_an_evaluation(
    path: str, value: object, same: bool
) -> None:
    before = parse_comparison(GOOD, folder=Path()).evaluation_hash

    after = parse_comparison(changed(path, value), folder=Path()).evaluation_hash

    assert (before == after) is same
