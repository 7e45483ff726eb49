"""The statistics a second time, written from their formulas alone, in 40 digits: nothing here comes from the engine.

Where the engine takes Newton's steps in logarithms on arrays, this bisects a cubic, keeps capital as plain numbers, one
alternative at a time, and gets tails of Beta from mpmath or, for whole parameters, from exact sums of binomials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import comb
from typing import Any

import mpmath as mp

Real = Any
"""mpmath's numbers, which carry no types."""

mp.mp.dps = 40
_HALVINGS = 100


def grid() -> list[Real]:
    """The 16 odds ratios from 1.25 to 100, evenly spaced in their logarithm."""
    low, high = mp.log(mp.mpf("1.25")), mp.log(100)
    return [mp.exp(low + (high - low) * j / 15) for j in range(16)]


def weights(count: int = 16) -> list[Real]:
    """Falling by e^−0.35 from one to the next, summing to 1."""
    raw = [mp.exp(-mp.mpf(35) * j / 100) for j in range(count)]
    return [each / mp.fsum(raw) for each in raw]


def unspent(windows: int) -> Real:
    """The part of the capital that is left after so many windows."""
    return mp.mpf(1) if windows == 0 else 1 / (2 * mp.sqrt(1 + mp.mpf(windows - 1) / 20))


def with_odds(rate: Real, psi: Real) -> Real:
    odds = psi * rate / (1 - rate)
    return odds / (1 + odds)


