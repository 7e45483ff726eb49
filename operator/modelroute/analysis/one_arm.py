"""Is an absolute bound broken, or proven kept? Evidence from one arm's counts alone (STATISTICS.md, process B).

Source: Howard, Ramdas, McAuliffe & Sekhon, *Time-uniform confidence sequences* (truncated conjugate mixtures). The
incomplete beta function's continued fraction is DLMF 8.17.22, evaluated by Lentz's method.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc, betaincc, betaln

from modelroute.analysis.mixture import Direction, Floats

_UNDERFLOW = 1e-280
_ITERATIONS = 20_000
_TINY = 1e-300


def default_prior(limit: float) -> tuple[float, float]:
    """Beta(0.5, 0.5/p0): half an observation, of a rate about p0. `limit` p0 in (0, 1)."""
    return 0.5, 0.5 / limit


def log_e_value(
    bad: float, total: float, limit: float, *, direction: Direction, prior: tuple[float, float] | None = None
) -> float:
    """ln E after `bad` of `total` requests in all, 0 ≤ bad ≤ total, fractions allowed; `limit` p0 in (0, 1).

    HARM: E is an e-process as long as the bad share is at most p0 in every window; SAFE: as long as it is at least p0.
    It is the likelihood ratio against p0, averaged over Beta(a, b) `prior` (both above 0) on the other side of p0.
    Finite for up to 10⁷ requests and beyond.
    """
    a, b = prior if prior is not None else default_prior(limit)
    upper = direction is Direction.HARM
    good = total - bad
    return float(
        betaln(a + bad, b + good)
        - betaln(a, b)
        + log_tail(a + bad, b + good, limit, upper=upper)
        - log_tail(a, b, limit, upper=upper)
        - bad * math.log(limit)
        - good * math.log1p(-limit)
    )


def log_factors(bad: float, total: float, limit: float, alternatives: Floats) -> Floats:
    """ℓ of one window for every alternative: the likelihood ratio of odds ψ·odds(p0) against p0, shape (k,).

    E[e^ℓ] ≤ 1 while the bad share is at most p0 for ψ > 1, at least p0 for ψ < 1. `limit` p0 may differ from window to
    window, as long as it does not depend on the window's counts; where it is not in (0, 1), nothing can be shown: 0.
    0 ≤ bad ≤ total, fractions allowed.
    """
    if not 0 < limit < 1:
        return np.zeros(len(alternatives))
    # θ/p0 = ψ·s and (1 − θ)/(1 − p0) = s with s = 1/(1 + (ψ − 1)·p0)
    log_s = -np.log1p((alternatives - 1) * limit)
    return np.asarray(bad * (np.log(alternatives) + log_s) + (total - bad) * log_s, dtype=np.float64)


def log_tail(a: float, b: float, p: float, *, upper: bool) -> float:
    """ln P(Q > p), or ln P(Q < p) for `upper` False, of Q ~ Beta(a, b); a, b > 0, p in (0, 1).

    Never −∞: where the probability underflows, its logarithm comes from the continued fraction.
    """
    value = float(betaincc(a, b, p) if upper else betainc(a, b, p))
    if value > _UNDERFLOW:
        return math.log(value)
    return _log_lower(b, a, 1 - p, p) if upper else _log_lower(a, b, p, 1 - p)


def _log_lower(a: float, b: float, p: float, rest: float) -> float:
    """ln I_p(a, b) far below the mean of Beta(a, b), where the fraction converges fast; `rest` is 1 − p."""
    front = a * math.log(p) + b * math.log(rest) - math.log(a) - float(betaln(a, b))
    return front - math.log(_fraction(a, b, p))


def _fraction(a: float, b: float, p: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)) of DLMF 8.17.22."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _ITERATIONS):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * p / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * p / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away_from_zero(1.0 + term * d)
        c = _away_from_zero(1.0 + term / c)
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
