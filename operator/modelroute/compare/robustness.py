"""How often each model would win if other items of the same kind had been asked: the whole matrix, resampled by items.

Every draw takes the same items for all models, so that what they share (a hard item) does not count as a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from modelroute.compare.domain import Criterion
from modelroute.compare.intervals import Floats
from modelroute.compare.matrix import score, total
from modelroute.compare.measure import Measured, quantile_of

DRAWS: Final = 1000


def share_of_wins(
    models: Mapping[str, Measured], criteria: Sequence[Criterion], *, seed: int, draws: int = DRAWS
) -> dict[str, float]:
    """By model, in [0, 1]; sums to 1. All of `models` take part: leave out what a constraint has ruled out."""
    keys = list(dict.fromkeys(entry.key for measured in models.values() for entry in measured.entries))
    if not keys:
        return {name: 1 / len(models) for name in models}
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(keys), np.full(len(keys), 1 / len(keys)), size=draws).astype(float)
    weights = [criterion.weight for criterion in criteria]
    totals = []
    for measured in models.values():
        at = {entry.key: index for index, entry in enumerate(measured.entries)}
        values = [_drawn(_aligned(measured, criterion, keys, at), criterion, counts) for criterion in criteria]
        scored = [
            [score(float(v), criterion) for v in column] for column, criterion in zip(values, criteria, strict=True)
        ]
        totals.append([total(scores, weights) for scores in zip(*scored, strict=True)])
    best = np.argmax(np.array(totals), axis=0)
    return {name: float((best == index).mean()) for index, name in enumerate(models)}


def _aligned(
    measured: Measured,
    criterion: Criterion,
    keys: Sequence[tuple[str, str, str]],
    at: Mapping[tuple[str, str, str], int],
) -> Floats:
    column = measured.column(criterion.measure)
    return np.array([column[at[key]] if key in at else np.nan for key in keys])


def _drawn(column: Floats, criterion: Criterion, counts: Floats) -> Floats:
    """The measure of each draw; `counts` (draws, items) says how often each item was drawn."""
    known = ~np.isnan(column)
    values, drawn = column[known], counts[:, known]
    if len(values) == 0:
        return np.full(len(counts), np.nan)
    size = drawn.sum(axis=1)
    p = quantile_of(criterion.measure.kind)
    with np.errstate(invalid="ignore"):  # a draw may hold no known item at all: 0 / 0 is unknown
        if p is None:
            return np.asarray(drawn @ values / size)
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(drawn[:, order], axis=1) >= np.maximum(np.ceil(p * size - 1e-9), 1)[:, np.newaxis]
        found = values[order][np.argmax(reached, axis=1)]
        return np.where(size > 0, found, np.nan)
