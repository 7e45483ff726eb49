"""Two models on the same items: what differs is the models, not the luck of the items.

McNemar's exact test asks whether the items on which only one of them is right fall to one side; the interval of the
difference answers whether the new one is *not inferior* by more than a margin. For right-or-wrong scores that interval
is Tango's score interval, which stays honest where the two never disagree; for scores in between the paired
bootstrap's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

import numpy as np
from scipy import special, stats

from modelroute.compare.intervals import Floats, bootstrap_interval
from modelroute.compare.measure import Measured
from modelroute.compare.quantities import format_points

_LEAST_PAIRS: Final = 20
"""Below so many the bootstrap's interval is too short to be relied on."""
_MOST_ITEMS: Final = 10_000_000


class Standing(StrEnum):
    """Of a model beside the baseline, at the declared margin."""

    BETTER = "Better"
    NOT_INFERIOR = "NotInferior"
    INFERIOR = "Inferior"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Pairing:
    """A model beside the baseline on the same items. `difference` is the model's quality less the baseline's, with
    `low` and `high` its interval; `only_baseline` and `only_model` count the items on which just one is right, and
    `p_value` is McNemar's (both None for scores in between). `bootstrap` is the paired bootstrap's interval.
    """

    model: str
    baseline: str
    n: int
    difference: float
    low: float
    high: float
    bootstrap: tuple[float, float]
    only_baseline: int | None
    only_model: int | None
    p_value: float | None
    standing: Standing
    more_items: int | None
    reason: str


def pair(model: Measured, baseline: Measured, *, margin: float) -> Pairing | None:
    """None where they share no item. `margin` in (0, 1)."""
    ours, theirs = paired_columns(model, baseline)
    if len(ours) == 0:
        return None
    confidence, n = model.confidence, len(ours)
    differences = ours - theirs
    bootstrap = bootstrap_interval(differences[:, np.newaxis], _first, confidence=confidence, seed=model.seed)
    binary = bool(np.isin(ours, (0.0, 1.0)).all() and np.isin(theirs, (0.0, 1.0)).all())
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    low, high = tango(gained, lost, n, confidence=confidence) if binary else bootstrap
    standing = _standing(low, high, margin)
    if not binary and n < _LEAST_PAIRS:
        standing = Standing.INCONCLUSIVE
    more = None
    if standing is Standing.INCONCLUSIVE and binary:
        more = _more_by_tango(gained, lost, n, margin=margin, confidence=confidence)
    elif standing is Standing.INCONCLUSIVE:
        more = _more_by_spread(differences, margin=margin, confidence=confidence)
    found = Pairing(
        model=model.model.name,
        baseline=baseline.model.name,
        n=n,
        difference=float(differences.mean()),
        low=low,
        high=high,
        bootstrap=bootstrap,
        only_baseline=lost if binary else None,
        only_model=gained if binary else None,
        p_value=mcnemar(gained, lost) if binary else None,
        standing=standing,
        more_items=more,
        reason="",
    )
    return replace(found, reason=_reason(found, margin))


def paired_columns(model: Measured, baseline: Measured) -> tuple[Floats, Floats]:
    """The quality of both on the items that both answered or failed, in the baseline's order."""
    ours = dict(zip((entry.key for entry in model.entries), model.column(model.quality), strict=True))
    pairs = [
        (ours[entry.key], value)
        for entry, value in zip(baseline.entries, baseline.column(model.quality), strict=True)
        if entry.key in ours and not math.isnan(value) and not math.isnan(ours[entry.key])
    ]
    columns = np.array(pairs, dtype=float).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p-value that the items on which just one is right fall to either side alike."""
    if one + other == 0:
        return 1.0
    return float(stats.binomtest(one, one + other, 0.5).pvalue)


def tango(gained: float, lost: float, n: float, *, confidence: float) -> tuple[float, float]:
    """Interval of (gained − lost)/n, in [−1, 1], by inverting the score test; counts may be fractions.

    Source: Tango, *Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design*, Statistics in Medicine 17 (1998).
    """
    z = float(special.ndtri((1 + confidence) / 2))
    estimate = (gained - lost) / n

    def statistic(difference: float) -> float:
        # The likeliest rate of `lost` where the difference is this: the larger root of a quadratic.
        b = (2 * n - gained + lost) * difference - gained - lost
        c = -lost * difference * (1 - difference)
        rate = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * rate + difference * (1 - difference))
        apart = gained - lost - n * difference
        return apart / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, apart)

    def end(outer: float) -> float:
        # The statistic falls as the difference rises: halve between the estimate and what is too far from it.
        inner = estimate
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if abs(statistic(middle)) <= z else (inner, middle)
        return inner

    return end(-1.0), end(1.0)


def _standing(low: float, high: float, margin: float) -> Standing:
    if low > 0:
        return Standing.BETTER
    if low > -margin:
        return Standing.NOT_INFERIOR
    if high < -margin:
        return Standing.INFERIOR
    return Standing.INCONCLUSIVE


def _more_by_tango(gained: int, lost: int, n: int, *, margin: float, confidence: float) -> int | None:
    """How many more pairs, of the same kinds as so far, would decide."""

    def decided(total: int) -> bool:
        times = total / n
        low, high = tango(gained * times, lost * times, total, confidence=confidence)
        return _standing(low, high, margin) is not Standing.INCONCLUSIVE

    if not decided(_MOST_ITEMS):
        return None
    no, yes = n, _MOST_ITEMS
    while yes - no > 1:
        middle = (no + yes) // 2
        no, yes = (no, middle) if decided(middle) else (middle, yes)
    return yes - n


def _more_by_spread(differences: Floats, *, margin: float, confidence: float) -> int | None:
    """The same for scores in between: the half width shrinks with the root of the number of pairs."""
    n, distance = len(differences), abs(float(differences.mean()) + margin)
    if distance <= 0:
        return None
    half = float(special.ndtri((1 + confidence) / 2)) * float(differences.std())
    needed = max(math.ceil((half / distance) ** 2), _LEAST_PAIRS)
    return max(needed - n, 1) if needed <= _MOST_ITEMS else None


def _reason(found: Pairing, margin: float) -> str:
    seen = (
        f"{format_points(found.difference)} on {found.n:,} items "
        f"({format_points(found.low)} to {format_points(found.high)})"
    )
    allowed = format_points(-margin)
    match found.standing:
        case Standing.BETTER:
            return f"better: {seen}"
        case Standing.NOT_INFERIOR:
            return f"not worse than allowed: {seen}, all above {allowed}"
        case Standing.INFERIOR:
            return f"worse than allowed: {seen}, all below {allowed}"
        case Standing.INCONCLUSIVE:
            said = f"too few items to tell: {seen}, and {allowed} is within that"
            if found.n < _LEAST_PAIRS:
                said = f"too few items to tell: {seen}"
            if found.more_items is None:
                return f"{said}; the difference is so near the margin that no number of items would tell"
            return f"{said}; about {found.more_items:,} more would tell if it stays as it is"
        case _:
            assert_never(found.standing)


def _first(means: Floats) -> Floats:
    return np.asarray(means[..., 0])
