"""What a live HTTPRoute says: is it ours, what does it carry, and have its parents taken it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelroute.gateway.ownership import is_ours
from modelroute.gateway.render import (
    ANNOTATION_ROLLBACK_OF,
    ANNOTATION_STABLE,
    Json,
    Template,
    backend_of,
    split_from_text,
)
from modelroute.rollout.observation import Acceptance, Gateway
from modelroute.rollout.split import TOTAL, Backend, Share, Split, normalised

GROUP = "gateway.networking.k8s.io"
CONDITIONS = ("Accepted", "ResolvedRefs")


def observe(live: Json | None, template: Template) -> Gateway:
    """The gateway's side of a ModelRoute, from its HTTPRoute as it was read; None: there is none."""
    if live is None:
        return Gateway(Acceptance.ABSENT)
    if not is_ours(live, template.name, template.owner_uid):
        message = (
            f"an HTTPRoute named {template.name} exists in namespace {template.namespace} and was not made for this"
            " ModelRoute: rename the ModelRoute, or delete that HTTPRoute"
        )
        return Gateway(Acceptance.FOREIGN, message)
    acceptance, message = acceptance_of(live, template)
    annotations = live["metadata"].get("annotations") or {}
    weights = _weights(live, template.namespace)
    return Gateway(
        acceptance=acceptance,
        message=message,
        weights=weights,
        stable=split_from_text(annotations.get(ANNOTATION_STABLE, "")) or as_split(weights),
        rollback_of=annotations.get(ANNOTATION_ROLLBACK_OF, ""),
        parents=parents_of(template),
    )


def _weights(live: Json, namespace: str) -> dict[Backend, int]:
    rules = live.get("spec", {}).get("rules") or [{}]
    refs = rules[0].get("backendRefs") or []
    return {backend_of(ref, namespace): int(ref.get("weight", 1)) for ref in refs}


def as_split(weights: Mapping[Backend, int]) -> Split | None:
    """What the route itself carries, where the note on it is lost: traffic never jumps because a note was empty."""
    if not any(weights.values()):
        return None
    whole = normalised(tuple(weights.values()))
    split = [Share(backend.name, backend, weight) for backend, weight in zip(weights, whole, strict=True) if weight]
    assert sum(share.weight for share in split) == TOTAL
    return tuple(split)


def parents_of(template: Template) -> tuple[str, ...]:
    """Who is to take the route, each once."""
    keys = (_parent_key(parent, template.namespace) for parent in template.parent_refs)
    return tuple(dict.fromkeys(f"{key[2]}/{key[3]}" for key in keys))


def acceptance_of(live: Json, template: Template) -> tuple[Acceptance, str]:
    """LIVE when every expected parent reports Accepted and ResolvedRefs for this generation."""
    generation = live["metadata"].get("generation", 0)
    reported = (live.get("status") or {}).get("parents") or []
    waiting: list[str] = [] if template.parent_refs else ["the route has no parents"]
    for parent in template.parent_refs:
        key = _parent_key(parent, template.namespace)
        entries = [p for p in reported if _parent_key(p.get("parentRef") or {}, template.namespace) == key]
        if not entries:
            doubt = "does it exist, and let this namespace in?"
            waiting.append(f"Gateway {key[2]}/{key[3]} has not reported on the route ({doubt})")
            continue
        conditions = [c for entry in entries for c in entry.get("conditions") or []]
        silent = []
        for kind in CONDITIONS:
            verdict = _condition(conditions, kind, generation)
            if verdict is None:
                silent.append(kind)
            elif verdict.get("status") != "True":
                said = f"{verdict.get('reason', 'no reason')}: {verdict.get('message', 'no message')}"
                told = f"Gateway {key[2]}/{key[3]} reports {kind}={verdict.get('status')}, {said}"
                if verdict.get("status") == "False":
                    return Acceptance.REJECTED, told
                waiting.append(told)
        if silent:
            kinds = " and ".join(silent)
            waiting.append(f"Gateway {key[2]}/{key[3]} has not reported {kinds} for generation {generation}")
    if waiting:
        return Acceptance.WAITING, "; ".join(waiting)
    return Acceptance.LIVE, ""


def _condition(conditions: Iterable[Mapping[str, Any]], kind: str, generation: int) -> Mapping[str, Any] | None:
    """The condition of that type for this generation; a failing one before a passing one, as there may be several."""
    current = [c for c in conditions if c.get("type") == kind and c.get("observedGeneration", 0) >= generation]
    return min(current, key=lambda c: c.get("status") == "True", default=None)


def _parent_key(ref: Mapping[str, Any], namespace: str) -> tuple[str, str, str, str, str, int]:
    return (
        str(ref.get("group") or GROUP),
        str(ref.get("kind") or "Gateway"),
        str(ref.get("namespace") or namespace),
        str(ref.get("name", "")),
        str(ref.get("sectionName") or ""),
        int(ref.get("port") or 0),
    )
