"""What the evidence must say before a step is left: known, current, enough, and not against the candidate."""

from __future__ import annotations

import math

from modelroute.analysis.design import Action
from modelroute.analysis.engine import Finding
from modelroute.analysis.interval import exact_bound
from modelroute.rollout.attempt import Coverage, Requirement, weights_of
from modelroute.rollout.consume import looks_from, settled_at
from modelroute.rollout.decision import Phase
from modelroute.rollout.lack import LEANING, Lack, View
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import weights_at
from modelroute.rollout.words import count, duration, evidence

ONE_SIGMA = 0.16
"""The chance that a rate lies a standard error or more above what was counted; so much below as well."""

LATE_SCRAPES = 5
"""After so many scrapes a target that others outlive counts as gone: what is whole comes no later than that."""
AHEAD_S = 60.0
"""By so much more nothing is late but by a clock that is wrong."""


def evidence_is_current(view: View) -> Lack | None:
    look, progress = view.seen.look, view.record.progress
    if look.problem is not None:
        return Lack(Phase.HOLDING, look.problem.reason, look.problem.message)
    # Not before the split is live, or has been waited for too long: until then nothing is to be read.
    behind_s = look.expected_until - looks_from(view.record)
    late_s = _late_s(view)
    if behind_s > 0 and len(look.readings) * view.record.attempt.window_s > late_s:
        # A long absence is read in several looks: there may be more that is whole by now.
        message = f"reading what was counted meanwhile, {duration(behind_s)} to go"
        return Lack(Phase.PROGRESSING, Reason.COLLECTING_EVIDENCE, message, 0.0)
    if behind_s > late_s:
        message = "the scrapes that complete the last windows are not in Prometheus yet; "
        if behind_s > AHEAD_S + late_s:
            message += "by the operator's clock they are long overdue: is it ahead of Prometheus's?"
        else:
            message += "a target that does not come back is waited for, for five scrapes"
        return Lack(Phase.PROGRESSING, Reason.LATE_DATA, message, view.seen.terms.scrape_interval_s)
    gating = {o.name for o in view.record.attempt.design.objectives if o.action is not Action.REPORT}
    for unknown in progress.unknown:
        if unknown.objective is None or unknown.objective in gating:
            return Lack(Phase.HOLDING, unknown.reason, unknown.message)
    return None


def _late_s(view: View) -> float:
    """How late windows may come (remote storage, a pod of the gateway that is replaced) and be current all the same."""
    window_s = view.record.attempt.window_s
    return math.ceil(LATE_SCRAPES * view.seen.terms.scrape_interval_s / window_s) * window_s


def something_was_counted(view: View) -> Lack | None:
    """Every objective that can stop the rollout was counted at least once: nothing counted is not a pass."""
    empty = [
        f"{each.objective} of {each.candidate}"
        for each in view.assessment.findings
        if each.action is not Action.REPORT and not each.tally.windows
    ]
    if not empty:
        return None
    return Lack(Phase.PROGRESSING, Reason.COLLECTING_EVIDENCE, f"not counted yet: {', '.join(empty)}")


def evidence_does_not_lean_to_harm(view: View) -> Lack | None:
    """No harm is *shown* below 1/α, but a candidate that is on the way there gets no more traffic meanwhile.

    Holding needs no error rate of its own: it takes nothing back, and ends when the evidence falls or decides.
    """
    if view.assessment.rollback_log_evidence < LEANING:
        return None
    weight, limit = evidence(view.assessment.rollback_log_evidence), evidence(view.assessment.log_limit)
    told = f"{weight} of the {limit} that roll back"
    message = f"the evidence leans to harm, {told}: no more traffic until it decides"
    return Lack(Phase.HOLDING, Reason.HARM_SUSPECTED, message)


def nothing_is_worse_than_its_reference_was(view: View) -> Lack | None:
    """At the end of the way a reference may have no traffic left to compare with: then what it was seen to be holds.

    This holds and does not roll back, for the evidence has no error rate without a reference; `max` has.
    """
    weights = weights_of(view.record)
    worse = [
        f"{each.candidate} is at {bad / total:.2%} on {each.objective}, above the {allowed:.2%} that {each.reference}"
        " and the margin allow"
        for each in view.assessment.findings
        if each.action is not Action.REPORT and each.reference and not weights.get(each.reference)
        for bad, total in [view.record.progress.step_counts.get((each.objective, each.candidate), (0.0, 0.0))]
        for allowed in [_allowed(view, each, each.reference_interval.high)]
        if allowed is not None and total and bad / total > allowed
    ]
    if not worse:
        return None
    message = f"{'; '.join(worse)}; the reference has no traffic left, so only an objective with max would roll back"
    return Lack(Phase.HOLDING, Reason.HARM_SUSPECTED, message)


