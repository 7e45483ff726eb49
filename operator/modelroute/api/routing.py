"""Where the traffic enters, and the models that it is split between."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from modelroute.api.fields import Currency, LabelName, Money, ObjectName
from modelroute.api.schema import Cel, Wire, rules


class Tier(StrEnum):
    """How large a model is, which decides who is the reference where nobody says."""

    LARGE = "Large"
    SMALL = "Small"


class ParentRef(Wire):
    """A Gateway (or a listener of one) that the route attaches to, as in the Gateway API."""

    group: str = Field("gateway.networking.k8s.io", max_length=253, description="API group of the parent.")
    kind: str = Field("Gateway", min_length=1, max_length=63, description="Kind of the parent.")
    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: LabelName | None = Field(
        None, description="Namespace of the Gateway; the ModelRoute's own where it is not set."
    )
    section_name: ObjectName | None = Field(
        None, description="Name of one listener of the Gateway; all listeners where it is not set."
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port of the listeners to attach to; all ports where it is not set."
    )


class RouteRef(Wire):
    """One named rule of an HTTPRoute that the user keeps, whose weights the operator sets."""

    name: ObjectName = Field(
        description="Name of an HTTPRoute in the same namespace that carries the annotation "
        "modelroute.dev/adopt with the ModelRoute's name."
    )
    rule: ObjectName = Field(
        description="Name of the rule (spec.rules[].name of the HTTPRoute) that lists the models' backends."
    )


class BackendRef(Wire):
    """Where a model answers: a Service and its port."""

    model_config = rules(
        Cel(
            "self.group == '' && self.kind == 'Service'",
            "must be a Service: leave group and kind away; other kinds of backend are not supported yet",
            ".kind",
        ),
        Cel("has(self.port)", "a Service needs its port, for example port: 8000", ".port"),
    )

    group: str = Field("", max_length=253, description="API group of the backend; empty for a Service.")
    kind: str = Field("Service", min_length=1, max_length=63, description="Kind of the backend.")
    name: ObjectName = Field(description="Name of the Service.")
    namespace: LabelName | None = Field(
        None,
        description="Namespace of the Service, which needs a ReferenceGrant there; the ModelRoute's own "
        "where it is not set.",
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port of the Service, for example 8000."
    )


class Price(Wire):
    """What a model costs, for the reported cost per request."""

    input_per_million_tokens: Money = Field(
        description='Price of a million prompt tokens as a decimal string, for example "0.15".'
    )
    output_per_million_tokens: Money = Field(
        description='Price of a million generated tokens as a decimal string, for example "0.60".'
    )
    currency: Currency = Field("USD", description="Three-letter code of the currency, the same for all models.")


class Model(Wire):
    """One model that takes a share of the traffic."""

    name: LabelName = Field(
        description="Name of the model in this route, unique and kept across versions: a new version is a "
        "new backendRef under the same name."
    )
    tier: Tier = Field(
        description="Large or Small; the first Large model is the reference and the start of a first "
        "rollout unless spec.rollout names others."
    )
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        description="Wanted share of the traffic, relative to the other models' weights, for example 60 and 40."
    )
    backend_ref: BackendRef = Field(description="Where the model answers; no two models share one.")
    price: Price | None = Field(None, description="What the model costs; needed by CostPerRequest only.")


UNIQUE_BACKENDS: Final = Cel(
    "self.models.all(a, self.models.exists_one(b, a.backendRef.name == b.backendRef.name && "
    "(has(a.backendRef.__namespace__) ? a.backendRef.__namespace__ : '') == "
    "(has(b.backendRef.__namespace__) ? b.backendRef.__namespace__ : '') && (has(a.backendRef.port) ? "
    "a.backendRef.port : 0) == (has(b.backendRef.port) ? b.backendRef.port : 0)))",
    "two models have the same backendRef, so their requests could not be told apart: give each a Service of its own",
    ".models",
)
SOME_WEIGHT: Final = Cel(
    "self.models.exists(m, m.weight > 0)",
    "all weights are 0, so no model would get any traffic: set at least one above 0, for example 60 for "
    "large and 40 for small",
    ".models",
)
ONE_CURRENCY: Final = Cel(
    "self.models.all(a, !has(a.price) || self.models.all(b, !has(b.price) || a.price.currency == b.price.currency))",
    "prices are in several currencies and could not be compared: give all of them in one, for example USD",
    ".models",
)
