"""What this process knows of a route and may not have been able to write down.

Kept in memory, beside what the ModelRollout and the status keep: a restarted operator goes by those.
"""

from __future__ import annotations

from modelroute.api.resources import ModelRoute
from modelroute.controller.kept import noted_since
from modelroute.rollout.attempt import Record, Verdict
from modelroute.rollout.decision import Phase
from modelroute.rollout.observation import Acceptance, Gateway, Problem
from modelroute.rollout.places import place_of
from modelroute.rollout.reasons import Reason
from modelroute.rollout.resting import BACKEND_REASONS

Key = tuple[str, str]


class Sightings:
    """By ModelRoute; an attempt is known by the name of its ModelRollout."""

    def __init__(self) -> None:
        self._back: dict[Key, tuple[str, Verdict | None]] = {}
        self._places: dict[Key, tuple[str, float]] = {}
        self._carried: dict[Key, tuple[str, int, float]] = {}
        self._awaited: dict[Key, tuple[str, float]] = {}
        self._silent: dict[Key, float] = {}
        self._rejected: dict[Key, float] = {}

    def carried(self, key: Key, record: Record, now: float) -> None:
        """The route was seen to have the weights of the record's step."""
        self._carried[key] = record.attempt.name, record.progress.step, now

    def carried_at(self, key: Key, record: Record | None) -> float | None:
        """When that was last (unix seconds); None where this process never saw it."""
        attempt, step, at = self._carried.get(key, ("", 0, None))
        same = record is not None and (record.attempt.name, record.progress.step) == (attempt, step)
        return at if same else None

    def went_back(self, key: Key, record: Record) -> None:
        """A rollback of that attempt was carried out before it could be written down."""
        self._back[key] = record.attempt.name, record.progress.verdict

    def is_back(self, key: Key, attempt: str) -> bool:
        return self._back.get(key, ("", None))[0] == attempt

    def back_because(self, key: Key, record: Record | None) -> Verdict | None:
        """Why the attempt of `record` went back before that could be written down; None where it did not, as far as
        this process knows."""
        attempt, verdict = self._back.get(key, ("", None))
        return verdict if record is not None and record.attempt.name == attempt else None

    def place_since(self, key: Key, record: Record | None, gateway: Gateway, now: float) -> float:
        """Since when (unix seconds) this process has seen the arms where they stand now."""
        place = place_of(gateway, record.attempt.arms) if record is not None else ""
        if self._places.get(key, ("", 0.0))[0] != place:
            self._places[key] = place, now
        return self._places[key][1] if key in self._places else now

    def awaited_since(self, route: ModelRoute, problem: Problem | None, now: float) -> float | None:
        """Since when (unix seconds) `problem` with a backend has been waited out; None where there is none to wait for.

        Another problem or another spec is waited for anew. A new process goes by the last status.
        """
        key = route.metadata.namespace or "", route.metadata.name
        if problem is not None and problem.reason is Reason.BACKEND_UNKNOWN:
            return None  # whether it is there is not known, and changes nothing of how long it was not
        awaited = problem if problem is not None and problem.reason in BACKEND_REASONS else None
        told = "" if awaited is None else f"{route.metadata.generation} {awaited.reason} {awaited.message}"
        last = self._awaited.get(key)
        if last is None or last[0] != told:
            noted = noted_since(route, awaited) if last is None and awaited is not None else None
            self._awaited[key] = told, now if noted is None else noted
        return self._awaited[key][1] if awaited is not None else None

    def silent_since(self, key: Key, gateway: Gateway, now: float) -> float | None:
        """Since when (unix seconds) a gateway is awaited; None where it has said something of the route as it is."""
        if gateway.acceptance is not Acceptance.WAITING:
            self._silent.pop(key, None)
            return None
        return self._silent.setdefault(key, now)

    def rejected_since(self, key: Key, gateway: Gateway, now: float) -> float | None:
        """Since when (unix seconds) the gateway has been seen to reject the route; None where it does not."""
        if gateway.acceptance is Acceptance.REJECTED:
            return self._rejected.setdefault(key, now)
        self._rejected.pop(key, None)
        return None

    def forget(self, key: Key) -> None:
        self._rejected.pop(key, None)
        self._silent.pop(key, None)
        self._back.pop(key, None)
        self._carried.pop(key, None)
        self._places.pop(key, None)
        self._awaited.pop(key, None)


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
