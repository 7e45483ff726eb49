"""What `modelroute analyze` answers to a whole attempt."""

from __future__ import annotations

import math
from typing import Any

from modelroute.analysis.engine import Answering, Assessment, Finding, Interval
from modelroute.analysis.replay import Look, Replay, replay
from modelroute.cli.tables import RolloutTable


def rollout_answer(table: RolloutTable) -> dict[str, Any]:
    """As docs/analyze.md describes it; logarithms of nothing are None."""
    played = replay(table.design(), table.domain_windows())
    return {
        "verdicts": [look.verdict.value for look in played.looks],
        "logE": [log_or_none(look.assessment.rollback_log_evidence) for look in played.looks],
        "pauseLogE": [log_or_none(look.assessment.pause_log_evidence) for look in played.looks],
        "logLimit": played.final.log_limit,
        "decision": _decision(played),
        "objectives": [finding_answer(finding) for finding in played.final.findings],
        "answering": [_answering(each) for each in played.final.answering],
    }


def _decision(played: Replay) -> dict[str, Any] | None:
    """The first window after which the attempt goes back, and what weighed most in it; None where none does."""
    if played.decided is None:
        return None
    look: Look = played.looks[played.decided]
    worst = _weighed_most(look.assessment)
    return {"window": played.decided, "verdict": look.verdict.value, **worst}


def _weighed_most(assessment: Assessment) -> dict[str, Any]:
    if assessment.most_silent is not None:
        return {"objective": None, "candidate": assessment.most_silent.candidate, "because": "it does not answer"}
    strongest = assessment.strongest
    if strongest is None:
        return {"objective": None, "candidate": None, "because": ""}
    return {
        "objective": strongest.objective,
        "candidate": strongest.candidate,
        "because": f"{strongest.in_words()}; most by {strongest.strongest_process}",
    }


def finding_answer(finding: Finding) -> dict[str, Any]:
    """What is known of one objective and candidate."""
    tally = finding.tally
    return {
        "objective": finding.objective,
        "candidate": finding.candidate,
        "reference": finding.reference or None,
        "verdict": finding.verdict.value,
        "logE": log_or_none(finding.log_e),
        "logSafe": log_or_none(finding.log_safe),
        "provenSafe": finding.proven_safe,
        "couldBeWorseBy": finding.worst_difference,
        "windows": tally.windows,
        "skipped": tally.skipped,
        "rates": {
            "candidate": _rate(tally.candidate_bad, tally.candidate_total, finding.candidate_interval),
            "reference": _rate(tally.reference_bad, tally.reference_total, finding.reference_interval),
        },
    }


def _rate(bad: float, total: float, interval: Interval) -> dict[str, Any]:
    return {
        "bad": bad,
        "total": total,
        "rate": bad / total if total else None,
        "interval": [interval.low, interval.high],
    }


def _answering(each: Answering) -> dict[str, Any]:
    return {
        "candidate": each.candidate,
        "logMany": log_or_none(each.log_many),
        "logFew": log_or_none(each.log_few),
        "tooMany": each.mismatch,
        "tooFew": each.silent,
    }


def log_or_none(value: float | None) -> float | None:
    """ln 0 is None."""
    return None if value is None or value == -math.inf else value
