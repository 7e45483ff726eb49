"""When the evidence says that an attempt goes back, and in which words."""

from __future__ import annotations

from modelroute.analysis.assessment import Finding
from modelroute.analysis.engine import Assessment
from modelroute.rollout.attempt import Record, Verdict
from modelroute.rollout.consume import is_settling
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import percent
from modelroute.rollout.words import count, evidence


def harm_in(record: Record, assessment: Assessment, scrape_interval_s: float, now: float) -> Verdict | None:
    """The verdict, where the evidence of the RollBack objectives together crossed its limit; else None."""
    if not assessment.rollback_breached:
        return None
    worst, silent = assessment.strongest, assessment.most_silent
    if silent is not None:
        told = f"{silent.candidate} does not answer: it completes less than its share of the requests"
    elif worst is not None:
        counted = _counted(record, worst, scrape_interval_s)
        told = f"{worst.candidate} is worse on {worst.objective} than allowed: {counted}"
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


def keeps(record: Record) -> str:
    """A sentence about the traffic that the candidate to blame has all the same, because it had it before; else ""."""
    verdict = record.progress.verdict
    if verdict is None or verdict.reason not in {Reason.HARM_DETECTED, Reason.GUARD_BREACHED}:
        return ""
    had = next((arm.stable for arm in record.attempt.candidates if arm.name == verdict.candidate), 0)
    if not had:
        return ""
    return (
        f". {verdict.candidate} keeps the {percent(had)} that it had before, and is not watched there: lower its weight"
        " if it fails there as well"
    )


def _counted(record: Record, worst: Finding, scrape_interval_s: float) -> str:
    """The counts that speak against it: what the fast path sees while a step settles is not in the tally.

    Nor is a later window that goes back to before the step had settled, so that there may be no tally yet.
    """
    fast, tallied = worst.strongest_process == "fast", worst.tally.windows > 0
    if tallied and not (fast and is_settling(record, scrape_interval_s)):
        return worst.in_words()
    told = f"{_of_step(record, worst, worst.candidate)} bad"
    if worst.reference:
        told += f" against {_of_step(record, worst, worst.reference)} by {worst.reference}"
    if fast:
        told += ", while the split settled"
    return f"{told}, after {worst.in_words()}" if tallied else told


def _of_step(record: Record, worst: Finding, arm: str) -> str:
    bad, total = record.progress.step_counts.get((worst.objective, arm), (0.0, 0.0))
    return f"{count(bad)} of {count(total)}"
