"""Reading and writing the HTTPRoute: the gateway's one adapter."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

from modelroute.gateway.ownership import taking
from modelroute.gateway.render import Json, Template, render
from modelroute.rollout.decision import RouteOrder


class Store(Protocol):
    """What the adapter needs of the API server; `cluster.client.Objects` bound to HTTPRoutes has it."""

    async def get(self, namespace: str, name: str) -> Json | None: ...

    async def create(self, namespace: str, body: Json) -> Json: ...

    async def apply(self, namespace: str, name: str, body: Json) -> Json: ...

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json: ...


class Routes:
    """Writes a route only where it differs from what was ordered, and never one that somebody else made.

    What the API server answered to the last write is remembered (defaults filled in), so that a change by somebody else
    is seen exactly, without knowing the server's defaults. After a restart the first visit applies once, which
    changes nothing on a route that is as it should be.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[tuple[str, str], tuple[Json, Json]] = {}

    async def read(self, namespace: str, name: str) -> Json | None:
        return await self._store.get(namespace, name)

    async def take(self, template: Template, live: Json) -> None:
        """Make the ModelRoute the owner of a route that is left to it (see `ownership`), and change nothing else."""
        operations = taking(live, template.name, template.owner_uid)
        await self._store.json_patch(template.namespace, template.name, operations)

    async def ensure(self, template: Template, order: RouteOrder, live: Json | None, *, fenced: bool = True) -> Json:
        """Make the live route what `order` says and return it as it is then.

        `fenced`: refuse (`Conflict`) if it changed since `live` was read; a rollback is not fenced, for nothing may
        stand in its way.
        """
        key = template.namespace, template.name
        wanted = render(template, order)
        if live is not None and self._is_as_written(key, wanted, live):
            return live
        if live is None:
            # Apply alone would take over a route that somebody makes under this name just now; create refuses.
            # The shell has no parents, so it serves nothing until the apply below.
            live = await self._store.create(template.namespace, _shell(wanted))
        if fenced:
            wanted["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        after = await self._store.apply(template.namespace, template.name, copy.deepcopy(wanted))
        wanted["metadata"].pop("resourceVersion", None)
        self._written[key] = wanted, after
        return after

    def was_changed(self, template: Template, live: Json | None) -> bool:
        """Whether somebody else changed the spec, or deleted it, since our last write; False where there was none."""
        remembered = self._written.get((template.namespace, template.name))
        return remembered is not None and (live is None or remembered[1]["spec"] != live["spec"])

    def forget(self, namespace: str, name: str) -> None:
        self._written.pop((namespace, name), None)

    def _is_as_written(self, key: tuple[str, str], wanted: Json, live: Json) -> bool:
        remembered = self._written.get(key)
        if remembered is None:
            return False
        rendered, after = remembered
        return rendered == wanted and after["spec"] == live["spec"] and _has_metadata(wanted, live)


def _has_metadata(wanted: Json, live: Json) -> bool:
    def subset(key: str) -> bool:
        there: dict[str, Any] = live["metadata"].get(key) or {}
        return all(there.get(name) == value for name, value in wanted["metadata"][key].items())

    return subset("labels") and subset("annotations")


def _shell(wanted: Json) -> Json:
    metadata = {key: wanted["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    return {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": metadata, "spec": {}}
