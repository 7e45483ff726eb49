"""When the evidence says that an attempt goes back, and in which words."""

from __future__ import annotations

from modelroute.analysis.engine import Assessment
from modelroute.rollout.attempt import Verdict
from modelroute.rollout.reasons import Reason
from modelroute.rollout.words import evidence


def harm_in(assessment: Assessment, now: float) -> Verdict | None:
    """The verdict, where the evidence of the RollBack objectives together crossed its limit; else None."""
    if not assessment.rollback_breached:
        return None
    worst, silent = assessment.strongest, assessment.most_silent
    if silent is not None:
        told = f"{silent.candidate} does not answer: it completes less than its share of the requests"
    elif worst is not None:
        told = f"{worst.candidate} is worse on {worst.objective} than allowed: {worst.in_words()}"
    else:
        told = "the evidence of all objectives together"
    weight, limit = evidence(assessment.rollback_log_evidence), evidence(assessment.log_limit)
    return Verdict(
        Reason.HARM_DETECTED,
        f"{told}; evidence {weight}, limit {limit}",
        now,
        objective="" if worst is None or silent is not None else worst.objective,
        candidate=silent.candidate if silent is not None else "" if worst is None else worst.candidate,
    )
