"""What there is to say about one ModelRoute: its objects, read and put together for a screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelroute.api.fields import parse_instant
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout, ModelRoute
from modelroute.cli.session import Json, Session
from modelroute.errors import Unavailable

EVENTS_SHOWN = 6
UNDER_WAY = frozenset({"Progressing", "AwaitingApproval", "Paused", "Holding", "RollingBack"})


@dataclass(frozen=True, slots=True)
class Told:
    """One event; `at` in unix seconds."""

    at: float
    reason: str
    message: str
    warning: bool


@dataclass(frozen=True, slots=True)
class View:
    """`rollout` is the attempt that the status names, None where there is none. `events`, oldest first; None where they
    could not be read, which is no reason to show nothing. `now` in unix seconds."""

    route: ModelRoute
    rollout: ModelRollout | None
    events: tuple[Told, ...] | None
    now: float
    raw: Json
    raw_rollout: Json | None

    @property
    def under_way(self) -> bool:
        """Whether the attempt that the status names is not over yet."""
        return self.rollout is not None and self.rollout.status.finished_at is None

    def to_json(self) -> Json:
        """As `-o json` prints it."""
        events = None if self.events is None else [_event_json(each) for each in self.events]
        return {"route": self.raw, "rollout": self.raw_rollout, "events": events}


def read_view(session: Session, name: str, *, events: int = EVENTS_SHOWN) -> View:
    """The ModelRoute of that name with all that belongs to it. Raises Invalid, Unavailable."""
    raw = session.must_get(name)
    route = parse(ModelRoute, raw)
    of = route.status.rollout
    raw_rollout = session.cluster.rollout(session.namespace, of) if of else None
    return View(
        route=route,
        rollout=None if raw_rollout is None else parse(ModelRollout, raw_rollout),
        events=read_events(session, raw, events),
        now=session.now(),
        raw=raw,
        raw_rollout=raw_rollout,
    )


def read_events(session: Session, route: Json, most: int) -> tuple[Told, ...] | None:
    """The last events about `route`, oldest first; None where the API server does not give them."""
    metadata = route["metadata"]
    try:
        found = session.cluster.events(metadata["namespace"], metadata["name"], metadata["uid"])
    except Unavailable:
        return None
    return tuple(_in_order(_told(each) for each in found)[-most:])


def _in_order(events: Iterable[Told]) -> list[Told]:
    return sorted(events, key=lambda each: each.at)


def _told(event: Json) -> Told:
    when = event.get("eventTime") or event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")
    return Told(
        at=parse_instant(when) if when else 0.0,
        reason=str(event.get("reason", "")),
        message=str(event.get("message", "")),
        warning=event.get("type") == "Warning",
    )


def _event_json(told: Told) -> dict[str, Any]:
    from modelroute.api.fields import format_instant

    return {
        "at": format_instant(told.at),
        "reason": told.reason,
        "message": told.message,
        "type": "Warning" if told.warning else "Normal",
    }
