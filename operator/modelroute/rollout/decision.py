"""What one tick decided: values only; carrying it out is the controller's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelroute.rollout.attempt import Record
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal
from modelroute.rollout.split import Split


class Phase(StrEnum):
    """`status.phase`."""

    PENDING = "Pending"
    STABLE = "Stable"
    PROGRESSING = "Progressing"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    HOLDING = "Holding"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that happened, for an event. `about`: of what, where the same can happen to several at once."""

    reason: Reason
    message: str
    warning: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class RouteOrder:
    """What the route is to have: the split, the stable split, and which attempt is going back (empty: none)."""

    split: Split
    stable: Split
    rollback_of: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`record` is what has to be written down before `order` is carried out; `fresh`: the attempt is a new one.

    No `order` means: leave the route alone. `stalled` says that nothing but a person can go on from here. `handled`:
    the request that was taken or refused; `next_action`: the token that is due now. `deadline_at` (unix seconds): when
    the attempt's deadline passes, None while its clock stands still. `guard`: what is watched after the promotion;
    `guarded`: the promotion with what the guard has seen, where that is to be written down.
    `refused`: what is not tried again, where the record is gone and another token is due for it now.
    """

    phase: Phase
    reason: Reason
    message: str
    order: RouteOrder | None = None
    record: Record | None = None
    fresh: bool = False
    lacking: tuple[str, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    stalled: bool = False
    wake_after_s: float = 15.0
    handled: str = ""
    next_action: str = ""
    deadline_at: float | None = None
    guard: str = ""
    refused: Refusal | None = None
    guarded: Record | None = None

    @property
    def under_way(self) -> bool:
        """Whether it is of an attempt under way."""
        return self.record is not None and self.record.progress.stage.under_way
