"""The API server as `modelroute`'s commands see it, over the world of the ticks: statuses are the operator's own."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from typing import Any

from click.testing import CliRunner, Result
from tests.fakes import NAME, NAMESPACE, World

from modelroute.api.fields import format_instant
from modelroute.api.resources import ModelRollout, ModelRoute, Resource
from modelroute.cli.main import cli
from modelroute.cli.session import Session
from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker
from modelroute.errors import Conflict, Unavailable

WIDTH = 120
"""Of the terminal."""


@dataclass(slots=True)
class FakeCluster:
    """What `Reader` does, in memory. `meanwhile` is called before each annotation is written, once each."""

    world: World
    namespace: str = NAMESPACE
    events_problem: Exception | None = None
    problem: Exception | None = None
    meanwhile: list[Any] = field(default_factory=list)

    def route(self, namespace: str, name: str) -> Json | None:
        return self._get("modelroutes", namespace, name)

    def rollout(self, namespace: str, name: str) -> Json | None:
        return self._get("modelrollouts", namespace, name)

    def routes(self, namespace: str) -> list[Json]:
        return self._all("modelroutes", namespace)

    def rollouts(self, namespace: str, route: str) -> list[Json]:
        found = self._all("modelrollouts", namespace)
        return [each for each in found if each["metadata"]["labels"]["modelroute.dev/route"] == route]

    def events(self, namespace: str, name: str, uid: str) -> list[Json]:
        if self.events_problem is not None:
            raise self.events_problem
        told = zip(self.world.events, self.world.told_at, strict=True)
        return [
            {
                "metadata": {"name": f"{name}.{at}"},
                "type": "Warning" if said.warning else "Normal",
                "reason": said.reason.value,
                "message": said.message,
                "eventTime": format_instant(at),
            }
            for said, at in told
        ]

    def table(self, namespace: str) -> Json:
        return self._table(ModelRoute, namespace)

    def rollout_table(self, namespace: str) -> Json:
        return self._table(ModelRollout, namespace)

    def namespaces(self) -> list[str]:
        if self.problem is not None:
            raise self.problem
        return sorted({namespace for _, namespace, _ in self.world.objects})

    def annotate(self, namespace: str, name: str, annotation: str, value: str, *, version: str) -> Json:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        body = self._get("modelroutes", namespace, name)
        assert body is not None
        if body["metadata"]["resourceVersion"] != version:
            raise Conflict("the object has been modified")
        metadata = {**body["metadata"], "annotations": {annotation: value}}
        return self.world.store("modelroutes", {**body, "metadata": metadata})

    def _table(self, of: type[Resource], namespace: str) -> Json:
        columns = [{"name": "Name", "priority": 0}]
        columns += [{"name": each.name, "priority": int(each.wide)} for each in of.COLUMNS]
        rows = []
        for found in self._all(of.PLURAL, namespace):
            cells = [found["metadata"]["name"], *(_cell(found, each.path) for each in of.COLUMNS)]
            rows.append({"cells": cells, "object": {"metadata": found["metadata"]}})
        return {"columnDefinitions": columns, "rows": rows}

    def _get(self, kind: str, namespace: str, name: str) -> Json | None:
        if self.problem is not None:
            raise self.problem
        return copy.deepcopy(self.world.objects.get((kind, namespace, name)))

    def _all(self, kind: str, namespace: str) -> list[Json]:
        if self.problem is not None:
            raise self.problem
        return [
            copy.deepcopy(each)
            for (of, where, _), each in self.world.objects.items()
            if of == kind and namespace in {"", where}
        ]


def _cell(route: Json, path: str) -> Any:
    found: Any = route
    for part in path.split(".")[1:]:
        found = (found or {}).get(part)
    return found


@dataclass(slots=True)
class Person:
    """Somebody at a terminal; while a command sleeps, the operator ticks, unless there is none (`ticker` None)."""

    world: World
    ticker: Ticker | None
    cluster: FakeCluster
    _due: float = 0.0

    @classmethod
    def at(cls, world: World, ticker: Ticker | None) -> Person:
        return cls(world, ticker, FakeCluster(world))

    def session(self) -> Session:
        return Session(self.cluster, self.cluster.namespace, lambda: self.world.now, self._sleep)

    def runs(self, *arguments: str) -> Result:
        """`modelroute …`, with the width of a wide terminal."""
        runner = CliRunner(env={"COLUMNS": str(WIDTH)})
        return runner.invoke(cli, arguments, obj=self.session(), prog_name="modelroute", catch_exceptions=True)

    def _sleep(self, seconds: float) -> None:
        self.world.now += seconds
        if self.ticker is not None:
            asyncio.run(self._tick(self.ticker))

    async def _tick(self, ticker: Ticker) -> None:
        # A change of the object wakes the operator at once; so every sleep is a tick.
        try:
            await ticker.tick(NAMESPACE, NAME)
        except (Conflict, Unavailable):
            return
