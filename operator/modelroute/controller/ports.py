"""What a tick needs of the world, in a few methods each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from modelroute.api.status import ModelRouteStatus
from modelroute.cluster.client import Json
from modelroute.controller.repeats import Repeats
from modelroute.controller.settings import Settings
from modelroute.controller.sightings import Sightings
from modelroute.controller.unwritten import Unwritten
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.contention import Contention
from modelroute.gateway.overlaps import Overlaps
from modelroute.gateway.routes import Routes
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.decision import Announcement, Decision
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.observation import Problem
from modelroute.rollout.split import Backend

if TYPE_CHECKING:
    from modelroute.controller.observe import Seen


class Stored(Protocol):
    """Objects of one kind on the API server; see `cluster.client.Objects` for the errors."""

    async def get(self, namespace: str, name: str) -> Json | None: ...

    async def list(self, namespace: str, *, labels: str) -> list[Json]: ...

    async def create(self, namespace: str, body: Json) -> Json: ...

    async def replace_status(self, namespace: str, name: str, body: Json) -> Json: ...

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json: ...

    async def delete(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None: ...


class BackendChecks(Protocol):
    async def closed(self, backends: Iterable[Backend], *, to: str) -> Mapping[Backend, Problem]: ...

    async def problem_with(self, backend: Backend, *, field: str) -> Problem | None: ...


class Announcer(Protocol):
    async def announce(self, about: Json, said: Announcement, *, now: float) -> None: ...


class Reader(Protocol):
    """One Prometheus server. Raises `Unavailable` where nothing could be read."""

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]: ...


class Witness(Protocol):
    """Hears of a status once it stands written. Raises nothing."""

    def report(self, seen: Seen, decision: Decision, status: ModelRouteStatus) -> None: ...


class Messenger(Protocol):
    """Takes along what happened to a ModelRoute, to whoever wants to hear of it. Raises nothing, waits for nobody."""

    def offer(self, seen: Seen, said: Announcement, *, stalled: bool, now: float) -> None: ...


class Nobody:
    """Where nobody wants to hear of anything."""

    def report(self, seen: Seen, decision: Decision, status: ModelRouteStatus) -> None:
        pass

    def offer(self, seen: Seen, said: Announcement, *, stalled: bool, now: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Ports:
    """All of it. `readers` by the name that the operator's configuration gives a Prometheus server."""

    model_routes: Stored
    model_rollouts: Stored
    routes: Routes
    adopted: AdoptedRoutes
    backends: BackendChecks
    events: Announcer
    readers: Mapping[str, Reader]
    settings: Settings
    contention: Contention = field(default_factory=Contention)
    sightings: Sightings = field(default_factory=Sightings)
    unwritten: Unwritten = field(default_factory=Unwritten)
    repeats: Repeats = field(default_factory=Repeats)
    overlaps: Overlaps = field(default_factory=Overlaps)
    telemetry: Witness = field(default_factory=Nobody)
    messenger: Messenger = field(default_factory=Nobody)
