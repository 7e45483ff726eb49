"""Evidence that was looked at and could not be written down: the next look goes on from it, and does not read it again.

Kept in memory: a restarted operator reads on from what is written. Only what was counted is kept. What was decided is
decided again, so that no traffic rises on it before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelroute.cluster.client import Json

Key = tuple[str, str]


class Unwritten:
    """By ModelRoute: its latest ModelRollout as it would be, where the API server did not take it at the last look."""

    def __init__(self) -> None:
        self._ahead: dict[Key, Json | None] = {}

    def failed(self, key: Key, ahead: Json | None) -> bool:
        """The last write failed, and `ahead` is what is known beyond it; whether that before it had failed too."""
        again = key in self._ahead
        self._ahead[key] = self._ahead.get(key) if ahead is None else ahead
        return again

    def known(self, key: Key, rollouts: Sequence[Json]) -> list[Json]:
        """`rollouts` as they were read, with what is known of the latest; not where somebody has written it since."""
        ahead = self._ahead.get(key)
        return [ahead if ahead is not None and _version(each) == _version(ahead) else each for each in rollouts]

    def is_ahead(self, key: Key, rollout: Json | None) -> bool:
        """Whether `rollout` is one that `known` put in place of what is written."""
        return rollout is not None and rollout is self._ahead.get(key)

    def forget(self, key: Key) -> None:
        self._ahead.pop(key, None)


def _version(rollout: Json) -> tuple[str, str]:
    metadata = rollout["metadata"]
    return metadata["uid"], metadata["resourceVersion"]
