"""The shape of comparison.yaml; its sense is checked in `convert`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelroute.api.routing import Tier

_Name = Annotated[str, Field(min_length=1, max_length=63)]


class Edge(BaseModel):
    """camelCase outside, nothing unknown let pass, no number taken for a text."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, frozen=True, extra="forbid", allow_inf_nan=False
    )


class PriceFields(Edge):
    """Either both prices of a million tokens, or a price per request."""

    input_per_million_tokens: str | None = None
    output_per_million_tokens: str | None = None
    per_request: str | None = None
    currency: str | None = None


class HostingFields(Edge):
    """What running the model costs whether or not it is used."""

    per_month: str
    currency: str | None = None


class Named(Edge):
    """What has a name of its own."""

    name: _Name


class ModelFields(Named):
    """One alternative."""

    served_name: str | None = None
    endpoint: str | None = None
    api_key_env: str | None = None
    tier: Tier | None = None
    price: PriceFields | None = None
    hosting: HostingFields | None = None


class SuiteFields(Named):
    """One that comes with modelroute, by name, or one's own with a path beside comparison.yaml."""

    path: str | None = None
    limit: Annotated[int, Field(ge=1, strict=True)] | None = None


class CriterionFields(Edge):
    """A column of the decision matrix."""

    name: str
    weight: Annotated[float, Field(ge=0, le=1e6)]
    worst: Any
    target: Any


class VolumeFields(Edge):
    """How much the model will be asked."""

    requests_per_day: Annotated[float, Field(gt=0, le=1e12)]


class ErrorFields(Edge):
    """What a wrong answer leads to. Either `escalationRate` (share of wrong answers that are escalated), or what was
    seen before: when errors rose by `errorsRise`, escalations rose by `escalationsRise` (`5pp` of all requests, or `5%`
    of `baseEscalationRate`).
    """

    cost_per_escalation: str
    escalation_rate: str | None = None
    errors_rise: str | None = None
    escalations_rise: str | None = None
    base_escalation_rate: str | None = None


class OverheadFields(Edge):
    """What a change from the baseline costs beside the model's price."""

    per_month: str = "0"
    once: str = "0"


class MarginFields(Edge):
    """How much less accurate than the baseline is still good enough."""

    margin: str


class JudgeFields(Edge):
    """The model that scores where a score needs a reader."""

    endpoint: str
    served_name: str
    api_key_env: str | None = None
    price: PriceFields | None = None


class EvaluationFields(Edge):
    """How the suites are run."""

    concurrency: Annotated[int, Field(ge=1, le=256, strict=True)] = 4
    timeout: str = "60s"
    max_cost: str | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 512
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    judge: JudgeFields | None = None


class ComparisonFields(Edge):
    """The whole file."""

    api_version: Literal["modelroute.dev/compare/v1"]
    name: _Name
    currency: str = "USD"
    models: Annotated[list[ModelFields], Field(min_length=2, max_length=16)]
    suites: Annotated[list[SuiteFields], Field(min_length=1, max_length=64)]
    constraints: list[str] = Field(default_factory=list)
    criteria: Annotated[list[CriterionFields], Field(min_length=1, max_length=16)]
    baseline: str | None = None
    volume: VolumeFields | None = None
    errors: ErrorFields | None = None
    overheads: OverheadFields | None = None
    non_inferiority: MarginFields | None = None
    confidence: str = "95%"
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 1
    evaluation: EvaluationFields = Field(default_factory=EvaluationFields)
