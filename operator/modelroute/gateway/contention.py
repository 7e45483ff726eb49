"""Who has the last word on a route: how often its weights were restored lately. After too often, the quarrel ends."""

from __future__ import annotations

from collections import deque
from typing import Final

RESTORED_AT_MOST: Final = 5
WITHIN_S: Final = 600.0
BACK_EVERY_S: Final = 5.0
"""How often a rollback is restored at most after that: nothing stands in its way, and no fight is won by haste."""
TOLD_EVERY_S: Final = 60.0
"""How often that is told then: one event for many restorations."""

Key = tuple[str, str]


class Contention:
    """Counts restorations by route; times are unix seconds. Kept in memory: a restarted operator tries anew."""

    def __init__(self) -> None:
        self._restored: dict[Key, deque[float]] = {}
        self._back: dict[Key, tuple[str, deque[float]]] = {}
        self._told: dict[Key, tuple[float, int]] = {}

    def restored(self, key: Key, now: float) -> None:
        """A route that somebody else had changed was written back."""
        self._restored.setdefault(key, deque(maxlen=RESTORED_AT_MOST)).append(now)

    def is_contended(self, key: Key, now: float) -> bool:
        """Whether it was written back so often within `WITHIN_S` that it is left alone until that is over."""
        times = self._restored.get(key, ())
        return sum(abs(now - each) < WITHIN_S for each in times) >= RESTORED_AT_MOST

    def went_back(self, key: Key, attempt: str, now: float) -> None:
        """The rollback of `attempt` was written over what somebody else had made of it."""
        if self._back.get(key, ("", ()))[0] != attempt:
            self._back[key] = attempt, deque(maxlen=RESTORED_AT_MOST)
        self._back[key][1].append(now)

    def wait_s(self, key: Key, attempt: str, now: float) -> float:
        """How long the rollback of `attempt` waits before it is restored once more; it never waits to begin with."""
        known, times = self._back.get(key, ("", deque[float]()))
        lately = [each for each in times if abs(now - each) < WITHIN_S]
        if known != attempt or len(lately) < RESTORED_AT_MOST:
            return 0.0
        return max(0.0, lately[-1] + BACK_EVERY_S - now)

    def to_tell(self, key: Key, now: float) -> int:
        """Of how many restorations an event is due with this one, 0 for none yet: the first few have one each."""
        at, untold = self._told.get(key, (-TOLD_EVERY_S, 0))
        if self.is_contended(key, now) and abs(now - at) < TOLD_EVERY_S:
            self._told[key] = at, untold + 1
            return 0
        self._told[key] = now, 0
        return untold + 1

    def forget(self, key: Key) -> None:
        self._restored.pop(key, None)
        self._back.pop(key, None)
        self._told.pop(key, None)
