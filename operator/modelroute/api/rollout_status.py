"""What came of an attempt: the status of a ModelRollout, for people and for the operator after a restart."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from modelroute.api.fields import Instant, Line, Sentence, Word
from modelroute.api.schema import Keep, Wire
from modelroute.api.status import AmountList, Conditions, EvidenceList, LiveWeight

ENGINE_STATE_LIMIT: Final = 262_144
"""Characters: 16 objectives × 8 candidates × 3 processes × 16 capitals in doubles, four times over."""
CHECKPOINT_LIMIT: Final = 32_768
"""Characters: four times what an attempt with one candidate and 4 objectives takes. Larger ones are not kept twice."""


class RolloutPhase(StrEnum):
    """Where an attempt is; the last four words are final."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    HOLDING = "Holding"
    ROLLING_BACK = "RollingBack"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"


class Decision(Wire):
    """What was decided, and why; once it is written it stands."""

    verdict: Word = Field(description="What was decided, in one word.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    objective: Word | None = Field(None, description="Name of the objective that decided, if one did.")
    candidate: Word | None = Field(None, description="Name of the arm that it was about, if it was one.")
    evidence: Word | None = Field(
        None, description="Weight of the evidence and the weight that decides, for example 23.4 of 20."
    )
    message: Sentence = Field(description="Why, in a sentence.")
    at: Instant = Field(description="When it was decided.")


class ObjectiveRequests(Wire):
    """For how many of them an objective could be told."""

    objective: Word = Field(description="Name of the objective.")
    requests: int = Field(description="Requests in windows in which the objective was known.")
    blind_windows: int | None = Field(None, description="Windows since the step had settled in which it was not known.")


class CandidateRequests(Wire):
    """How many requests a candidate answered in this step."""

    candidate: Word = Field(description="Name of the arm.")
    requests: int = Field(description="Requests that it answered since the step had settled.")
    objectives: Annotated[list[ObjectiveRequests], Keep(first=16)] | None = Field(
        None, description="For how many of them each objective could be told."
    )


class TokenSums(Wire):
    """What one arm took in the attempt so far."""

    arm: Word = Field(description="Name of the arm.")
    read: Annotated[float, Field(ge=0)] = Field(description="Prompt tokens.")
    generated: Annotated[float, Field(ge=0)] = Field(description="Generated tokens.")
    requests: Annotated[float, Field(ge=0)] = Field(description="Requests that were answered to the end.")


class Tally(Wire):
    """Counts of one arm for one objective."""

    objective: Word = Field(description="Name of the objective.")
    arm: Word = Field(description="Name of the arm.")
    bad: float = Field(description="Bad requests; may be fractional.")
    total: float = Field(description="Requests.")


class StepSums(Wire):
    """What was counted while one step was live."""

    step: Annotated[int, Field(ge=0)] = Field(description="Index of the step, from 0.")
    progress: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="How far of the way the step was, in percent."
    )
    live_at: Instant | None = Field(None, description="When the step was live.")
    left_at: Instant | None = Field(None, description="When the step was left.")
    windows: Annotated[int, Field(ge=0)] | None = Field(None, description="Windows that were counted.")
    tallies: Annotated[list[Tally], Keep(first=256)] = Field(
        default_factory=list, description="Counts by objective and arm."
    )


class UnknownNote(Wire):
    """Something that the last window could not tell."""

    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Sentence = Field(description="Why, in a sentence.")
    objective: Word | None = Field(None, description="Name of the objective; not set where all are meant.")
    arm: Word | None = Field(None, description="Name of the arm; not set where all are meant.")


class WindowRecord(Wire):
    """One window of evidence, in short."""

    end: Instant = Field(description="End of the window.")
    step: Annotated[int, Field(ge=0)] = Field(description="Index of the step that was live, from 0.")
    counts: Sentence = Field(
        description="Bad of all requests by objective and arm, for example errors/small=3/120 errors/large=1/480; "
        "slow/small=8,1/100 with more histogram boundaries, errors/small=3;2/120 where max counts others as bad."
    )
    completions: Line | None = Field(
        None, description="Answered requests by arm, for example large=480 small=120, while the split was live."
    )
    restarts: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="How often a process of the gateway began its rotation of the arms anew; not set where none did.",
    )
    settled: bool | None = Field(None, description="Whether the split had settled, so that all evidence counted.")
    note: Line | None = Field(None, description="What was not known in this window, in short.")


class Checkpoint(Wire):
    """What the statistics knew between two windows, so that the windows after it can be gone through again."""

    until: Instant = Field(description="End of the last window before it.")
    state: Annotated[str, Field(max_length=CHECKPOINT_LIMIT)] = Field(
        description="State of the statistics then, as in engineState."
    )


