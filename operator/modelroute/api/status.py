"""What a user reads: the status of a ModelRoute, and the pieces that a ModelRollout's status shares with it.

A structural schema prunes what it does not know, so a field that is not here is never stored. To add one: one
line with a description, then `python -m modelroute.api.crds`. No rule of the API server applies to a status,
and what is too long is cut here: a rollback must not wait for a sentence. Numbers for people are strings with
their unit (`1.23%`), exact counts are integers. Enumerations stay plain strings in the schema, because an
older operator must be able to read what a newer one wrote; the words that this version writes are in the
StrEnums beside them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelroute.api.fields import Instant, Line, Path, Sentence, Word
from modelroute.api.routing import BackendRef, RouteRef
from modelroute.api.schema import Keep, Wire, list_map


class ConditionType(StrEnum):
    """The conditions that both resources use, as kstatus and Argo CD read them."""

    ACCEPTED = "Accepted"
    PROGRAMMED = "Programmed"
    METRICS_AVAILABLE = "MetricsAvailable"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Wire):
    """One aspect of the current state, as metav1.Condition."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Aspect that the condition is about.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Generation of the spec that the condition was set for."
    )
    last_transition_time: Instant = Field(description="When the status last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Why, in one CamelCase word with one meaning."
    )
    message: Sentence = Field(description="Why, in a sentence.")


Conditions = Annotated[list[Condition], Field(max_length=16), list_map("type")]


class LiveWeight(Wire):
    """One arm's live share of the traffic."""

    arm: Word = Field(description="Name of the arm: a model, or one version of a model.")
    model: Word | None = Field(None, description="Name of the model that the arm belongs to.")
    backend: Line | None = Field(None, description="Backend of the arm, as namespace/name:port or name:port.")
    weight: int = Field(description="Share of the traffic in units of 0.01 %, so that all shares sum to 10000.")


class StableShare(Wire):
    """One model's share of the split that was last promoted."""

    model: Word = Field(description="Name of the model.")
    backend_ref: BackendRef = Field(description="Where the model answered when the split became stable.")
    weight: int = Field(description="Share of the traffic in units of 0.01 %, so that all shares sum to 10000.")


