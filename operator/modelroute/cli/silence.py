"""Whether an attempt is under way and nobody writes what is seen of it: then a screen that looks healthy is a lie.

The operator writes the end of every window that it reads, so a record that stands still is either an operator that is
down or one that cannot read; the second says why in its reason.
"""

from __future__ import annotations

from typing import Final

from modelroute.api.fields import parse_instant
from modelroute.api.resources import ModelRollout
from modelroute.rollout.reasons import Reason
from modelroute.rollout.words import clock_time, duration

SILENT_S: Final = 60.0
SILENT_WINDOWS: Final = 4
LATE_WINDOWS: Final = 8
"""Where scrapes are late already: the operator waits for five of them."""
SETTLES_S: Final = 300.0
"""More, where the gateway has not got the split yet, so that no window is due."""
WHERE: Final = "docs/operating.md, When something is wrong"

_SAYS_WHY: Final = frozenset(
    {
        *(Reason.PROMETHEUS_UNAVAILABLE, Reason.PROMETHEUS_NOT_CONFIGURED, Reason.QUERY_WARNING, Reason.NO_DATA),
        *(Reason.WAITING_FOR_GATEWAY, Reason.GATEWAY_REJECTED, Reason.ROUTE_NOT_WRITTEN, Reason.ROUTE_CONTENDED),
        *(Reason.BACKEND_NOT_FOUND, Reason.BACKEND_UNKNOWN, Reason.REF_NOT_PERMITTED),
        *(Reason.INVALID_SPEC, Reason.CLOCK_BEHIND),
    }
)
"""Reasons with which an operator that lives may read nothing for long."""


def silence(rollout: ModelRollout | None, now: float) -> str | None:
    """A warning where nothing was written about an attempt that is under way for too long at `now` (unix seconds)."""
    if rollout is None or rollout.status.finished_at is not None:
        return None
    status, window_s = rollout.status, rollout.spec.window_seconds
    told = (
        *(status.started_at, status.step_started_at, status.step_live_at, status.clock_stopped_at),
        *(status.evidence_until, status.decided_at),
    )
    since = max((parse_instant(each) for each in told if each is not None), default=None)
    if since is None:
        return None
    windows = LATE_WINDOWS if status.reason == Reason.LATE_DATA else SILENT_WINDOWS
    patience_s = max(SILENT_S, windows * window_s) + (SETTLES_S if status.step_live_at is None else 0.0)
    if now - since <= patience_s:
        return None
    long = f"{duration(now - since)} (since {clock_time(since)})"
    if status.decision is not None:
        return f"Nothing was written for {long}, and the way back is not over: the operator may be down ({WHERE})."
    if status.reason in _SAYS_WHY:
        return (
            f"No evidence was read for {long}, so harm is not seen meanwhile. The operator last said {status.reason};"
            f" where that is over, it may be down ({WHERE})."
        )
    return (
        f"Nothing was written for {long}: the operator may be down, and harm is not seen meanwhile. What is shown here"
        f" is as old ({WHERE})."
    )