class ModelRolloutStatus(Wire):
    """What the attempt has done, has seen and has come to."""

    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Generation of the spec that this status is about."
    )
    phase: Word | None = Field(
        None,
        description="Pending, Progressing, AwaitingApproval, Paused, Holding, RollingBack, or how it ended: "
        "Promoted, RolledBack, Superseded or Aborted.",
    )
    reason: Word | None = Field(None, description="Why it is in this phase, in one CamelCase word.")
    message: Sentence | None = Field(None, description="What is going on or how it ended, in a sentence.")
    step_index: Annotated[int, Field(ge=0)] | None = Field(None, description="Index of the current step, from 0.")
    step: Word | None = Field(None, description="Step and how many there are, for example 2/5.")
    move: Line | None = Field(
        None, description="What the attempt changes, in words, for example small 0 → 40 %, large 100 → 60 %."
    )
    live: Line | None = Field(
        None,
        description="Split in words, for example small 10 %, large 90 %, that every parent Gateway last reported "
        "accepted.",
    )
    live_weights: Annotated[list[LiveWeight], Keep(first=32)] | None = Field(
        None, description="Share of every arm in the split that every parent Gateway last reported accepted."
    )
    started_at: Instant | None = Field(None, description="When the attempt started.")
    step_started_at: Instant | None = Field(None, description="When the current step's split was decided.")
    step_live_at: Instant | None = Field(None, description="When the gateway had it.")
    step_live_until: Instant | None = Field(
        None, description="When it was last seen to have it, where somebody else has changed the weights since."
    )
    step_place: Line | None = Field(
        None,
        description="Where the arms stood then, as the gateway's metrics name them: index of the rule, and "
        "of each arm's backendRef, for example 1:0,2.",
    )
    settled_at: Instant | None = Field(None, description="When its evidence began to count.")
    evidence_until: Instant | None = Field(None, description="End of the last window that was consumed.")
    decided_at: Instant | None = Field(None, description="When the outcome was decided.")
    rolled_back_at: Instant | None = Field(None, description="When the gateway had the rollback.")
    finished_at: Instant | None = Field(None, description="When the attempt ended.")
    clock_stopped_at: Instant | None = Field(
        None, description="Since when the deadline's clock stands still, where it does now."
    )
    paused_seconds: Annotated[float, Field(ge=0)] | None = Field(
        None, description="How long the deadline's clock has stood still before that, in seconds."
    )
    decision: Decision | None = Field(None, description="The decision that ended the attempt, or is about to.")
    step_requests: Annotated[list[CandidateRequests], Keep(first=16)] | None = Field(
        None, description="Requests that each candidate answered in this step since it had settled."
    )
    pause_breached: bool | None = Field(
        None, description="Whether an objective with onBreach: Pause was breached; nothing is promoted any more."
    )
    slowest_p99_seconds: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Largest 99th percentile of the duration of requests seen, in seconds."
    )
    unknown: Annotated[list[UnknownNote], Keep(first=64)] | None = Field(
        None, description="What the last window could not tell; while there is any, no step is left."
    )
    lacking: Annotated[list[Sentence], Keep(first=64)] | None = Field(
        None, description="What is lacking to leave this step, and when it will be there at today's traffic."
    )
    objectives: EvidenceList | None = Field(None, description="What is known of every objective and candidate.")
    amounts: AmountList | None = Field(None, description="What a request took on average, tokens or cost.")
    tokens: Annotated[list[TokenSums], Keep(first=32)] | None = Field(
        None, description="Tokens and requests of each arm, since the attempt began."
    )
    sums: Annotated[list[StepSums], Keep(first=20)] | None = Field(None, description="What was counted in each step.")
    windows: Annotated[list[WindowRecord], Keep(last=60)] | None = Field(
        None, description="The last windows of evidence, the newest last."
    )
    checkpoints: Annotated[list[Checkpoint], Keep(last=2)] | None = Field(
        None, description="States of the statistics among these windows, for modelroute explain."
    )
    engine_state: Annotated[str, Field(max_length=ENGINE_STATE_LIMIT)] | None = Field(
        None, description="State of the statistics after evidenceUntil, for the operator alone."
    )
    serial: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Number of the token that is due: it counts steps, actions and ends."
    )
    last_action: Line | None = Field(None, description="Last action that was taken, with its token.")
    approved: bool | None = Field(None, description="Whether a person approved the current step.")
    waived: bool | None = Field(None, description="Whether a person ended the waiting of the current step.")
    waived_all: bool | None = Field(None, description="Whether a person ended the waiting of all steps to come.")
    paused: bool | None = Field(None, description="Whether a person paused the attempt.")
    guard_revision: Word | None = Field(
        None, description="Revision whose objectives the guard watches, with a hash of their names and the models."
    )
    guard_state: Annotated[str, Field(max_length=ENGINE_STATE_LIMIT)] | None = Field(
        None, description="State of the guard's statistics, for the operator alone."
    )
    after_attempt: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Last attempt before the guard took this one's promotion back, where that is a later one."
    )
    conditions: Conditions | None = Field(
        None, description="Not written by this version: those of the ModelRoute tell of its rollout."
    )
