"""Is a backend there, and can it answer?"""

from __future__ import annotations

from typing import Any

from modelroute.cluster.client import ENDPOINT_SLICES, SERVICES, Json, Objects
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend


class Backends:
    """Checks Services and their endpoints."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

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


def _ready(endpoint: Json) -> bool:
    conditions: dict[str, Any] = endpoint.get("conditions") or {}
    # Unset means ready, by the API's own definition.
    return conditions.get("ready") is not False
