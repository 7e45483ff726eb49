"""One attempt, frozen: the spec of a ModelRollout, which the operator alone writes, once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelroute.api.fields import LabelName, ObjectName
from modelroute.api.objectives import Objective
from modelroute.api.routing import BackendRef, RouteRef, Tier
from modelroute.api.schema import LIST_ATOMIC, Cel, Wire, list_map, rules
from modelroute.api.steps import Guard, Metrics, OnDeadline, Step

ArmName = Annotated[str, Field(min_length=1, max_length=128)]


class Arm(Wire):
    """One destination of the traffic: a model, or one version of a model."""

    name: ArmName = Field(description="Name of the arm, unique in the attempt.")
    model: LabelName = Field(description="Name of the model that the arm is a version of.")
    tier: Tier = Field(description="Tier of the model.")
    backend_ref: BackendRef = Field(description="Where the arm answers.")


class Share(Wire):
    """One arm's share of a split."""

    arm: ArmName = Field(description="Name of the arm.")
    weight: Annotated[int, Field(ge=0, le=10_000)] = Field(description="Share of the traffic in units of 0.01 %.")


Split = Annotated[
    list[Share],
    Field(min_length=1, max_length=16),
    list_map("arm"),
    Cel("self.map(s, s.weight).sum() == 10000", "the weights of a split must sum to 10000"),
]


class Comparison(Wire):
    """Which arm is tested, and against which."""

    candidate: ArmName = Field(description="Name of the arm that gains traffic and is tested.")
    reference: ArmName | None = Field(
        None, description="Name of the arm that it is compared with; not set where it is held to max only."
    )


class HistogramBoundaries(Wire):
    """Where the gateway's histogram can be read for one LatencyAbove objective."""

    objective: LabelName = Field(description="Name of the objective.")
    seconds: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=64), LIST_ATOMIC] = Field(
        description="Boundaries at and above the threshold; the first one stands for the threshold."
    )


class ModelRolloutSpec(Wire):
    """One attempt at moving a ModelRoute from one split to another; the operator writes it, and nobody
    changes it.
    """

    model_config = rules(
        Cel(
            "self == oldSelf",
            "a ModelRollout records one attempt and cannot be changed: change the ModelRoute instead",
        ),
        Cel(
            "self.from.all(s, self.arms.exists(a, a.name == s.arm)) && self.to.all(s, self.arms.exists(a, "
            "a.name == s.arm))",
            "from and to may name arms of spec.arms only",
        ),
    )

    model_route: ObjectName = Field(description="Name of the ModelRoute in the same namespace.")
    revision: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Hash of the arms, weights and objectives that were wanted."
    )
    route_ref: RouteRef | None = Field(
        None, description="Rule of the user's own HTTPRoute that the attempt moves; not set for the operator's own."
    )
    attempt: Annotated[int, Field(ge=1)] = Field(
        description="Number of the attempt, counted over the life of the ModelRoute."
    )
    trigger: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="What started the attempt, for example FirstApply, SpecChanged or Retry."
    )
    engine_version: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Version of the statistics that the attempt was started with."
    )
    arms: Annotated[list[Arm], Field(min_length=1, max_length=16), list_map("name")] = Field(
        description="Every arm that has traffic before, during or after the attempt."
    )
    from_: Split = Field(alias="from", description="Split that the attempt starts from and goes back to.")
    to: Split = Field(description="Split that the attempt moves to.")
    comparisons: Annotated[list[Comparison], Field(max_length=16), list_map("candidate")] = Field(
        default_factory=list, description="Which arms are tested, and against which."
    )
    objectives: Annotated[list[Objective], Field(min_length=1, max_length=16), list_map("name")] = Field(
        description="What every candidate is held to, as it stood when the attempt started."
    )
    boundaries: Annotated[list[HistogramBoundaries], Field(max_length=16), list_map("objective")] = Field(
        default_factory=list, description="Histogram boundaries of the latency objectives, as they were at the start."
    )
    steps: Annotated[list[Step], Field(min_length=1, max_length=20), LIST_ATOMIC] = Field(
        description="The stops on the way, as they stood when the attempt started."
    )
    false_rollback_rate: Annotated[str, Field(max_length=12)] = Field(
        description="Chance that this attempt is rolled back by mistake, for example 5%."
    )
    false_safe_rate: Annotated[str, Field(max_length=12)] = Field(
        description="Chance that one ProvenSafe step passes a candidate that is worse than allowed, for example 5%."
    )
    progress_deadline: Annotated[str, Field(max_length=28)] = Field(
        description="How long the attempt may take, for example 24h."
    )
    on_deadline: OnDeadline = Field(OnDeadline.HOLD, description="What happens at the deadline: Hold or RollBack.")
    window_seconds: Annotated[float, Field(gt=0)] = Field(
        description="Length of the windows that the evidence is cut into, in seconds."
    )
    settle_min_seconds: Annotated[float, Field(ge=0)] = Field(
        description="How long a new split settles at least before its evidence counts, in seconds."
    )
    judge_delay_seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="How long after an answer its verdict is counted at the latest, where there is a judge."
    )
    overdispersion: Annotated[float, Field(ge=1)] = Field(
        1.0, description="Largest number of requests that the gateway assigns together."
    )
    checks_split: bool = Field(
        False, description="Whether each candidate's share of the completions is tested against its asked share."
    )
    guard: Guard | None = Field(None, description="What watches the split after the promotion.")
    metrics: Metrics = Field(description="Where the evidence comes from.")
