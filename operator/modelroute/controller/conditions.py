"""From a decision to conditions as kstatus reads them: never Reconciling and Stalled at once."""

from __future__ import annotations

from typing import Final, assert_never

from modelroute.api.conditions import Assessment
from modelroute.api.objectives import OnBreach
from modelroute.api.status import ConditionStatus, ConditionType
from modelroute.controller.live import is_ordered
from modelroute.controller.observe import Seen
from modelroute.rollout.attempt import Stage
from modelroute.rollout.decision import Decision, Phase
from modelroute.rollout.gates import CONTENDED
from modelroute.rollout.observation import Acceptance
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import words_of

_NOT_WRITTEN: Final = frozenset({Reason.ROUTE_NOT_WRITTEN, Reason.INVALID_SPEC})
"""What keeps an order from the route, which is then as it was."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def conditions_of(seen: Seen, decision: Decision, *, live: str) -> tuple[Assessment, ...]:
    """All six; MetricsAvailable stays as it was where nothing was due to be read. `live`: the live split in words."""
    metrics = _metrics_available(seen, decision)
    return (
        _accepted(seen, decision),
        _programmed(seen, decision),
        *((metrics,) if metrics is not None else ()),
        *_readiness(seen, decision, live),
    )


def _accepted(seen: Seen, decision: Decision) -> Assessment:
    if seen.observation.gateway.acceptance is Acceptance.FOREIGN or decision.reason is Reason.INVALID_SPEC:
        return Assessment(ConditionType.ACCEPTED, FALSE, decision.reason.value, decision.message)
    if seen.observation.problems:
        problem = seen.observation.problems[0]
        return Assessment(ConditionType.ACCEPTED, FALSE, problem.reason.value, problem.message)
    return Assessment(ConditionType.ACCEPTED, TRUE, Reason.ACCEPTED.value, "the spec can be carried out")


def _programmed(seen: Seen, decision: Decision) -> Assessment:
    gateway = seen.observation.gateway
    if gateway.contended:
        told = decision.lacking[0] if decision.reason is Reason.ROUTE_CONTENDED else CONTENDED
        return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.ROUTE_CONTENDED.value, told)
    match gateway.acceptance:
        case Acceptance.LIVE if is_ordered(seen, decision) and decision.reason not in _NOT_WRITTEN:
            # What they accepted is what they had when this tick read it.
            return Assessment(
                ConditionType.PROGRAMMED,
                UNKNOWN,
                Reason.WAITING_FOR_GATEWAY.value,
                f"another split is ordered: {gateway.not_yet}",
            )
        case Acceptance.LIVE:
            message = "every parent reports the route accepted and its references resolved"
            if seen.overlap:
                return Assessment(
                    ConditionType.PROGRAMMED, TRUE, Reason.ROUTE_OVERLAPS.value, f"{message}; {seen.overlap}"
                )
            return Assessment(ConditionType.PROGRAMMED, TRUE, Reason.PROGRAMMED.value, message)
        case Acceptance.REJECTED:
            return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.GATEWAY_REJECTED.value, gateway.message)
        case Acceptance.FOREIGN:
            return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.ROUTE_NOT_OURS.value, gateway.message)
        case Acceptance.WAITING | Acceptance.ABSENT:
            message = gateway.message or "there is no route yet"
            return Assessment(ConditionType.PROGRAMMED, UNKNOWN, Reason.WAITING_FOR_GATEWAY.value, message)


def _metrics_available(seen: Seen, decision: Decision) -> Assessment | None:
    look = seen.observation.look
    if decision.reason is Reason.NO_DATA and decision.lacking:
        # Also where every window was read, and nothing of this route was found in any of them.
        return Assessment(ConditionType.METRICS_AVAILABLE, FALSE, decision.reason.value, decision.lacking[0])
    if look.problem is not None:
        return Assessment(ConditionType.METRICS_AVAILABLE, FALSE, look.problem.reason.value, look.problem.message)
    if not look.readings:
        if any(each.type == ConditionType.METRICS_AVAILABLE for each in seen.route.status.conditions or ()):
            return None
        return Assessment(
            ConditionType.METRICS_AVAILABLE,
            UNKNOWN,
            Reason.NO_DATA.value,
            "nothing was read in the last look",
        )
    reported = {each.name for each in seen.objectives if each.on_breach is OnBreach.REPORT}
    unknown = look.readings[-1].unknown
    deciding = next((each for each in unknown if each.objective not in reported), None)
    if deciding is not None:
        return Assessment(ConditionType.METRICS_AVAILABLE, FALSE, deciding.reason.value, deciding.message)
    message = "the last window could be counted for every objective"
    if unknown:
        # It holds nothing up, so that it is no lack of evidence.
        message += f" that decides, and not for {unknown[0].objective}, which is reported: {unknown[0].message}"
    return Assessment(ConditionType.METRICS_AVAILABLE, TRUE, Reason.EVIDENCE_CURRENT.value, message)


def _readiness(seen: Seen, decision: Decision, live: str) -> tuple[Assessment, ...]:
    """Three answers to three questions, each in its own words: is it as wanted, is it on its way, is it stuck?"""
    reason = decision.reason.value
    if decision.phase is Phase.STABLE:
        ready, reconciling, stalled = TRUE, FALSE, FALSE
        told = f"wanted and live: {live or 'not reported yet'}", "nothing is to be changed", "nothing is stuck"
    elif decision.stalled:
        ready, reconciling, stalled = FALSE, FALSE, TRUE
        told = _not_as_wanted(seen, live), "it does not go on by itself", _awaits(decision)
    else:
        first = not seen.route.status.conditions
        ready, reconciling, stalled = (UNKNOWN if first else FALSE), TRUE, FALSE
        told = _not_as_wanted(seen, live), _awaits(decision), "what it waits for stands in Reconciling"
    kinds = (ConditionType.READY, ready), (ConditionType.RECONCILING, reconciling), (ConditionType.STALLED, stalled)
    return tuple(Assessment(kind, status, reason, words) for (kind, status), words in zip(kinds, told, strict=True))


def _not_as_wanted(seen: Seen, live: str) -> str:
    plan = seen.observation.plan
    wanted = words_of(plan.split) if plan is not None else "cannot be read from the spec"
    return f"wanted: {wanted}; live: {live or 'nothing reported yet'}"


def _awaits(decision: Decision) -> str:
    """In a step it is what the step lacks first; else the whole story, with what a person can do.

    Not where a record comes along: that of a promotion does whenever its guard has something to write down.
    """
    return _under_way(decision) if decision.under_way and decision.lacking else decision.message


def _under_way(decision: Decision) -> str:
    """What is waited for first, and how much else there is."""
    if not decision.lacking:
        return decision.message
    first, *others = decision.lacking
    more = f" (and {len(others)} more)" if others else ""
    return f"{_where(decision)}{first}{more}"


def _where(decision: Decision) -> str:
    record = decision.record
    if record is None:
        return ""
    match record.progress.stage:
        case Stage.PROGRESSING:
            return f"step {record.progress.step + 1}/{len(record.attempt.steps)} waits: "
        case Stage.ROLLING_BACK:
            return "the way back waits: "
        case Stage.PROMOTED | Stage.ROLLED_BACK | Stage.SUPERSEDED | Stage.ABORTED:
            return ""
        case other:
            assert_never(other)
