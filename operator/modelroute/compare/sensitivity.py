"""How far one weight can move, the others keeping their proportions, before another model wins.

With t the criterion's part of all weights, a model's total is t·s + (1 − t)·r, where s is its score in the criterion
and r its total over the others. Totals are straight lines in t, so the places where the winner changes are crossings,
found exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelroute.compare.domain import Criterion
from modelroute.compare.matrix import Row

_NEAR = 1e-12


@dataclass(frozen=True, slots=True)
class Line:
    """A model's total as the criterion's part goes from 0 (`at_zero`) to 1 (`at_one`)."""

    model: str
    at_zero: float
    at_one: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The parts of all weights, in [0, 1], between which the winner stays, and who wins beyond; None: nobody does.

    `low_weight` and `high_weight` are the same as weights beside the others as they are; `high_weight` is infinite
    where the criterion could be all that counts.
    """

    criterion: Criterion
    share: float
    low: float
    high: float
    below: str | None
    above: str | None
    low_weight: float
    high_weight: float
    lines: tuple[Line, ...]


def sensitivities(rows: Sequence[Row], criteria: Sequence[Criterion]) -> tuple[Sensitivity, ...]:
    """One for each criterion; `rows` with the winner first, as `rank` gives them."""
    weights = [criterion.weight for criterion in criteria]
    return tuple(_of(rows, criteria[index], weights, index) for index in range(len(criteria)))


def _of(rows: Sequence[Row], criterion: Criterion, weights: Sequence[float], index: int) -> Sensitivity:
    others = math.fsum(weights) - weights[index]
    share = weights[index] / math.fsum(weights)
    lines = tuple(_line(row, weights, index) for row in rows)
    winner = lines[0]
    low, high = 0.0, 1.0
    below: str | None = None
    above: str | None = None
    for other in lines[1:]:
        # gap(t) = (1 − t)·(r − r') + t·(s − s'), at least 0 where the winner is.
        at_zero, at_one = winner.at_zero - other.at_zero, winner.at_one - other.at_one
        if at_zero < -_NEAR and (crossing := at_zero / (at_zero - at_one)) > low:
            low, below = min(crossing, share), other.model
        if at_one < -_NEAR and (crossing := at_zero / (at_zero - at_one)) < high:
            high, above = max(crossing, share), other.model
    return Sensitivity(
        criterion=criterion,
        share=share,
        low=low,
        high=high,
        below=below,
        above=above,
        low_weight=_weight(low, others),
        high_weight=_weight(high, others),
        lines=lines,
    )


def _line(row: Row, weights: Sequence[float], index: int) -> Line:
    others = math.fsum(weights) - weights[index]
    rest = math.fsum(w * s for at, (w, s) in enumerate(zip(weights, row.scores, strict=True)) if at != index)
    # Where no other criterion has a weight there is nothing else to count.
    return Line(row.model, rest / others if others > 0 else row.scores[index], row.scores[index])


def _weight(share: float, others: float) -> float:
    return math.inf if share >= 1 or others <= 0 else others * share / (1 - share)
