"""What a notification says, and how each kind of receiver wants it said. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, assert_never

from modelroute.api.resources import API_VERSION, GROUP, ModelRoute
from modelroute.rollout.decision import Announcement
from modelroute.rollout.reasons import Reason

STALLED: Final = "Stalled"
TOPICS: Final = frozenset({STALLED, *(reason.value for reason in Reason)})
"""What one may ask to hear of: a reason, or everything after which nothing but a person can go on."""

TEXT_LIMIT: Final = 3000
"""Characters of a chat message; Slack cuts at 40,000, others sooner."""


class Receiver(StrEnum):
    """Who is spoken to."""

    SLACK = "Slack"
    CLOUD_EVENTS = "CloudEvents"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a ModelRoute, for somebody outside. `at` in unix seconds; `id` is the same at every
    attempt to send it."""

    id: str
    at: float
    namespace: str
    name: str
    uid: str
    generation: int
    said: Announcement
    stalled: bool

    @property
    def topics(self) -> frozenset[str]:
        return frozenset({self.said.reason.value, STALLED} if self.stalled else {self.said.reason.value})


def encoded(notice: Notice, receiver: Receiver) -> tuple[bytes, str]:
    """The body of the request and its content type."""
    match receiver:
        case Receiver.SLACK:
            return json.dumps({"text": _text(notice)}).encode(), "application/json"
        case Receiver.CLOUD_EVENTS:
            return json.dumps(_cloud_event(notice)).encode(), "application/cloudevents+json; charset=utf-8"
        case other:
            assert_never(other)


def _text(notice: Notice) -> str:
    mark = ":warning: " if notice.said.warning or notice.stalled else ""
    text = f"{mark}*{notice.namespace}/{notice.name}*: {notice.said.reason.value}: {_plain(notice.said.message)}"
    return text[:TEXT_LIMIT]


def _plain(message: str) -> str:
    """What Slack reads as markup (a mention of everyone, a link) stays text: a message may quote what users wrote."""
    return message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cloud_event(notice: Notice) -> dict[str, object]:
    """A CloudEvent 1.0 in structured mode; `source` and `subject` name the object as the API server does."""
    path = f"/apis/{API_VERSION}/namespaces/{notice.namespace}/{ModelRoute.PLURAL}"
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": path,
        "type": f"{GROUP}.{notice.said.reason.value}",
        "subject": notice.name,
        "time": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "namespace": notice.namespace,
            "name": notice.name,
            "uid": notice.uid,
            "generation": notice.generation,
            "reason": notice.said.reason.value,
            "message": notice.said.message,
            "warning": notice.said.warning,
            "stalled": notice.stalled,
        },
    }
