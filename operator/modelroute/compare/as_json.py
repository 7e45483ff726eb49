"""The decision as JSON for programs: the same inputs give the same bytes.

Numbers have nine significant digits, so that the last bit of a sum on another machine is not a difference. `null` is
what is unknown, or a bound that there is none of.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Criterion
from modelroute.compare.examples import Example
from modelroute.compare.intervals import Estimate
from modelroute.compare.ownership import Bill, Exchange
from modelroute.compare.paired import Pairing
from modelroute.compare.sensitivity import Sensitivity

SCHEMA: Final = "modelroute.dev/decision/v1"


def to_json(decision: Decision) -> str:
    """Ends with a newline."""
    return json.dumps(_rounded(as_dict(decision)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(decision: Decision) -> dict[str, Any]:
    """JSON's types; numbers are not rounded yet, and may be infinite or NaN."""
    comparison = decision.comparison
    return {
        "schema": SCHEMA,
        "comparison": comparison.name,
        "currency": comparison.currency,
        "confidence": comparison.confidence,
        "baseline": comparison.baseline,
        "quality": str(decision.quality),
        "winner": decision.winner,
        "headline": decision.headline,
        "caveats": list(decision.caveats),
        "notes": list(decision.notes),
        "criteria": [_criterion(criterion) for criterion in comparison.criteria],
        "ranking": [row.model for row in decision.ranking],
        "models": {alternative.model.name: _alternative(alternative) for alternative in decision.alternatives},
        "sensitivity": [_sensitivity(found) for found in decision.sensitivities],
        "examples": [_example(example) for example in decision.examples],
        "tool": dict(decision.tool),
    }


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "name": str(criterion.measure),
        "unit": criterion.measure.unit.value,
        "weight": criterion.weight,
        "worst": criterion.worst,
        "target": criterion.target,
    }


def _alternative(found: Alternative) -> dict[str, Any]:
    return {
        "tier": None if found.model.tier is None else found.model.tier.value,
        "samples": found.samples,
        "measures": {str(measure): _estimate(estimate) for measure, estimate in found.estimates.items()},
        "constraints": [
            {
                "constraint": checked.constraint.text,
                "outcome": checked.outcome.value,
                "moreItems": checked.more_items,
                "reason": checked.reason,
            }
            for checked in found.checks
        ],
        "eligible": found.eligible,
        "onFront": found.eligible and not found.dominated_by,
        "dominatedBy": list(found.dominated_by),
        "scores": list(found.row.scores),
        "total": found.row.total,
        "winsOnOtherItems": found.wins,
        "besideBaseline": None if found.pairing is None else _pairing(found.pairing),
        "month": None if found.bill is None else _bill(found.bill),
        "exchange": None if found.exchange is None else _exchange(found.exchange),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _pairing(pairing: Pairing) -> dict[str, Any]:
    return {
        "items": pairing.n,
        "difference": pairing.difference,
        "low": pairing.low,
        "high": pairing.high,
        "bootstrap": list(pairing.bootstrap),
        "onlyBaselineRight": pairing.only_baseline,
        "onlyModelRight": pairing.only_model,
        "mcnemarP": pairing.p_value,
        "standing": pairing.standing.value,
        "moreItems": pairing.more_items,
        "reason": pairing.reason,
    }


def _bill(bill: Bill) -> dict[str, Any]:
    return {"requests": bill.requests, "hosting": bill.hosting, "mistakes": bill.mistakes, "total": bill.total}


def _exchange(found: Exchange) -> dict[str, Any]:
    return {
        "items": found.n,
        "savingPerQuery": _estimate(found.saving),
        "lost": _estimate(found.lost),
        "mistakesPerQuery": _estimate(found.mistakes),
        "netPerQuery": _estimate(found.net),
        "netPerMonth": _estimate(found.monthly),
        "netPerYear": _estimate(found.yearly),
        "netFirstYear": _estimate(found.first_year),
        "breakEvenAccuracyDrop": None if found.break_even is None else _estimate(found.break_even),
        "paybackMonths": found.payback_months,
        "pays": found.pays,
    }


def _sensitivity(found: Sensitivity) -> dict[str, Any]:
    return {
        "criterion": str(found.criterion.measure),
        "weight": found.criterion.weight,
        "winnerStaysFrom": found.low_weight,
        "winnerStaysTo": found.high_weight,
        "below": found.below,
        "above": found.above,
        "share": {"now": found.share, "from": found.low, "to": found.high},
    }


def _example(example: Example) -> dict[str, Any]:
    return {
        "suite": example.suite,
        "item": example.item,
        "prompt": example.prompt,
        "expected": example.expected,
        "answers": {
            told.model: {
                "answer": told.answer,
                "score": told.score,
                "violation": told.violation,
                "error": told.error,
            }
            for told in example.told
        },
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, float):
        # Adding 0 turns -0 into 0.
        return float(f"{value:.9g}") + 0.0 if math.isfinite(value) else None
    return value
