"""What this process knows of a route and may not have been able to write down.

Kept in memory, beside what the ModelRollout and the status keep: a restarted operator goes by those.
"""

from __future__ import annotations

from modelroute.api.resources import ModelRoute
from modelroute.rollout.attempt import Record
from modelroute.rollout.decision import Phase
from modelroute.rollout.observation import Gateway
from modelroute.rollout.places import place_of

Key = tuple[str, str]


class Sightings:
    """By ModelRoute; an attempt is known by the name of its ModelRollout."""

    def __init__(self) -> None:
        self._back: dict[Key, str] = {}
        self._places: dict[Key, tuple[str, float]] = {}
        self._carried: dict[Key, tuple[str, int, float]] = {}

    def carried(self, key: Key, record: Record, now: float) -> None:
        """The route was seen to have the weights of the record's step."""
        self._carried[key] = record.attempt.name, record.progress.step, now

    def carried_at(self, key: Key, record: Record | None) -> float | None:
        """When that was last (unix seconds); None where this process never saw it."""
        attempt, step, at = self._carried.get(key, ("", 0, None))
        same = record is not None and (record.attempt.name, record.progress.step) == (attempt, step)
        return at if same else None

    def went_back(self, key: Key, attempt: str) -> None:
        """A rollback of that attempt was carried out before it could be written down."""
        self._back[key] = attempt

    def is_back(self, key: Key, attempt: str) -> bool:
        return self._back.get(key) == attempt

    def place_since(self, key: Key, record: Record | None, gateway: Gateway, now: float) -> float:
        """Since when (unix seconds) this process has seen the arms where they stand now."""
        place = place_of(gateway, record.attempt.arms) if record is not None else ""
        if self._places.get(key, ("", 0.0))[0] != place:
            self._places[key] = place, now
        return self._places[key][1] if key in self._places else now

    def forget(self, key: Key) -> None:
        self._back.pop(key, None)
        self._carried.pop(key, None)
        self._places.pop(key, None)


def goes_back(sightings: Sightings, route: ModelRoute, record: Record | None) -> str:
    """The attempt that is known to go back, whatever its ModelRollout says; empty where none is.

    A route of the user's own has no room for a note of ours: there the ModelRoute's status is the one that outlives
    this process.
    """
    if record is None:
        return ""
    name = record.attempt.name
    told = route.status.phase == Phase.ROLLING_BACK and route.status.rollout == name
    known = sightings.is_back((route.metadata.namespace or "", route.metadata.name), name)
    return name if told or known else ""
