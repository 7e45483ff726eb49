"""Does a model meet a constraint? Yes or no only where the whole interval is on one side of the bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from modelroute.compare.domain import Constraint, Operator, Unit
from modelroute.compare.intervals import Estimate, items_to_settle
from modelroute.compare.measure import Measured, quantile_of
from modelroute.compare.quantities import format_amount


class Outcome(StrEnum):
    """Of a constraint."""

    PASS = "Pass"  # noqa: S105 - a verdict
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Checked:
    """One constraint of one model. `more_items`: how many more samples would settle it at what was seen, None where it
    is settled or nobody can say.
    """

    constraint: Constraint
    estimate: Estimate
    outcome: Outcome
    more_items: int | None
    reason: str


def check(measured: Measured, constraint: Constraint, *, currency: str) -> Checked:
    """The verdict with its reason in one sentence."""
    estimate = measured.estimate(constraint.measure)
    if not estimate.known:
        reason = f"{constraint.measure} was not measured"
        return Checked(constraint, estimate, Outcome.INCONCLUSIVE, None, reason)
    outcome = _outcome(constraint, estimate)
    unit = constraint.measure.unit
    said = f"{constraint.measure} is {format_amount(estimate.value, unit, currency=currency)}"
    if math.isinf(estimate.value):
        said = f"{constraint.measure} is beyond every answer, because so many requests failed"
    within = interval_words(estimate, unit, currency=currency)
    if outcome is not Outcome.INCONCLUSIVE:
        return Checked(constraint, estimate, outcome, None, f"{said} ({within})")
    more = _more_items(measured, constraint, estimate)
    reason = f"{said}, but the bound of {constraint.text.split(' ', 2)[2]} is within {within}"
    if more is not None:
        reason += f"; about {more:,} more items would settle it if it stays as it is"
    return Checked(constraint, estimate, outcome, more, reason)


def interval_words(estimate: Estimate, unit: Unit, *, currency: str) -> str:
    """`1.2 s to 1.9 s`, `at least 1.2 s`."""
    low = format_amount(estimate.low, unit, currency=currency)
    if math.isinf(estimate.high):
        return f"at least {low}, no upper bound from {estimate.n:,} samples"
    return f"{low} to {format_amount(estimate.high, unit, currency=currency)}"


def _outcome(constraint: Constraint, estimate: Estimate) -> Outcome:
    ends = [constraint.operator.holds(end, constraint.bound) for end in (estimate.low, estimate.high)]
    if all(ends):
        return Outcome.PASS
    return Outcome.INCONCLUSIVE if any(ends) else Outcome.FAIL


def _more_items(measured: Measured, constraint: Constraint, estimate: Estimate) -> int | None:
    """A quantile is below a bound where the share above the bound is below 1 − p: so both are questions of a share."""
    column = measured.column(constraint.measure)
    values = column[~np.isnan(column)]
    p = quantile_of(constraint.measure.kind)
    if p is not None:
        strict = constraint.operator is Operator.BELOW
        above = values >= constraint.bound if strict else values > constraint.bound
        needed = items_to_settle(float(above.mean()), 1 - p, confidence=measured.confidence)
    elif constraint.measure.unit is Unit.SHARE:
        needed = items_to_settle(estimate.value, constraint.bound, confidence=measured.confidence)
    else:
        # The half width of a mean shrinks with the root of the number of samples.
        distance = abs(estimate.value - constraint.bound)
        half = (estimate.high - estimate.low) / 2
        needed = None if distance <= 0 else math.ceil(estimate.n * (half / distance) ** 2)
    return None if needed is None else max(needed - estimate.n, 1)
