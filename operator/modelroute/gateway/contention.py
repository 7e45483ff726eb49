"""Who has the last word on a route: how often its weights were restored lately. After too often, the quarrel ends."""

from __future__ import annotations

from collections import deque
from typing import Final

RESTORED_AT_MOST: Final = 5
WITHIN_S: Final = 600.0

Key = tuple[str, str]


class Contention:
    """Counts restorations by route; times are unix seconds. Kept in memory: a restarted operator tries anew."""

    def __init__(self) -> None:
        self._restored: dict[Key, deque[float]] = {}

    def restored(self, key: Key, now: float) -> None:
        """A route that somebody else had changed was written back."""
        self._restored.setdefault(key, deque(maxlen=RESTORED_AT_MOST)).append(now)

    def is_contended(self, key: Key, now: float) -> bool:
        """Whether it was written back so often within `WITHIN_S` that it is left alone until that is over."""
        times = self._restored.get(key, ())
        return sum(abs(now - each) < WITHIN_S for each in times) >= RESTORED_AT_MOST

    def forget(self, key: Key) -> None:
        self._restored.pop(key, None)
