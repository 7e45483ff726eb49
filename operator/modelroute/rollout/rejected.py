"""A step that the gateway rejects: the share of a reference that it cannot resolve is answered with errors, and what is
counted while the step is not live would not show it. After a moment's patience it goes back.
"""

from __future__ import annotations

from typing import Final

from modelroute.rollout.attempt import Record, Verdict
from modelroute.rollout.changed import gives_candidates_more
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason

PATIENCE_S: Final = 10.0
"""A Service that is made anew, or a gateway that is restarted, ends no attempt."""


def rejection(seen: Observation, record: Record, now: float) -> Verdict | None:
    """The verdict, where the gateway has rejected the step for longer than it has patience for; else None."""
    due_at = goes_back_at(seen, record)
    if due_at is None or now < due_at:
        return None
    return Verdict(Reason.GATEWAY_REJECTED, seen.gateway.message, now)


def goes_back_at(seen: Observation, record: Record) -> float | None:
    """When (unix seconds) a rejection ends the attempt; None where it does not.

    Not where no candidate has more than before, nor where what was there before is known not to take traffic either.
    """
    if seen.rejected_since is None or not gives_candidates_more(seen, record):
        return None
    stable = {arm.backend for arm in record.attempt.arms if arm.stable}
    unwell = (each for each in (*seen.problems, *seen.cannot_return) if each.reason is not Reason.BACKEND_UNKNOWN)
    if any(problem.backend in stable for problem in unwell):
        return None
    return seen.rejected_since + PATIENCE_S
