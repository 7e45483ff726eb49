"""An adopted route is put back when its ModelRoute is deleted in the middle of a rollout: the one use of a finalizer.

It stands on the ModelRoute only while an attempt is under way on a route of the user's own: the operator's own route
goes with its owner, and at rest there is nothing to put back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from modelroute.api.parse import parse
from modelroute.api.resources import GROUP, ModelRollout, ModelRoute
from modelroute.cluster.client import Json
from modelroute.controller.observe import Seen
from modelroute.controller.ports import Ports
from modelroute.controller.records import attempt_of
from modelroute.controller.spec import adoption_of
from modelroute.errors import Invalid
from modelroute.gateway.adopted import is_adopted, missing_in
from modelroute.gateway.render import LABEL_ROUTE
from modelroute.rollout.decision import Decision, RouteOrder

log = logging.getLogger(__name__)

FINALIZER: Final = f"{GROUP}/put-back"


async def hold(ports: Ports, seen: Seen, decision: Decision) -> Seen:
    """Keep the ModelRoute from going before its adopted route is put back, for as long as an attempt is under way."""
    record = decision.record or seen.observation.record
    wanted = seen.adoption is not None and record is not None and record.progress.stage.under_way
    finalizers = seen.raw["metadata"].get("finalizers") or []
    going_back = decision.order is not None and bool(decision.order.rollback_of)
    if wanted == (FINALIZER in finalizers) or (wanted and going_back):
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
    route = parse(ModelRoute, raw)
    namespace, name = route.metadata.namespace, route.metadata.name
    rollouts = await ports.model_rollouts.list(namespace, labels=f"{LABEL_ROUTE}={name}")
    latest = max(rollouts, key=lambda each: int(each["spec"]["attempt"]), default=None)
    if latest is None or (latest.get("status") or {}).get("finishedAt"):
        return
    parsed = parse(ModelRollout, latest)
    # The rule that the attempt was on: the spec may name another by now.
    adoption = adoption_of(parsed.spec if parsed.spec.route_ref else route.spec, namespace=namespace, name=name)
    if adoption is None:
        return
    stable = attempt_of(parsed.spec, name=parsed.metadata.name, namespace=namespace).stable
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


def _added(finalizers: list[str]) -> list[Json]:
    if not finalizers:
        return [{"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}]
    return [{"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}]


def _removed(finalizers: list[str]) -> list[Json]:
    at = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
    return [{"op": "test", "path": at, "value": FINALIZER}, {"op": "remove", "path": at}]
