"""What a number measured on a few items says about the number on all: an estimate is never without its interval.

Shares are bounded by Clopper and Pearson's exact interval, quantiles by order statistics (both hold their level for any
distribution), means by the bootstrap (Efron's BCa, with the acceleration in closed form).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from modelroute.analysis.interval import exact_bound

Floats = npt.NDArray[np.float64]

DRAWS: Final = 4000
_CELLS: Final = 4_000_000
"""Of a block of resamples: 32 MB."""
_MOST_ITEMS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` measured on `n` samples, and the interval it is known to. NaN is unknown; an infinite `high` is a bound
    that so few samples cannot give, an infinite `value` a quantile that lies among requests that failed.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)


UNKNOWN: Final = Estimate(math.nan, math.nan, math.nan, 0)


def share(bad: float, total: float, *, confidence: float) -> Estimate:
    """`bad` of `total` (0 ≤ bad ≤ total; fractions allowed), with the exact two-sided interval of Clopper & Pearson."""
    if total <= 0:
        return UNKNOWN
    tail = (1 - confidence) / 2
    low, high = (exact_bound(bad, total, tail=tail, upper=upper) for upper in (False, True))
    return Estimate(bad / total, low, high, round(total))


def quantile(values: Sequence[float] | Floats, p: float, *, confidence: float) -> Estimate:
    """The p-quantile, `p` in (0, 1), between two order statistics; `values` may hold infinities.

    The chance that the interval misses on either side is at most half of 1 − confidence, whatever the distribution:
    the number of values below the quantile is binomial.
    """
    n = len(values)
    if n == 0:
        return UNKNOWN
    ranked = np.sort(np.asarray(values, dtype=float))
    tail = (1 - confidence) / 2
    # X(l) > q with at most l − 1 values at or below q; X(u) < q with at least u below it. Ranks from 1.
    low = int(stats.binom.ppf(tail, n, p))
    high = int(stats.binom.ppf(1 - tail, n, p)) + 1
    at = min(max(math.ceil(n * p - 1e-9), 1), n) - 1
    return Estimate(
        value=float(ranked[at]),
        low=0.0 if low < 1 else float(ranked[low - 1]),
        high=math.inf if high > n else float(ranked[high - 1]),
        n=n,
    )


def mean(values: Floats, *, confidence: float, seed: int, within: tuple[float, float] | None = None) -> Estimate:
    """The mean with a bootstrap interval. `within`: bounds that every value keeps to, (0, 1) for scores.

    Scores that are all right or wrong are a share, and have its exact interval; so have scores that are all the same,
    because the bootstrap would be certain of them after two.
    """
    n = len(values)
    if n == 0:
        return UNKNOWN
    if within == (0.0, 1.0) and (np.isin(values, (0.0, 1.0)).all() or np.ptp(values) == 0):
        return share(float(values.sum()), n, confidence=confidence)
    if np.ptp(values) == 0:
        return Estimate(float(values[0]), float(values[0]), float(values[0]), n)
    low, high = bootstrap_interval(values[:, np.newaxis], lambda m: m[..., 0], confidence=confidence, seed=seed)
    return Estimate(float(values.mean()), low, high, n)


def bootstrap_means(values: Floats, *, seed: int, draws: int = DRAWS) -> Floats:
    """Means of `draws` resamples of the rows of `values` (n, k): (draws, k), the same rows for all columns."""
    n, columns = values.shape
    rng = np.random.default_rng(seed)
    found = np.empty((draws, columns))
    block = max(1, _CELLS // n)
    for start in range(0, draws, block):
        end = min(start + block, draws)
        # Sums by counts: one matrix product a block, whatever the number of columns.
        rows = rng.integers(0, n, size=(end - start, n))
        rows += np.arange(end - start)[:, np.newaxis] * n
        counts = np.bincount(rows.ravel(), minlength=(end - start) * n).reshape(-1, n)
        found[start:end] = counts @ values / n
    return found


def bootstrap_interval(
    values: Floats, of: Callable[[Floats], Any], *, confidence: float, seed: int
) -> tuple[float, float]:
    """BCa interval of a linear function of the means of `values` (n, k), resampled by rows.

    `of` maps means (…, k) to (…). The acceleration is that of a mean, Σd³ / (6·(Σd²)^1.5), which is exact for what is
    linear in the means. Source: Efron & Tibshirani, *An Introduction to the Bootstrap*, chapter 14.
    """
    drawn = np.asarray(of(bootstrap_means(values, seed=seed)))
    each = np.asarray(of(values))
    deviation = each - each.mean()
    spread = float((deviation**2).sum())
    if spread <= 0:
        return float(each.mean()), float(each.mean())
    acceleration = float((deviation**3).sum()) / (6 * spread**1.5)
    seen = float(np.asarray(of(values.mean(axis=0))))
    below = (np.count_nonzero(drawn < seen) + np.count_nonzero(drawn == seen) / 2) / len(drawn)
    bias = float(special.ndtri(min(max(below, 1e-6), 1 - 1e-6)))
    tail = (1 - confidence) / 2
    ends = []
    for z in (special.ndtri(tail), special.ndtri(1 - tail)):
        moved = bias + (bias + z) / max(1 - acceleration * (bias + z), 1e-6)
        ends.append(float(np.quantile(drawn, float(special.ndtr(moved)))))
    return ends[0], ends[1]


def items_to_settle(rate: float, limit: float, *, confidence: float) -> int | None:
    """How many samples in all would show a share to be on its side of `limit`, if it stayed at `rate`; None where it
    never would (it is at the limit, or takes more than ten million).
    """
    below = rate < limit

    def shown(n: int) -> bool:
        found = share(rate * n, n, confidence=confidence)
        return found.high < limit if below else found.low > limit

    if rate == limit or not shown(_MOST_ITEMS):
        return None
    no, yes = 0, _MOST_ITEMS
    while yes - no > 1:
        middle = (no + yes) // 2
        no, yes = (no, middle) if shown(middle) else (middle, yes)
    return yes
