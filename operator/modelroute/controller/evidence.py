"""What the engine knows, in the words of the status."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from modelroute.analysis.design import Action
from modelroute.analysis.engine import Assessment, Finding, Interval, Knowledge, assess
from modelroute.analysis.evidence import Tally
from modelroute.api.objectives import Objective
from modelroute.api.status import Evidence
from modelroute.rollout.attempt import Record
from modelroute.rollout.lack import LEANING
from modelroute.rollout.reasons import Reason
from modelroute.rollout.words import evidence as evidence_in_words


def evidence_of(record: Record, objectives: Iterable[Objective]) -> list[Evidence]:
    """An entry for each objective and candidate; `objectives` give the words of the bounds."""
    written = {objective.name: objective for objective in objectives}
    assessment = assess(record.attempt.design, record.progress.engine)
    return [_entry(finding, assessment, written.get(finding.objective)) for finding in assessment.findings]


def overall(assessment: Assessment) -> str:
    """The one word of the printer column: the worst of what is known."""
    if assessment.rollback_breached:
        return Knowledge.HARMFUL.value
    if assessment.rollback_log_evidence >= LEANING:
        return Reason.HARM_SUSPECTED.value
    known = {finding.verdict for finding in assessment.findings}
    order = (Knowledge.HARMFUL, Knowledge.REFERENCE_TOO, Knowledge.UNKNOWN, Knowledge.NO_HARM_SHOWN, Knowledge.SAFE)
    return next((word.value for word in order if word in known), Knowledge.UNKNOWN.value)


def of_its_kind(finding: Finding, assessment: Assessment) -> int:
    """How many share a limit with `finding`, itself included: those whose breach leads to the same."""
    silent = len(assessment.answering) if finding.action is Action.ROLL_BACK else 0
    return silent + sum(each.action is finding.action for each in assessment.findings)


def _entry(finding: Finding, assessment: Assessment, objective: Objective | None) -> Evidence:
    tally = finding.tally
    # What it adds to the sum that decides, so that "20 of 20" of one objective is 20 of 20 of the whole.
    evidence = evidence_in_words(finding.log_e - math.log(max(of_its_kind(finding, assessment), 1)))
    limit = evidence_in_words(assessment.log_limit)
    return Evidence(
        name=finding.objective,
        candidate=finding.candidate,
        reference=finding.reference or None,
        candidate_rate=_rate(tally.candidate_bad, tally.candidate_total),
        reference_rate=_rate(tally.reference_bad, tally.reference_total),
        candidate_interval=_interval(finding.candidate_interval) if tally.candidate_total else None,
        reference_interval=_interval(finding.reference_interval) if tally.reference_total else None,
        could_be_worse_by=None if finding.worst_difference is None else f"{finding.worst_difference * 100:.4g}pp",
        candidate_requests=round(tally.candidate_total),
        reference_requests=round(tally.reference_total),
        candidate_bad=tally.candidate_bad,
        reference_bad=tally.reference_bad,
        bound=None if objective is None else bound_in_words(objective),
        evidence=f"{evidence} of {limit}",
        verdict=finding.verdict.value,
        message="; ".join(_told(finding, objective)),
    )


def _told(finding: Finding, objective: Objective | None) -> Iterator[str]:
    if finding.tally.windows:
        yield finding.in_words()
    elif finding.knowledge is Knowledge.HARMFUL:
        yield "far worse while the split settled: the message of the rollout has the counts"
    else:
        yield "nothing was counted yet"
    if finding.tally.skipped:
        yield f"{finding.tally.skipped} windows could not be counted"
    if objective is not None and objective.bad is not None and _never_bad(finding.tally):
        # A counter may appear with the first bad request, so that its absence is a 0; so is a name that is misspelt.
        yield f"no {objective.bad.metric} was counted of anybody: it would look the same if the name were misspelt"


def _never_bad(tally: Tally) -> bool:
    return tally.candidate_total > 0 and tally.candidate_bad == 0 and tally.reference_bad == 0


def bound_in_words(objective: Objective) -> str:
    """'at most 0.5%, and at most 0.2pp above the reference'."""
    parts = []
    if objective.max is not None:
        parts.append(f"at most {objective.max}")
    if objective.max_increase is not None:
        parts.append(f"at most {objective.max_increase} above the reference")
    if objective.max_ratio is not None:
        parts.append(f"at most {objective.max_ratio} times the reference")
    return ", and ".join(parts) or "none: it is only reported"


def _interval(interval: Interval) -> str:
    return f"{interval.low:.2%}–{interval.high:.2%}"


def _rate(bad: float, total: float) -> str | None:
    return f"{bad / total:.2%}" if total else None
