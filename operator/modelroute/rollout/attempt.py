"""One attempt at moving the traffic from one split to another: what is frozen, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from modelroute.analysis.design import Comparison, Design
from modelroute.analysis.engine import State
from modelroute.rollout.evidence import Unknown
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Arm, Split, split_of, weights_at


class Requirement(StrEnum):
    """What a step asks of the evidence before it is left."""

    NOT_HARMFUL = "NotHarmful"
    PROVEN_SAFE = "ProvenSafe"


@dataclass(frozen=True, slots=True)
class Step:
    """`progress` 1..100 % of the way; `min_requests` are each candidate's completions after the step has settled."""

    progress: int
    min_duration_s: float
    min_requests: int
    require: Requirement = Requirement.NOT_HARMFUL
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is frozen when an attempt starts. `name` is its ModelRollout's; `number` counts from 1."""

    name: str
    number: int
    revision: str
    arms: tuple[Arm, ...]
    steps: tuple[Step, ...]
    design: Design
    window_s: float
    settle_min_s: float

    @property
    def candidates(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if arm.gains)

    @property
    def stable(self) -> Split:
        return split_of(self.arms, {arm.name: arm.stable for arm in self.arms})

    @property
    def wanted(self) -> Split:
        return split_of(self.arms, {arm.name: arm.wanted for arm in self.arms})


class Stage(StrEnum):
    """Where an attempt is. The first two are under way, the others are its outcome."""

    PROGRESSING = "Progressing"
    ROLLING_BACK = "RollingBack"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"

    @property
    def under_way(self) -> bool:
        return self in {Stage.PROGRESSING, Stage.ROLLING_BACK}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an attempt goes back; latched, so that nothing that is seen later can take it away. `at` in unix seconds."""

    reason: Reason
    message: str
    at: float
    objective: str = ""
    candidate: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt has come: all that a restarted operator needs to go on. Times are unix seconds.

    `step_at`: when this step's (or the rollback's) weights were decided. `live_at`: when the gateway was seen to have
    them, None until then. `consumed_until`: the end of the last window that was looked at. `requests`: each candidate's
    completions in this step since it settled. `step_counts`: (bad, total) by (objective, arm) in this
    step. `unknown`: what the last window could not tell. `pause_breached`
    is latched: later windows may not take it away.
    """

    stage: Stage
    step: int
    started_at: float
    step_at: float
    live_at: float | None
    consumed_until: float
    engine: State
    requests: Mapping[str, float] = field(default_factory=dict)
    step_counts: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    slowest_p99_s: float = 0.0
    unknown: tuple[Unknown, ...] = ()
    verdict: Verdict | None = None
    pause_breached: bool = False
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An attempt and its progress, as the ModelRollout keeps them."""

    attempt: Attempt
    progress: Progress


def weights_of(record: Record) -> dict[str, int]:
    """The weights that an attempt asks of the gateway now, by arm name."""
    attempt, progress = record.attempt, record.progress
    match progress.stage:
        case Stage.PROGRESSING:
            return weights_at(attempt.arms, attempt.steps[progress.step].progress)
        case Stage.PROMOTED:
            return weights_at(attempt.arms, 100)
        case Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.SUPERSEDED:
            return weights_at(attempt.arms, 0)


def comparisons_of(arms: Sequence[Arm], stable: Split, reference: str) -> tuple[Comparison, ...]:
    """Who is compared with whom: every arm that gains is a candidate, with a reference of its own.

    In this order: its own old version if its backend changed; the arm of the `reference` model if it has traffic in
    this rollout and is not the candidate; else the arm that loses most. A candidate that is the reference itself has
    none.
    """
    before = {share.model: share.backend for share in stable if share.weight}
    by_backend = {arm.backend: arm for arm in arms}

    def reference_of(candidate: Arm) -> str | None:
        own = by_backend.get(before.get(candidate.model, candidate.backend))
        if own is not None and own.name != candidate.name and own.wanted < own.stable:
            return own.name
        if candidate.model == reference:
            return None
        for arm in arms:
            if arm.model == reference and (arm.stable or arm.wanted) and arm.name != candidate.name:
                return arm.name
        loser = max(arms, key=lambda arm: arm.stable - arm.wanted)
        return loser.name if loser.stable > loser.wanted else None

    return tuple(Comparison(arm.name, reference_of(arm)) for arm in arms if arm.gains)