def bisected(rises: Callable[[Real], Real], low: Real, high: Real) -> Real:
    """Where `rises` goes through 0."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return (low + high) / 2


def nearest(n_c: Real, n_b: Real, theta_c: Real, theta_b: Real, ratio: Real, margin: Real) -> Real:
    """b° of STATISTICS.md A3, as the root of the cubic that the equation is when multiplied out."""

    def cubic(b: Real) -> Real:
        c = ratio * b + margin
        return n_b * (b - theta_b) * c * (1 - c) + n_c * ratio * (c - theta_c) * b * (1 - b)

    ends = sorted((theta_b, (theta_c - margin) / ratio))
    return bisected(cubic, max(ends[0], mp.mpf(0)), ends[1])


def log_ratio(bad: Real, total: Real, theta: Real, null: Real) -> Real:
    return bad * mp.log(theta / null) + (total - bad) * mp.log((1 - theta) / (1 - null))


def two_arm_factor(
    window: Sequence[float], guess: Real, psi: Real, ratio: float, margin: float, theta: Real | None = None
) -> Real:
    """ℓ of one window and one alternative, before it is tempered; `theta` instead of the odds ratio where given."""
    n_c, x_c, n_b, x_b = map(mp.mpf, window)
    r, delta = mp.mpf(ratio), mp.mpf(margin)
    allowed = r * guess + delta
    if allowed >= 1 or not n_c or not n_b:
        return mp.mpf(0)
    theta_c = with_odds(allowed, psi) if theta is None else theta
    b = nearest(n_c, n_b, theta_c, guess, r, delta)
    return log_ratio(x_c, n_c, theta_c, r * b + delta) + log_ratio(x_b, n_b, guess, b)


def two_arm(
    windows: Sequence[Sequence[float]], *, safe: bool, ratio: float, margin: float, prior_rate: float,
    overdispersion: float, cap: float | None, alternatives: Sequence[float] | None, parts: Sequence[float] | None,
    onset: Mapping[int, float] | None,
) -> list[Real]:  # fmt: skip
    """ln E of process A after each window, with the plain schedule and the plain cap."""
    psis = [mp.mpf(psi) for psi in alternatives] if alternatives else [1 / p if safe else p for p in grid()]
    share = [mp.mpf(part) for part in parts] if parts else weights(len(psis))
    capital, left = [mp.mpf(0)] * len(psis), mp.mpf(1)
    bad, total, found = mp.mpf(0), mp.mpf(0), []
    for t, window in enumerate(windows):
        spent = unspent(t) - unspent(t + 1) if onset is None else mp.mpf(onset.get(t, 0))
        left -= spent
        guess = (mp.mpf(1) / 2 + bad) / (1 / (2 * mp.mpf(prior_rate)) + total)
        for j, psi in enumerate(psis):
            log = two_arm_factor(window, guess, psi, ratio, margin) / overdispersion
            capital[j] = (capital[j] + spent * share[j]) * mp.exp(log if cap is None else min(log, mp.mpf(cap)))
        bad, total = bad + window[3], total + window[2]
        found.append(mp.log(mp.fsum(capital) + left))
    return found


def log_tail(a: Real, b: Real, p: Real, *, above: bool) -> Real:
    """ln P(Beta(a, b) > p), or < p. From above it is the mirrored one from below, which keeps its digits."""
    return log_tail(b, a, 1 - p, above=False) if above else mp.log(mp.betainc(a, b, 0, p, regularized=True))


def exact_tail(a: int, b: int, p: Fraction, *, above: bool) -> Fraction:
    """The same for whole a and b, without any rounding: at most (or more than) a − 1 of a + b − 1 tosses."""
    n, hit, miss = a + b - 1, p.numerator, p.denominator - p.numerator
    tosses = range(a) if above else range(a, n + 1)
    return Fraction(sum(comb(n, j) * hit**j * miss ** (n - j) for j in tosses), p.denominator**n)


def one_arm(
    total: float, bad: float, limit: float, *, safe: bool, prior: tuple[float, float] | None, overdispersion: float = 1
) -> Real:
    """ln E of process B for these sums."""
    p0 = mp.mpf(limit)
    a, b = map(mp.mpf, prior) if prior else (mp.mpf(1) / 2, 1 / (2 * p0))
    x, n = mp.mpf(bad) / overdispersion, mp.mpf(total) / overdispersion
    beta = mp.log(mp.beta(a + x, b + n - x)) - mp.log(mp.beta(a, b))
    cut = log_tail(a + x, b + n - x, p0, above=not safe) - log_tail(a, b, p0, above=not safe)
    return beta + cut - x * mp.log(p0) - (n - x) * mp.log(1 - p0)


def shares(windows: Sequence[Sequence[int]], theta: Sequence[float]) -> list[Real]:
    """ln E of the multinomial test: each request predicted from those before it (Pólya's urn), one by one."""
    urn, found, log = [100 * mp.mpf(part) for part in theta], [], mp.mpf(0)
    for window in windows:
        for arm, count in enumerate(window):
            for _ in range(count):
                log += mp.log(urn[arm] / mp.fsum(urn)) - mp.log(mp.mpf(theta[arm]))
                urn[arm] += 1
        found.append(log)
    return found


def detector(
    windows: Sequence[tuple[float, float]], limit: float, *, overdispersion: float = 1, cap: Real | None = None
) -> Real:
    """ln Σ w_j·R_j after windows of (bad, total)."""
    p0, levels = mp.mpf(limit), [mp.mpf(0)] * 16
    for bad, total in windows:
        for j, psi in enumerate(grid()):
            log = log_ratio(mp.mpf(bad), mp.mpf(total), with_odds(p0, psi), p0) / overdispersion
            levels[j] = (levels[j] + 1) * mp.exp(log if cap is None else min(log, cap))
    return mp.log(mp.fdot(weights(), levels))


def interval(bad: float, total: float, *, level: float, overdispersion: float = 1) -> tuple[Real, Real]:
    """The rates that the beta-binomial mixture does not refute."""
    x, n = mp.mpf(bad) / overdispersion, mp.mpf(total) / overdispersion
    half, rate = mp.mpf(1) / 2, x / n
    mixture = mp.log(mp.beta(half + x, half + n - x)) - mp.log(mp.beta(half, half)) + mp.log(mp.mpf(level))

    def within(q: Real) -> Real:
        hits, misses = (x * mp.log(q) if x else 0), ((n - x) * mp.log(1 - q) if n > x else 0)
        return hits + misses - mixture

    low = bisected(within, mp.mpf(0), rate) if x > 0 else mp.mpf(0)
    high = 1 - bisected(lambda q: within(1 - q), mp.mpf(0), 1 - rate) if x < n else mp.mpf(1)
    return low, high
