"""What a model costs the business: what it saves per query against what its mistakes cost, per month and per year.

Savings and mistakes come from the same items, resampled together: an item that is dear is often one that is hard.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelroute.compare.domain import Comparison
from modelroute.compare.intervals import Estimate, Floats, bootstrap_interval
from modelroute.compare.measure import ACCURACY, Measured

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class Bill:
    """A month of one model in the comparison's currency: requests by price, hosting, and what its mistakes cost (None
    where comparison.yaml does not say what a mistake costs).
    """

    model: str
    requests: float
    hosting: float
    mistakes: float | None

    @property
    def total(self) -> float:
        return self.requests + self.hosting + (self.mistakes or 0.0)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The baseline given up for another model.

    `saving` per query (price alone) and `lost` (of the quality; negative where it gains) are means over the `n` items
    that both were asked; `mistakes` is what that costs per query; `net`, `monthly` and `yearly` are what
    remains of the saving after mistakes, hosting and overheads, and `first_year` after what the change costs once as
    well. `break_even` is the accuracy drop at which nothing remains, None where a mistake costs nothing;
    `payback_months` None where the change costs nothing once or never pays back.
    """

    model: str
    baseline: str
    n: int
    saving: Estimate
    lost: Estimate
    mistakes: Estimate
    net: Estimate
    monthly: Estimate
    yearly: Estimate
    first_year: Estimate
    break_even: Estimate | None
    payback_months: float | None

    @property
    def pays(self) -> bool | None:
        """None where the interval holds both gain and loss."""
        if self.monthly.low > 0:
            return True
        return False if self.monthly.high < 0 else None


def bill(model: Measured, comparison: Comparison) -> Bill | None:
    """None where the volume or the price is not known."""
    per_month = comparison.requests_per_month
    prices = np.array([model.cost(entry.sample) for entry in model.entries])
    known = prices[~np.isnan(prices)]
    if per_month is None or len(known) == 0:
        return None
    accuracy = model.estimate(ACCURACY)
    mistakes = None
    if comparison.error_cost is not None and accuracy.known:
        mistakes = per_month * comparison.error_cost.per_error * (1 - accuracy.value)
    return Bill(
        model=model.model.name,
        requests=per_month * float(known.mean()),
        hosting=float(model.model.hosting_per_month),
        mistakes=mistakes,
    )


def exchange(model: Measured, baseline: Measured, comparison: Comparison) -> Exchange | None:
    """None where the volume is not known, or no item has cost and quality of both."""
    per_month = comparison.requests_per_month
    pairs = _pairs(model, baseline)
    if per_month is None or len(pairs) == 0:
        return None
    per_error = comparison.error_cost.per_error if comparison.error_cost else 0.0
    fixed = (
        float(model.model.hosting_per_month)
        - float(baseline.model.hosting_per_month)
        + float(comparison.overheads.per_month)
    )
    once = float(comparison.overheads.once)

    def estimated(of: Callable[[Floats, Floats], Floats]) -> Estimate:
        """Of saving and quality lost, per query."""

        def linear(means: Floats) -> Floats:
            return of(means[..., 0], means[..., 1])

        low, high = bootstrap_interval(_with_doubt(pairs), linear, confidence=model.confidence, seed=model.seed)
        return Estimate(float(linear(pairs.mean(axis=0))), low, high, len(pairs))

    monthly = estimated(lambda saving, lost: per_month * (saving - per_error * lost) - fixed)
    return Exchange(
        model=model.model.name,
        baseline=baseline.model.name,
        n=len(pairs),
        saving=estimated(lambda saving, _: saving),
        lost=estimated(lambda _, lost: lost),
        mistakes=estimated(lambda _, lost: per_error * lost),
        net=estimated(lambda saving, lost: saving - per_error * lost - fixed / per_month),
        monthly=monthly,
        yearly=_times(monthly, MONTHS_PER_YEAR),
        first_year=_times(monthly, MONTHS_PER_YEAR, less=once),
        break_even=estimated(lambda saving, _: (saving - fixed / per_month) / per_error) if per_error > 0 else None,
        payback_months=once / monthly.value if once > 0 and monthly.value > 0 else None,
    )


def _pairs(model: Measured, baseline: Measured) -> Floats:
    """Saving and quality lost of every item that both have: (n, 2)."""
    ours = {
        entry.key: (model.cost(entry.sample), quality)
        for entry, quality in zip(model.entries, model.column(model.quality), strict=True)
    }
    rows = [
        (baseline.cost(entry.sample) - ours[entry.key][0], quality - ours[entry.key][1])
        for entry, quality in zip(baseline.entries, baseline.column(model.quality), strict=True)
        if entry.key in ours
    ]
    return np.array([row for row in rows if not any(map(math.isnan, row))], dtype=float).reshape(-1, 2)


def _with_doubt(pairs: Floats) -> Floats:
    """Right-or-wrong pairs and two more that disagree, one each way: twenty items on which two models agree do not show
    that they always do, and a bootstrap of these alone would say so. Source: Bonett & Price, *Adjusted Wald confidence
    interval for a difference of binomial proportions based on paired data* (2012).
    """
    if not np.isin(pairs[:, 1], (-1.0, 0.0, 1.0)).all():
        return pairs
    saving = float(pairs[:, 0].mean())
    return np.vstack([pairs, [[saving, 1.0], [saving, -1.0]]])


def _times(estimate: Estimate, by: float, *, less: float = 0.0) -> Estimate:
    return Estimate(estimate.value * by - less, estimate.low * by - less, estimate.high * by - less, estimate.n)
