"""How many more requests would prove safety, if the rates stay as they were: a forecast for people, not a test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelroute.analysis.design import Objective
from modelroute.analysis.evidence import Limited, Tally
from modelroute.analysis.mixture import INVERTED
from modelroute.analysis.one_arm import log_e_alternatives
from modelroute.analysis.two_arm import log_e_values


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be proven: against the reference if `compares`, and of `max` if there is `limited`. β in (0, 1)."""

    objective: Objective
    compares: bool
    limited: Limited | None
    beta: float
    overdispersion: float

    def requests_lacking(self, tally: Tally, log_safe: float) -> float | None:
        """About how many of the candidate's requests are lacking until ln E goes from `log_safe` to ln(1/β).

        What lacks, divided by how much the best alternative of the grid gains per request at the rates seen so far: the
        slowest of what must be proven. None if it does not get there. No guarantee.
        """
        if not tally.candidate_total > 0 or (self.compares and not tally.reference_total > 0):
            return None
        growth = [self._against_reference(tally)] if self.compares else []
        if self.limited is not None and self.objective.limit is not None and self.limited.total > 0:
            rate = self.limited.bad / self.limited.total
            gains = log_e_alternatives(1.0, rate, limit=self.objective.limit, alternatives=INVERTED)
            growth.append(float(np.max(gains)))
        slowest = min(growth, default=0.0) / self.overdispersion
        return (-math.log(self.beta) - log_safe) / slowest if slowest > 1e-12 else None

    def _against_reference(self, tally: Tally) -> float:
        size = tally.candidate_total
        guess = (0.5 + tally.reference_bad) / (0.5 / self.objective.prior_rate + tally.reference_total)
        gains = log_e_values(
            1.0, tally.candidate_bad / size, tally.reference_total / size, tally.reference_bad / size,
            guess=guess, alternatives=INVERTED, ratio=self.objective.ratio or 1.0, margin=self.objective.margin or 0.0,
        )  # fmt: skip
        return float(np.max(gains))
