"""What one look adds to what is known of an attempt, with nothing decided from it."""

from __future__ import annotations

from typing import assert_never

from modelroute.rollout import under_way, watching
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.observation import Observation


def looked(seen: Observation, now: float) -> Record | None:
    """The attempt under way or the guarded promotion, with what was counted since; None where nobody is watched."""
    record = seen.record
    if record is None:
        return None
    match record.progress.stage:
        case Stage.PROGRESSING:
            return under_way.looked(seen, record, now)
        case Stage.ROLLING_BACK:
            return None
        case Stage.PROMOTED | Stage.ROLLED_BACK | Stage.SUPERSEDED | Stage.ABORTED:
            if seen.promotion is None:
                return None
            # What its guard reports is told, whether it can be written or not.
            return watching.watch(seen, now).record or watching.looked(seen, seen.promotion, now)
        case other:
            assert_never(other)
