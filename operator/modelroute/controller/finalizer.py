"""An adopted route is put back when its ModelRoute is deleted in the middle of a rollout: the one use of a finalizer.

It stands on the ModelRoute only while an attempt is under way on a route of the user's own: the operator's own route
goes with its owner, and at rest there is nothing to put back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from modelroute.api.parse import parse
from modelroute.api.resources import GROUP, ModelRollout, ModelRoute
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.cluster.client import Json
from modelroute.controller.kept import noted_split
from modelroute.controller.observe import Seen
from modelroute.controller.ports import Ports
from modelroute.controller.reading import read_model_route
from modelroute.controller.records import attempt_of
from modelroute.controller.spec import adoption_of, backend_of
from modelroute.errors import Invalid
from modelroute.gateway.adopted import Adoption, is_adopted, missing_in
from modelroute.gateway.render import LABEL_ROUTE
from modelroute.rollout.decision import Decision, RouteOrder
from modelroute.rollout.split import Share, Split

log = logging.getLogger(__name__)

FINALIZER: Final = f"{GROUP}/put-back"


async def hold(ports: Ports, seen: Seen, decision: Decision) -> Seen:
    """Keep the ModelRoute from going before its adopted route is put back, for as long as an attempt is under way."""
    record = decision.record or seen.observation.record
    wanted = seen.adoption is not None and record is not None and record.progress.stage.under_way
    finalizers = seen.raw["metadata"].get("finalizers") or []
    going_back = decision.order is not None and bool(decision.order.rollback_of)
    if wanted == (FINALIZER in finalizers) or going_back:
        # Nothing stands in a rollback's way, and what it writes is what putting back would write.
        return seen
    metadata = seen.route.metadata
    operations = _added(finalizers) if wanted else _removed(finalizers)
    unchanged = {"op": "test", "path": "/metadata/resourceVersion", "value": seen.raw["metadata"]["resourceVersion"]}
    raw = await ports.model_routes.json_patch(metadata.namespace, metadata.name, [unchanged, *operations])
    return replace(seen, raw=raw)


async def release(ports: Ports, namespace: str, name: str) -> None:
    """Put the adopted route of a ModelRoute that is going back to its stable split, and let the ModelRoute go.

    Where the route cannot be written any more there is nothing to put back: it goes all the same.
    """
    raw = await ports.model_routes.get(namespace, name)
    if raw is None or FINALIZER not in (raw["metadata"].get("finalizers") or []):
        return
    try:
        await _put_back(ports, raw)
    except Invalid as error:
        log.warning("%s/%s: the adopted route is left as it is: %s", namespace, name, error)
    operations = _removed(raw["metadata"]["finalizers"])
    await ports.model_routes.json_patch(namespace, name, operations)


async def _put_back(ports: Ports, raw: Json) -> None:
    route, _unreadable = read_model_route(raw)
    namespace, name = route.metadata.namespace, route.metadata.name
    rollouts = await ports.model_rollouts.list(namespace, labels=f"{LABEL_ROUTE}={name}")
    adoption = _adoption_in_force(route, rollouts)
    stable = _unfinished(route, rollouts)
    if adoption is None or stable is None:
        return
    live = await ports.adopted.read(adoption)
    if live is None or not is_adopted(live, adoption):
        log.info("%s/%s: HTTPRoute %s is gone, or not ours to write any more", namespace, name, adoption.route)
        return
    lost = missing_in(live, adoption, [share.backend for share in stable])
    left = tuple(share for share in stable if share.backend not in lost)
    if not any(share.weight for share in left):
        log.warning(
            "%s/%s: rule %s of HTTPRoute %s keeps its weights: it lists no backend of the split to go back to",
            namespace, name, adoption.rule, adoption.route,
        )  # fmt: skip
        return
    await ports.adopted.ensure(adoption, RouteOrder(left, left), live, fenced=False)


def _adoption_in_force(route: ModelRoute, rollouts: Sequence[Json]) -> Adoption | None:
    """The rule that the last attempt was on: the spec may name another by now."""
    latest = max(rollouts, key=lambda each: int(each["spec"]["attempt"]), default=None)
    frozen = _frozen(latest) if latest is not None else None
    spec = frozen if frozen is not None and frozen.route_ref is not None else route.spec
    return adoption_of(spec, namespace=route.metadata.namespace, name=route.metadata.name)


def _frozen(rollout: Json) -> ModelRolloutSpec | None:
    """What was frozen in it; None where only a later operator can read that. Its status is not asked for."""
    try:
        return parse(ModelRollout, {**rollout, "status": {}}).spec
    except Invalid:
        return None


def _unfinished(route: ModelRoute, rollouts: Sequence[Json]) -> Split | None:
    """The whole split to which an attempt under way goes back; None where there is none under way."""
    namespace = route.metadata.namespace
    latest = max(rollouts, key=lambda each: int(each["spec"]["attempt"]), default=None)
    if latest is not None and int(latest["spec"]["attempt"]) >= (route.status.attempt or 0):
        if (latest.get("status") or {}).get("finishedAt"):
            return None
        if (frozen := _frozen(latest)) is not None:
            return attempt_of(frozen, name=latest["metadata"]["name"], namespace=namespace).stable
    # Its record was deleted or cannot be read: the status knows where from, the spec who else may have been given some.
    noted = noted_split(route) or ()
    named = {share.backend for share in noted}
    others = [(model.name, backend_of(model.backend_ref, namespace)) for model in route.spec.models]
    return (*noted, *(Share(name, backend, 0) for name, backend in others if backend not in named)) if noted else None


def _added(finalizers: list[str]) -> list[Json]:
    if not finalizers:
        return [{"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}]
    return [{"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}]


def _removed(finalizers: list[str]) -> list[Json]:
    at = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [{"op": "test", "path": at, "value": FINALIZER}, {"op": "remove", "path": at}]
