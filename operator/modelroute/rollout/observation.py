"""What one tick saw, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modelroute.rollout.attempt import Record
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
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

    `weights` are those in the route's rule; `stable` and `rollback_of` are what the operator noted on the route itself.
    """

    acceptance: Acceptance
    message: str = ""
    weights: Mapping[Backend, int] = field(default_factory=dict)
    stable: Split | None = None
    rollback_of: str = ""


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
    """Why the spec cannot be carried out now."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's settings that are frozen into an attempt; times in seconds. `overdispersion` D ≥ 1 is the largest
    number of requests that the gateway assigns together."""

    window_s: float
    settle_min_s: float
    scrape_interval_s: float
    overdispersion: float = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """`record` is the latest attempt, `attempts` how many there were, `noted` the stable split of the last status.

    `refused_revision`: what the last status called rolled back, empty where it did not.
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
    refused_revision: str = ""
