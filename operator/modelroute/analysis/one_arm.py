"""Is an absolute bound broken by one arm alone? (STATISTICS.md, process B; and the factors of the guard.)

Source: the mixture method, Howard, Ramdas, McAuliffe & Sekhon, *Time-uniform confidence sequences*; Robbins (1970).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from modelroute.analysis.mixture import Floats
from modelroute.analysis.two_arm import shifted


class Direction(StrEnum):
    """What crossing would show: that a rate is above its bound, or below."""

    HARM = "harm"
    SAFE = "safe"


def default_prior(limit: ArrayLike) -> tuple[Floats, Floats]:
    """Beta(½, ½/p0): as much weight as one half of a bad answer, with a mean a little below the bound p0."""
    p0 = np.asarray(limit, dtype=np.float64)
    return np.full(p0.shape, 0.5), 0.5 / p0


def log_e_sums(
    total: ArrayLike, bad: ArrayLike, *, limit: ArrayLike, direction: Direction,
    prior: tuple[ArrayLike, ArrayLike] | None = None,
) -> Floats:  # fmt: skip
    """ln E of process B for sums over all windows so far: 0 ≤ bad ≤ total (fractions allowed), `limit` p0 in (0, 1).

    `prior` (a, b), both above 0, is Beta's, cut to (p0, 1) for harm and to (0, p0) for safe. Arguments broadcast.

    Guarantee: an e-process for the null q ≤ p0 (harm) or q ≥ p0 (safe) in every window: P(E ever ≥ 1/α) ≤ α.
    """
    a, b = default_prior(limit) if prior is None else (np.asarray(part, dtype=np.float64) for part in prior)
    n, x, p0 = (np.asarray(value, dtype=np.float64) for value in (total, bad, limit))
    good = n - x
    inside = log_above if direction is Direction.HARM else log_below
    odds = special.betaln(a + x, b + good) - special.betaln(a, b)
    cut = inside(a + x, b + good, p0) - inside(a, b, p0)
    return np.asarray(odds + cut - x * np.log(p0) - good * np.log1p(-p0))


def log_e_alternatives(total: ArrayLike, bad: ArrayLike, *, limit: ArrayLike, alternatives: Floats) -> Floats:
    """ℓ of one window for each odds ratio ψ against `limit`: x·ln(θ/p0) + (n − x)·ln((1 − θ)/(1 − p0)).

    Counts 0 ≤ x ≤ n of any shape; ψ > 1 for the null q ≤ p0, ψ < 1 for q ≥ p0, shape (k,) or with the counts' shape
    before it. The result has k as its last axis; 0 where p0 is not in (0, 1). Guarantee: E[e^ℓ] ≤ 1 under the null.
    """
    n, x, p0 = (np.asarray(value, dtype=np.float64)[..., np.newaxis] for value in (total, bad, limit))
    possible = (p0 > 0) & (p0 < 1)
    null = np.where(possible, p0, 0.5)
    theta = shifted(null, alternatives)
    value = x * np.log(theta / null) + (n - x) * (np.log1p(-theta) - np.log1p(-null))
    return np.where(possible, value, 0.0)


_TINY: Final = 1e-280
_ITERATIONS: Final = 10_000


def log_below(a: ArrayLike, b: ArrayLike, p: ArrayLike) -> Floats:
    """ln P(Beta(a, b) < p), also where it is far below what a float can hold; a, b > 0, p in (0, 1)."""
    return _log_tail(*np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (a, b, p))), mirror=False)


def log_above(a: ArrayLike, b: ArrayLike, p: ArrayLike) -> Floats:
    """ln P(Beta(a, b) > p), also where it is far below what a float can hold; a, b > 0, p in (0, 1)."""
    return _log_tail(*np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (a, b, p))), mirror=True)


def _log_tail(a: Floats, b: Floats, p: Floats, *, mirror: bool) -> Floats:
    below, above = special.betainc(a, b, p), special.betaincc(a, b, p)
    wanted, rest = (above, below) if mirror else (below, above)
    deep = wanted < _TINY
    with np.errstate(divide="ignore"):
        plain = np.where(wanted > 0.5, np.log1p(-rest), np.log(np.where(deep, 1.0, wanted)))
    if not deep.any():
        return np.asarray(plain)
    tail = _continued_fraction(b, a, 1 - p) if mirror else _continued_fraction(a, b, p)
    return np.where(deep, tail, plain)


def _continued_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """ln I_x(a, b) for x below the mean (DLMF 8.17.22, by Lentz's method); quick where it is used, deep in the tail."""
    front = a * np.log(x) + b * np.log1p(-x) - np.log(a) - special.betaln(a, b)
    c, d = np.ones_like(a), 1.0 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change = c * d
            value = value * change
        if np.all(np.abs(change - 1) < 1e-14):
            break
    return np.asarray(front + np.log(np.maximum(np.abs(value), 1e-300)))


def _away_from_zero(value: Floats) -> Floats:
    return np.where(np.abs(value) < 1e-300, 1e-300, value)
