"""The table of the state machine: which state an event leads to, and what leads out of each. Pure data.

`decide` carries it out. A test brings a whole operator into every state, lets every event happen and compares, and
docs/states.md is drawn from it (`python -m states_page`).

An event leads to the *first* other state that `status.phase` shows after it, or to none: then it stays. A cell with
several states depends on more than the table names (which step it is, why it was paused); all of them do occur.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelroute.rollout.decision import Phase


class State(StrEnum):
    """A phase, told apart by whether an attempt is under way: `Paused` and `Holding` come both before and during one.

    `GONE` is the end: the ModelRoute was deleted.
    """

    PENDING = "Pending"
    STABLE = "Stable"
    PAUSED_BEFORE = "Paused (before a rollout)"
    HELD_BEFORE = "Holding (before a rollout)"
    PROGRESSING = "Progressing"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    HOLDING = "Holding"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    GONE = "(gone)"

    @property
    def phase(self) -> Phase | None:
        """What `status.phase` says in this state; None where there is no status any more."""
        return None if self is State.GONE else Phase(self.value.split(" ", maxsplit=1)[0])

    @property
    def under_way(self) -> bool:
        """Whether an attempt is under way: its ModelRollout has begun and has not ended."""
        return self in {
            State.PROGRESSING,
            State.AWAITING_APPROVAL,
            State.PAUSED,
            State.HOLDING,
            State.ROLLING_BACK,
        }


def state_of(phase: Phase, *, under_way: bool) -> State:
    """The state of a ModelRoute that shows `phase`."""
    found = [state for state in State if state.phase is phase]
    return next((state for state in found if state.under_way is under_way), found[0])


class Event(StrEnum):
    """What a tick may come to see. A verb is one with the token that is due, if any is."""

    ALL_MET = "all that was lacking is there, and the time is over"
    LONG = "time passes, and nothing else"
    HARM = "harm is shown"
    PAUSE_BREACH = "an objective with onBreach: Pause is breached"
    PROOF_LACKING = "the time is over, and ProvenSafe is not shown"
    UNKNOWN = "the evidence is unknown"
    GATEWAY_SILENT = "the gateway keeps silent"
    GATEWAY_REJECTS = "the gateway rejects the route"
    ROUTE_CHANGED = "somebody changes the weights of the route once"
    ROUTE_CONTENDED = "somebody changes them again and again"
    ROUTE_DELETED = "somebody deletes the route"
    ROUTE_FOREIGN = "the route belongs to somebody else"
    SPEC_CHANGED = "the spec wants another split"
    SPEC_CHANGED_BACK = "the spec wants the stable split"
    SPEC_IMPOSSIBLE = "the spec wants what cannot be carried out"
    SPEC_PAUSED = "spec.paused becomes true"
    SPEC_UNPAUSED = "spec.paused becomes false"
    BACKEND_GONE = "the candidate's Service is gone"
    DEADLINE_HOLD = "progressDeadline passes, onDeadline: Hold"
    DEADLINE_ROLL_BACK = "progressDeadline passes, onDeadline: RollBack"
    APPROVE = "approve"
    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RETRY = "retry"
    STALE_TOKEN = "a verb with a token of another moment"  # noqa: S105 - words, no secret
    GUARD_BREACH_BAKING = "the guard is breached within the bake, onBreach: RollBack"
    GUARD_BREACH_AFTER = "the guard is breached after the bake"
    RECORD_DELETED = "somebody deletes the ModelRollout"
    RESTARTED = "the operator is restarted"
    DELETED = "the ModelRoute is deleted"


class By(StrEnum):
    """What leads out of a state: time alone, or somebody who acts."""

    TIME = "time"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a state, in words; `event` is its column of the table."""

    by: By
    event: Event
    how: str


Cell = tuple[State, ...]

COLUMNS: Final = tuple(state for state in State if state is not State.GONE)
"""The order of the cells in `_ROWS`."""

# fmt: off
___: Final[Cell] = ()
P, S, W, H = (State.PENDING,), (State.STABLE,), (State.PAUSED_BEFORE,), (State.HELD_BEFORE,)
PR, AW, PA, HO = (State.PROGRESSING,), (State.AWAITING_APPROVAL,), (State.PAUSED,), (State.HOLDING,)
RB, RD, X = (State.ROLLING_BACK,), (State.ROLLED_BACK,), (State.GONE,)

