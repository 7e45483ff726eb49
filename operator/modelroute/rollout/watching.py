"""The guard of a promoted split, within a tick: what it found goes back, or goes along with what is decided at rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from modelroute.rollout import guarding
from modelroute.rollout.attempt import Record, Verdict
from modelroute.rollout.decision import Announcement, Decision
from modelroute.rollout.going_back import go_back, taken_up
from modelroute.rollout.guarding import (
    afresh,
    broken,
    closed_by,
    fold,
    guard_of,
    is_baking,
    is_due,
    verdict_of,
)
from modelroute.rollout.observation import Observation
from modelroute.rollout.places import is_in_place, placed
from modelroute.rollout.reasons import Reason

TIDY_AFTER_S: Final = 300.0
"""How long an arm at weight 0 stays in the route after its attempt, for requests that are still being answered."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the guard of a promoted split found: the way back, or what goes along with any other decision at rest."""

    back: Decision | None = None
    words: str = ""
    record: Record | None = None
    said: tuple[Announcement, ...] = ()
    wake_after_s: float = math.inf

    def beside(self, decision: Decision) -> Decision:
        decision = replace(decision, announcements=(*self.said, *decision.announcements))
        if decision.fresh:
            # The next attempt begins; the guard of the last one ends with that.
            return decision
        return replace(
            decision,
            guard=self.words,
            guarded=self.record,
            wake_after_s=min(decision.wake_after_s, self.wake_after_s),
        )


def watch(seen: Observation, now: float) -> Watch:
    """A promoted split, watched: an alarm takes it back while it bakes, and is reported after that."""
    record = seen.promotion
    if record is None:
        return Watch(words="" if seen.record is None else guarding.NOT_PROMOTED)
    held, rests_at = guarding.held_to(seen, record), guarding.rests_since(record, seen.record)
    guard, baking = guard_of(held, record, seen.terms), is_baking(record, now)
    words = guarding.in_words(seen, record, held, now)
    wake_after_s = 15.0 if baking else math.inf
    stands = broken(guard, record.progress, revision=held.revision)
    if not guard.watched or (seen.look.problem is not None and not stands):
        return Watch(words=words, wake_after_s=wake_after_s if guard.watched else math.inf)
    progress = looked(seen, record, now).progress
    found = broken(guard, progress, revision=held.revision)
    verdicts = [verdict_of(alarm, now) for alarm in found]
    if found and baking:
        if (closed := closed_by(seen)) is None:
            back = taken_up(seen, Record(record.attempt, progress))
            return Watch(go_back(seen.gateway, back, verdicts[0], now))
        if not stands:
            message = f"{verdicts[0].message}; goes back as soon as the way back is open: {closed.message}"
            waits = Announcement(Reason.GUARD_BREACHED, message, warning=True, about=f"waits {_about(verdicts[0])}")
            latched = Record(record.attempt, progress)
            return Watch(words=words, record=latched, said=(waits,), wake_after_s=wake_after_s)
    elif found:
        said = tuple(
            Announcement(
                Reason.GUARD_BREACHED,
                f"{verdict.message}; the split stays as it is",
                warning=True,
                about=_about(verdict),
            )
            for verdict in verdicts
        )
        told = Record(record.attempt, afresh(guard, progress))
        return Watch(words=words, record=told, said=said, wake_after_s=wake_after_s)
    moves = _moves(seen, record, rests_at, now)
    if not is_due(record.progress, progress, baking=baking, moves=moves, look=seen.look):
        return Watch(words=words, wake_after_s=wake_after_s)
    # Where there was more than one look can bring, the next one reads on from what is written down now; and the sooner
    # a new place is seen, the less is counted there that nobody knows to be there.
    soon = 1.0 if moves or guarding.is_behind(seen.look) else wake_after_s
    return Watch(words=words, record=Record(record.attempt, progress), wake_after_s=soon)


def looked(seen: Observation, record: Record, now: float) -> Record:
    """`record`, of a promotion, with what this look brought; as it is where nothing is watched."""
    held, rests_at = guarding.held_to(seen, record), guarding.rests_since(record, seen.record)
    guard = guard_of(held, record, seen.terms)
    if not guard.watched:
        return record
    progress = fold(guard, record.progress, seen.look.readings, revision=held.revision, rests_at=rests_at, now=now)
    return placed(seen.gateway, Record(record.attempt, progress))


def _moves(seen: Observation, record: Record, rests_at: float, now: float) -> bool:
    """Whether the arms have changed places since the guard wrote where they are, or are tidied away in this tick."""
    tidied_at, guard = rests_at + TIDY_AFTER_S, record.progress.guard
    return not is_in_place(seen.gateway, record) or (guard is not None and guard.until < tidied_at <= now)


def _about(verdict: Verdict) -> str:
    return f"{verdict.objective}/{verdict.candidate}"
