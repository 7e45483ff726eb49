"""Whose an object is that was made for a ModelRoute: by the UID of its owner, and after a restore by name. Pure.

A ModelRoute that is restored, or made anew after `kubectl delete --cascade=orphan`, has a UID of its own. What was made
for it names no owner then, or one that is gone; without an owner it counts as somebody else's, and with a dead one
Kubernetes deletes it. Whoever can label an object so may as well write it, so that nobody gains by it.
"""

from __future__ import annotations

from modelroute.gateway.render import ANNOTATION_STABLE, LABEL_ROUTE, Json, owner_reference, split_from_text


def is_owned_by(body: Json, uid: str) -> bool:
    """Whether the ModelRoute with that UID is an owner of it."""
    return any(owner.get("uid") == uid for owner in _owners(body))


def is_ours(live: Json, name: str, uid: str) -> bool:
    """Whether the ModelRoute of that name and UID controls the HTTPRoute, or has it left to it."""
    controls = any(owner.get("uid") == uid and owner.get("controller") for owner in _owners(live))
    return controls or is_route_left(live, name, uid)


def is_route_left(live: Json, name: str, uid: str) -> bool:
    """`is_left` for an HTTPRoute, which the operator also leaves a note on."""
    noted = (live["metadata"].get("annotations") or {}).get(ANNOTATION_STABLE, "")
    return is_left(live, name, uid) and split_from_text(noted) is not None


def is_left(body: Json, name: str, uid: str) -> bool:
    """Whether it was made for a ModelRoute of that name and has no controller, or one of that name with another UID."""
    metadata = body["metadata"]
    labelled = (metadata.get("labels") or {}).get(LABEL_ROUTE) == name
    controllers = [owner for owner in _owners(body) if owner.get("controller")]
    gone = all(_is_named(owner, name) and owner.get("uid") != uid for owner in controllers)
    return labelled and gone and not is_owned_by(body, uid) and not metadata.get("deletionTimestamp")


def taking(body: Json, name: str, uid: str) -> list[Json]:
    """The JSON Patch that makes the ModelRoute the controller of what is left to it, as it was read."""
    others = [owner for owner in _owners(body) if not _is_named(owner, name)]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": body["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/ownerReferences", "value": [*others, owner_reference(name, uid)]},
    ]


def _owners(body: Json) -> list[Json]:
    owners: list[Json] = body["metadata"].get("ownerReferences") or []
    return owners


def _is_named(owner: Json, name: str) -> bool:
    ours = owner_reference(name, "")
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    of_our_kind = (group, owner.get("kind")) == (ours["apiVersion"].partition("/")[0], ours["kind"])
    return of_our_kind and owner.get("name") == name
