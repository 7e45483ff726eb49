"""From a decision to conditions as kstatus reads them: never Reconciling and Stalled at once."""

from __future__ import annotations

from modelroute.api.conditions import Assessment
from modelroute.api.status import ConditionStatus, ConditionType
from modelroute.controller.observe import Seen
from modelroute.rollout.decision import Decision, Phase
from modelroute.rollout.gates import CONTENDED
from modelroute.rollout.observation import Acceptance
from modelroute.rollout.reasons import Reason

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def conditions_of(seen: Seen, decision: Decision) -> tuple[Assessment, ...]:
    """All six; MetricsAvailable stays as it was where nothing was due to be read."""
    metrics = _metrics_available(seen)
    return (
        _accepted(seen, decision),
        _programmed(seen),
        *((metrics,) if metrics is not None else ()),
        *_readiness(seen, decision),
    )


def _accepted(seen: Seen, decision: Decision) -> Assessment:
    if seen.observation.gateway.acceptance is Acceptance.FOREIGN or decision.reason is Reason.INVALID_SPEC:
        return Assessment(ConditionType.ACCEPTED, FALSE, decision.reason.value, decision.message)
    if seen.observation.problems:
        problem = seen.observation.problems[0]
        return Assessment(ConditionType.ACCEPTED, FALSE, problem.reason.value, problem.message)
    return Assessment(ConditionType.ACCEPTED, TRUE, Reason.ACCEPTED.value, "the spec can be carried out")


def _programmed(seen: Seen) -> Assessment:
    gateway = seen.observation.gateway
    if gateway.contended:
        return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.ROUTE_CONTENDED.value, CONTENDED)
    match gateway.acceptance:
        case Acceptance.LIVE:
            message = "every parent reports the route accepted and its references resolved"
            return Assessment(ConditionType.PROGRAMMED, TRUE, Reason.PROGRAMMED.value, message)
        case Acceptance.REJECTED:
            return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.GATEWAY_REJECTED.value, gateway.message)
        case Acceptance.FOREIGN:
            return Assessment(ConditionType.PROGRAMMED, FALSE, Reason.ROUTE_NOT_OURS.value, gateway.message)
        case Acceptance.WAITING | Acceptance.ABSENT:
            message = gateway.message or "there is no route yet"
            return Assessment(ConditionType.PROGRAMMED, UNKNOWN, Reason.WAITING_FOR_GATEWAY.value, message)


def _metrics_available(seen: Seen) -> Assessment | None:
    look = seen.observation.look
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
    unknown = look.readings[-1].unknown
    if unknown:
        return Assessment(ConditionType.METRICS_AVAILABLE, FALSE, unknown[0].reason.value, unknown[0].message)
    message = "the last window could be counted for every objective"
    return Assessment(ConditionType.METRICS_AVAILABLE, TRUE, Reason.EVIDENCE_CURRENT.value, message)


def _readiness(seen: Seen, decision: Decision) -> tuple[Assessment, ...]:
    reason, message = decision.reason.value, decision.message
    if decision.phase is Phase.STABLE:
        ready, reconciling, stalled = TRUE, FALSE, FALSE
    elif decision.stalled:
        ready, reconciling, stalled = FALSE, FALSE, TRUE
    else:
        first = not seen.route.status.conditions
        ready, reconciling, stalled = (UNKNOWN if first else FALSE), TRUE, FALSE
    return (
        Assessment(ConditionType.READY, ready, reason, message),
        Assessment(ConditionType.RECONCILING, reconciling, reason, message),
        Assessment(ConditionType.STALLED, stalled, reason, message),
    )
