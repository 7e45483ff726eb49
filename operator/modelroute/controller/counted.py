"""What the operator asks of others, counted: calls to the API server, queries to Prometheus, events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from modelroute.cluster.client import Configuration, Json, Kind, Objects
from modelroute.controller import families
from modelroute.controller.ports import Announcer
from modelroute.controller.telemetry import Telemetry, word_for
from modelroute.errors import ModelRouteError
from modelroute.metrics.prometheus import QueryWarning
from modelroute.metrics.sampler import SampleStore
from modelroute.metrics.scrapes import Series
from modelroute.rollout.decision import Announcement

Clock = Callable[[], float]
Answer = TypeVar("Answer")


class CountedObjects(Objects):
    """`Objects` that tells of every call."""

    def __init__(
        self,
        into: Configuration,
        telemetry: Telemetry,
        *,
        may_write: Callable[[], bool] = lambda: True,
        monotonic: Clock = time.monotonic,
    ) -> None:
        super().__init__(into, may_write=may_write)
        self._telemetry = telemetry
        self._monotonic = monotonic

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        with self._counted("get", kind):
            return await super().get(kind, namespace, name)

    async def list(self, kind: Kind, namespace: str, *, labels: str) -> list[Json]:
        with self._counted("list", kind):
            return await super().list(kind, namespace, labels=labels)

    async def names(self, kind: Kind, namespace: str = "") -> Sequence[tuple[str, str]]:
        with self._counted("list", kind):
            return await super().names(kind, namespace)

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        with self._counted("create", kind):
            return await super().create(kind, namespace, body)

    async def replace_status(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        with self._counted("update_status", kind):
            return await super().replace_status(kind, namespace, name, body)

    async def apply(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        with self._counted("apply", kind):
            return await super().apply(kind, namespace, name, body)

    async def json_patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Json]) -> Json:
        with self._counted("patch", kind):
            return await super().json_patch(kind, namespace, name, operations)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        with self._counted("delete", kind):
            await super().delete(kind, namespace, name, uid=uid, version=version)

    @contextmanager
    def _counted(self, verb: str, kind: Kind) -> Iterator[None]:
        began, outcome = self._monotonic(), "unforeseen"
        try:
            yield
            outcome = "ok"
        except ModelRouteError as error:
            outcome = word_for(error)
            raise
        finally:
            self._telemetry.counter(families.API_REQUESTS, verb, kind.plural, outcome).inc()
            self._telemetry.histogram(families.API_DURATION, verb).observe(self._monotonic() - began)


class CountedSamples:
    """A `SampleStore` that tells of every query. Called from the threads that the queries run in."""

    def __init__(
        self, store: SampleStore, server: str, telemetry: Telemetry, *, monotonic: Clock = time.monotonic
    ) -> None:
        self._store = store
        self._server = server
        self._telemetry = telemetry
        self._monotonic = monotonic

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        return self._counted(lambda: self._store.samples(expression, at))

    def server_time(self) -> float:
        return self._counted(self._store.server_time)

    def _counted(self, ask: Callable[[], Answer]) -> Answer:
        began, outcome = self._monotonic(), "unavailable"
        try:
            found = ask()
            outcome = "ok"
        except QueryWarning:
            outcome = "warning"
            raise
        finally:
            self._telemetry.counter(families.QUERIES, self._server, outcome).inc()
            self._telemetry.histogram(families.QUERY_DURATION, self._server).observe(self._monotonic() - began)
        return found


class CountedEvents:
    """An `Announcer` that tells of every event."""

    def __init__(self, announcer: Announcer, telemetry: Telemetry) -> None:
        self._announcer = announcer
        self._telemetry = telemetry

    async def announce(self, about: Json, said: Announcement, *, now: float) -> None:
        outcome = "failed"
        try:
            await self._announcer.announce(about, said, now=now)
            outcome = "written"
        finally:
            self._telemetry.counter(families.EVENTS, said.reason.value, outcome).inc()
