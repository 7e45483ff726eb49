"""Reading and writing one rule of the user's own HTTPRoute: an adapter beside `routes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modelroute.errors import Conflict, Invalid, Unavailable
from modelroute.gateway.adopted import Adoption, is_adopted, missing_in, named, patch_of
from modelroute.gateway.render import Json, backend_of
from modelroute.rollout.decision import RouteOrder
from modelroute.rollout.split import Backend


class Store(Protocol):
    """What the adapter needs of the API server; `cluster.store.KindStore` bound to HTTPRoutes has it."""

    async def get(self, namespace: str, name: str) -> Json | None: ...

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json: ...


class AdoptedRoutes:
    """Sets the weights of a rule, and changes no other byte of the route."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[tuple[str, str], tuple[Adoption, dict[Backend, int]]] = {}

    async def read(self, adoption: Adoption) -> Json | None:
        return await self._store.get(adoption.namespace, adoption.route)

    def was_changed(self, adoption: Adoption, live: Json) -> bool:
        """Whether somebody else changed weights since our last write; False where there was none yet."""
        written, remembered = self._written.get((adoption.namespace, adoption.by), (None, {}))
        now = _weights(live, adoption)
        return written == adoption and any(now.get(backend) != weight for backend, weight in remembered.items())

    async def ensure(self, adoption: Adoption, order: RouteOrder, live: Json | None, *, fenced: bool = True) -> None:
        """Make the rule carry `order`. Raises Conflict where it changed since `live` was read, Unavailable where it
        cannot be written: it is gone, its owner does not let us, or it lists not all backends. A rule is never left
        without any traffic: a candidate that is to get none keeps what it has while nobody else is there to take it.
        """
        if live is None or not is_adopted(live, adoption):
            where = f"HTTPRoute {adoption.namespace}/{adoption.route}"
            raise Unavailable(f"{where} is not there, or not adopted by {adoption.by} any more")
        weights = {share.backend: share.weight for share in order.split}
        lost = missing_in(live, adoption, [backend for backend, weight in weights.items() if weight])
        add = f"add {', '.join(named(each) for each in lost)} to rule {adoption.rule} of HTTPRoute {adoption.route}"
        if not any((_weights(live, adoption) | weights)[each] for each in _weights(live, adoption)):
            raise Unavailable(f"{add}, which lists no backend that is to have traffic: until then it stays as it is")
        if operations := patch_of(live, adoption, weights, fenced=fenced):
            await self._patch(adoption, live, operations)
        carried = {backend: weights[backend] for backend in _weights(live, adoption) if backend in weights}
        self._written[adoption.namespace, adoption.by] = adoption, carried
        if lost:
            raise Unavailable(f"{add}: it is to have traffic, and the others have it until then")

    async def _patch(self, adoption: Adoption, live: Json, operations: list[Json]) -> None:
        try:
            await self._store.json_patch(adoption.namespace, adoption.route, operations)
        except Invalid as error:
            # A test that fails and a policy that refuses are one status code: look which it was.
            now = await self._store.get(adoption.namespace, adoption.route)
            if now is not None and now["spec"] == live["spec"]:
                raise Unavailable(str(error)) from error
            raise Conflict(f"HTTPRoute {adoption.route} changed while it was written") from error

    def forget(self, namespace: str, by: str) -> None:
        """The ModelRoute `by` is gone."""
        self._written.pop((namespace, by), None)


def _weights(live: Json, adoption: Adoption) -> dict[Backend, int]:
    rules = (live.get("spec") or {}).get("rules") or []
    refs = next((rule.get("backendRefs") or [] for rule in rules if rule.get("name") == adoption.rule), [])
    return {backend_of(ref, adoption.namespace): int(ref.get("weight", 1)) for ref in refs}
