"""From the fields of comparison.yaml, whose shape is checked, to the comparison, whose sense is checked here."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from modelroute.api.quantities import parse_duration, parse_money, parse_percent, parse_points
from modelroute.api.routing import Tier
from modelroute.compare.domain import (
    Comparison,
    Criterion,
    ErrorCost,
    Evaluation,
    Judge,
    Model,
    Overheads,
    Price,
    RequestPrice,
    Suite,
    TokenPrice,
)
from modelroute.compare.fields import (
    ComparisonFields,
    CriterionFields,
    ErrorFields,
    EvaluationFields,
    ModelFields,
    PriceFields,
)
from modelroute.compare.quantities import parse_amount, parse_constraint, parse_measure
from modelroute.errors import Invalid


def to_comparison(fields: ComparisonFields, *, folder: Path) -> Comparison:
    """Raises Invalid with the path of the field."""
    _check_currencies(fields)
    suites = tuple(suite.name for suite in fields.suites)
    models = tuple(_model(model, at=f"models[{index}]") for index, model in enumerate(fields.models))
    overheads = Overheads(
        parse_money(fields.overheads.per_month, field="overheads.perMonth"),
        parse_money(fields.overheads.once, field="overheads.once"),
    ) if fields.overheads else Overheads()  # fmt: skip
    if fields.volume is None:
        _needs_volume(fields)
    return Comparison(
        name=fields.name,
        currency=fields.currency,
        models=models,
        suites=tuple(
            Suite(suite.name, None if suite.path is None else folder / suite.path, suite.limit)
            for suite in fields.suites
        ),
        constraints=tuple(
            parse_constraint(text, suites=suites, currency=fields.currency, field=f"constraints[{index}]")
            for index, text in enumerate(fields.constraints)
        ),
        criteria=_criteria(fields.criteria, suites=suites, currency=fields.currency),
        baseline=_baseline(fields.baseline, models),
        requests_per_day=None if fields.volume is None else fields.volume.requests_per_day,
        error_cost=None if fields.errors is None else _error_cost(fields.errors),
        overheads=overheads,
        margin=_margin(fields),
        confidence=_confidence(fields.confidence),
        seed=fields.seed,
        evaluation=_evaluation(fields.evaluation),
    )


def _check_currencies(fields: ComparisonFields) -> None:
    if not re.fullmatch(r"[A-Z]{3}", fields.currency):
        raise Invalid(f"{fields.currency!r} is not a currency's three-letter code such as USD", field="currency")
    told = [
        (f"models[{index}].{name}.currency", part.currency)
        for index, model in enumerate(fields.models)
        for name, part in (("price", model.price), ("hosting", model.hosting))
        if part is not None and part.currency is not None
    ]
    if fields.evaluation.judge and fields.evaluation.judge.price and fields.evaluation.judge.price.currency:
        told.append(("evaluation.judge.price.currency", fields.evaluation.judge.price.currency))
    for field, code in told:
        if code != fields.currency:
            said = f"{code!r} is not the comparison's currency, {fields.currency}: give all amounts in one currency"
            raise Invalid(said, field=field)


def _model(fields: ModelFields, *, at: str) -> Model:
    hosting = fields.hosting.per_month if fields.hosting else "0"
    return Model(
        name=fields.name,
        served_name=fields.served_name or fields.name,
        endpoint=None if fields.endpoint is None else _endpoint(fields.endpoint, field=f"{at}.endpoint"),
        api_key_env=fields.api_key_env,
        tier=fields.tier,
        price=None if fields.price is None else _price(fields.price, at=f"{at}.price"),
        hosting_per_month=parse_money(hosting, field=f"{at}.hosting.perMonth"),
    )


def _endpoint(text: str, *, field: str) -> str:
    if not re.fullmatch(r"https?://[^\s?#@]+", text):
        raise Invalid(f"{text!r} is not the base URL of an API, such as http://localhost:8000/v1", field=field)
    return text.rstrip("/")


def _price(fields: PriceFields, *, at: str) -> Price:
    tokens = (fields.input_per_million_tokens, fields.output_per_million_tokens)
    if fields.per_request is not None:
        if tokens != (None, None):
            raise Invalid("perRequest and prices of tokens exclude each other: keep one", field=at)
        return RequestPrice(parse_money(fields.per_request, field=f"{at}.perRequest"))
    if tokens[0] is None or tokens[1] is None:
        raise Invalid("set inputPerMillionTokens and outputPerMillionTokens, or perRequest", field=at)
    return TokenPrice(
        parse_money(tokens[0], field=f"{at}.inputPerMillionTokens"),
        parse_money(tokens[1], field=f"{at}.outputPerMillionTokens"),
    )


def _needs_volume(fields: ComparisonFields) -> None:
    for index, model in enumerate(fields.models):
        if model.hosting:
            said = "a price per month can be spread over requests only if volume.requestsPerDay is set"
            raise Invalid(said, field=f"models[{index}].hosting")
    for name in ("errors", "overheads"):
        if getattr(fields, name) is not None:
            raise Invalid("the cost of ownership needs volume.requestsPerDay: set it", field=name)


def _criteria(entries: list[CriterionFields], *, suites: tuple[str, ...], currency: str) -> tuple[Criterion, ...]:
    found: list[Criterion] = []
    for index, entry in enumerate(entries):
        at = f"criteria[{index}]"
        measure = parse_measure(entry.name, suites=suites, field=f"{at}.name")
        if any(measure == other.measure for other in found):
            raise Invalid(f"{measure} is there twice: keep one, with the weight you mean", field=f"{at}.name")
        worst, target = (
            parse_amount(told, measure.unit, currency=currency, field=f"{at}.{name}")
            for name, told in (("worst", entry.worst), ("target", entry.target))
        )
        if (worst < target) is not measure.higher_is_better or worst == target:
            order = "above" if measure.higher_is_better else "below"
            better = "higher" if measure.higher_is_better else "lower"
            said = f"{measure} is better when {better}, so target must be {order} worst"
            raise Invalid(said, field=f"{at}.target")
        found.append(Criterion(measure, entry.weight, worst, target))
    if sum(criterion.weight for criterion in found) <= 0:
        raise Invalid("the weights sum to 0, so nothing would matter: set at least one above 0", field="criteria")
    return tuple(found)


def _baseline(name: str | None, models: tuple[Model, ...]) -> str:
    if name is None:
        return next((model.name for model in models if model.tier is Tier.LARGE), models[0].name)
    if name not in {model.name for model in models}:
        known = ", ".join(model.name for model in models)
        raise Invalid(f"no model is called {name!r}: use one of {known}", field="baseline")
    return name


def _error_cost(fields: ErrorFields) -> ErrorCost:
    cost = parse_money(fields.cost_per_escalation, field="errors.costPerEscalation")
    if fields.escalation_rate is not None:
        if fields.errors_rise is not None or fields.escalations_rise is not None:
            said = "escalationRate excludes errorsRise and escalationsRise: keep the one that you know"
            raise Invalid(said, field="errors.escalationRate")
        rate = parse_percent(fields.escalation_rate, field="errors.escalationRate")
        return ErrorCost(rate, cost, f"{fields.escalation_rate} of wrong answers are escalated")
    if fields.errors_rise is None or fields.escalations_rise is None:
        said = "set escalationRate, or both errorsRise and escalationsRise (for example 3pp and 5%)"
        raise Invalid(said, field="errors")
    errors = parse_points(fields.errors_rise, field="errors.errorsRise")
    if errors == 0:
        raise Invalid("must be above 0pp: it is what escalationsRise belongs to", field="errors.errorsRise")
    words = f"{fields.errors_rise} more errors mean {fields.escalations_rise} more escalations"
    if fields.escalations_rise.endswith("pp"):
        rise = parse_points(fields.escalations_rise, field="errors.escalationsRise")
        return ErrorCost(rise / errors, cost, f"{words} (of all requests)")
    if fields.base_escalation_rate is None:
        said = "a rise in % is a part of today's rate: set it, for example 8%, or write the rise in pp of all requests"
        raise Invalid(said, field="errors.baseEscalationRate")
    rise = parse_percent(fields.escalations_rise, field="errors.escalationsRise")
    base = parse_percent(fields.base_escalation_rate, field="errors.baseEscalationRate")
    return ErrorCost(rise * base / errors, cost, f"{words} (of {fields.base_escalation_rate} today)")


def _margin(fields: ComparisonFields) -> float:
    if fields.non_inferiority is None:
        return 0.03
    margin = parse_points(fields.non_inferiority.margin, field="nonInferiority.margin")
    if margin == 0:
        said = "must be above 0pp, or nothing could ever be shown: for example 3pp"
        raise Invalid(said, field="nonInferiority.margin")
    return margin


def _confidence(text: str) -> float:
    confidence = parse_percent(text, field="confidence")
    if not 0.5 <= confidence <= 0.9999:
        raise Invalid(f"{text!r} must be from 50% to 99.99%, for example 95%", field="confidence")
    return confidence


def _evaluation(fields: EvaluationFields) -> Evaluation:
    at = "evaluation"
    timeout = parse_duration(fields.timeout, field=f"{at}.timeout")
    if timeout <= 0:
        raise Invalid("must be above 0, for example 60s", field=f"{at}.timeout")
    judge = fields.judge
    ceiling: Decimal | None = None
    if fields.max_cost is not None:
        ceiling = parse_money(fields.max_cost, field=f"{at}.maxCost")
    return Evaluation(
        concurrency=fields.concurrency,
        timeout_s=timeout,
        max_cost=ceiling,
        max_tokens=fields.max_tokens,
        temperature=fields.temperature,
        judge=None
        if judge is None
        else Judge(
            endpoint=_endpoint(judge.endpoint, field=f"{at}.judge.endpoint"),
            served_name=judge.served_name,
            api_key_env=judge.api_key_env,
            price=None if judge.price is None else _price(judge.price, at=f"{at}.judge.price"),
        ),
    )
