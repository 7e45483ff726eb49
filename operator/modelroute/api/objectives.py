"""What a candidate is held to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from modelroute.api.fields import (
    CoveragePercent,
    LabelName,
    MetricName,
    OpenPercent,
    PercentagePoints,
    PositiveDuration,
    Ratio,
)
from modelroute.api.schema import Cel, Wire, rules


class Metric(StrEnum):
    """What is counted: bad requests of all requests, or an amount per request."""

    SAFETY_VIOLATION_RATE = "SafetyViolationRate"
    ERROR_RATE = "ErrorRate"
    LATENCY_ABOVE = "LatencyAbove"
    CUSTOM = "Custom"
    COST_PER_REQUEST = "CostPerRequest"
    TOKENS_PER_REQUEST = "TokensPerRequest"


AMOUNTS: Final = frozenset({Metric.COST_PER_REQUEST, Metric.TOKENS_PER_REQUEST})
"""Averages of a request, not shares of requests: reported, and not tested."""


class OnBreach(StrEnum):
    """What a proven breach of an objective leads to during a rollout."""

    ROLL_BACK = "RollBack"
    PAUSE = "Pause"
    REPORT = "Report"


DEFAULT_MIN_COVERAGE: Final = "90%"
"""Of SafetyViolationRate. No default in the schema: it would stand on every other metric too, where it means
nothing.
"""

_LabelValue = Annotated[str, Field(max_length=253)]


class CounterRef(Wire):
    """A Prometheus counter and the labels that select its series."""

    metric: MetricName = Field(description="Name of a counter, for example answers_total.")
    labels: Annotated[
        dict[str, _LabelValue],
        Field(max_length=16),
        Cel(
            "self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && k != '__name__')",
            "a label's name must be letters, digits and underscores, for example app_version",
        ),
        Cel(
            "!('namespace' in self) || self['namespace'] == '$(namespace)'",
            "namespace is always the backend's own: leave it away, or write namespace: $(namespace)",
        ),
    ] = Field(
        default_factory=dict,
        description="Labels that must be equal; values may use $(arm), $(namespace) and $(backend), for "
        "example service: $(backend).",
    )


class Objective(Wire):
    """One thing that every candidate is held to, with the bound that counts as a breach."""

    model_config = rules(
        Cel(
            "has(self.max) || has(self.maxIncrease) || has(self.maxRatio) || self.metric in "
            "['CostPerRequest', 'TokensPerRequest']",
            "this objective has no bound: set max (for example 5%), maxIncrease (for example 0.5pp) or "
            'maxRatio (for example "1.2")',
        ),
        Cel(
            "!(has(self.maxIncrease) && has(self.maxRatio))",
            "maxIncrease and maxRatio exclude each other: keep the one that says what you mean, for example "
            'maxIncrease: 0.5pp (percentage points) or maxRatio: "1.2" (times the reference)',
            ".maxRatio",
        ),
        Cel(
            "self.metric == 'LatencyAbove' || !has(self.threshold)",
            "threshold means something for LatencyAbove only: remove it, or set metric: LatencyAbove",
            ".threshold",
        ),
        Cel(
            "self.metric != 'LatencyAbove' || has(self.threshold)",
            "LatencyAbove needs the duration above which an answer counts as slow, for example threshold: 2s",
            ".threshold",
        ),
        Cel(
            "self.metric == 'Custom' || !(has(self.bad) || has(self.total))",
            "bad and total mean something for Custom only: remove them, or set metric: Custom",
            ".bad",
        ),
        Cel(
            "self.metric != 'Custom' || (has(self.bad) && has(self.total))",
            "Custom needs two counters, bad and total, for example bad: {metric: wrong_answers_total} and "
            "total: {metric: answers_total}",
            ".bad",
        ),
        Cel(
            "self.metric == 'SafetyViolationRate' || !has(self.minCoverage)",
            "minCoverage means something for SafetyViolationRate only: remove it",
            ".minCoverage",
        ),
        Cel(
            "!(self.metric in ['CostPerRequest', 'TokensPerRequest']) || !(has(self.max) || has(self.maxIncrease))",
            "cost and tokens per request are amounts, not shares of requests: use maxRatio, for example "
            'maxRatio: "1.1", or no bound and onBreach: Report',
        ),
        Cel(
            "!(self.metric in ['CostPerRequest', 'TokensPerRequest']) || has(self.maxRatio) || "
            "self.onBreach == 'Report'",
            "without a bound there is nothing to breach: set onBreach: Report to only report it, or a "
            'bound, for example maxRatio: "1.1"',
            ".onBreach",
        ),
    )

    name: LabelName = Field(description="Name of the objective, unique, as messages and reports call it.")
    metric: Metric = Field(
        description="What is counted: SafetyViolationRate, ErrorRate, LatencyAbove, Custom (shares of "
        "requests), or CostPerRequest, TokensPerRequest (amounts, reported)."
    )
    max: OpenPercent | None = Field(
        None,
        description="Absolute bound, for example 0.5%; breached when the candidate is proven above it and "
        "above the reference in the same windows, or above it where the reference has no traffic.",
    )
    max_increase: PercentagePoints | None = Field(
        None,
        description="Allowed increase over the reference in percentage points, for example 0.2pp; excludes maxRatio.",
    )
    max_ratio: Ratio | None = Field(
        None,
        description='Allowed multiple of the reference\'s rate, quoted, for example "1.2"; excludes maxIncrease.',
    )
    threshold: PositiveDuration | None = Field(
        None,
        description="For LatencyAbove: the duration above which an answer counts as slow, for example 2s. "
        "maxIncrease and maxRatio hold at each longer boundary of the histogram, too.",
    )
    min_coverage: CoveragePercent | None = Field(
        None,
        description="For SafetyViolationRate: share of requests that must have been judged, below which "
        "there is no "
        f"verdict; {DEFAULT_MIN_COVERAGE} where it is not set.",
    )
    bad: CounterRef | None = Field(None, description="For Custom: the counter of bad requests.")
    total: CounterRef | None = Field(None, description="For Custom: the counter of all requests.")
    on_breach: OnBreach = Field(
        OnBreach.ROLL_BACK,
        description="What a proven breach leads to: RollBack, Pause (hold until a person resumes) or Report.",
    )

    @property
    def coverage_in_force(self) -> str | None:
        """`minCoverage` with its default; None where it means nothing."""
        if self.metric is Metric.SAFETY_VIOLATION_RATE:
            return self.min_coverage or DEFAULT_MIN_COVERAGE
        return None
