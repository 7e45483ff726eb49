"""Routes that want the same requests: Gateway API gives them to one of the two, and the other gets none.

What is known comes from the watch of HTTPRoutes, so it costs no call; it is for people only and moves no traffic.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

_EVERYTHING = ({"path": {"type": "PathPrefix", "value": "/"}},)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Which requests a route wants, one entry for each Gateway (listener), hostname and match; and since when."""

    wants: frozenset[tuple[str, str, str]]
    made: str

    def goes_before(self, other: _Claim, key: Key, other_key: Key) -> bool:
        """Gateway API: the oldest route, then the first by namespace and name."""
        return (self.made, key) < (other.made, other_key)


class Overlaps:
    """What the HTTPRoutes of the cluster want, as far as the operator watches them."""

    def __init__(self) -> None:
        self._claims: dict[Key, _Claim] = {}
        self._by_want: dict[tuple[str, str, str], set[Key]] = {}

    def note(self, route: Json) -> None:
        """A route as the API server has it now."""
        metadata = route["metadata"]
        key = metadata["namespace"], metadata["name"]
        self.forget(key)
        wants = frozenset(_wants(route.get("spec") or {}, metadata["namespace"]))
        self._claims[key] = _Claim(wants, str(metadata.get("creationTimestamp") or ""))
        for want in wants:
            self._by_want.setdefault(want, set()).add(key)

    def forget(self, key: Key) -> None:
        """The route is gone."""
        claim = self._claims.pop(key, None)
        for want in claim.wants if claim is not None else ():
            self._by_want[want].discard(key)
            if not self._by_want[want]:
                del self._by_want[want]

    def told_of(self, key: Key) -> str:
        """A sentence about the routes that want the same requests; empty where there are none."""
        own = self._claims.get(key)
        if own is None:
            return ""
        rivals = sorted({other for want in own.wants for other in self._by_want[want]} - {key})
        if not rivals:
            return ""
        first = [other for other in rivals if self._claims[other].goes_before(own, other, key)]
        shown = (first or rivals)[:3]
        whose = f"HTTPRoute {', '.join('/'.join(other) for other in shown)} has the same Gateway, hostname and match"
        # The tie of two routes made in one second is broken by name: "older" would be wrong then.
        tied = all(self._claims[other].made == own.made for other in shown)
        if first:
            before = "comes first by name of those made in the same second" if tied else "is older"
            return f"{whose} and {before}, so by Gateway API's rules this route gets no request: change one of the two"
        after = "comes later by name of those made in the same second" if tied else "is younger"
        return f"{whose} and {after}, so by Gateway API's rules it gets no request: change one of the two"


def _wants(spec: Json, namespace: str) -> Iterator[tuple[str, str, str]]:
    parents = [_parent(ref, namespace) for ref in spec.get("parentRefs") or []]
    hostnames = [str(each).lower() for each in spec.get("hostnames") or []] or [""]
    for rule in spec.get("rules") or []:
        for match in rule.get("matches") or _EVERYTHING:
            text = json.dumps(_with_defaults(match), sort_keys=True)
            yield from ((parent, hostname, text) for parent in parents for hostname in hostnames)


def _parent(ref: Json, namespace: str) -> str:
    kind = ref.get("kind") or "Gateway"
    where = f"{ref.get('namespace') or namespace}/{ref.get('name', '')}"
    return f"{kind}/{where}/{ref.get('sectionName') or ''}/{ref.get('port') or ''}"


def _with_defaults(match: Json) -> Json:
    path = {"type": "PathPrefix", "value": "/", **(match.get("path") or {})}
    return {**match, "path": path}
