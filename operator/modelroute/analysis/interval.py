"""Rates: for people an interval that holds at every look at once, for a gate one that holds at one.

Source: Howard, Ramdas, McAuliffe & Sekhon, *Time-uniform confidence sequences* (the beta-binomial mixture, inverted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from modelroute.analysis.mixture import Floats

LEVEL: Final = 0.05
_BISECTIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Interval:
    """0 ≤ `low` ≤ `high` ≤ 1: rates per request."""

    low: float
    high: float


def exact_bound(bad: float, total: float, *, tail: float, upper: bool) -> float:
    """Where the rate behind `bad` of `total` requests ends, one-sided: 0 ≤ bad ≤ total, fractions allowed; at one look.

    The chance that the rate lies beyond it is at most `tail` in (0, 1). Without a request: 0, or 1 for the upper one.

    Source: Clopper & Pearson, *The use of confidence or fiducial limits illustrated in the case of the binomial*.
    """
    if upper:
        return 1.0 if bad >= total else float(special.betaincinv(bad + 1, total - bad, 1 - tail))
    return 0.0 if bad <= 0 else float(special.betaincinv(bad, total - bad + 1, tail))


def time_uniform(bad: float, total: float, *, level: float = LEVEL, overdispersion: float = 1.0) -> Interval:
    """Where the rate behind `bad` of `total` requests lies: 0 ≤ bad ≤ total, fractions allowed; `level` in (0, 1).

    All q with ln B(½ + x, ½ + n − x) − ln B(½, ½) − x·ln q − (n − x)·ln(1 − q) < ln(1/level), counts divided by
    `overdispersion` D ≥ 1.

    Guarantee: the chance that the interval ever, at any look, misses a rate that stays the same is at most `level`. A
    rate that drifts only takes away from one likelihood ratio: Π(1 − q_i + q_i·ω) ≤ (1 − q̄ + q̄·ω)^n with ω the odds
    ratio, as the logarithm is concave. But ω moves with q̄, so for the mean of rates that drift the level is not proven;
    a simulation holds it there. The interval is for people, and decides nothing.
    """
    n, x = total / overdispersion, bad / overdispersion
    if n <= 0:
        return Interval(0.0, 1.0)
    mixture = special.betaln(0.5 + x, 0.5 + n - x) - special.betaln(0.5, 0.5) + np.log(level)

    def outside(q: Floats) -> Floats:
        return np.asarray(mixture - special.xlogy(x, q) - special.xlog1py(n - x, -q) >= 0)

    # At [0] the lower end: out, then in; at [1] the upper end mirrored.
    rate = x / n
    out, within = np.asarray([0.0, 1.0]), np.asarray([rate, rate])
    for _ in range(_BISECTIONS):
        middle = (out + within) / 2
        misses = outside(middle)
        out, within = np.where(misses, middle, out), np.where(misses, within, middle)
    return Interval(0.0 if x <= 0 else float(out[0]), 1.0 if x >= n else float(out[1]))
