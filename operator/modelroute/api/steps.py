"""How a rollout proceeds, what guards the split after it, and where the evidence comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from modelroute.api.fields import Deadline, Duration, ErrorRatePercent, LabelName
from modelroute.api.quantities import DURATION
from modelroute.api.schema import LIST_ATOMIC, Cel, Wire, default, rules


class Require(StrEnum):
    """What the evidence must show before a step is left."""

    NOT_HARMFUL = "NotHarmful"
    PROVEN_SAFE = "ProvenSafe"


class OnDeadline(StrEnum):
    """What happens when a rollout takes longer than its deadline."""

    HOLD = "Hold"
    ROLL_BACK = "RollBack"


class GuardOnBreach(StrEnum):
    """What a breach after promotion leads to."""

    REPORT = "Report"
    ROLL_BACK = "RollBack"


class MetricsSource(StrEnum):
    """Whose request counters are read."""

    TRAEFIK = "Traefik"
    ENVOY_GATEWAY = "EnvoyGateway"
    ISTIO = "Istio"
    CUSTOM = "Custom"


class Step(Wire):
    """One stop on the way from the live split to the wanted one; all its conditions must hold to leave it."""

    progress: Annotated[int, Field(ge=1, le=100)] = Field(
        description="How far of the way from the live to the wanted split, in percent; rises from step to step to 100."
    )
    min_duration: Duration = Field(
        "10m", description="How long the step lasts at least once it is live, for example 10m."
    )
    min_requests: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        100,
        description="How many requests each candidate must have answered in this step at least, and the model that it "
        "is compared with since the rollout began, while that has traffic.",
    )
    approval: bool = Field(False, description="Whether the step waits for a person after all else is met.")
    require: Require = Field(
        Require.NOT_HARMFUL,
        description="NotHarmful: no objective is shown to be breached; ProvenSafe: for every RollBack objective it "
        "is refuted that the candidate was worse than allowed all through this step.",
    )


DEFAULT_STEPS: Final = tuple(Step(progress=progress) for progress in (5, 25, 50, 100))


class Rollout(Wire):
    """How traffic moves from the live split to the wanted one."""

    # Rules here run on the schema's own default, `{}`, before nested defaults are filled in: has() before
    # every field.
    model_config = rules(
        Cel(
            f"!has(self.steps) || !has(self.progressDeadline) || "
            f"!self.progressDeadline.matches(r'{DURATION}')"
            f" || !self.steps.all(s, !has(s.minDuration) || s.minDuration.matches(r'{DURATION}'))"
            " || duration(self.progressDeadline) > self.steps.map(s, has(s.minDuration) ? "
            "duration(s.minDuration) : duration('0s')).sum()",
            "must be longer than the minDuration of all steps together, or no rollout could ever finish in "
            "time: for example 24h for four steps of 10m",
            ".progressDeadline",
        ),
    )

    reference: LabelName | None = Field(
        None,
        description="Name of the model that candidates are compared with; the first Large model where it is not set.",
    )
    initial_model: LabelName | None = Field(
        None,
        description="Name of the model that has all traffic when a first rollout starts; the first Large "
        "model where it is not set.",
    )
    steps: Annotated[
        list[Step],
        Field(min_length=1, max_length=20),
        LIST_ATOMIC,
        Cel(
            "self.size() == 0 || self[self.size() - 1].progress == 100",
            "the last step must have progress: 100, or the wanted split would never be reached: add a step "
            "{progress: 100}",
        ),
        Cel(
            "self.map(s, s.progress).isSorted() && self.all(a, self.exists_one(b, a.progress == b.progress))",
            "progress must rise from step to step, for example 5, 25, 50, 100",
        ),
    ] = Field(
        default_factory=lambda: list(DEFAULT_STEPS),
        description="The stops on the way to the wanted split, at most 20.",
        json_schema_extra=default([step.to_wire() for step in DEFAULT_STEPS]),
    )
    false_rollback_rate: ErrorRatePercent = Field(
        "5%",
        description="Chance that the evidence rolls back one attempt by mistake, over all its objectives, steps and "
        "looks. By mistake: in no window was the candidate worse than allowed, and it answered at least 0.9 of its "
        "share.",
    )
    false_safe_rate: ErrorRatePercent = Field(
        "5%",
        description="Chance that one ProvenSafe step passes a candidate that is worse than allowed in every window.",
    )
    progress_deadline: Deadline = Field(
        "24h",
        description="How long one attempt may take, for example 24h; the clock stops while it is paused or "
        "awaits approval.",
    )
    on_deadline: OnDeadline = Field(
        OnDeadline.HOLD,
        description="What happens at the deadline: Hold keeps the split as it is, RollBack goes back, whatever the "
        "evidence says: falseRollbackRate does not count it.",
    )


class Guard(Wire):
    """What watches the split after a promotion."""

    bake: Duration = Field(
        "1h", description="How long after a promotion a breach may still take it back, for example 1h."
    )
    on_breach: GuardOnBreach = Field(
        GuardOnBreach.REPORT,
        description="What a breach of an objective with max leads to: Report or RollBack.",
    )
    false_alarms_per_year: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How many false alarms a year are tolerated, over all the route's objectives."
    )


class Metrics(Wire):
    """Where the evidence comes from."""

    source: MetricsSource = Field(
        MetricsSource.TRAEFIK,
        description="Whose request counters are read: Traefik, EnvoyGateway, Istio or Custom.",
    )
    prometheus: LabelName = Field("default", description="Name of a Prometheus server in the operator's configuration.")
