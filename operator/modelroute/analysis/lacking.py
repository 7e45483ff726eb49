"""How many more requests would prove safety, if the rates stay as they were: a forecast for people, not a test."""

from __future__ import annotations

import math

import numpy as np

from modelroute.analysis.design import Design
from modelroute.analysis.evidence import Limited, Tally
from modelroute.analysis.layout import Pair
from modelroute.analysis.mixture import INVERTED
from modelroute.analysis.one_arm import log_e_alternatives
from modelroute.analysis.two_arm import log_e_values


def requests_lacking(
    pair: Pair, tally: Tally, limited: Limited | None, log_safe: float | None, design: Design
) -> float | None:
    """About how many of the candidate's requests are lacking until ln E reaches ln(1/β); None if it does not get there.

    What lacks, divided by how much the best alternative of the grid gains per request at the rates seen so far: the
    slowest of what must be proven. No guarantee.
    """
    if log_safe is None or not tally.candidate_total > 0:
        return None
    growth = []
    objective = pair.objective
    if pair.compares:
        if not tally.reference_total > 0:
            return None
        reference = (0.5 + tally.reference_bad) / (0.5 / objective.prior_rate + tally.reference_total)
        gains = log_e_values(
            1.0, tally.candidate_bad / tally.candidate_total,
            tally.reference_total / tally.candidate_total, tally.reference_bad / tally.candidate_total,
            guess=reference, alternatives=INVERTED, ratio=objective.ratio or 1.0, margin=objective.margin or 0.0,
        )  # fmt: skip
        growth.append(float(np.max(gains)))
    if limited is not None and objective.limit is not None and limited.total > 0:
        rate = limited.bad / limited.total
        growth.append(
            float(np.max(log_e_alternatives(1.0, rate, limit=objective.limit, alternatives=INVERTED)))
        )  # fmt: skip
    slowest = min(growth, default=0.0) / design.overdispersion
    return (-math.log(design.beta) - log_safe) / slowest if slowest > 1e-12 else None
