"""The textbook forms of the processes, for people who want to check a decision or try their own numbers.

They keep the plain schedule and the plain cap of STATISTICS.md; what the engine does beyond that is in docs/adr/0005.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from modelroute.analysis.mixture import ALTERNATIVES, INVERTED, Floats, unspent
from modelroute.analysis.one_arm import Direction, log_e_sums
from modelroute.analysis.two_arm import log_e_values

_NOTHING: Final = 1e-6
"""A smaller fraction of a request is none: the projection would underflow."""


@dataclass(frozen=True, slots=True)
class TwoArm:
    """Process A as written down: `ratio` r ≥ 1 and `margin` δ in [0, 1), `prior_rate` b0 in (0, 1).

    `overdispersion` D ≥ 1, `cap` > 0 (inf is none). `alternatives` are odds ratios ψ, above 1 for harm and below for
    safe, with `weights` that sum to 1. `onset` spends those parts of the capital (sum at most 1) before the windows of
    those indexes; None spreads it as the engine does.
    """

    direction: Direction = Direction.HARM
    ratio: float = 1.0
    margin: float = 0.0
    prior_rate: float = 0.01
    overdispersion: float = 1.0
    cap: float = math.inf
    alternatives: tuple[float, ...] | None = None
    weights: tuple[float, ...] | None = None
    onset: Mapping[int, float] | None = None


def grid_of(test: TwoArm) -> Floats:
    """The odds ratios that are bet on, shape (k,)."""
    if test.alternatives is not None:
        return np.asarray(test.alternatives, dtype=np.float64)
    return ALTERNATIVES if test.direction is Direction.HARM else INVERTED


def weights_of(test: TwoArm) -> Floats:
    """What each gets of the capital: as given, else falling by e^−0.35 from one to the next. Shape (k,), sums to 1."""
    if test.weights is not None:
        return np.asarray(test.weights, dtype=np.float64)
    falling = np.exp(-0.35 * np.arange(len(grid_of(test))))
    return np.asarray(falling / falling.sum())


def log_e_two_arm(test: TwoArm, windows: Sequence[Sequence[float]]) -> list[float]:
    """ln E after each window (nC, xC, nB, xB), 0 ≤ x ≤ n, fractions allowed; −inf where all capital is lost.

    Guarantee: while qC ≤ r·qB + δ (harm), or ≥ (safe), in every window, P(E ever ≥ 1/α) ≤ α.
    """
    grid = grid_of(test)
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights_of(test))
    capital = np.full(len(grid), -math.inf)
    left, bad, total = 1.0, 0.0, 0.0
    found = []
    for index, window in enumerate(windows):
        n_c, x_c, n_b, x_b = (count if count >= _NOTHING else 0.0 for count in window)
        spent = _spent(test, index)
        left = max(left - spent, 0.0) if test.onset is not None else float(unspent(index + 1))
        factors = log_e_values(
            n_c, x_c, n_b, x_b,
            guess=(0.5 + bad) / (0.5 / test.prior_rate + total),
            alternatives=grid, ratio=test.ratio, margin=test.margin,
        )  # fmt: skip
        capital = np.logaddexp(capital, _ln(spent) + log_weights) + np.minimum(factors / test.overdispersion, test.cap)
        bad, total = bad + x_b, total + n_b
        found.append(float(np.logaddexp(np.logaddexp.reduce(capital), _ln(left))))
    return found


def _spent(test: TwoArm, index: int) -> float:
    if test.onset is not None:
        return test.onset.get(index, 0.0)
    return float(unspent(index) - unspent(index + 1))


def _ln(part: float) -> float:
    # What is left of 1 after parts such as 0.3 + 0.3 + 0.4 may be a rounding error instead of 0.
    return math.log(part) if part > 1e-12 else -math.inf


def log_e_one_arm(
    limit: float, direction: Direction, prior: tuple[float, float] | None, windows: Sequence[Sequence[float]]
) -> list[float]:
    """ln E of process B after each window (n, x), which add up; `limit` p0 in (0, 1), `prior` (a, b) above 0."""
    sums = np.cumsum(np.asarray(windows, dtype=np.float64).reshape(-1, 2), axis=0)
    return [
        float(log_e_sums(total, bad, limit=limit, direction=direction, prior=prior)) for total, bad in sums.tolist()
    ]