_ROWS: Final[Mapping[Event, tuple[Cell, ...]]] = {
    #                           P     S     W     H     PR    AW     PA    HO    RB    RD
    Event.ALL_MET:             (S+PR, ___,  ___,  PR,   S+PR, ___,   ___,  PR+HO, H+RD, ___),
    Event.LONG:                (___,  ___,  ___,  ___,  S+PR, ___,   ___,  ___,  H+RD, ___),
    Event.HARM:                (___,  ___,  ___,  ___,  RB,   RB,    RB,   RB+HO, ___, ___),
    Event.PAUSE_BREACH:        (___,  ___,  ___,  ___,  PA,   PA,    ___,  PA+HO, ___, ___),
    Event.PROOF_LACKING:       (___,  ___,  ___,  ___,  ___,  ___,   ___,  ___,  ___,  ___),
    Event.UNKNOWN:             (___,  ___,  ___,  ___,  HO,   HO,    ___,  ___,  ___,  ___),
    Event.GATEWAY_SILENT:      (___,  H,    H,    ___,  HO,   PR+HO, PR,   PR+HO, ___, H),
    Event.GATEWAY_REJECTS:     (___,  H,    H,    ___,  HO,   HO,    HO,   RB,   ___,  H),
    Event.ROUTE_CHANGED:       (___,  H,    H,    ___,  ___,  PR,    PR,   PR+HO, ___, H),
    Event.ROUTE_CONTENDED:     (P+H,  H,    H,    ___,  HO,   HO,    HO,   ___,  ___,  H),
    Event.ROUTE_DELETED:       (___,  H,    H,    ___,  ___,  PR,    PR,   PR+HO, ___, H),
    Event.ROUTE_FOREIGN:       (___,  P,    P,    P,    P,    P,     P,    P,    P,    P),
    Event.SPEC_CHANGED:        (___,  PR,   ___,  ___,  RB,   RB,    RB,   RB,   ___,  PR),
    Event.SPEC_CHANGED_BACK:   (P+S,  ___,  S,    S,    RB,   RB,    RB,   RB,   ___,  S),
    Event.SPEC_IMPOSSIBLE:     (P+H,  H,    H,    ___,  HO,   HO,    HO,   ___,  ___,  H),
    Event.SPEC_PAUSED:         (___,  ___,  ___,  W,    PA,   PA,    ___,  PA,   ___,  ___),
    Event.SPEC_UNPAUSED:       (___,  ___,  PR,   ___,  ___,  ___,   PR+PA, ___, ___,  ___),
    Event.BACKEND_GONE:        (P+H,  ___,  H,    ___,  HO,   HO,    HO,   ___,  ___,  H),
    Event.DEADLINE_HOLD:       (___,  ___,  ___,  ___,  HO,   ___,   ___,  ___,  H+RD, ___),
    Event.DEADLINE_ROLL_BACK:  (___,  ___,  ___,  ___,  RB,   ___,   ___,  RB,   H+RD, ___),
    Event.APPROVE:             (___,  ___,  ___,  ___,  ___,  PR,    ___,  ___,  ___,  ___),
    Event.PROMOTE:             (___,  ___,  ___,  ___,  S+PR, PR,    ___,  PR+HO, ___, ___),
    Event.PROMOTE_FULL:        (___,  ___,  ___,  ___,  S,    PR,    ___,  PR+HO, ___, ___),
    Event.PAUSE:               (___,  ___,  ___,  ___,  PA,   PA,    ___,  PA,   ___,  ___),
    Event.RESUME:              (___,  ___,  ___,  ___,  ___,  ___,   PR+PA, ___, ___,  ___),
    Event.ABORT:               (___,  ___,  ___,  ___,  RB,   RB,    RB,   RB,   ___,  ___),
    Event.RETRY:               (___,  ___,  ___,  ___,  ___,  ___,   ___,  ___,  ___,  PR),
    Event.STALE_TOKEN:         (___,  ___,  ___,  ___,  ___,  ___,   ___,  ___,  ___,  ___),
    Event.GUARD_BREACH_BAKING: (___,  S+RB, ___,  ___,  ___,  ___,   ___,  ___,  ___,  ___),
    Event.GUARD_BREACH_AFTER:  (___,  ___,  ___,  ___,  ___,  ___,   ___,  ___,  ___,  ___),
    Event.RECORD_DELETED:      (___,  ___,  ___,  ___,  H,    H,     H,    H,    H,    ___),
    Event.RESTARTED:           (___,  ___,  ___,  ___,  ___,  ___,   ___,  ___,  ___,  ___),
    Event.DELETED:             (X,    X,    X,    X,    X,    X,     X,    X,    X,    X),
}
# fmt: on


