"""When the evidence says that an attempt goes back, and in which words."""

from __future__ import annotations

import math

from modelroute.analysis.engine import Assessment
from modelroute.rollout.attempt import Verdict
from modelroute.rollout.reasons import Reason


def harm_in(assessment: Assessment, now: float) -> Verdict | None:
    """The verdict, where the evidence of the RollBack objectives together crossed its limit; else None."""
    if not assessment.rollback_breached:
        return None
    worst = assessment.strongest
    evidence, limit = (
        math.exp(min(value, 700.0)) for value in (assessment.rollback_log_evidence, assessment.log_limit)
    )
    told = (
        "" if worst is None else f"{worst.candidate} is worse on {worst.objective} than allowed: {worst.in_words()}; "
    )
    return Verdict(
        Reason.HARM_DETECTED,
        f"{told}evidence {evidence:,.3g}, limit {limit:,.3g}",
        now,
        objective="" if worst is None else worst.objective,
        candidate="" if worst is None else worst.candidate,
    )