def no_comparison_ends_in_doubt(view: View) -> Lack | None:
    """Where this step is the last that compares, its own counts must not look worse than allowed: docs/adr/0010.

    Evidence that holds at every look is slow to form from few requests, and after this step no more of it comes. Each
    rate is given the benefit of a standard error, so that chance holds up few and only until more has been counted.
    """
    doubts = [
        doubt
        for each in view.assessment.findings
        if each.action is not Action.REPORT and each.reference and _compares_last(view, each.reference)
        for doubt in [_doubt(view, each, each.reference)]
        if doubt
    ]
    if not doubts:
        return None
    message = f"{'; '.join(doubts)}: after this step nothing compares the two any more, so more is counted first"
    return Lack(Phase.HOLDING, Reason.HARM_SUSPECTED, message)


def _doubt(view: View, finding: Finding, reference: str) -> str:
    """What the step's counts say against the candidate, by more than chance at one look; "" where nothing does."""
    counts, dispersion = view.record.progress.step_counts, view.record.attempt.design.overdispersion
    mine, theirs = (counts.get((finding.objective, arm), (0.0, 0.0)) for arm in (finding.candidate, reference))
    low, high = (
        exact_bound(bad / dispersion, total / dispersion, tail=ONE_SIGMA, upper=upper)
        for (bad, total), upper in ((mine, False), (theirs, True))
    )
    allowed = _allowed(view, finding, high)
    if allowed is None or low <= allowed:
        return ""
    told = f"{finding.objective}: {count(mine[0])} of {count(mine[1])} bad by {finding.candidate}"
    return f"{told} in this step against {count(theirs[0])} of {count(theirs[1])} by {reference}"


def _compares_last(view: View, reference: str) -> bool:
    """Whether `reference` has traffic now, and evidence beside it ends with this step."""
    attempt, step = view.record.attempt, view.record.progress.step
    if not weights_of(view.record).get(reference):
        return False
    return step + 1 >= len(attempt.steps) or not weights_at(attempt.arms, attempt.steps[step + 1].progress)[reference]


def _allowed(view: View, finding: Finding, reference_high: float) -> float | None:
    """`reference_high` with what the objective allows above it; None where nothing is compared."""
    objective = next(o for o in view.record.attempt.design.objectives if o.name == finding.objective)
    if objective.margin is None and objective.ratio is None:
        return None
    return reference_high * (objective.ratio or 1.0) + (objective.margin or 0.0)


def has_lasted(view: View) -> Lack | None:
    """`minDuration`, without the windows that could not be told for one of the objectives: time unseen is no time."""
    live_at = view.record.progress.live_at
    lasted = 0.0 if live_at is None else view.now - live_at
    blind = {
        objective: view.record.progress.covered.get((objective, arm.name), Coverage()).blind
        for arm in view.record.attempt.candidates
        for objective in _gating(view, arm.name)
    }
    most = max(blind, key=lambda objective: blind[objective], default="")
    unseen_s = blind.get(most, 0) * view.record.attempt.window_s
    left = view.step.min_duration_s + unseen_s - lasted
    if view.waived or left <= 0:
        return None
    message = f"minDuration {duration(view.step.min_duration_s)}: {duration(left)} to go"
    if unseen_s:
        message += f", for {most} was not known for {duration(unseen_s)} of it"
    return Lack(Phase.PROGRESSING, Reason.COLLECTING_EVIDENCE, message, left)