def _filled() -> dict[tuple[State, Event], frozenset[State]]:
    return {
        (state, event): frozenset(cell or (state,))
        for event, row in _ROWS.items()
        for state, cell in zip(COLUMNS, row, strict=True)
    }


TABLE: Final[Mapping[tuple[State, Event], frozenset[State]]] = _filled()
"""Every state but `GONE`, and every event: where it leads to. What holds in the cell stays is the state itself."""

EXITS: Final[Mapping[State, tuple[Exit, ...]]] = {
    State.PENDING: (
        Exit(By.TIME, Event.ALL_MET, "the gateway accepts the route"),
        Exit(By.ACTION, Event.SPEC_CHANGED_BACK, "mend the field of the spec that the message names"),
    ),
    State.STABLE: (Exit(By.ACTION, Event.SPEC_CHANGED, "apply other weights, models or objectives"),),
    State.PAUSED_BEFORE: (
        Exit(By.ACTION, Event.SPEC_UNPAUSED, "set spec.paused to false"),
        Exit(By.ACTION, Event.SPEC_CHANGED_BACK, "apply the stable split"),
    ),
    State.HELD_BEFORE: (
        Exit(By.TIME, Event.ALL_MET, "what the message names is known, or accepted, again"),
        Exit(By.ACTION, Event.SPEC_CHANGED_BACK, "apply the stable split"),
    ),
    State.PROGRESSING: (
        Exit(By.TIME, Event.ALL_MET, "the step is left, the last one to Stable"),
        Exit(By.TIME, Event.DEADLINE_HOLD, "progressDeadline, at the latest"),
        Exit(By.ACTION, Event.PROMOTE, "promote: this step's waiting is over"),
        Exit(By.ACTION, Event.ABORT, "abort: back to the stable split"),
    ),
    State.AWAITING_APPROVAL: (
        Exit(By.ACTION, Event.APPROVE, "approve"),
        Exit(By.ACTION, Event.ABORT, "abort: back to the stable split"),
    ),
    State.PAUSED: (
        Exit(By.ACTION, Event.RESUME, "resume, where a person said pause"),
        Exit(By.ACTION, Event.SPEC_UNPAUSED, "set spec.paused to false, where the spec paused it"),
        Exit(By.ACTION, Event.ABORT, "abort: back to the stable split"),
    ),
    State.HOLDING: (
        Exit(By.TIME, Event.ALL_MET, "what the message names is known, or accepted, again"),
        Exit(By.TIME, Event.GATEWAY_REJECTS, "the gateway still rejects the step after 10 s: back to the stable split"),
        Exit(By.ACTION, Event.PROMOTE, "promote, after progressDeadline"),
        Exit(By.ACTION, Event.ABORT, "abort: back to the stable split"),
        Exit(By.ACTION, Event.SPEC_CHANGED, "apply another spec"),
    ),
    State.ROLLING_BACK: (
        Exit(By.TIME, Event.LONG, "the gateway has the split and the candidate is quiet, or 5 minutes of each pass"),
    ),
    State.ROLLED_BACK: (
        Exit(By.ACTION, Event.SPEC_CHANGED, "apply other weights, models or objectives"),
        Exit(By.ACTION, Event.SPEC_CHANGED_BACK, "apply the stable split"),
        Exit(By.ACTION, Event.RETRY, "retry: the same once more"),
    ),
}
"""The ways out that people are told of: every state has time or an action that leads out of it."""
