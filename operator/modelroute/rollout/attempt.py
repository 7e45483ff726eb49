"""One attempt at moving the traffic from one split to another: what is frozen, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from modelroute.analysis.design import Comparison, Design
from modelroute.analysis.detector import GuardState
from modelroute.analysis.engine import State
from modelroute.rollout.evidence import Tokens, Unknown
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


class Trigger(StrEnum):
    """What started an attempt."""

    FIRST_APPLY = "FirstApply"
    SPEC_CHANGED = "SpecChanged"
    RETRY = "Retry"


class OnDeadline(StrEnum):
    """What happens when an attempt takes longer than its deadline."""

    HOLD = "Hold"
    ROLL_BACK = "RollBack"


class OnGuardBreach(StrEnum):
    """What a breach after the promotion leads to."""

    REPORT = "Report"
    ROLL_BACK = "RollBack"


@dataclass(frozen=True, slots=True)
class GuardTerms:
    """What watches the split after the promotion: `bake_s` ≥ 0, `false_alarms_per_year` > 0 over all."""

    bake_s: float = 3600.0
    on_breach: OnGuardBreach = OnGuardBreach.REPORT
    false_alarms_per_year: float = 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long an attempt may take (`after_s` > 0 seconds in which no person is waited for), and what comes then."""

    after_s: float = 86_400.0
    action: OnDeadline = OnDeadline.HOLD


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is frozen when an attempt starts. `name` is its ModelRollout's; `number` counts from 1.

    `judge_delay_s`: how long after an answer its verdict is counted at the latest, where there is a judge.
    `boundaries` (seconds, by objective): where the gateway's histogram is read for latency.
    """

    name: str
    number: int
    revision: str
    arms: tuple[Arm, ...]
    steps: tuple[Step, ...]
    design: Design
    window_s: float
    settle_min_s: float
    deadline: Deadline = field(default_factory=Deadline)
    guard: GuardTerms = field(default_factory=GuardTerms)
    trigger: Trigger = Trigger.SPEC_CHANGED
    judge_delay_s: float = 0.0
    boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    @property
    def candidates(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if arm.gains)

    @property
    def stable(self) -> Split:
        return split_of(self.arms, {arm.name: arm.stable for arm in self.arms})

    @property
    def wanted(self) -> Split:
        return split_of(self.arms, {arm.name: arm.wanted for arm in self.arms})


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a step could be told for an objective and a candidate, since the step has settled: the candidate's
    completions in windows in which it was known, and how many windows were `blind`.
    """

    requests: float = 0.0
    blind: int = 0


class Stage(StrEnum):
    """Where an attempt is. The first two are under way, the others are its outcome."""

    PROGRESSING = "Progressing"
    ROLLING_BACK = "RollingBack"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"

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
    them, None until then. `live_until`: when it was last seen to have them, where somebody else has changed them since
    and what was counted before is not read yet, or forbids to restore them. `place`: where the arms stood in the route
    (see `places`), empty where nobody noted it. `consumed_until`: the end of the last window that was looked at.
    `requests`: each candidate's completions in this step since it settled; `covered`: what of them was known, by
    (objective, candidate). `step_counts`: (bad, total) by (objective, arm) in this step. `tokens`: by arm, of the
    attempt's settled windows. `unknown`: what the last window could not tell. `pause_breached` is latched: later
    windows may not take it away.

    What people did: `approved` and `waived` hold for this step, `waived_all` and `paused` until the attempt ends;
    `serial` is the n of the token that is due, `handled` the last request that was taken. `stopped_s`: how long the
    deadline's clock has stood still before `stopped_since`, where it stands still now.

    `guard`: what the guard has seen since the promotion; `guarded`: of which revision, objectives and arms that is.
    `after_attempt`: the number of the last attempt that had ended when the guard took the promotion back, where that is
    another one; 0 else.
    """

    stage: Stage
    step: int
    started_at: float
    step_at: float
    live_at: float | None
    consumed_until: float
    engine: State
    requests: Mapping[str, float] = field(default_factory=dict)
    covered: Mapping[tuple[str, str], Coverage] = field(default_factory=dict)
    step_counts: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    slowest_p99_s: float = 0.0
    unknown: tuple[Unknown, ...] = ()
    verdict: Verdict | None = None
    pause_breached: bool = False
    finished_at: float | None = None
    approved: bool = False
    waived: bool = False
    waived_all: bool = False
    paused: bool = False
    serial: int = 1
    handled: str = ""
    stopped_s: float = 0.0
    stopped_since: float | None = None
    guard: GuardState | None = None
    guarded: str = ""
    live_until: float | None = None
    place: str = ""
    after_attempt: int = 0


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
        case Stage.ROLLING_BACK | Stage.ROLLED_BACK | Stage.SUPERSEDED | Stage.ABORTED:
            return weights_at(attempt.arms, 0)


def token_of(record: Record) -> str:
    """What a verb must carry to be due: `<revision>.<n>`; n counts every step, every verb taken and every end."""
    return f"{record.attempt.revision}.{record.progress.serial}"


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
