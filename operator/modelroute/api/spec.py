"""What a user asks for: the spec of a ModelRoute."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from modelroute.api.fields import Hostname
from modelroute.api.objectives import DEFAULT_MIN_COVERAGE, CounterRef, Metric, Objective, OnBreach
from modelroute.api.routing import (
    ONE_CURRENCY,
    SOME_WEIGHT,
    UNIQUE_BACKENDS,
    BackendRef,
    Model,
    ParentRef,
    Price,
    RouteRef,
    Tier,
)
from modelroute.api.schema import LIST_ATOMIC, LIST_SET, OPEN_OBJECT, Cel, Wire, default, list_map, rules
from modelroute.api.steps import (
    DEFAULT_STEPS,
    Guard,
    GuardOnBreach,
    Metrics,
    MetricsSource,
    OnDeadline,
    Require,
    Rollout,
    Step,
)

__all__ = [
    "DEFAULT_MIN_COVERAGE",
    "DEFAULT_STEPS",
    "BackendRef",
    "CounterRef",
    "Guard",
    "GuardOnBreach",
    "Metric",
    "Metrics",
    "MetricsSource",
    "Model",
    "ModelRouteSpec",
    "Objective",
    "OnBreach",
    "OnDeadline",
    "ParentRef",
    "Price",
    "Require",
    "Rollout",
    "RouteRef",
    "Step",
    "Tier",
]

PassedThrough = Annotated[dict[str, Any], OPEN_OBJECT]
"""A piece of the Gateway API, written to the route as it stands; the HTTPRoute's own schema checks it."""


def _not_with_route_ref(field: str) -> Cel:
    return Cel(
        f"!has(self.routeRef) || !has(self.{field})",
        f"{field} cannot be set beside routeRef, because the adopted route has its own: remove {field} here",
        f".{field}",
    )


_ONE_ENTRANCE: Final = Cel(
    "has(self.parentRefs) != has(self.routeRef)",
    "set exactly one of parentRefs (a route that modelroute makes, for example parentRefs: [{name: "
    "inference}]) and routeRef (a rule of a route that you keep, for example routeRef: {name: chat, rule: "
    "completions})",
)


def _names_a_model(field: str) -> Cel:
    advice = f"set {field} to the name of one of spec.models"
    return Cel(
        f"!has(self.rollout.{field}) || self.models.exists(m, m.name == self.rollout.{field})",
        advice,
        f".rollout.{field}",
        # Without the names that there are: joining them exceeds the cost budget.
        f'"no model is called \'" + self.rollout.{field} + "\': {advice}"',
    )


_SOME_LARGE: Final = Cel(
    "(has(self.rollout.reference) && has(self.rollout.initialModel)) || self.models.exists(m, m.tier == 'Large')",
    "no model has tier Large, so nothing says whom to compare with and where to start: give one model tier: "
    "Large, or set both rollout.reference and rollout.initialModel to a model's name",
    ".models",
)
_PROVABLE: Final = Cel(
    "self.rollout.steps.all(s, s.require != 'ProvenSafe') || self.objectives.exists(o, o.onBreach == "
    "'RollBack' && (has(o.maxIncrease) || has(o.maxRatio)))",
    "a step with require: ProvenSafe needs an objective with onBreach: RollBack and a margin to prove it "
    'by: set maxIncrease (for example 0.5pp) or maxRatio (for example "1.2") on one',
    ".objectives",
)
_ROOM_TO_PROVE: Final = Cel(
    "self.rollout.steps.all(s, s.require != 'ProvenSafe') || self.objectives.all(o, o.onBreach != "
    "'RollBack' || !has(o.maxRatio) || !o.maxRatio.matches(r'^1([.]0*)?$'))",
    'a maxRatio of exactly 1 leaves no margin, so ProvenSafe could never be shown: use, for example, maxRatio: "1.1"',
    ".objectives",
)
_REFERENCE_WEIGHT: Final = (
    "has(self.rollout.reference) ? self.models.exists(m, m.name == self.rollout.reference && m.weight > 0) "
    ": (!self.models.exists(m, m.tier == 'Large') || self.models.filter(m, m.tier == 'Large')[0].weight > 0)"
)
_REFERENCE_STAYS: Final = Cel(
    f"self.rollout.steps.all(s, s.progress < 100 || s.require != 'ProvenSafe') || ({_REFERENCE_WEIGHT})",
    "at progress 100 the reference would have no traffic left to compare with, so ProvenSafe could never be "
    "shown: require it at an earlier step, for example {progress: 50, require: ProvenSafe}",
    ".rollout.steps",
)
_PRICED: Final = Cel(
    "!self.objectives.exists(o, o.metric == 'CostPerRequest') || self.models.all(m, has(m.price))",
    "CostPerRequest needs the price of every model: set price on each, for example {inputPerMillionTokens: "
    '"0.15", outputPerMillionTokens: "0.60"}',
    ".models",
)


