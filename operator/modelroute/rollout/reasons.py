"""Every reason, once: the same word in a condition, an event, a message and a metric's label.

A reason has one meaning. `docs/reasons.md` says for each what to do; a test keeps the two in step.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase as `metav1.Condition.reason` wants it."""

    # The spec.
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    NOT_IN_FORCE = "NotInForce"
    BACKEND_NOT_FOUND = "BackendNotFound"
    BACKEND_UNKNOWN = "BackendUnknown"
    NO_READY_ENDPOINTS = "NoReadyEndpoints"
    REF_NOT_PERMITTED = "RefNotPermitted"
    ROUTE_NOT_OURS = "RouteNotOurs"
    ROUTE_NOT_ADOPTABLE = "RouteNotAdoptable"
    ROLLOUT_NOT_WRITTEN = "RolloutNotWritten"
    RECORD_UNREADABLE = "RecordUnreadable"

    # The gateway.
    PROGRAMMED = "Programmed"
    WAITING_FOR_GATEWAY = "WaitingForGateway"
    ROUTE_NOT_WRITTEN = "RouteNotWritten"
    GATEWAY_REJECTED = "GatewayRejected"
    ROUTE_CONTENDED = "RouteContended"
    ROUTE_OVERLAPS = "RouteOverlaps"

    # Evidence.
    EVIDENCE_CURRENT = "EvidenceCurrent"
    PROMETHEUS_UNAVAILABLE = "PrometheusUnavailable"
    PROMETHEUS_NOT_CONFIGURED = "PrometheusNotConfigured"
    QUERY_WARNING = "QueryWarning"
    NO_DATA = "NoData"
    STALE_DATA = "StaleData"
    SCRAPE_GAP = "ScrapeGap"
    LATE_DATA = "LateData"
    NOT_A_NUMBER = "NotANumber"
    AMBIGUOUS_SERIES = "AmbiguousSeries"
    REPLICAS_DIFFER = "ReplicasDiffer"
    COUNTERS_DISAGREE = "CountersDisagree"
    HISTOGRAM_CHANGED = "HistogramChanged"
    JUDGE_SILENT = "JudgeSilent"
    LOW_COVERAGE = "LowCoverage"
    CLOCK_BEHIND = "ClockBehind"

    # The rollout.
    STABLE = "Stable"
    ROLLOUT_STARTED = "RolloutStarted"
    STEP_STARTED = "StepStarted"
    STEP_PASSED = "StepPassed"
    SETTLING = "Settling"
    COLLECTING_EVIDENCE = "CollectingEvidence"
    PROMOTED = "Promoted"
    PROVING_SAFETY = "ProvingSafety"
    SAMPLE_RATIO_MISMATCH = "SampleRatioMismatch"
    REFERENCE_BREACHES_TOO = "ReferenceBreachesToo"
    HARM_SUSPECTED = "HarmSuspected"
    HARM_DETECTED = "HarmDetected"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    SPEC_CHANGED = "SpecChanged"
    PAUSED = "Paused"
    AWAITING_APPROVAL = "AwaitingApproval"
    DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    ABORTED = "Aborted"
    ACTION_TAKEN = "ActionTaken"
    ACTION_REFUSED = "ActionRefused"
    GUARD_BREACHED = "GuardBreached"
    ROUTE_RESTORED = "RouteRestored"
