"""Every metric of the operator, once: its name, its labels and a sentence. docs/metrics.md is made from this list.

A label that names a ModelRoute's namespace is called `route_namespace`, because Prometheus puts a label `namespace`
of its own on whatever it scrapes from a pod, and renames ours where both are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FamilyKind(StrEnum):
    """What Prometheus calls the type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `help` is a sentence with the unit; `name` has the suffixes that Prometheus' conventions ask for."""

    name: str
    kind: FamilyKind
    labels: tuple[str, ...]
    help: str
    buckets_s: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which its samples can be asked for."""
        if self.kind is FamilyKind.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


ROUTE: Final = ("route_namespace", "route")
PAIR: Final = (*ROUTE, "objective", "candidate")

_GAUGE, _COUNTER, _HISTOGRAM = FamilyKind.GAUGE, FamilyKind.COUNTER, FamilyKind.HISTOGRAM

# One ModelRoute: what the status says that was last written.

SPLIT_LIVE = Family(
    "modelroute_split_live_ratio",
    _GAUGE,
    (*ROUTE, "arm"),
    "The arm's share of the traffic that every parent Gateway last reported accepted, 0 to 1.",
)
SPLIT_WANTED = Family(
    "modelroute_split_wanted_ratio", _GAUGE, (*ROUTE, "arm"), "The arm's share of the traffic that is wanted, 0 to 1."
)
PHASE = Family("modelroute_phase", _GAUGE, (*ROUTE, "phase"), "1 for the phase that the ModelRoute is in.")
REASON = Family(
    "modelroute_reason", _GAUGE, (*ROUTE, "reason"), "1 for the reason of the phase; docs/reasons.md explains each."
)
CONDITION = Family(
    "modelroute_condition", _GAUGE, (*ROUTE, "type"), "A condition of the status: 1 True, 0 False, -1 Unknown."
)
CONTENDED = Family(
    "modelroute_contended",
    _GAUGE,
    ROUTE,
    "1 while somebody else keeps changing the weights and they are not restored, else 0.",
)
ATTEMPT = Family("modelroute_attempt", _GAUGE, ROUTE, "Number of the current or last attempt, 0 before the first.")
ATTEMPTS_FINISHED = Family(
    "modelroute_attempts_finished_total",
    _COUNTER,
    (*ROUTE, "outcome"),
    "Attempts that ended while this operator looked on: Promoted, RolledBack, Superseded or Aborted.",
)
GUARD_BREACHES = Family(
    "modelroute_guard_breaches_total",
    _COUNTER,
    ROUTE,
    "Times that the guard found an objective broken after the promotion and only reported it (GuardBreached).",
)
ROLLBACK = Family(
    "modelroute_rollback_info",
    _GAUGE,
    (*ROUTE, "reason", "objective", "candidate"),
    "1 while the ModelRoute is RollingBack or RolledBack, with what decided it; objective and candidate may be empty.",
)

# While an attempt is under way.

STEP = Family("modelroute_step", _GAUGE, ROUTE, "The step that the attempt is at, from 1. Only while one is under way.")
STEPS = Family("modelroute_steps", _GAUGE, ROUTE, "How many steps the attempt has. Only while one is under way.")
PROGRESS = Family(
    "modelroute_progress_ratio",
    _GAUGE,
    ROUTE,
    "How far of the way from the stable to the wanted split is asked for, 0 to 1; 0 while it goes back."
    " Only while an attempt is under way.",
)
ATTEMPT_STARTED = Family(
    "modelroute_attempt_started_timestamp_seconds",
    _GAUGE,
    ROUTE,
    "When the attempt began, in unix seconds. Only while one is under way.",
)
STEP_STARTED = Family(
    "modelroute_step_started_timestamp_seconds",
    _GAUGE,
    ROUTE,
    "When the step's split, or the way back, was decided, in unix seconds. Only while an attempt is under way.",
)
DEADLINE = Family(
    "modelroute_deadline_timestamp_seconds",
    _GAUGE,
    ROUTE,
    "When progressDeadline passes, in unix seconds. Absent while its clock stands still.",
)
EVIDENCE_UNTIL = Family(
    "modelroute_evidence_timestamp_seconds",
    _GAUGE,
    ROUTE,
    "The end of the last window that was looked at, in unix seconds. Only while an attempt progresses and its split is"
    " live; time() minus it is the lag of the evidence.",
)
VERDICT = Family(
    "modelroute_verdict",
    _GAUGE,
    (*ROUTE, "verdict"),
    "1 for what the evidence shows over all objectives. Only while an attempt is under way.",
)
EVIDENCE_ROLLBACK = Family(
    "modelroute_evidence_rollback_ratio",
    _GAUGE,
    ROUTE,
    "The log e-value of harm over all RollBack objectives, as a share of the limit at which the attempt goes back (1)."
    " Below 0 it leans to no harm, and is cut at -1.",
)
EVIDENCE_PAUSE = Family(
    "modelroute_evidence_pause_ratio",
    _GAUGE,
    ROUTE,
    "The same over all Pause objectives, at whose limit (1) the attempt holds. Absent where there are none.",
)
EVIDENCE_HARM = Family(
    "modelroute_evidence_harm_ratio",
    _GAUGE,
    PAIR,
    "What one objective and candidate add to it: their log e-value of harm, after sharing, over the limit; cut at -1.",
)
EVIDENCE_SAFE = Family(
    "modelroute_evidence_safe_ratio",
    _GAUGE,
    PAIR,
    "Their log e-value of safety since the gate began, over the limit at which a ProvenSafe step takes it for proven"
    " (1); cut at -1. Absent where there is nothing to prove it by.",
)
BAD = Family(
    "modelroute_objective_bad_ratio",
    _GAUGE,
    (*ROUTE, "objective", "arm"),
    "Bad requests of all that were counted of the arm in this attempt, 0 to 1. Absent before the first one.",
)
COUNTED = Family(
    "modelroute_objective_requests",
    _GAUGE,
    (*ROUTE, "objective", "arm"),
    "Requests of the arm that were counted for the objective in this attempt.",
)

AMOUNT = Family(
    "modelroute_objective_amount_per_request",
    _GAUGE,
    (*ROUTE, "objective", "arm", "unit"),
    "What a request of the arm took on average in this attempt, in tokens or in the currency of the prices."
    " Absent before the first one, and where a model has no price.",
)

# The operator itself.

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

BUILD = Family("modelroute_build_info", _GAUGE, ("version",), "1, with the version of the operator.")
LEADING = Family(
    "modelroute_leading",
    _GAUGE,
    (),
    "1 while this process holds the Lease, or works without one (leader election is off); 0 while it only stands by.",
)
TICKS = Family(
    "modelroute_ticks_total",
    _COUNTER,
    ("outcome",),
    "Looks at a ModelRoute: ok, gone, conflict, unavailable, invalid, or unforeseen where it failed otherwise.",
)
TICK_DURATION = Family(
    "modelroute_tick_duration_seconds",
    _HISTOGRAM,
    (),
    "How long a look took, from reading to the last event.",
    _SECONDS,
)
TICK_LAG = Family(
    "modelroute_tick_lag_seconds",
    _HISTOGRAM,
    (),
    "How late a look began that nobody had asked for sooner.",
    (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0),
)
TICKS_OVERDUE = Family(
    "modelroute_ticks_overdue",
    _GAUGE,
    (),
    "ModelRoutes of which no look went well for three times as long as it should have taken until the next.",
)
API_REQUESTS = Family(
    "modelroute_api_requests_total",
    _COUNTER,
    ("verb", "resource", "outcome"),
    "Calls to the API server, without kopf's watches: ok, conflict, invalid or unavailable.",
)
API_DURATION = Family(
    "modelroute_api_request_duration_seconds",
    _HISTOGRAM,
    ("verb",),
    "How long the API server took to answer.",
    _SECONDS,
)
QUERIES = Family(
    "modelroute_prometheus_queries_total",
    _COUNTER,
    ("server", "outcome"),
    "Queries to a Prometheus server: ok, warning or unavailable.",
)
QUERY_DURATION = Family(
    "modelroute_prometheus_query_duration_seconds",
    _HISTOGRAM,
    ("server",),
    "How long a Prometheus server took to answer.",
    _SECONDS,
)
EVENTS = Family(
    "modelroute_events_total", _COUNTER, ("reason", "outcome"), "Events about ModelRoutes: written or failed."
)
NOTIFICATIONS = Family(
    "modelroute_notifications_total",
    _COUNTER,
    ("target", "outcome"),
    "Notifications: sent, failed for good, or dropped because the queue was full.",
)
NOTIFICATIONS_QUEUED = Family(
    "modelroute_notifications_queued", _GAUGE, ("target",), "Notifications that wait, with the one that is being sent."
)

OF_ROUTES: Final = (
    SPLIT_LIVE,
    SPLIT_WANTED,
    PHASE,
    REASON,
    CONDITION,
    CONTENDED,
    ATTEMPT,
    ATTEMPTS_FINISHED,
    GUARD_BREACHES,
    ROLLBACK,
)
OF_ATTEMPTS: Final = (
    STEP,
    STEPS,
    PROGRESS,
    ATTEMPT_STARTED,
    STEP_STARTED,
    DEADLINE,
    EVIDENCE_UNTIL,
    VERDICT,
    EVIDENCE_ROLLBACK,
    EVIDENCE_PAUSE,
    EVIDENCE_HARM,
    EVIDENCE_SAFE,
    BAD,
    COUNTED,
    AMOUNT,
)
OF_THE_OPERATOR: Final = (
    BUILD,
    LEADING,
    TICKS,
    TICK_DURATION,
    TICK_LAG,
    TICKS_OVERDUE,
    API_REQUESTS,
    API_DURATION,
    QUERIES,
    QUERY_DURATION,
    EVENTS,
    NOTIFICATIONS,
    NOTIFICATIONS_QUEUED,
)
FAMILIES: Final = (*OF_ROUTES, *OF_ATTEMPTS, *OF_THE_OPERATOR)
