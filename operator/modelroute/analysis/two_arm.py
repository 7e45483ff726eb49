"""Is the candidate worse than allowed against its reference? The e-value of one window (STATISTICS.md, process A).

Source: Turner, Ly & Grünwald, *Generic E-variables for exact sequential k-sample tests of 2x2 tables*. The null is
qC ≤ r·qB + δ, or turned round qC ≥ r·qB + δ; each alternative is projected on the boundary that both share.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from modelroute.analysis.mixture import Flags, Floats

_ITERATIONS: Final = 80
_TOGETHER: Final = 2
"""After so many more steps of all entries, each goes on until it is there itself: company changes no result."""

_CLOSE: Final = 5e-15
"""The relative step at which an entry is there."""


def projection(
    n_candidate: ArrayLike, n_reference: ArrayLike, theta_candidate: ArrayLike, theta_reference: ArrayLike,
    ratio: ArrayLike, margin: ArrayLike,
) -> Floats:  # fmt: skip
    """The reference's rate b° on the null's boundary that is nearest to the alternative, for these sample sizes.

    Solves nB·(b − θB)/(b(1 − b)) + nC·r·(c − θC)/(c(1 − c)) = 0 with c = r·b + δ, which rises in b, by Newton's steps
    on the same equation times b(1 − b), kept between θB and (θC − δ)/r by bisection. Sizes above 0, rates in (0, 1)
    with r·θB + δ < 1, r ≥ 1, δ ≥ 0; arguments broadcast. With r = 1 and δ = 0 it is the pooled mean.
    """
    given = (n_candidate, n_reference, theta_candidate, theta_reference, ratio, margin)
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in given))
    shape = arrays[0].shape
    n_c, n_b, theta_c, theta_b, r, delta = (array.ravel() for array in arrays)
    problem = np.stack([n_c / (n_c + n_b), n_b / (n_c + n_b), theta_c, theta_b, r, delta])
    found = _solve(problem, *_bracket(problem))
    return found.reshape(shape)


def _bracket(problem: Floats) -> tuple[Floats, Floats, Floats]:
    """Where the root is surely, and a guess: the root if b(1 − b)/(c(1 − c)) did not change from θB on."""
    w_c, w_b, theta_c, theta_b, r, delta = problem
    other = (theta_c - delta) / r
    low = np.maximum(np.minimum(theta_b, other), 0.0)
    high = np.maximum(theta_b, other)
    allowed = r * theta_b + delta
    k = theta_b * (1 - theta_b) / (allowed * (1 - allowed))
    guess = (w_b * theta_b + w_c * r * k * (theta_c - delta)) / (w_b + w_c * r * r * k)
    return low, high, np.clip(guess, low, high)


def _solve(problem: Floats, low: Floats, high: Floats, b: Floats) -> Floats:
    found = b.copy()
    left = np.arange(b.size)
    for iteration in range(_ITERATIONS):
        b, low, high, moving = _newton(problem, low, high, b)
        if iteration < _TOGETHER:
            continue
        found[left] = b
        if not moving.any():
            break
        left, problem, low, high, b = left[moving], problem[:, moving], low[moving], high[moving], b[moving]
    return found


def _newton(problem: Floats, low: Floats, high: Floats, b: Floats) -> tuple[Floats, Floats, Floats, Flags]:
    w_c, w_b, theta_c, theta_b, r, delta = problem
    c = r * b + delta
    spread_b, spread_c = b * (1 - b), c * (1 - c)
    k = spread_b / spread_c
    excess = c - theta_c
    value = w_b * (b - theta_b) + w_c * r * excess * k
    k_slope = (1 - 2 * b - k * r * (1 - 2 * c)) / spread_c
    slope = w_b + w_c * r * (r * k + excess * k_slope)
    below = value < 0
    low, high = np.where(below, b, low), np.where(below, high, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = b - value / slope
    after = np.where((step >= low) & (step <= high), step, (low + high) / 2)
    moving: Flags = np.abs(after - b) > _CLOSE * after
    return after, low, high, moving


def log_e_values(
    n_candidate: ArrayLike, x_candidate: ArrayLike, n_reference: ArrayLike, x_reference: ArrayLike, *,
    guess: ArrayLike, alternatives: Floats, ratio: ArrayLike = 1.0, margin: ArrayLike = 0.0,
) -> Floats:  # fmt: skip
    """ℓ of one window for every alternative; natural logarithms, no unit.

    Counts 0 ≤ x ≤ n, fractions allowed, of any shape; `guess` in (0, 1) is what was thought of the reference's rate
    *before* this window; `alternatives` are odds ratios ψ of shape (k,) or with the counts' shape before it; r ≥ 1,
    δ ≥ 0. The result has k as its last axis. Where an arm has no requests, or r·guess + δ ≥ 1, nothing can be shown
    and ℓ is 0.

    Guarantee: with ψ > 1, E[e^ℓ] ≤ 1 whenever qC ≤ r·qB + δ; with ψ < 1, whenever qC ≥ r·qB + δ; whatever qB is.
    """
    n_c, x_c, n_b, x_b, b, r, delta = (
        np.asarray(value, dtype=np.float64)[..., np.newaxis]
        for value in (n_candidate, x_candidate, n_reference, x_reference, guess, ratio, margin)
    )
    allowed = r * b + delta
    possible = (allowed < 1) & (n_c > 0) & (n_b > 0)
    r, delta = np.where(possible, r, 1.0), np.where(possible, delta, 0.0)
    theta_b = np.where(possible, b, 0.5)
    theta_c = shifted(np.where(possible, allowed, 0.5), alternatives)
    sizes = np.where(possible, n_c, 1.0), np.where(possible, n_b, 1.0)
    boundary = projection(*sizes, theta_c, theta_b, r, delta)
    return np.where(possible, _log_ratio(x_c, n_c - x_c, theta_c, r * boundary + delta)
                    + _log_ratio(x_b, n_b - x_b, theta_b, boundary), 0.0)  # fmt: skip


def shifted(rate: ArrayLike, odds_ratio: ArrayLike) -> Floats:
    """The rate whose odds are `odds_ratio` > 0 times those of `rate` in (0, 1)."""
    p = np.asarray(rate, dtype=np.float64)
    psi = np.asarray(odds_ratio, dtype=np.float64)
    return np.asarray(psi * p / (1 - p + psi * p))


def _log_ratio(bad: Floats, good: Floats, theta: Floats, null: Floats) -> Floats:
    """The log likelihood ratio of `theta` against `null`, both in (0, 1)."""
    return np.asarray(bad * np.log(theta / null) + good * (np.log1p(-theta) - np.log1p(-null)))