_SAME_ENTRANCE: Final = Cel(
    "has(self.routeRef) == has(oldSelf.routeRef)",
    "parentRefs and routeRef cannot take each other's place, because the live route would be left behind: make a new "
    "ModelRoute with the other one, then delete this one",
)


class ModelRouteSpec(Wire):
    """What a user asks for: models, their wanted shares, and what must hold on the way there."""

    model_config = rules(
        _ONE_ENTRANCE,
        _SAME_ENTRANCE,
        *(_not_with_route_ref(field) for field in ("hostnames", "matches", "filters", "timeouts")),
        SOME_WEIGHT,
        UNIQUE_BACKENDS,
        ONE_CURRENCY,
        _PRICED,
        _names_a_model("reference"),
        _names_a_model("initialModel"),
        _SOME_LARGE,
        _PROVABLE,
        _ROOM_TO_PROVE,
        _REFERENCE_STAYS,
    )

    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=32), LIST_ATOMIC] | None = Field(
        None, description="Gateways that the operator's own HTTPRoute attaches to; excludes routeRef."
    )
    route_ref: RouteRef | None = Field(
        None, description="A rule of your own HTTPRoute whose weights are set instead; excludes parentRefs."
    )
    hostnames: Annotated[list[Hostname], Field(max_length=16), LIST_SET] | None = Field(
        None, description="Host names that the route answers to, for example chat.example.com."
    )
    matches: Annotated[list[PassedThrough], Field(max_length=64), LIST_ATOMIC] | None = Field(
        None,
        description="Which requests the rule takes, as in HTTPRoute's spec.rules[].matches, whose schema checks it.",
    )
    filters: Annotated[list[PassedThrough], Field(max_length=16), LIST_ATOMIC] | None = Field(
        None,
        description="What is done to them, as in HTTPRoute's spec.rules[].filters, whose schema checks it.",
    )
    timeouts: Annotated[PassedThrough, Field(max_length=16)] | None = Field(
        None,
        description="How long they may take, as in HTTPRoute's spec.rules[].timeouts, whose schema checks it.",
    )
    models: Annotated[list[Model], Field(min_length=2, max_length=8), list_map("name")] = Field(
        description="The models that share the traffic, 2 to 8."
    )
    objectives: Annotated[list[Objective], Field(min_length=1, max_length=16), list_map("name")] = Field(
        description="What every candidate is held to, 1 to 16."
    )
    rollout: Rollout = Field(
        default_factory=Rollout,
        description="How traffic moves from the live split to the wanted one.",
        json_schema_extra=default({}),
    )
    guard: Guard = Field(
        default_factory=Guard,
        description="What watches the split after a promotion.",
        json_schema_extra=default({}),
    )
    metrics: Metrics = Field(
        default_factory=Metrics,
        description="Where the evidence comes from.",
        json_schema_extra=default({}),
    )
    paused: bool = Field(
        False, description="Whether to stop where the rollout is; a proven breach still rolls it back."
    )
    history_limit: Annotated[int, Field(ge=1, le=100)] = Field(
        10,
        description="How many finished ModelRollouts are kept as history, beside the one whose split is guarded.",
    )

    @property
    def reference_name(self) -> str:
        """`rollout.reference` with its default, the first Large model."""
        return self.rollout.reference or self._first_large()

    @property
    def initial_name(self) -> str:
        """`rollout.initialModel` with its default, the first Large model."""
        return self.rollout.initial_model or self._first_large()

    def _first_large(self) -> str:
        # The schema refuses a spec without a Large model that needs one; the first model is what remains
        # otherwise.
        return next((model.name for model in self.models if model.tier is Tier.LARGE), self.models[0].name)
