"""What kopf calls: it watches, and wakes our own tasks. It never patches anything and keeps nothing on objects."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import kopf

from modelroute.api.resources import GROUP, VERSION, ModelRoute
from modelroute.controller.loop import Loop
from modelroute.gateway.adopted import ANNOTATION_ADOPT
from modelroute.gateway.overlaps import Overlaps
from modelroute.gateway.render import LABEL_ROUTE

START_SPREAD_S = 2.0


class Backoffs:
    """1, 2, 4, … 30, 30, … seconds: endless, and from the start whenever kopf iterates it anew."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 2, 4, 8, 16), itertools.repeat(30))


def configure(settings: kopf.OperatorSettings) -> None:
    """kopf as this operator needs it; each line has its reason in docs/adr/0001-one-task-per-route.md."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Backoffs()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.queueing.worker_limit = None
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)


def register(registry: kopf.OperatorRegistry, loop: Loop, overlaps: Overlaps) -> None:
    """Wake the task of a ModelRoute when its spec changes, or when its route or the gateway's word on it does."""
    fingerprints: dict[tuple[str, str, str], int] = {}

    def changed(kind: str, namespace: str, name: str, told: Any) -> bool:
        key, fingerprint = (kind, namespace, name), hash(json.dumps(told, sort_keys=True))
        if fingerprints.get(key) == fingerprint:
            return False
        fingerprints[key] = fingerprint
        return True

    def seen(kind: str, event: Mapping[str, Any], fingerprint: Any) -> bool:
        metadata = event["object"]["metadata"]
        if event["type"] == "DELETED":
            fingerprints.pop((kind, metadata["namespace"], metadata["name"]), None)
            return True
        return changed(kind, metadata["namespace"], metadata["name"], fingerprint)

    async def model_route(event: Mapping[str, Any], **_: Any) -> None:
        metadata = event["object"]["metadata"]
        # Our own status writes come back as events: they change none of these.
        told = [metadata.get(key) for key in ("uid", "generation", "annotations", "deletionTimestamp")]
        if seen("ModelRoute", event, told):
            spread_s = START_SPREAD_S if event["type"] is None else 0.0
            loop.wake(metadata["namespace"], metadata["name"], spread_s=spread_s)

    async def http_route(event: Mapping[str, Any], **_: Any) -> None:
        body = event["object"]
        metadata = body["metadata"]
        if event["type"] == "DELETED":
            overlaps.forget((metadata["namespace"], metadata["name"]))
        else:
            overlaps.note(body)
        # One that its owner lets us write, ours by its label, or one that stands, or stood, in the way of ours.
        adopter = (metadata.get("annotations") or {}).get(ANNOTATION_ADOPT)
        route = adopter or (metadata.get("labels") or {}).get(LABEL_ROUTE) or metadata["name"]
        if (metadata["namespace"], route) not in loop.keys:
            # A cluster has many routes that are none of ours: only what they want is kept of them.
            fingerprints.pop(("HTTPRoute", metadata["namespace"], metadata["name"]), None)
            return
        told = [metadata.get("uid"), adopter, body.get("spec"), _parents(body)]
        if seen("HTTPRoute", event, told):
            loop.wake(metadata["namespace"], route)

    kopf.on.event(GROUP, VERSION, ModelRoute.PLURAL, registry=registry)(model_route)
    kopf.on.event("gateway.networking.k8s.io", "v1", "httproutes", registry=registry)(http_route)


def _parents(route: Mapping[str, Any]) -> list[Any]:
    """What the gateways say of it, but for since when: controllers that quarrel about that are nobody's news."""
    return [
        {**parent, "conditions": [{**each, "lastTransitionTime": None} for each in parent.get("conditions") or []]}
        for parent in (route.get("status") or {}).get("parents") or []
    ]


logging.getLogger("kopf.objects").setLevel(logging.WARNING)
