"""One e-process: the capital on each alternative, carried from window to window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelroute.analysis.mixture import ALTERNATIVES, POINTS, PRIOR, Floats, log_spent, unspent
from modelroute.analysis.two_arm import log_e_values

_LOG_PRIOR = np.log(PRIOR)


@dataclass(frozen=True, slots=True)
class Process:
    """`log_capital` has one entry for each alternative (−inf: nothing spent on it yet). `windows` ≥ 0 were seen.

    `reference_bad` and `reference_total` are sums over those windows: what the next one is predicted from.
    """

    log_capital: tuple[float, ...] = (-math.inf,) * POINTS
    windows: int = 0
    reference_bad: float = 0.0
    reference_total: float = 0.0

    @property
    def log_e(self) -> float:
        """ln E. Under the null P(E ever ≥ 1/α) ≤ α (Ville), however often it is looked at."""
        spent = float(np.logaddexp.reduce(np.asarray(self.log_capital)))
        return float(np.logaddexp(spent, math.log(unspent(self.windows))))

    def guess(self, prior_rate: float) -> float:
        """What the reference's rate is thought to be before the next window, in (0, 1)."""
        return (0.5 + self.reference_bad) / (0.5 / prior_rate + self.reference_total)


@dataclass(frozen=True, slots=True)
class Null:
    """qC ≤ `ratio`·qB + `margin` in every window. `cap` > 0 bounds what one window can bring, inf is no bound.

    `overdispersion` D ≥ 1 divides each window's evidence: the largest number of requests that are assigned together.
    """

    ratio: float = 1.0
    margin: float = 0.0
    cap: float = math.inf
    overdispersion: float = 1.0
    prior_rate: float = 0.01


def next_process(
    process: Process, null: Null, *, n_candidate: float, x_candidate: float, n_reference: float, x_reference: float
) -> Process:
    """`process` after one more window. The window never moves its own prediction."""
    window = log_e_values(
        n_candidate,
        x_candidate,
        n_reference,
        x_reference,
        guess=process.guess(null.prior_rate),
        alternatives=ALTERNATIVES,
        ratio=null.ratio,
        margin=null.margin,
    )
    tempered: Floats = np.minimum(window / null.overdispersion, null.cap)
    capital = np.logaddexp(np.asarray(process.log_capital), log_spent(process.windows) + _LOG_PRIOR) + tempered
    return Process(
        log_capital=tuple(float(value) for value in capital),
        windows=process.windows + 1,
        reference_bad=process.reference_bad + x_reference,
        reference_total=process.reference_total + n_reference,
    )
