"""What a ModelRoute's status says, as samples: a pure function of what a tick saw, decided and wrote."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from modelroute.analysis.design import Action
from modelroute.analysis.engine import Assessment, Finding, assess
from modelroute.api.status import ModelRouteStatus
from modelroute.controller import families
from modelroute.controller.evidence import of_its_kind, overall
from modelroute.controller.families import Family
from modelroute.controller.observe import Seen
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.decision import Decision, Phase
from modelroute.rollout.split import TOTAL

LEAST_EVIDENCE = -1.0
"""Evidence for no harm grows without end; below this it says nothing more to anyone."""

_CONDITION = {"True": 1.0, "False": 0.0, "Unknown": -1.0}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family; `labels` in the order of the family's, without those that name the ModelRoute."""

    family: Family
    labels: tuple[str, ...]
    value: float


def samples_of(seen: Seen, decision: Decision, status: ModelRouteStatus) -> Iterator[Sample]:
    """The samples of one ModelRoute, after `status` was written."""
    record = decision.record or seen.observation.record
    yield from _of_the_route(seen, decision, status, record)
    if record is not None and record.progress.stage.under_way:
        yield from _of_the_attempt(record, decision)
        yield from _of_the_evidence(record)
        yield from _of_the_amounts(status)


def _of_the_route(seen: Seen, decision: Decision, status: ModelRouteStatus, record: Record | None) -> Iterator[Sample]:
    for arm in status.live_weights or ():
        yield Sample(families.SPLIT_LIVE, (arm.arm,), arm.weight / TOTAL)
    for name, weight in _wanted(seen, record).items():
        yield Sample(families.SPLIT_WANTED, (name,), weight / TOTAL)
    yield Sample(families.PHASE, (decision.phase.value,), 1.0)
    yield Sample(families.REASON, (decision.reason.value,), 1.0)
    for condition in status.conditions or ():
        yield Sample(families.CONDITION, (condition.type,), _CONDITION[condition.status.value])
    yield Sample(families.CONTENDED, (), float(seen.observation.gateway.contended))
    yield Sample(families.ATTEMPT, (), float(status.attempt or 0))
    if decision.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
        verdict = record.progress.verdict if record is not None else None
        # Where the record was deleted, the objective and the candidate are not known any more.
        noted = status.refused.reason if status.refused is not None else decision.reason.value
        why = (verdict.reason.value, verdict.objective, verdict.candidate) if verdict else (noted, "", "")
        yield Sample(families.ROLLBACK, why, 1.0)


def _wanted(seen: Seen, record: Record | None) -> dict[str, int]:
    """By arm: of the attempt that is under way, else of the spec."""
    if record is not None and record.progress.stage is Stage.PROGRESSING:
        return {arm.name: arm.wanted for arm in record.attempt.arms}
    plan = seen.observation.plan
    return {share.model: share.weight for share in plan.split} if plan is not None else {}


def _of_the_attempt(record: Record, decision: Decision) -> Iterator[Sample]:
    attempt, progress = record.attempt, record.progress
    forward = progress.stage is Stage.PROGRESSING
    yield Sample(families.STEP, (), float(progress.step + 1))
    yield Sample(families.STEPS, (), float(len(attempt.steps)))
    yield Sample(families.PROGRESS, (), attempt.steps[progress.step].progress / 100 if forward else 0.0)
    yield Sample(families.ATTEMPT_STARTED, (), progress.started_at)
    yield Sample(families.STEP_STARTED, (), progress.step_at)
    if decision.deadline_at is not None:
        yield Sample(families.DEADLINE, (), decision.deadline_at)
    if forward and progress.live_at is not None:
        # Before the first window of the step there is nothing that could be late.
        yield Sample(families.EVIDENCE_UNTIL, (), max(progress.consumed_until, progress.live_at))


def _of_the_evidence(record: Record) -> Iterator[Sample]:
    design = record.attempt.design
    known = assess(design, record.progress.engine)
    yield Sample(families.VERDICT, (overall(known),), 1.0)
    yield Sample(families.EVIDENCE_ROLLBACK, (), _ratio(known.rollback_log_evidence, known.log_limit))
    if any(finding.action is Action.PAUSE for finding in known.findings):
        yield Sample(families.EVIDENCE_PAUSE, (), _ratio(known.pause_log_evidence, known.log_limit))
    for finding in known.findings:
        yield from _of_one_finding(finding, known, log_safe_limit=-math.log(design.beta))
    yield from _rates(known)


def _of_one_finding(finding: Finding, known: Assessment, *, log_safe_limit: float) -> Iterator[Sample]:
    pair = finding.objective, finding.candidate
    own = finding.log_e - math.log(max(of_its_kind(finding, known), 1))
    yield Sample(families.EVIDENCE_HARM, pair, _ratio(own, known.log_limit))
    if finding.log_safe is not None:
        yield Sample(families.EVIDENCE_SAFE, pair, _ratio(finding.log_safe, log_safe_limit))


def _rates(known: Assessment) -> Iterator[Sample]:
    """Of every arm once: a reference may be that of several candidates."""
    counts: dict[tuple[str, str], tuple[float, float]] = {}
    for finding in known.findings:
        tally = finding.tally
        counts[finding.objective, finding.candidate] = tally.candidate_bad, tally.candidate_total
        if finding.reference:
            counts[finding.objective, finding.reference] = tally.reference_bad, tally.reference_total
    for key, (bad, total) in counts.items():
        yield Sample(families.COUNTED, key, total)
        if total:
            yield Sample(families.BAD, key, bad / total)


def _of_the_amounts(status: ModelRouteStatus) -> Iterator[Sample]:
    """Of every arm once."""
    amounts: dict[tuple[str, ...], str] = {}
    for each in status.amounts or ():
        for arm, amount in ((each.candidate, each.candidate_amount), (each.reference, each.reference_amount)):
            if arm is not None and amount is not None:
                amounts[each.name, arm, each.unit or ""] = amount
    for labels, amount in amounts.items():
        yield Sample(families.AMOUNT, labels, float(amount))


def _ratio(log_e: float, limit: float) -> float:
    return max(LEAST_EVIDENCE, log_e / limit)
