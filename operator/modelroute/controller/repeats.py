"""What was told of a ModelRoute lately: an event that flaps is told once in a while, and not each time."""

from __future__ import annotations

from typing import Final

from modelroute.rollout.reasons import Reason

WITHIN_S: Final = 600.0
"""The status says for as long as it lasts how things stand; an event that comes again this soon says nothing new."""

Key = tuple[str, str]


class Repeats:
    """When what was told last of each route (unix seconds). Kept in memory: a restarted operator tells anew."""

    def __init__(self) -> None:
        self._told: dict[Key, dict[tuple[Reason, str], float]] = {}

    def is_new(self, key: Key, reason: Reason, moment: str, now: float) -> bool:
        """Whether it was not told within `WITHIN_S`; then it counts as told now.

        `moment` is the token that is due, and what it is about: another step, what a person did, or another objective's
        breach is another moment.
        """
        lately = {what: at for what, at in self._told.get(key, {}).items() if abs(now - at) < WITHIN_S}
        if (reason, moment) in lately:
            return False
        self._told[key] = {**lately, (reason, moment): now}
        return True

    def forget(self, key: Key) -> None:
        self._told.pop(key, None)