def has_seen_enough(view: View) -> Lack | None:
    """`minRequests`, by every objective that can stop the rollout as well: what a silent judge did not see is not seen.

    Also where a person waived them, a step is left on some evidence of its own and never on none. A reference that has
    traffic must have answered as many since the attempt began: of a few requests alone nobody can tell what is worse.
    """
    progress, asked = view.record.progress, 1 if view.waived else max(view.step.min_requests, 1)
    lacking = []
    for arm in view.record.attempt.candidates:
        seen = progress.requests.get(arm.name, 0.0)
        if seen < asked:
            lacking.append(f"{count(seen)} of {count(asked)} requests by {arm.name}{_when(view, seen, asked - seen)}")
            continue
        for objective in _gating(view, arm.name):
            covered = progress.covered.get((objective, arm.name), Coverage()).requests
            if covered < asked:
                told = f"{objective} is known for {count(covered)} of {count(asked)} requests by {arm.name}"
                lacking.append(f"{told}{_when(view, covered, asked - covered)}")
    for reference, (known, in_step) in _references(view).items() if not view.waived else ():
        if known < asked:
            told = f"{count(known)} of {count(asked)} requests by {reference}, to compare with"
            lacking.append(f"{told}{_when(view, in_step, asked - known)}")
    if not lacking:
        return None
    return Lack(Phase.PROGRESSING, Reason.COLLECTING_EVIDENCE, "; ".join(lacking))


def _gating(view: View, candidate: str) -> list[str]:
    """The objectives that can stop the rollout for that candidate."""
    return [
        each.objective
        for each in view.assessment.findings
        if each.candidate == candidate and each.action is not Action.REPORT
    ]


def _references(view: View) -> dict[str, tuple[float, float]]:
    """The answers of each reference with traffic that the best known objective has: of the attempt, and of the step."""
    weights, found = weights_of(view.record), dict[str, tuple[float, float]]()
    for each in view.assessment.findings:
        if each.action is Action.REPORT or not each.reference or not weights.get(each.reference):
            continue
        _, in_step = view.record.progress.step_counts.get((each.objective, each.reference), (0.0, 0.0))
        found[each.reference] = max(found.get(each.reference, (0.0, 0.0)), (each.tally.reference_total, in_step))
    return found


def _when(view: View, seen: float, lacking: float) -> str:
    """When `lacking` more will have come, where `seen` came since the step settled."""
    at = settled_at(view.record, view.seen.terms.scrape_interval_s)
    counted_s = 0.0 if at is None else view.record.progress.consumed_until - at
    if counted_s < view.record.attempt.window_s:
        return ""
    if not seen:
        return " (none is coming)"
    return f" (about {duration(lacking * counted_s / seen)} at today's traffic)"


def is_proven_safe(view: View) -> Lack | None:
    if view.waived or view.step.require is not Requirement.PROVEN_SAFE or view.assessment.proven_safe:
        return None
    lacking = [_to_prove(each) for each in view.assessment.findings if _must_prove(each) and not each.proven_safe]
    return Lack(Phase.PROGRESSING, Reason.PROVING_SAFETY, "; ".join(lacking) or "nothing was counted yet")


def _must_prove(finding: Finding) -> bool:
    return finding.action is Action.ROLL_BACK


def _to_prove(finding: Finding) -> str:
    told = f"{finding.candidate} is not proven safe on {finding.objective} yet"
    if finding.worst_difference is not None:
        told += f", it could still be up to {finding.worst_difference * 100:.4g} pp worse"
    if finding.requests_lacking:
        told += f" (about {count(math.ceil(finding.requests_lacking))} more requests at the rates seen so far)"
    return told


def split_is_as_asked(view: View) -> Lack | None:
    """More completions than asked for: the gateway does not split as it was told, or something else sends traffic."""
    many = [each.candidate for each in view.assessment.answering if each.mismatch]
    if not many:
        return None
    message = f"{', '.join(many)} answers more than its share of the traffic: who else sends requests to it?"
    return Lack(Phase.HOLDING, Reason.SAMPLE_RATIO_MISMATCH, message)


def reference_keeps_the_bound(view: View) -> Lack | None:
    """An absolute bound is broken, and not shown to be broken by the candidate more than by its reference."""
    shared = [each for each in view.assessment.findings if each.reference_too and each.action is Action.ROLL_BACK]
    if not shared:
        return None
    told = ", ".join(f"{each.objective} ({each.in_words()})" for each in shared)
    message = f"max is broken, and the candidate is not shown to be worse than its reference meanwhile: {told}"
    return Lack(Phase.HOLDING, Reason.REFERENCE_BREACHES_TOO, message)


def has_settled(view: View) -> Lack | None:
    at = settled_at(view.record, view.seen.terms.scrape_interval_s)
    if at is not None and view.now >= at:
        return None
    left = "" if at is None else f", {duration(at - view.now)} to go"
    message = f"the split is settling: only the fast path looks at it yet{left}"
    return Lack(Phase.PROGRESSING, Reason.SETTLING, message, None if at is None else at - view.now)
