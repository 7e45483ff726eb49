"""May a route name a backend, is it there, and can it answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from modelroute.cluster.client import (
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    REFERENCE_GRANTS,
    SERVICES,
    Json,
    NotFound,
    Objects,
)
from modelroute.errors import Unavailable
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend


class Backends:
    """Checks ReferenceGrants, Services and their endpoints."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def closed(self, backends: Iterable[Backend], *, to: str) -> Mapping[Backend, Problem]:
        """Those of `backends` that HTTPRoutes of the namespace `to` may not name, or that nobody can say of, and why.

        One in `to` itself may be named. Of each other namespace the grants are listed once.
        """
        foreign = [backend for backend in dict.fromkeys(backends) if backend.namespace != to]
        namespaces = sorted({backend.namespace for backend in foreign})
        listed = await asyncio.gather(*(self._grants_of(namespace) for namespace in namespaces))
        granted = dict(zip(namespaces, listed, strict=True))
        found = {backend: _closed(backend, granted[backend.namespace], to=to) for backend in foreign}
        return {backend: problem for backend, problem in found.items() if problem is not None}

    async def _grants_of(self, namespace: str) -> list[Json] | Unavailable:
        """The ReferenceGrants of `namespace`, or why they are not known."""
        unknown = Unavailable("the API server knows no version of ReferenceGrants")
        for kind in REFERENCE_GRANTS:
            try:
                return await self._objects.list(kind, namespace, labels="")
            except NotFound as error:
                unknown = error
            except Unavailable as error:
                return error
        return unknown

    async def problem_with(self, backend: Backend, *, field: str) -> Problem | None:
        """Why `backend` cannot take traffic now, or None. `field` is the path of its backendRef, for the message."""
        named = f"{field}: Service {backend.name} in namespace {backend.namespace}"
        service = await self._objects.get(SERVICES, backend.namespace, backend.name)
        if service is None:
            return Problem(Reason.BACKEND_NOT_FOUND, f"{named} does not exist: create it, or correct the name")
        ports = [port.get("port") for port in service.get("spec", {}).get("ports") or []]
        if backend.port not in ports:
            has = ", ".join(str(port) for port in ports) or "none"
            return Problem(Reason.BACKEND_NOT_FOUND, f"{named} has no port {backend.port} (it has: {has})")
        slices = await self._objects.list(
            ENDPOINT_SLICES, backend.namespace, labels=f"kubernetes.io/service-name={backend.name}"
        )
        if not slices and not service["spec"].get("selector"):
            # Its endpoints are somebody's own affair, and none that the API server knows of.
            return None
        if not any(_ready(endpoint) for each in slices for endpoint in each.get("endpoints") or []):
            return Problem(Reason.NO_READY_ENDPOINTS, f"{named} has no ready endpoint: are its pods running and ready?")
        return None


def _closed(backend: Backend, grants: list[Json] | Unavailable, *, to: str) -> Problem | None:
    """Why HTTPRoutes of the namespace `to` may not name `backend`, whose namespace has those `grants`, or None."""
    if isinstance(grants, Unavailable):
        # Not known is not good enough to send it traffic, or to read what it counts.
        message = f"whether namespace {backend.namespace} has a ReferenceGrant for it is not known: {grants}"
        return Problem(Reason.BACKEND_UNKNOWN, message)
    if any(_permits(grant.get("spec") or {}, backend, to=to) for grant in grants):
        return None
    return Problem(
        Reason.REF_NOT_PERMITTED,
        f"{backend.kind} {backend.name} is in namespace {backend.namespace}, which does not let HTTPRoutes of namespace"
        f" {to} name it: make a ReferenceGrant in {backend.namespace}, from HTTPRoute ({HTTP_ROUTES.group}) of"
        f" namespace {to}, to {backend.kind} {backend.name}",
    )


def _permits(grant: Json, backend: Backend, *, to: str) -> bool:
    """Whether one of `from` is the route's kind and namespace, and one of `to` the backend's kind: all, or its name."""
    route = HTTP_ROUTES.group, "HTTPRoute", to
    froms = [(each.get("group") or "", each.get("kind"), each.get("namespace")) for each in grant.get("from") or []]
    wanted = backend.group, backend.kind
    return route in froms and any(
        (each.get("group") or "", each.get("kind")) == wanted and each.get("name") in {None, "", backend.name}
        for each in grant.get("to") or []
    )


def _ready(endpoint: Json) -> bool:
    conditions: dict[str, Any] = endpoint.get("conditions") or {}
    # Unset means ready, by the API's own definition.
    return conditions.get("ready") is not False
