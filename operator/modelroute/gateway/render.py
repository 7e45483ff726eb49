"""The HTTPRoute that the operator writes: from a route's own words and a split to a manifest. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelroute.rollout.decision import RouteOrder
from modelroute.rollout.split import Backend, Share, Split

Json = dict[str, Any]

LABEL_ROUTE = "modelroute.dev/route"
ANNOTATION_STABLE = "modelroute.dev/stable"
ANNOTATION_ROLLBACK_OF = "modelroute.dev/rollback-of"
EVERYTHING: Json = {"path": {"type": "PathPrefix", "value": "/"}}
"""What Gateway API takes an absent `matches` for; written out, so that the route says what it does."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a ModelRoute says of its route, as Gateway API writes it: it passes through untouched."""

    namespace: str
    name: str
    owner_uid: str
    parent_refs: tuple[Json, ...]
    hostnames: tuple[str, ...] = ()
    matches: tuple[Json, ...] = ()
    filters: tuple[Json, ...] = ()
    timeouts: Mapping[str, str] = field(default_factory=dict)


def as_it_is(template: Template, live: Json) -> Template:
    """The template of the route as it stands: what to write weights with where the spec's own words cannot be used."""
    spec = live.get("spec") or {}
    rule = (spec.get("rules") or [{}])[0]
    return replace(
        template,
        parent_refs=tuple(spec.get("parentRefs") or ()),
        hostnames=tuple(spec.get("hostnames") or ()),
        matches=tuple(rule.get("matches") or ()),
        filters=tuple(rule.get("filters") or ()),
        timeouts=rule.get("timeouts") or {},
    )


def render(template: Template, order: RouteOrder) -> Json:
    """The whole HTTPRoute for server-side apply: all that the operator owns, and nothing else."""
    rule: Json = {
        "matches": list(template.matches) or [EVERYTHING],
        "backendRefs": [_backend_ref(share, template.namespace) for share in order.split],
    }
    if template.filters:
        rule["filters"] = list(template.filters)
    if template.timeouts:
        rule["timeouts"] = dict(template.timeouts)
    # All three even where empty: what is not in an apply is not ours, and somebody else's hostnames would stay.
    spec: Json = {
        "parentRefs": list(template.parent_refs),
        "hostnames": list(template.hostnames),
        "rules": [rule],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": template.name,
            "namespace": template.namespace,
            "labels": {"app.kubernetes.io/managed-by": "modelroute", LABEL_ROUTE: template.name},
            "annotations": _annotations(order),
            "ownerReferences": [owner_reference(template.name, template.owner_uid)],
        },
        "spec": spec,
    }


def owner_reference(name: str, uid: str) -> Json:
    """A ModelRoute as the controller of what it owns: deleted with it."""
    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "name": name,
        "uid": uid,
        "controller": True,
    }


def _annotations(order: RouteOrder) -> dict[str, str]:
    annotations = {ANNOTATION_STABLE: split_to_text(order.stable)}
    if order.rollback_of:
        annotations[ANNOTATION_ROLLBACK_OF] = order.rollback_of
    return annotations


def _backend_ref(share: Share, namespace: str) -> Json:
    backend = share.backend
    ref: Json = {"group": backend.group, "kind": backend.kind, "name": backend.name, "weight": share.weight}
    if backend.namespace != namespace:
        ref["namespace"] = backend.namespace
    if backend.port is not None:
        ref["port"] = backend.port
    return ref


def backend_of(ref: Mapping[str, Any], namespace: str) -> Backend:
    """The backend that a backendRef points at, with Gateway API's defaults."""
    return Backend(
        namespace=str(ref.get("namespace") or namespace),
        name=str(ref.get("name", "")),
        port=ref.get("port"),
        group=str(ref.get("group") or ""),
        kind=str(ref.get("kind") or "Service"),
    )


def split_to_text(split: Split) -> str:
    """A split as compact JSON, for an annotation: [model, group, kind, namespace, name, port, weight] each."""
    return json.dumps(
        [
            [
                s.model,
                s.backend.group,
                s.backend.kind,
                s.backend.namespace,
                s.backend.name,
                s.backend.port,
                s.weight,
            ]
            for s in split
            if s.weight
        ],
        separators=(",", ":"),
    )


def split_from_text(text: str) -> Split | None:
    """The split of an annotation; None where it is not one of ours (a person may have written anything there)."""
    try:
        rows = json.loads(text)
        split = tuple(
            Share(str(model), Backend(str(namespace), str(name), port, str(group), str(kind)), int(weight))
            for model, group, kind, namespace, name, port, weight in rows
        )
    except (ValueError, TypeError):
        return None
    whole = sum(share.weight for share in split) == 10_000 and all(share.weight > 0 for share in split)
    return split if whole else None
