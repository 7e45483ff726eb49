"""The two resources: their names, and an object of each as the API server gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import Field

from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.api.schema import Cel, Wire, rules
from modelroute.api.spec import ModelRouteSpec
from modelroute.api.status import ModelRouteStatus

GROUP: Final = "modelroute.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
ACTION_ANNOTATION: Final = f"{GROUP}/action"
ADOPT_ANNOTATION: Final = f"{GROUP}/adopt"


class ObjectMeta(Wire):
    """What the operator reads of an object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; `wide` ones need `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""


class ModelRoute(Wire):
    """Traffic of one LLM feature, split between models, and how it may move from one to another."""

    KIND: ClassVar[str] = "ModelRoute"
    PLURAL: ClassVar[str] = "modelroutes"
    SHORT: ClassVar[str] = "mroute"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Phase", ".status.phase"),
        Column("Step", ".status.step"),
        Column("Live", ".status.live"),
        Column("Verdict", ".status.verdict"),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        Column("Attempt", ".status.attempt", type="integer", wide=True),
        Column("Revision", ".status.revision", wide=True),
        Column("Message", ".status.message", wide=True),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    )

    model_config = rules(
        Cel(
            "self.metadata.name.size() <= 63",
            "metadata.name must be at most 63 characters, because it is also the value of a label: choose a "
            "shorter name, for example support-chat",
        )
    )

    api_version: str = API_VERSION
    kind: str = "ModelRoute"
    metadata: ObjectMeta
    spec: ModelRouteSpec = Field(description="What is wanted.")
    status: ModelRouteStatus = Field(default_factory=ModelRouteStatus, description="What is live, and why.")


class ModelRollout(Wire):
    """One attempt at moving a ModelRoute from one split to another; the operator writes it."""

    KIND: ClassVar[str] = "ModelRollout"
    PLURAL: ClassVar[str] = "modelrollouts"
    SHORT: ClassVar[str] = "mrollout"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Route", ".spec.modelRoute"),
        Column("Attempt", ".spec.attempt", type="integer"),
        Column("Move", ".status.move"),
        Column("Phase", ".status.phase"),
        Column("Reason", ".status.reason"),
        Column("Step", ".status.step", wide=True),
        Column("Live", ".status.live", wide=True),
        Column("Revision", ".spec.revision", wide=True),
        Column("Message", ".status.message", wide=True),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    )

    api_version: str = API_VERSION
    kind: str = "ModelRollout"
    metadata: ObjectMeta
    spec: ModelRolloutSpec = Field(description="The attempt, as it was started.")
    status: ModelRolloutStatus = Field(
        default_factory=ModelRolloutStatus, description="What it has seen and what came of it."
    )


Resource = ModelRoute | ModelRollout
RESOURCES: Final[tuple[type[Resource], ...]] = (ModelRoute, ModelRollout)


def identity(resource: type[Resource]) -> dict[str, Any]:
    """`apiVersion` and `kind` of a new object."""
    return {"apiVersion": API_VERSION, "kind": resource.KIND}
