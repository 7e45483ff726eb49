"""Is traffic split as asked? The sequential multinomial test that auditors know; the engine itself allows a tolerance.

Source: Lindon & Malek, *Anytime-valid inference for multinomial count data*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlogy

from modelroute.analysis.mixture import Floats

CONCENTRATION = 100.0
"""How strongly the alternative is drawn to the null: α = 100·θ."""


def log_e_shares(counts: ArrayLike, shares: ArrayLike) -> Floats:
    """ln E after each window, against "every request goes to arm i with probability θ_i". Shape (windows,).

    `counts` ≥ 0 of shape (windows, arms), each window's own; `shares` θ in (0, 1), shape (arms,), summing to 1. It is
    the likelihood averaged over Dirichlet(100·θ) against the null's. P(E ever ≥ 1/α) ≤ α under the null.
    """
    theta = np.asarray(shares, dtype=np.float64)
    seen = np.cumsum(np.asarray(counts, dtype=np.float64).reshape(-1, len(theta)), axis=0)
    prior = CONCENTRATION * theta
    arms = gammaln(prior + seen) - gammaln(prior) - xlogy(seen, theta)
    total = gammaln(prior.sum() + seen.sum(axis=1)) - gammaln(prior.sum())
    return np.asarray(arms.sum(axis=1) - total, dtype=np.float64)


def always_valid_p(log_e: ArrayLike) -> Floats:
    """The smallest 1/E so far, at most 1: a p-value that may be read at every look. Shape (windows,)."""
    return np.exp(-np.maximum.accumulate(np.maximum(np.asarray(log_e, dtype=np.float64), 0.0)))
