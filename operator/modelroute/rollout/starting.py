"""The start of an attempt: who is compared with whom, and the first step. One of the two places where weights rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from modelroute.analysis.design import Design
from modelroute.analysis.engine import start
from modelroute.analysis.layout import layout_of
from modelroute.rollout.attempt import (
    Attempt,
    Progress,
    Record,
    Requirement,
    Stage,
    Trigger,
    comparisons_of,
)
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.lack import GATEWAY_POLL_S
from modelroute.rollout.observation import Observation, Problem
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Arm, Split, arms_between, in_words, weights_at, words_of
from modelroute.rollout.under_way import asking, step_started
from modelroute.rollout.verbs import wants_retry

MAX_PROCESSES: Final = 1_000
"""Of one attempt. Each takes some 200 characters of the engine's state, for which there is room for 262,144."""


def begin(seen: Observation, plan: Plan, stable: Split, resting: Split, now: float) -> Decision:
    """The first step of a new attempt from `stable` on; `resting` is how the route carries it now."""
    arms = arms_between(stable, plan.split)
    design = Design(
        objectives=plan.objectives,
        comparisons=comparisons_of(arms, stable, plan.reference),
        alpha=plan.alpha,
        beta=plan.beta,
        overdispersion=seen.terms.overdispersion,
        checks_split=True,
    )
    if (never := _never_proven(design, arms, plan) or _too_large(design)) is not None:
        order = RouteOrder(resting, stable)
        message = f"{never.message}; live: {words_of(stable)}"
        return Decision(Phase.HOLDING, never.reason, message, order, lacking=(never.message,), stalled=True)
    number, retried = seen.attempts + 1, wants_retry(seen)
    attempt = Attempt(
        name=f"{seen.name}-{number}",
        number=number,
        revision=plan.revision,
        arms=arms,
        steps=plan.steps,
        design=design,
        window_s=seen.terms.window_s,
        settle_min_s=seen.terms.settle_min_s,
        judge_delay_s=seen.terms.judge_delay_s,
        deadline=plan.deadline,
        guard=plan.guard,
        boundaries=plan.boundaries,
        trigger=Trigger.RETRY if retried else Trigger.FIRST_APPLY if number == 1 else Trigger.SPEC_CHANGED,
    )
    progress = Progress(
        stage=Stage.PROGRESSING,
        step=0,
        started_at=now,
        step_at=now,
        live_at=None,
        consumed_until=math.floor(now / seen.terms.window_s) * seen.terms.window_s,
        engine=start(design),
        serial=_serial(seen) + 1,
        handled=seen.request if retried else "",
    )
    record = Record(attempt, progress)
    back, there = (in_words(weights_at(arms, progress)) for progress in (0, 100))
    said = Announcement(Reason.ROLLOUT_STARTED, f"attempt {number}: from {back} to {there} in {len(plan.steps)} steps")
    taken = (Announcement(Reason.ACTION_TAKEN, f"retry: attempt {number} starts"),) if retried else ()
    return replace(
        asking(seen.gateway, record, GATEWAY_POLL_S),
        fresh=True,
        announcements=(*taken, said, step_started(record)),
        handled=seen.request if retried else "",
    )


def _serial(seen: Observation) -> int:
    """The n of the last token: it goes on counting over attempts, so that no token ever comes back."""
    if seen.record is not None:
        return seen.record.progress.serial
    noted = seen.noted_token.rpartition(".")[2]
    refused = seen.refused.serial if seen.refused is not None else 0
    return max(int(noted) if noted.isdecimal() else 0, refused, seen.attempts)


def _too_large(design: Design) -> Problem | None:
    """More processes than a ModelRollout could keep: every look would fail to be written down."""
    rows = len(layout_of(design).rows)
    if rows <= MAX_PROCESSES:
        return None
    message = (
        f"spec.objectives: {len(design.objectives)} of them for {len(design.comparisons)} candidates at once, at every"
        f" boundary of the histogram, are {rows:,} tests, and a ModelRollout can keep {MAX_PROCESSES:,}: change fewer"
        " models at a time, or leave objectives or boundaries out"
    )
    return Problem(Reason.INVALID_SPEC, message)


def _never_proven(design: Design, arms: Sequence[Arm], plan: Plan) -> Problem | None:
    """ProvenSafe at 100 % where a candidate's reference has no traffic left: it could not be left, so it is refused."""
    gone = {arm.name for arm in arms if not arm.wanted}
    for comparison in design.comparisons:
        for index, step in enumerate(plan.steps):
            if step.progress == 100 and step.require is Requirement.PROVEN_SAFE and comparison.reference in gone:
                message = (
                    f"spec.rollout.steps[{index}]: at 100 % {comparison.reference} has no traffic left to compare"
                    f" {comparison.candidate} with, so ProvenSafe could never be shown: ask for it at an earlier step"
                )
                return Problem(Reason.INVALID_SPEC, message)
    return None
