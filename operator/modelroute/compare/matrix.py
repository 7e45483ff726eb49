"""The Pareto front and the weighted decision matrix.

Every criterion is scored between its declared bounds, 0 at `worst` and 1 at `target`, not between the best and the
worst model: so adding or taking away an alternative changes nobody's score, and cannot turn the others' order round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelroute.compare.domain import Criterion

Values = Mapping[str, Sequence[float]]
"""By model: the value of each criterion, in the measure's unit; NaN where it is unknown."""


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the matrix: scores and their weighted mean, all in [0, 1]."""

    model: str
    scores: tuple[float, ...]
    total: float


def score(value: float, criterion: Criterion) -> float:
    """0 at `worst` or beyond, 1 at `target` or beyond, linear between; what is unknown scores 0."""
    if math.isnan(value):
        return 0.0
    if math.isinf(value):
        return 0.0 if (value > 0) is (criterion.worst > criterion.target) else 1.0
    return min(max((value - criterion.worst) / (criterion.target - criterion.worst), 0.0), 1.0)


def rank(values: Values, criteria: Sequence[Criterion]) -> tuple[Row, ...]:
    """The best first; models with equal totals stay in the order in which they came."""
    weights = [criterion.weight for criterion in criteria]
    rows = []
    for model, told in values.items():
        scores = tuple(score(value, criterion) for value, criterion in zip(told, criteria, strict=True))
        rows.append(Row(model, scores, total(scores, weights)))
    return tuple(sorted(rows, key=lambda row: -row.total))


def total(scores: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted mean; `weights` ≥ 0, with a sum above 0."""
    return math.fsum(s * w for s, w in zip(scores, weights, strict=True)) / math.fsum(weights)


def dominated_by(values: Values, criteria: Sequence[Criterion]) -> dict[str, tuple[str, ...]]:
    """For each model those that are as good in every criterion that has a weight, and better in one; none: it is on the
    front. Unknown is worse than anything known.
    """
    weighed = [index for index, criterion in enumerate(criteria) if criterion.weight > 0]

    def goodness(model: str) -> list[float]:
        found = []
        for index in weighed:
            value, better = values[model][index], 1 if criteria[index].measure.higher_is_better else -1
            found.append(-math.inf if math.isnan(value) else better * value)
        return found

    good = {model: goodness(model) for model in values}
    return {
        model: tuple(other for other in values if other != model and _dominates(good[other], good[model]))
        for model in values
    }


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)
