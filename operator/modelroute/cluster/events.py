"""Events about a ModelRoute, for `kubectl describe` and `kubectl events`."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from uuid import uuid4

from modelroute.cluster.client import EVENTS, Json, Objects
from modelroute.rollout.decision import Announcement

CONTROLLER = "modelroute.dev/operator"
NOTE_LIMIT = 1024


class Events:
    """Writes events.k8s.io/v1. An event that cannot be written is the caller's to log: the status says the same."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._instance = f"{os.environ.get('POD_NAME') or socket.gethostname()}"[:128]

    async def announce(self, about: Json, said: Announcement, *, now: float) -> None:
        """One event about the object `about` (as read from the API server) at `now` (unix seconds)."""
        metadata = about["metadata"]
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        await self._objects.create(
            EVENTS,
            metadata["namespace"],
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{metadata['name'][:200]}.{uuid4().hex[:16]}",
                    "namespace": metadata["namespace"],
                },
                "eventTime": moment,
                "type": "Warning" if said.warning else "Normal",
                "reason": said.reason.value,
                "action": said.reason.value,
                "note": said.message[:NOTE_LIMIT],
                "regarding": {
                    "apiVersion": about["apiVersion"],
                    "kind": about["kind"],
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                },
                "reportingController": CONTROLLER,
                "reportingInstance": self._instance,
            },
        )
