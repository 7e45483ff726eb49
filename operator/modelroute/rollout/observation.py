"""What one tick saw, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modelroute.rollout.attempt import Record, Stage, Verdict, token_of
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal
from modelroute.rollout.split import Backend, Split


class Acceptance(StrEnum):
    """What the gateway says of the route as it stands now."""

    ABSENT = "Absent"
    FOREIGN = "Foreign"
    WAITING = "Waiting"
    REJECTED = "Rejected"
    LIVE = "Live"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The route and what its parents report for its present generation.

    `weights` are those in the route's rule, the one of index `rule`; `stable` and `rollback_of` are what the operator
    noted on the route itself. `contended`: somebody else keeps changing the weights, so they are no longer restored.
    `parents`: who is to take the route, as `namespace/name`.
    """

    acceptance: Acceptance
    message: str = ""
    weights: Mapping[Backend, int] = field(default_factory=dict)
    stable: Split | None = None
    rollback_of: str = ""
    rule: int = 0
    contended: bool = False
    parents: tuple[str, ...] = ()

    @property
    def awaited(self) -> str:
        """What a split that was ordered before this was seen still waits for."""
        return self.message or self.not_yet

    @property
    def not_yet(self) -> str:
        """Whom a split that is ordered now will wait for."""
        if not self.parents:
            return "the gateway has not accepted the split yet"
        *others, last = self.parents
        if not others:
            return f"Gateway {last} has not accepted the split yet"
        return f"Gateways {', '.join(others)} and {last} have not all accepted the split yet"


@dataclass(frozen=True, slots=True)
class Look:
    """What was read of the metrics since the last look.

    `expected_until` (unix seconds) is the end of the newest window that can be whole by now; with `problem` nothing was
    read at all.
    """

    expected_until: float
    readings: tuple[WindowReading, ...] = ()
    problem: Unknown | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the spec cannot be carried out now; `backend` is the one that it is with, where it is with one."""

    reason: Reason
    message: str
    backend: Backend | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's settings that are frozen into an attempt; times in seconds. `overdispersion` D ≥ 1 is the largest
    number of requests that the gateway assigns together, `judge_delay_s` how late verdicts may be, 0 where there
    is no judge.
    """

    window_s: float
    settle_min_s: float
    scrape_interval_s: float
    overdispersion: float = 1.0
    judge_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """`record` is the latest attempt, `attempts` how many there were, `noted` the stable split of the last status.
    `earlier`: the attempt that promoted the split which the route rests on, where the latest one ended otherwise.
    `overtaken`: where the latest is a promotion that the guard took back, the later attempts that had ended by then.

    `refused` and `was_going_back` (an attempt is on its way back) are what the last status noted: they count where the
    record is gone, or could not be told of it. `back_because`: why the latest attempt went back, where this process
    could not write that down. `request`: the action that a person asks for and nobody has dealt with yet, empty where
    there is none; `noted_token`: the one that the last status called due. `cannot_return`: why the backends that an
    attempt or a promotion came from could not take the traffic now.
    `redefined`: the objectives of the promotion that the spec means otherwise now, so that they are not counted.
    `moved_away`: the spec names another rule than the one that the attempt under way is on. `carried_at` (unix
    seconds): when this process last saw the route with the step's weights, None where it never did. `awaited_since`
    (unix seconds): since when the first of the problems, where it is one with a backend, has been waited out.
    `silent_since` (unix seconds): since when the gateway has said nothing of the route, None where it has.
    `rejected_since` (unix seconds): since when this process has seen the gateway reject the route, if it does.
    """

    name: str
    plan: Plan | None
    problems: tuple[Problem, ...]
    record: Record | None
    attempts: int
    noted: Split | None
    gateway: Gateway
    look: Look
    terms: Terms
    refused: Refusal | None = None
    was_going_back: bool = False
    back_because: Verdict | None = None
    request: str = ""
    noted_token: str = ""
    cannot_return: tuple[Problem, ...] = ()
    carried_at: float | None = None
    moved_away: bool = False
    awaited_since: float | None = None
    silent_since: float | None = None
    rejected_since: float | None = None
    redefined: frozenset[str] = frozenset()
    earlier: Record | None = None
    overtaken: tuple[Record, ...] = ()

    @property
    def promotion(self) -> Record | None:
        """The attempt that promoted the split which the route rests on; None where none did, or one is under way."""
        if self.record is not None and self.record.progress.stage is Stage.PROMOTED:
            return self.record
        return self.earlier

    @property
    def retry_token(self) -> str:
        """The token with which `retry` is due, empty where nothing was rolled back."""
        if self.record is None:
            return self.refused.token if self.refused is not None else ""
        if self.record.progress.stage not in {Stage.ROLLED_BACK, Stage.ABORTED}:
            return ""
        return token_of(self.record)
