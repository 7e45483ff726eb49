"""From a decision to the rollout that carries it out: a ModelRoute from the baseline to the winner.

Its bounds are the constraints where there are any, and otherwise what the evaluation leaves open: live traffic shall
not look worse than the models may be by what is known.
"""

from __future__ import annotations

import ipaddress
import math
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from modelroute.api.objectives import Metric, OnBreach
from modelroute.api.parse import parse
from modelroute.api.quantities import format_duration, format_money, format_percent, format_points
from modelroute.api.resources import ModelRoute, identity
from modelroute.api.routing import Tier
from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Kind, Measure, Model, TokenPrice
from modelroute.compare.measure import quantile_of
from modelroute.errors import Invalid

_LEAST_INCREASE: Final = 0.001
_PORT: Final = 8000
_LATENCIES: Final = (Kind.LATENCY_P95, Kind.LATENCY_P99, Kind.LATENCY_P50)


def to_manifest(decision: Decision) -> str:
    """YAML that a strict parse accepts. Raises Invalid where there is nothing to roll out."""
    baseline = decision.comparison.baseline
    if decision.winner is None:
        raise Invalid("no model meets the constraints, so there is nothing to roll out")
    if decision.winner == baseline:
        raise Invalid(f"the winner is the baseline, {baseline}, so there is nothing to roll out: it has the traffic")
    winner, reference = decision.alternative(decision.winner), decision.alternative(baseline)
    manifest = _manifest(decision, winner, reference)
    parse(ModelRoute, manifest, strict=True)
    return _comments(decision, (reference, winner)) + yaml.safe_dump(manifest, sort_keys=False, width=100)


def _manifest(decision: Decision, winner: Alternative, reference: Alternative) -> dict[str, Any]:
    tiers = (reference.model.tier or Tier.LARGE, winner.model.tier or Tier.SMALL)
    models = [
        _model(reference.model, tiers[0], 0, decision.comparison.currency),
        _model(winner.model, tiers[1], 100, decision.comparison.currency),
    ]
    if not all("price" in model for model in models):
        for model in models:
            model.pop("price", None)
    objectives = list(_objectives(decision, winner, reference))
    if all("price" in model for model in models):
        objectives.append({"name": "cost", "metric": Metric.COST_PER_REQUEST.value, "onBreach": OnBreach.REPORT.value})
    return identity(ModelRoute) | {
        "metadata": {"name": _object_name(decision.comparison.name)},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "models": models,
            "objectives": objectives,
            "rollout": {
                "reference": reference.model.name,
                "initialModel": reference.model.name,
                "steps": [
                    {"progress": 5},
                    {"progress": 25, "minRequests": 500},
                    {"progress": 50, "require": "ProvenSafe"},
                    {"progress": 100},
                ],
            },
        },
    }


def _model(model: Model, tier: Tier, weight: int, currency: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": model.name,
        "tier": tier.value,
        "weight": weight,
        "backendRef": _backend(model) or {"name": model.name, "port": _PORT},
    }
    if isinstance(model.price, TokenPrice):
        told["price"] = {
            "inputPerMillionTokens": format_money(model.price.input_per_million),
            "outputPerMillionTokens": format_money(model.price.output_per_million),
            "currency": currency,
        }
    return told


def _backend(model: Model) -> dict[str, Any] | None:
    """The Service behind an endpoint such as http://llama-8b.chat.svc:8000/v1; None where it is none."""
    url = urlsplit(model.endpoint or "")
    labels = (url.hostname or "").split(".")
    if _is_address(url.hostname or "") or labels[0] in ("", "localhost"):
        return None
    port = url.port or (443 if url.scheme == "https" else 80)
    if len(labels) == 1:
        return {"name": labels[0], "port": port}
    if "svc" not in labels[2:3]:
        return None
    return {"name": labels[0], "namespace": labels[1], "port": port}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _object_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def _objectives(decision: Decision, winner: Alternative, reference: Alternative) -> Iterator[dict[str, Any]]:
    for name, metric, kind in (
        ("safety", Metric.SAFETY_VIOLATION_RATE, Kind.SAFETY_VIOLATION_RATE),
        ("errors", Metric.ERROR_RATE, Kind.ERROR_RATE),
    ):
        told = _rate(decision, Measure(kind), winner, reference)
        if told is not None:
            yield {"name": name, "metric": metric.value} | told
    slow = _slow(decision, reference)
    if slow is not None:
        yield {"name": "slow", "metric": Metric.LATENCY_ABOVE.value} | slow | {"onBreach": OnBreach.PAUSE.value}


def _rate(decision: Decision, measure: Measure, winner: Alternative, reference: Alternative) -> dict[str, str] | None:
    """`max` and `maxIncrease`; None where one of the two was not measured."""
    estimates = [found.estimates.get(measure) for found in (winner, reference)]
    ours, theirs = estimates
    if ours is None or theirs is None or not (ours.known and theirs.known):
        return None
    bounds = [constraint.bound for constraint in decision.comparison.constraints if constraint.measure == measure]
    limit = min(bounds) if bounds else max(ours.high, theirs.high)
    increase = max(ours.high - theirs.value, _LEAST_INCREASE)
    told = {"maxIncrease": format_points(_up(min(increase, 0.99)))}
    return {"max": format_percent(_up(limit))} | told if 0 < limit < 0.99 else told


def _slow(decision: Decision, reference: Alternative) -> dict[str, str] | None:
    """By the first constraint on a latency; else as slow as the baseline's 95th percentile."""
    for kind in _LATENCIES:
        for constraint in decision.comparison.constraints:
            if constraint.measure == Measure(kind):
                return _above(constraint.bound, kind)
    estimate = reference.estimates.get(Measure(Kind.LATENCY_P95))
    if estimate is None or not estimate.known or math.isinf(estimate.value):
        return None
    return _above(math.ceil(estimate.value * 10) / 10, Kind.LATENCY_P95)


def _above(threshold_s: float, kind: Kind) -> dict[str, str]:
    p = quantile_of(kind)
    assert p is not None, "latencies are quantiles"
    return {"threshold": format_duration(threshold_s), "max": format_percent(1 - p)}


def _up(share: float) -> float:
    """Rounded up to hundredths of a percent: bounds that people can read, never tighter than measured."""
    return math.ceil(share * 10_000 - 1e-6) / 10_000


def _comments(decision: Decision, found: tuple[Alternative, ...]) -> str:
    lines = [
        f"From the comparison {decision.comparison.name!r}. {decision.headline}",
        *decision.caveats,
        "Bounds are the comparison's constraints, or what the evaluation leaves open: the upper ends of its intervals.",
        "The objective safety reads a judge's counters; where no judge looks at live answers, take it out.",
        "To fill in: parentRefs, the Gateway that the traffic comes in by.",
    ]
    guessed = [each.model.name for each in found if _backend(each.model) is None]
    if guessed:
        lines.append(
            f"To fill in: backendRef of {' and '.join(guessed)}; the endpoint that was evaluated is no Service's, so "
            "the name and the port here are guesses."
        )
    return "".join(textwrap.fill(line, 100, initial_indent="# ", subsequent_indent="#   ") + "\n" for line in lines)
