"""What a step may lack, what the checks that find it may look at, and how soon the gateway is asked again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelroute.analysis.engine import Assessment
from modelroute.rollout.attempt import Record, Step
from modelroute.rollout.decision import Phase
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason

GATEWAY_POLL_S = 2.0

LEANING = math.log(2.0)
"""Log evidence above which harm is twice as likely as before the first look: docs/adr/0003."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that a step still lacks; `phase` is what the route is in while it is the first one lacking.

    `stalled`: nothing but a person can go on from here.
    """

    phase: Phase
    reason: Reason
    message: str
    wake_after_s: float | None = None
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a check may look at. `record` has the readings of this tick already folded in."""

    seen: Observation
    record: Record
    assessment: Assessment
    now: float

    @property
    def step(self) -> Step:
        return self.record.attempt.steps[self.record.progress.step]

    @property
    def waived(self) -> bool:
        """Whether a person ended this step's waiting."""
        return self.record.progress.waived or self.record.progress.waived_all
