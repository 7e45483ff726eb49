"""Events about a ModelRoute, for `kubectl describe` and `kubectl events`."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from uuid import uuid4

from modelroute.cluster.client import EVENTS, Json, Objects
from modelroute.rollout.decision import Announcement

COMPONENT = "modelroute"
MESSAGE_LIMIT = 1024


class Events:
    """Writes core/v1 Events, which `kubectl describe` can sort by time.

    An event that cannot be written is the caller's to log: the status says the same.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._instance = f"{os.environ.get('POD_NAME') or socket.gethostname()}"[:128]

    async def announce(self, about: Json, said: Announcement, *, now: float) -> None:
        """One event about the object `about` (as read from the API server) at `now` (unix seconds)."""
        metadata = about["metadata"]
        moment = datetime.fromtimestamp(now, UTC)
        # kubectl describe sorts by lastTimestamp, which has whole seconds; within one, the name keeps the order.
        second = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
        await self._objects.create(
            EVENTS,
            metadata["namespace"],
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{metadata['name'][:200]}.{round(now * 1e6):x}.{uuid4().hex[:6]}",
                    "namespace": metadata["namespace"],
                },
                "type": "Warning" if said.warning else "Normal",
                "reason": said.reason.value,
                "action": said.reason.value,
                "message": said.message[:MESSAGE_LIMIT],
                "firstTimestamp": second,
                "lastTimestamp": second,
                "eventTime": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "count": 1,
                "involvedObject": {
                    "apiVersion": about["apiVersion"],
                    "kind": about["kind"],
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                },
                "source": {"component": COMPONENT},
                "reportingComponent": COMPONENT,
                "reportingInstance": self._instance,
            },
        )
