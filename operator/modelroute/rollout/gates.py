"""What stands between a step and the next: an ordered tuple of small checks. All are conditions for leaving a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from modelroute.rollout.attempt import token_of
from modelroute.rollout.clock import is_overdue
from modelroute.rollout.decision import Phase
from modelroute.rollout.evidence_gates import (
    evidence_does_not_lean_to_harm,
    evidence_is_current,
    has_lasted,
    has_seen_enough,
    has_settled,
    is_proven_safe,
    no_comparison_ends_in_doubt,
    nothing_is_worse_than_its_reference_was,
    reference_keeps_the_bound,
    something_was_counted,
    split_is_as_asked,
)
from modelroute.rollout.lack import GATEWAY_POLL_S, Lack, View
from modelroute.rollout.observation import Acceptance
from modelroute.rollout.reasons import Reason
from modelroute.rollout.rejected import PATIENCE_S, goes_back_at
from modelroute.rollout.words import clock_time, duration

GATEWAY_POLL_MAX_S = 30.0


FIND_OUT_WHO: Final = (
    "find out who (kubectl get httproute -o yaml --show-managed-fields; Argo CD needs ignoreDifferences)"
)
CONTENDED: Final = (
    f"somebody else keeps changing the weights of the route, so they are not restored for now: {FIND_OUT_WHO}"
)


Check = Callable[[View], Lack | None]


def route_is_ours_alone(view: View) -> Lack | None:
    if not view.seen.gateway.contended:
        return None
    return Lack(Phase.HOLDING, Reason.ROUTE_CONTENDED, CONTENDED, 30.0, stalled=True)


def gateway_is_live(view: View) -> Lack | None:
    gateway, since = view.seen.gateway, view.record.progress.step_at
    if gateway.acceptance is Acceptance.LIVE and view.record.progress.live_at is not None:
        return None
    if gateway.acceptance is Acceptance.REJECTED:
        return _rejected(view)
    waited_s = view.now - since
    phase = Phase.PROGRESSING if waited_s < 60 else Phase.HOLDING
    # Since when, and not for how long: a text that changes with every look would be written with every look.
    message = f"{gateway.awaited} (since {clock_time(since)})"
    return Lack(phase, Reason.WAITING_FOR_GATEWAY, message, poll_s(waited_s))


def _rejected(view: View) -> Lack:
    message, due_at = view.seen.gateway.message, goes_back_at(view.seen, view.record)
    if due_at is None:
        return Lack(Phase.HOLDING, Reason.GATEWAY_REJECTED, message, 10.0)
    message += f"; the attempt goes back unless that ends within {duration(PATIENCE_S)}"
    return Lack(Phase.HOLDING, Reason.GATEWAY_REJECTED, message, max(1.0, due_at - view.now))


def poll_s(waited_s: float) -> float:
    """Seconds until a gateway that has kept silent for `waited_s` is asked again: its word wakes the look anyway."""
    return min(GATEWAY_POLL_MAX_S, max(GATEWAY_POLL_S, waited_s / 10))


def spec_can_be_carried_out(view: View) -> Lack | None:
    if not view.seen.problems:
        return None
    problem = view.seen.problems[0]
    return Lack(Phase.HOLDING, problem.reason, f"the spec cannot be carried out as it is: {problem.message}")


def way_back_is_open(view: View) -> Lack | None:
    """No more traffic for a candidate whose traffic nobody could take back."""
    if view.waived or not view.seen.cannot_return:
        return None
    problem = view.seen.cannot_return[0]
    message = (
        f"{problem.message}: nobody could take the traffic back, so there is no more for the candidate; keep the old"
        f" version running until the end, or go on without it with {_action(view, 'promote')}"
    )
    return Lack(Phase.HOLDING, problem.reason, message)


def not_paused(view: View) -> Lack | None:
    if view.seen.plan is not None and view.seen.plan.paused:
        return Lack(Phase.PAUSED, Reason.PAUSED, "spec.paused is true: no promotion; harm still rolls back")
    if view.record.progress.paused:
        message = f"a person paused it: no promotion; harm still rolls back; go on with {_action(view, 'resume')}"
        return Lack(Phase.PAUSED, Reason.PAUSED, message)
    return None


def _action(view: View, verb: str) -> str:
    return f"{verb}@{token_of(view.record)}"


def is_in_time(view: View) -> Lack | None:
    """`onDeadline: Hold`: no more traffic after it; the split stays, and harm still rolls back."""
    if view.waived or not is_overdue(view.record, view.now):
        return None
    message = (
        f"progressDeadline {duration(view.record.attempt.deadline.after_s)} has passed, the split stays as it is: go on"
        f" with {_action(view, 'promote')}, back with {_action(view, 'abort')}, or change the spec"
    )
    return Lack(Phase.HOLDING, Reason.DEADLINE_EXCEEDED, message, stalled=True)


def nothing_to_pause_for(view: View) -> Lack | None:
    if not view.record.progress.pause_breached:
        return None
    return Lack(
        Phase.PAUSED,
        Reason.HARM_DETECTED,
        f"an objective with onBreach: Pause is breached; go back with {_action(view, 'abort')}, or change the spec",
    )


def clock_is_not_behind(view: View) -> Lack | None:
    """Windows that were looked at lie ahead: the clock was set back, and until it has caught up no harm is seen."""
    progress = view.record.progress
    ahead_s = progress.consumed_until - view.now
    if ahead_s <= view.record.attempt.window_s:
        return None
    message = (
        f"the operator's clock was set back: what was counted is looked at again in {duration(ahead_s)};"
        f" {_action(view, 'abort')} goes back now"
    )
    return Lack(Phase.HOLDING, Reason.CLOCK_BEHIND, message)


def is_approved(view: View) -> Lack | None:
    if view.waived or not view.step.approval or view.record.progress.approved:
        return None
    message = (
        f"a person's approval, {_action(view, 'approve')}; harm still rolls back"
        f" ({_action(view, 'abort')} goes back now)"
    )
    return Lack(Phase.AWAITING_APPROVAL, Reason.AWAITING_APPROVAL, message)


CHECKS: tuple[Check, ...] = (
    route_is_ours_alone,
    gateway_is_live,
    spec_can_be_carried_out,
    way_back_is_open,
    not_paused,
    nothing_to_pause_for,
    is_in_time,
    clock_is_not_behind,
    evidence_is_current,
    split_is_as_asked,
    reference_keeps_the_bound,
    evidence_does_not_lean_to_harm,
    nothing_is_worse_than_its_reference_was,
    no_comparison_ends_in_doubt,
    has_settled,
    something_was_counted,
    has_lasted,
    has_seen_enough,
    is_proven_safe,
    is_approved,
)
"""In the order in which a person would want to hear of them; a test pins it."""


def lacks(view: View) -> tuple[Lack, ...]:
    """All that the step still lacks, in the order of `CHECKS`; empty means that it may be left."""
    return tuple(lack for check in CHECKS if (lack := check(view)) is not None)
