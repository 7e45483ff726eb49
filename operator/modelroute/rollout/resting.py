"""No attempt is under way: keep the stable split, watch it, and start an attempt where the spec wants another."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from modelroute.analysis.design import Action
from modelroute.rollout.attempt import Stage, comparisons_of, weights_of
from modelroute.rollout.decision import Decision, Phase, RouteOrder
from modelroute.rollout.gates import CONTENDED, FIND_OUT_WHO, poll_s
from modelroute.rollout.harm import keeps
from modelroute.rollout.lack import GATEWAY_POLL_S
from modelroute.rollout.observation import Acceptance, Observation, Problem
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal, refusal_in
from modelroute.rollout.split import TOTAL, Split, arms_between, same_traffic, split_of, words_of
from modelroute.rollout.starting import begin
from modelroute.rollout.verbs import refusal_against, wants_retry
from modelroute.rollout.watching import TIDY_AFTER_S, watch
from modelroute.rollout.words import duration

BACKEND_GRACE_S: Final = 300.0
"""Services, pods and grants are often made beside the route, or after it: that long they are waited for, then a person
is."""
BACKEND_REASONS: Final[frozenset[str]] = frozenset(
    {Reason.BACKEND_NOT_FOUND, Reason.NO_READY_ENDPOINTS, Reason.REF_NOT_PERMITTED, Reason.BACKEND_UNKNOWN}
)
REFUSED_AND_CONTENDED: Final = (
    "somebody else keeps changing the weights of the route: what was rolled back is taken back every few seconds, and"
    f" the rest is not restored for now: {FIND_OUT_WHO}"
)


def stable_split(seen: Observation) -> Split | None:
    """The split that the route rests on: of the last attempt, else as noted on the route, else in the status.

    Only backends with traffic: what an old attempt left at 0 is no part of the next one.
    """
    # The note on the route may be older than the way back: where that was not written yet, the status knows better.
    found = seen.noted or seen.gateway.stable if seen.was_going_back else seen.gateway.stable or seen.noted
    if seen.record is not None:
        match seen.record.progress.stage:
            case Stage.PROMOTED:
                found = seen.record.attempt.wanted
            case Stage.PROGRESSING | Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.SUPERSEDED | Stage.ABORTED:
                found = seen.record.attempt.stable
            case other:
                assert_never(other)
    return None if found is None else tuple(share for share in found if share.weight)


def at_rest(seen: Observation, now: float) -> Decision:
    """The guard looks first: whatever keeps the spec from being carried out does not keep harm from being seen."""
    found = watch(seen, now)
    if found.back is not None:
        return found.back
    return found.beside(_settled(seen, now))


def _settled(seen: Observation, now: float) -> Decision:
    plan, stable = seen.plan, stable_split(seen)
    if stable is not None and (unfinished := _way_back(seen, stable)) is not None:
        return unfinished
    if plan is None or stable is None or _forbids(seen, plan, stable):
        if plan is None or seen.problems:
            return _cannot_be_carried_out(seen, stable, now)
        return _first_visit(plan)
    order = RouteOrder(_resting_split(seen, stable, now), stable)
    if seen.gateway.contended:
        return _contended(seen, plan, order)
    if (waiting := _gateway_lacks(seen, order, now)) is not None:
        return waiting
    live = words_of(stable)
    if same_traffic(plan.split, stable):
        return Decision(Phase.STABLE, Reason.STABLE, f"{live}, as the spec wants it", order, wake_after_s=60.0)
    if (back := _rolled_back(seen, order)) is not None:
        return back
    if plan.paused:
        message = f"spec.paused is true: the rollout to {words_of(plan.split)} waits; live: {live}"
        return Decision(Phase.PAUSED, Reason.PAUSED, message, order, wake_after_s=60.0)
    if (lack := _metrics_lack(seen, compares=_compares(plan, stable))) is not None:
        message = f"the rollout to {words_of(plan.split)} does not start: {lack.message}; live: {live}"
        soon = min(15.0, seen.terms.window_s)
        return Decision(Phase.HOLDING, lack.reason, message, order, lacking=(lack.message,), wake_after_s=soon)
    return begin(seen, plan, stable, _resting_split(seen, stable, now), now)


def _way_back(seen: Observation, stable: Split) -> Decision | None:
    """The record of an attempt that was going back is gone: its weights go back all the same, before anything else."""
    live = {backend: weight for backend, weight in seen.gateway.weights.items() if weight}
    if seen.record is not None or not seen.was_going_back or live == {s.backend: s.weight for s in stable}:
        return None
    why = f" because {seen.refused.told}" if seen.refused is not None else ""
    message = f"going back to {words_of(stable)}{why}. Its ModelRollout is gone: waiting for the route to carry that"
    order = RouteOrder(stable, stable, rollback_of=seen.gateway.rollback_of or f"{seen.name}-{seen.attempts}")
    return Decision(Phase.ROLLING_BACK, Reason.ROLLING_BACK, message, order, wake_after_s=GATEWAY_POLL_S)


def _forbids(seen: Observation, plan: Plan, stable: Split) -> bool:
    """Whether a problem keeps the route as it stands; a backend that is not well is none where nothing is to move."""
    about_backends = all(problem.reason in BACKEND_REASONS for problem in seen.problems)
    return bool(seen.problems) and not (about_backends and same_traffic(plan.split, stable))


def _cannot_be_carried_out(seen: Observation, stable: Split | None, now: float) -> Decision:
    problem = seen.problems[0] if seen.problems else Problem(Reason.INVALID_SPEC, "the spec cannot be read")
    absent = seen.gateway.acceptance is Acceptance.ABSENT
    if stable is None:
        rest = "no route is made"
    elif absent:
        rest = "which weights are live is not known" if seen.gateway.message else "there is no route, and none is made"
    else:
        rest = f"the live route stays as it was: {words_of(stable)}"
    order = None
    if problem.reason is Reason.RECORD_UNREADABLE and stable is not None:
        # Nobody can say what its candidates do to people: they get nothing until somebody can.
        order = RouteOrder(stable, stable)
        rest = f"until then all traffic is where it was before: {words_of(stable)}"
    if (refused := refusal_against(seen)) is not None:
        # It is not tried again by itself once the problem is mended.
        rest += f". Before, {_how_it_ended(seen, refused)}"
    return Decision(
        Phase.PENDING if absent else Phase.HOLDING,
        problem.reason,
        f"{problem.message}; {rest}",
        order,
        lacking=tuple(each.message for each in seen.problems),
        stalled=not _may_come_yet(seen, problem, now),
        wake_after_s=15.0,
    )


def _may_come_yet(seen: Observation, problem: Problem, now: float) -> bool:
    if problem.reason is Reason.BACKEND_UNKNOWN:
        return True
    awaited_since = now if seen.awaited_since is None else seen.awaited_since
    return problem.reason in BACKEND_REASONS and now - awaited_since < BACKEND_GRACE_S


def _first_visit(plan: Plan) -> Decision:
    first = tuple(share for share in plan.first_split if share.weight)
    return Decision(
        Phase.PENDING,
        Reason.WAITING_FOR_GATEWAY,
        f"making the route, with all of the traffic on {plan.initial}",
        RouteOrder(first, first),
        wake_after_s=GATEWAY_POLL_S,
    )


def _resting_split(seen: Observation, stable: Split, now: float) -> Split:
    """`stable` as the route carries it: arms at 0 stay until requests of the last attempt have been answered.

    Not where the gateway rejects the route: one of those arms may be what it cannot resolve. What was left out for that
    on the way back stays so.
    """
    finished = seen.record.progress.finished_at if seen.record is not None else None
    if seen.record is None or finished is None or now - finished >= TIDY_AFTER_S:
        return stable
    split = split_of(seen.record.attempt.arms, weights_of(seen.record))
    left_out = any(share.backend not in seen.gateway.weights for share in split)
    if seen.gateway.acceptance is Acceptance.REJECTED or left_out:
        return stable
    return split


def _contended(seen: Observation, plan: Plan, order: RouteOrder) -> Decision:
    """The route is left alone, but for the traffic that somebody gives to what is refused: nobody watches that."""
    refused = refusal_in(seen.record, seen.refused)
    message = f"{CONTENDED if refused is None else REFUSED_AND_CONTENDED}; asked for: {words_of(order.split)}"
    held = Decision(Phase.HOLDING, Reason.ROUTE_CONTENDED, message, None, lacking=(message,), stalled=True)
    if refused is None or not _candidates_have_more(seen, plan, order.stable):
        return held
    back = replace(order, rollback_of=f"{seen.name}-{refused.attempt}")
    return replace(held, order=back, wake_after_s=GATEWAY_POLL_S)


def _candidates_have_more(seen: Observation, plan: Plan, stable: Split) -> bool:
    """Whether the route gives a candidate a larger share than `stable` does."""
    arms = seen.record.attempt.arms if seen.record is not None else arms_between(stable, plan.split)
    live, whole = seen.gateway.weights, sum(seen.gateway.weights.values())
    return any(live.get(arm.backend, 0) * TOTAL > arm.stable * whole for arm in arms if arm.gains)


def _gateway_lacks(seen: Observation, order: RouteOrder, now: float) -> Decision | None:
    live = {backend: weight for backend, weight in seen.gateway.weights.items() if weight}
    asked = {share.backend: share.weight for share in order.split if share.weight}
    phase = Phase.PENDING if seen.noted is None and seen.record is None else Phase.HOLDING
    if seen.gateway.acceptance is Acceptance.REJECTED:
        message = seen.gateway.message
        return Decision(phase, Reason.GATEWAY_REJECTED, message, order, lacking=(message,), wake_after_s=10.0)
    if seen.gateway.acceptance is Acceptance.LIVE and live == asked:
        return None
    message = f"{words_of(order.split)} is ordered, and waits: {seen.gateway.awaited}"
    soon = poll_s(0.0 if seen.silent_since is None else now - seen.silent_since)
    return Decision(phase, Reason.WAITING_FOR_GATEWAY, message, order, lacking=(message,), wake_after_s=soon)


def _rolled_back(seen: Observation, order: RouteOrder) -> Decision | None:
    """A rolled-back revision is not tried again by itself: it would only be rolled back again."""
    refused = refusal_against(seen)
    if refused is None or wants_retry(seen):
        return None
    retry = f"say retry@{seen.retry_token}" if seen.retry_token else ""
    if refused.reason == Reason.GATEWAY_REJECTED and retry:
        onward = f"Mend what the gateway names, then {retry}, or change its models or objectives"
    else:
        onward = f"Change its models or objectives to try again{f', or {retry}' if retry else ''}"
    message = f"{_how_it_ended(seen, refused)}. Live: {words_of(order.stable)}. {onward}"
    return Decision(Phase.ROLLED_BACK, Reason.ROLLED_BACK, message, order, stalled=True, wake_after_s=60.0)


def _how_it_ended(seen: Observation, refused: Refusal) -> str:
    gone = " (its ModelRollout is gone, or is of another route)" if seen.record is None else ""
    still = "" if seen.record is None else keeps(seen.record)
    return f"attempt {refused.attempt} was rolled back{gone}: {refused.told}{still}"


def _compares(plan: Plan, stable: Split) -> bool:
    """Whether anybody who gains is compared; not on the way back to the reference, whom nobody is to wait for."""
    compared = comparisons_of(arms_between(stable, plan.split), stable, plan.reference)
    return any(each.reference is not None for each in compared)


def _metrics_lack(seen: Observation, *, compares: bool) -> Problem | None:
    """No weight rises before the metrics can be read: unknown is never a pass, not even for the first step."""
    if seen.look.problem is not None:
        return Problem(seen.look.problem.reason, seen.look.problem.message)
    if not seen.look.readings:
        return Problem(Reason.NO_DATA, "the metrics were not read yet")
    reported = {each.name for each in seen.plan.objectives if each.action is Action.REPORT} if seen.plan else set()
    for unknown in seen.look.readings[-1].unknown:
        if unknown.objective not in reported:
            return Problem(unknown.reason, unknown.message)
    if compares and not any(count > 0 for reading in seen.look.readings for count in reading.completions.values()):
        return _nothing_counted(seen)
    return None


def _nothing_counted(seen: Observation) -> Problem:
    """A gateway that is scraped, and none of whose series is this route's: it reads like a route without traffic.

    The two cannot be told apart, so neither may begin: a candidate that fails would not be seen to fail.
    """
    since, until = seen.look.readings[0].start, seen.look.readings[-1].end
    return Problem(
        Reason.NO_DATA,
        f"no request of this route was counted in {duration(until - since)}: send it traffic; if it has some, the"
        " gateway's series are not found: does Traefik have addServicesLabels, and does the scrape keep its service"
        " label (honorLabels, or serviceLabel in the operator's configuration)?",
    )
