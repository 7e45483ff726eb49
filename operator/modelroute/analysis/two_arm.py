"""Is the candidate worse than allowed against its reference? The e-value of one window (STATISTICS.md, process A).

Source: Turner, Ly & Grünwald, *Generic E-variables for exact sequential k-sample tests of 2x2 tables*. The null is
qC ≤ r·qB + δ; each alternative is projected on its boundary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from modelroute.analysis.mixture import Floats

_BISECTIONS = 64


def projection(
    n_candidate: ArrayLike, n_reference: ArrayLike, theta_candidate: ArrayLike, theta_reference: ArrayLike,
    ratio: float, margin: float,
) -> Floats:  # fmt: skip
    """The reference's rate b° on the null's boundary that is nearest to the alternative, for these sample sizes.

    Solves nB·(b − θB)/(b(1 − b)) + nC·r·(c − θC)/(c(1 − c)) = 0 with c = r·b + δ, which rises in b, by bisection
    between θB and (θC − δ)/r. Sizes above 0, rates in (0, 1), r ≥ 1, δ ≥ 0; arguments broadcast. With r = 1 and δ = 0
    it is the pooled mean.
    """
    n_c, n_b, theta_c, theta_b = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (n_candidate, n_reference, theta_candidate, theta_reference))
    )
    other = (theta_c - margin) / ratio
    low = np.maximum(np.minimum(theta_b, other), 0.0)
    high = np.maximum(theta_b, other)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        c = ratio * middle + margin
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = n_b * (middle - theta_b) / (middle * (1 - middle)) + n_c * ratio * (c - theta_c) / (c * (1 - c))
        below = slope < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2, dtype=np.float64)


def log_e_values(
    n_candidate: ArrayLike, x_candidate: ArrayLike, n_reference: ArrayLike, x_reference: ArrayLike, *,
    guess: ArrayLike, alternatives: Floats, ratio: float = 1.0, margin: float = 0.0,
) -> Floats:  # fmt: skip
    """ℓ of one window for every alternative: E[e^ℓ] ≤ 1 whenever qC ≤ r·qB + δ, whatever qB is.

    Counts 0 ≤ x ≤ n, fractions allowed, of any shape; `guess` in (0, 1) is what was thought of the reference's rate
    *before* this window; `alternatives` ψ > 1, shape (k,); r ≥ 1, δ ≥ 0. The result has k as its last axis. Where one
    arm has no requests, or r·guess + δ ≥ 1, nothing can be shown and ℓ is 0.
    """
    n_c, x_c, n_b, x_b, b = (
        np.asarray(value, dtype=np.float64)[..., np.newaxis]
        for value in (n_candidate, x_candidate, n_reference, x_reference, guess)
    )
    allowed = ratio * b + margin
    possible = (allowed < 1) & (n_c > 0) & (n_b > 0)
    odds = alternatives * np.where(possible, allowed / np.where(possible, 1 - allowed, 1.0), 1.0)
    theta_c = odds / (1 + odds)
    theta_b = np.where(possible, b, 0.5 * theta_c)
    boundary = projection(np.maximum(n_c, 1e-300), np.maximum(n_b, 1e-300), theta_c, theta_b, ratio, margin)
    c = ratio * boundary + margin
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (
            x_c * np.log(theta_c / c)
            + (n_c - x_c) * (np.log1p(-theta_c) - np.log1p(-c))
            + x_b * np.log(theta_b / boundary)
            + (n_b - x_b) * (np.log1p(-theta_b) - np.log1p(-boundary))
        )
    return np.asarray(np.where(possible, value, 0.0), dtype=np.float64)