class RefusedRevision(Wire):
    """What went back, or stopped for a breach, and is not tried again by itself; kept outside of its ModelRollout."""

    revision: Word = Field(description="Hash of the arms, weights and objectives that are not tried again.")
    attempt: Annotated[int, Field(ge=0)] = Field(description="Number of the attempt at it.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Sentence = Field(description="Why, in a sentence.")
    serial: Annotated[int, Field(ge=0)] = Field(
        description="The n of the token <revision>.<n> with which retry is due, where the ModelRollout is gone."
    )


class FieldNotInForce(Wire):
    """A field that the schema takes, but that this version does not act on."""

    field: Path = Field(description="Path of the field, for example spec.guard.bake.")
    message: Sentence = Field(description="What happens instead.")


class Evidence(Wire):
    """What is known of one objective for one candidate."""

    name: Word = Field(description="Name of the objective.")
    candidate: Word = Field(description="Name of the arm that is tested.")
    reference: Word | None = Field(None, description="Name of the arm that it is compared with, if any.")
    candidate_rate: Word | None = Field(None, description="Rate of the candidate so far, for example 1.23%.")
    reference_rate: Word | None = Field(None, description="Rate of the reference so far, for example 0.98%.")
    candidate_interval: Word | None = Field(
        None,
        description="Range that the candidate's rate lies in, valid at every look, for example 0.9%–1.6%.",
    )
    reference_interval: Word | None = Field(
        None,
        description="Range that the reference's rate lies in, valid at every look, for example 0.8%–1.2%.",
    )
    candidate_requests: int | None = Field(None, description="Requests of the candidate that were counted.")
    reference_requests: int | None = Field(None, description="Requests of the reference that were counted.")
    candidate_bad: float | None = Field(None, description="Bad requests of the candidate among them.")
    reference_bad: float | None = Field(None, description="Bad requests of the reference among them.")
    could_be_worse_by: Word | None = Field(
        None,
        description="How much worse the candidate could still be, given the evidence, for example 0.4pp.",
    )
    bound: Line | None = Field(None, description="What is allowed, for example at most 0.5pp above the reference.")
    evidence: Word | None = Field(
        None,
        description="Weight of the evidence for harm and the weight that decides, for example 3.1 of 20.",
    )
    verdict: Word | None = Field(None, description="What the evidence shows so far, in one word.")
    reason: Word | None = Field(None, description="Why, in one CamelCase word.")
    message: Sentence | None = Field(None, description="Why, in a sentence.")


EvidenceList = Annotated[list[Evidence], Keep(first=256)]


class Amount(Wire):
    """What a request of one candidate takes on average, beside its reference: reported, and never acted on."""

    name: Word = Field(description="Name of the objective.")
    candidate: Word = Field(description="Name of the arm.")
    reference: Word | None = Field(None, description="Name of the arm that it is compared with, if any.")
    unit: Word | None = Field(None, description="tokens, or the currency of the price.")
    candidate_amount: Word | None = Field(
        None, description="Average of a request of the candidate, for example 412.5 or 0.001234."
    )
    reference_amount: Word | None = Field(None, description="The same of the reference.")
    ratio: Word | None = Field(None, description="The candidate's as a multiple of the reference's, for example 0.31.")
    candidate_requests: int | None = Field(None, description="Requests of the candidate that were answered to the end.")
    reference_requests: int | None = Field(None, description="The same of the reference.")
    message: Sentence | None = Field(None, description="All of it, or why it is not known, in a sentence.")


AmountList = Annotated[list[Amount], Keep(first=256)]


class ModelRouteStatus(Wire):
    """What is live, what is going on, and why."""

    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Generation of the spec that this status is about."
    )
    phase: Word | None = Field(
        None,
        description="Pending, Stable, Progressing, AwaitingApproval, Paused, Holding, RollingBack or RolledBack.",
    )
    message: Sentence | None = Field(None, description="What is going on and what comes next, in a sentence.")
    step: Word | None = Field(None, description="Step of the rollout and how many there are, for example 2/5.")
    progress: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None,
        description="How far of the way from the stable to the wanted split this step is, in percent; once it is live, "
        "live says so.",
    )
    live: Line | None = Field(
        None,
        description="Live split in words, for example small 10 %, large 90 %: what every parent Gateway last reported "
        "accepted. A split that was only ordered is in message.",
    )
    live_weights: Annotated[list[LiveWeight], Keep(first=32)] | None = Field(
        None, description="Share of every arm in the split that every parent Gateway last reported accepted."
    )
    stable: Annotated[list[StableShare], Keep(first=16)] | None = Field(
        None, description="Split that was last promoted, to which a rollback returns."
    )
    verdict: Word | None = Field(None, description="What the evidence shows so far over all objectives, in one word.")
    route_ref: RouteRef | None = Field(
        None,
        description="Rule of the user's own HTTPRoute that this is about; spec.routeRef may name another by now.",
    )
    rollout: Word | None = Field(None, description="Name of the ModelRollout that is current, or was last.")
    attempt: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Number of the current or last attempt at moving the split."
    )
    revision: Word | None = Field(
        None, description="Hash of the arms, weights and objectives that are wanted; a rollback sticks to it."
    )
    refused: RefusedRevision | None = Field(
        None,
        description="What is not tried again before models, weights or objectives change or somebody says retry, "
        "also where its ModelRollout was deleted.",
    )
    next_action: Line | None = Field(
        None,
        description="Token that is due: a verb with it, for example approve@1a2b3c.4, is what the annotation "
        "modelroute.dev/action takes now.",
    )
    last_action: Line | None = Field(
        None, description="Value of the annotation modelroute.dev/action that was last taken or refused."
    )
    deadline: Instant | None = Field(
        None, description="When progressDeadline passes; not set while its clock stands still."
    )
    guard: Sentence | None = Field(
        None, description="What is watched after the promotion, what cannot be, and what a breach leads to."
    )
    lacking: Annotated[list[Sentence], Keep(first=64)] | None = Field(
        None, description="What is lacking to leave this step, and when it will be there at today's traffic."
    )
    not_in_force: Annotated[list[FieldNotInForce], Keep(first=64)] | None = Field(
        None, description="Fields of the spec that this version does not act on."
    )
    objectives: EvidenceList | None = Field(None, description="What is known of every objective and candidate.")
    amounts: AmountList | None = Field(None, description="What a request took on average, tokens or cost.")
    conditions: Conditions | None = Field(
        None, description="Accepted, Programmed, MetricsAvailable, Ready, Reconciling and Stalled."
    )
