"""The state machine: from what one tick saw to what is to be done. One pure function, `decide`.

    at rest      no attempt is under way       Pending, Stable, RolledBack, Paused, Holding
    under way    an attempt is progressing     Progressing, AwaitingApproval, Paused, Holding
    going back   an attempt is rolled back     RollingBack

Weights rise in two places only, `starting.begin` and `under_way.leave_step`; everything else keeps the split or takes
it back. Which state leads where is the table in `table.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from modelroute.rollout.attempt import Record, Stage, token_of
from modelroute.rollout.decision import Announcement, Decision, Phase
from modelroute.rollout.going_back import go_back, going_back, is_noted, noted_verdict, taken_up
from modelroute.rollout.observation import Acceptance, Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.resting import at_rest
from modelroute.rollout.under_way import under_way
from modelroute.rollout.verbs import Refused, Taken, refusal_at_rest, spent, take, wants_retry


def decide(seen: Observation, now: float) -> Decision:
    """What to do about `seen` at `now` (unix seconds). Total: every observation has a decision."""
    decision = _decide(seen, now)
    resting = seen.record is None or not seen.record.progress.stage.under_way
    if seen.request and not decision.handled and resting and not wants_retry(seen):
        decision = _refused_at_rest(seen, decision)
    return replace(decision, next_action=token_due(seen, decision))


def _refused(decision: Decision, request: str, refused: Refused) -> Decision:
    said = Announcement(Reason.ACTION_REFUSED, refused.message, warning=True)
    return replace(decision, handled=request, announcements=(said, *decision.announcements))


def _refused_at_rest(seen: Observation, decision: Decision) -> Decision:
    refused = refusal_at_rest(seen)
    if refused.spent and not decision.fresh:
        if seen.record is not None:
            decision = replace(decision, record=spent(seen.record, seen.request))
        elif seen.refused is not None:
            decision = replace(decision, refused=replace(seen.refused, serial=seen.refused.serial + 1))
    return _refused(decision, seen.request, refused)


def token_due(seen: Observation, decision: Decision) -> str:
    """What a verb must carry now; empty where there is none to give."""
    after = decision.record or seen.record
    if after is not None and after.progress.stage is Stage.PROGRESSING:
        return token_of(after)
    if decision.phase is not Phase.ROLLED_BACK:
        return ""
    return token_of(after) if after is not None else seen.retry_token


def _decide(seen: Observation, now: float) -> Decision:
    if seen.gateway.acceptance is Acceptance.FOREIGN:
        return Decision(Phase.PENDING, Reason.ROUTE_NOT_OURS, seen.gateway.message, stalled=True, wake_after_s=30.0)
    if seen.record is not None:
        match seen.record.progress.stage:
            case Stage.PROGRESSING | Stage.ROLLING_BACK:
                return _asked(seen, seen.record, now)
            case Stage.PROMOTED | Stage.ROLLED_BACK | Stage.SUPERSEDED | Stage.ABORTED:
                pass
            case other:
                assert_never(other)
    if seen.promotion is not None and is_noted(seen, seen.promotion):
        # The guard took it back, and only the route could be told.
        return go_back(seen.gateway, taken_up(seen, seen.promotion), noted_verdict(seen, seen.promotion, now), now)
    return at_rest(seen, now)


def _asked(seen: Observation, record: Record, now: float) -> Decision:
    """An attempt under way, with what a person asks of it taken first; a refusal is only told."""
    outcome = take(seen, record, now)
    taken = outcome if isinstance(outcome, Taken) else None
    if taken is not None:
        record = taken.record
    elif isinstance(outcome, Refused) and outcome.spent:
        record = spent(record, seen.request)
    if record.progress.stage is Stage.ROLLING_BACK:
        decision = going_back(seen, record, now)
    elif taken is not None and taken.verdict is not None:
        decision = go_back(seen.gateway, record, taken.verdict, now)
    else:
        decision = under_way(seen, record, now)
    if isinstance(outcome, Refused):
        return _refused(decision, seen.request, outcome)
    if taken is None:
        return decision
    said = Announcement(Reason.ACTION_TAKEN, taken.message)
    return replace(decision, handled=seen.request, announcements=(said, *decision.announcements))
