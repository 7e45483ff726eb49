"""An attempt as a ModelRollout keeps it: both ways, without loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from modelroute.analysis.design import Comparison, Design
from modelroute.analysis.detector import decode_guard, encode_guard
from modelroute.analysis.engine import ENGINE_VERSION
from modelroute.analysis.state import decode, encode
from modelroute.api import rollout_spec as wire
from modelroute.api.fields import format_instant
from modelroute.api.parse import parse
from modelroute.api.quantities import parse_percent
from modelroute.api.rollout_status import (
    CandidateRequests,
    ModelRolloutStatus,
    ObjectiveRequests,
    TokenSums,
    UnknownNote,
)
from modelroute.api.rollout_status import Decision as WireDecision
from modelroute.api.routing import BackendRef, Tier
from modelroute.api.spec import ModelRouteSpec
from modelroute.controller.spec import backend_of, deadline_of, guard_of, objective_of, step_of
from modelroute.errors import Invalid
from modelroute.rollout.attempt import Attempt, Coverage, Progress, Record, Stage, Trigger, Verdict
from modelroute.rollout.evidence import Tokens, Unknown
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Arm, Backend, percent


def ref_of(backend: Backend, namespace: str) -> BackendRef:
    return BackendRef(
        group=backend.group,
        kind=backend.kind,
        name=backend.name,
        namespace=None if backend.namespace == namespace else backend.namespace,
        port=backend.port,
    )


def backend_text(backend: Backend, namespace: str) -> str:
    """'llama-8b:8000', with the namespace in front where it is another one."""
    where = "" if backend.namespace == namespace else f"{backend.namespace}/"
    return f"{where}{backend.name}" + (f":{backend.port}" if backend.port is not None else "")


def spec_of(
    attempt: Attempt,
    spec: ModelRouteSpec,
    *,
    route: str,
    namespace: str,
    boundaries: Mapping[str, tuple[float, ...]],
) -> wire.ModelRolloutSpec:
    """What is frozen of `attempt`; objectives and steps in the words of the ModelRoute's spec."""
    tiers = {model.name: model.tier for model in spec.models}
    return wire.ModelRolloutSpec(
        model_route=route,
        revision=attempt.revision,
        route_ref=spec.route_ref,
        attempt=attempt.number,
        trigger=attempt.trigger.value,
        engine_version=ENGINE_VERSION,
        arms=[
            wire.Arm(
                name=arm.name,
                model=arm.model,
                tier=tiers.get(arm.model, Tier.LARGE),
                backend_ref=ref_of(arm.backend, namespace),
            )
            for arm in attempt.arms
        ],
        from_=[wire.Share(arm=arm.name, weight=arm.stable) for arm in attempt.arms],
        to=[wire.Share(arm=arm.name, weight=arm.wanted) for arm in attempt.arms],
        comparisons=[
            wire.Comparison(candidate=each.candidate, reference=each.reference) for each in attempt.design.comparisons
        ],
        objectives=spec.objectives,
        boundaries=[
            wire.HistogramBoundaries(objective=name, seconds=list(seconds)) for name, seconds in boundaries.items()
        ],
        steps=spec.rollout.steps,
        false_rollback_rate=spec.rollout.false_rollback_rate,
        false_safe_rate=spec.rollout.false_safe_rate,
        progress_deadline=spec.rollout.progress_deadline,
        on_deadline=spec.rollout.on_deadline,
        window_seconds=attempt.window_s,
        settle_min_seconds=attempt.settle_min_s,
        judge_delay_seconds=attempt.judge_delay_s,
        overdispersion=attempt.design.overdispersion,
        checks_split=attempt.design.checks_split,
        guard=spec.guard,
        metrics=spec.metrics,
    )


def attempt_of(spec: wire.ModelRolloutSpec, *, name: str, namespace: str) -> Attempt:
    stable = {share.arm: share.weight for share in spec.from_}
    wanted = {share.arm: share.weight for share in spec.to}
    boundaries = {each.objective: tuple(each.seconds) for each in spec.boundaries}
    arms = tuple(
        Arm(
            arm.name,
            arm.model,
            backend_of(arm.backend_ref, namespace),
            stable.get(arm.name, 0),
            wanted.get(arm.name, 0),
        )
        for arm in spec.arms
    )
    return Attempt(
        name=name,
        number=spec.attempt,
        revision=spec.revision,
        arms=arms,
        steps=tuple(step_of(step) for step in spec.steps),
        design=Design(
            objectives=tuple(
                replace(objective_of(objective), boundaries=len(boundaries.get(objective.name, (0.0,))))
                for objective in spec.objectives
            ),
            comparisons=tuple(Comparison(each.candidate, each.reference) for each in spec.comparisons),
            alpha=parse_percent(spec.false_rollback_rate),
            beta=parse_percent(spec.false_safe_rate),
            overdispersion=spec.overdispersion,
            checks_split=spec.checks_split,
        ),
        window_s=spec.window_seconds,
        settle_min_s=spec.settle_min_seconds,
        judge_delay_s=spec.judge_delay_seconds,
        deadline=deadline_of(spec.progress_deadline, spec.on_deadline),
        guard=guard_of(spec.guard),
        boundaries=boundaries,
        trigger=Trigger(spec.trigger) if spec.trigger in set(Trigger) else Trigger.SPEC_CHANGED,
    )


def status_of(record: Record, before: ModelRolloutStatus) -> ModelRolloutStatus:
    """The status that keeps `record`; what only people read is added by the announcing side."""
    attempt, progress = record.attempt, record.progress
    verdict = progress.verdict
    back = progress.stage in {Stage.ROLLING_BACK, Stage.ROLLED_BACK, Stage.SUPERSEDED, Stage.ABORTED}
    return updated(
        before,
        {
            "observed_generation": 1,
            "phase": progress.stage.value,
            "step_index": progress.step,
            "step": f"{progress.step + 1}/{len(attempt.steps)}",
            "move": ", ".join(
                f"{_version(arm, attempt)} {percent(arm.stable)[:-2]} → {percent(arm.wanted)}"
                for arm in attempt.arms
                if arm.stable != arm.wanted
            ),
            "started_at": format_instant(progress.started_at),
            "step_started_at": format_instant(progress.step_at),
            "step_live_at": None if progress.live_at is None else format_instant(progress.live_at),
            "step_live_until": None if progress.live_until is None else format_instant(progress.live_until),
            "step_place": progress.place or None,
            "evidence_until": format_instant(progress.consumed_until),
            "decided_at": None if verdict is None else format_instant(verdict.at),
            "rolled_back_at": format_instant(progress.live_at) if back and progress.live_at is not None else None,
            "finished_at": None if progress.finished_at is None else format_instant(progress.finished_at),
            "pause_breached": progress.pause_breached or None,
            "slowest_p99_seconds": progress.slowest_p99_s,
            "decision": None if verdict is None else _decision_of(verdict),
            "step_requests": [
                CandidateRequests(
                    candidate=name,
                    requests=round(count),
                    objectives=[
                        ObjectiveRequests(
                            objective=objective, requests=round(covered.requests), blind_windows=covered.blind or None
                        )
                        for (objective, candidate), covered in progress.covered.items()
                        if candidate == name
                    ]
                    or None,
                )
                for name, count in progress.requests.items()
            ],
            "unknown": [
                UnknownNote(reason=each.reason.value, message=each.message, objective=each.objective, arm=each.arm)
                for each in progress.unknown
            ],
            "tokens": [
                TokenSums(arm=arm, read=each.read, generated=each.generated, requests=each.requests)
                for arm, each in progress.tokens.items()
            ]
            or None,
            "engine_state": encode(progress.engine),
            "serial": progress.serial,
            "last_action": progress.handled or None,
            "approved": progress.approved or None,
            "waived": progress.waived or None,
            "waived_all": progress.waived_all or None,
            "paused": progress.paused or None,
            "paused_seconds": progress.stopped_s or None,
            "clock_stopped_at": None if progress.stopped_since is None else format_instant(progress.stopped_since),
            "guard_revision": progress.guarded or None,
            "guard_state": None if progress.guard is None else encode_guard(progress.guard),
            "after_attempt": progress.after_attempt or None,
        },
    )


def updated(status: ModelRolloutStatus, fields: Mapping[str, object]) -> ModelRolloutStatus:
    """`status` with `fields`, cut to what the API server takes, which `model_copy` would not do. Raises Invalid."""
    return parse(ModelRolloutStatus, {**dict(status), **fields})


def _version(arm: Arm, attempt: Attempt) -> str:
    """The arm's name, with its backend where the attempt is about versions of one model."""
    versions = sum(other.model == arm.model for other in attempt.arms)
    return f"{arm.model}@{arm.backend.name}" if versions > 1 else arm.name


def _decision_of(verdict: Verdict) -> WireDecision:
    return WireDecision(
        verdict="Back",
        reason=verdict.reason.value,
        objective=verdict.objective or None,
        candidate=verdict.candidate or None,
        message=verdict.message,
        at=format_instant(verdict.at),
    )


def progress_of(status: ModelRolloutStatus, attempt: Attempt) -> Progress:
    """The progress that `status_of` wrote. Raises Invalid where the status is not one of ours."""
    if status.phase is None or status.engine_state is None:
        raise Invalid("its status was never written", field=f"ModelRollout {attempt.name}")
    try:
        return Progress(
            stage=Stage(status.phase),
            step=_step_in(status.step_index, attempt),
            started_at=_instant(status.started_at),
            step_at=_instant(status.step_started_at),
            live_at=None if status.step_live_at is None else _instant(status.step_live_at),
            place=status.step_place or "",
            live_until=None if status.step_live_until is None else _instant(status.step_live_until),
            consumed_until=_instant(status.evidence_until),
            engine=decode(attempt.design, status.engine_state),
            requests={each.candidate: float(each.requests) for each in status.step_requests or ()},
            covered={
                (counted.objective, each.candidate): Coverage(float(counted.requests), counted.blind_windows or 0)
                for each in status.step_requests or ()
                for counted in each.objectives or ()
            },
            step_counts={
                (each.objective, each.arm): (each.bad, each.total)
                for step in status.sums or ()
                if step.step == status.step_index
                for each in step.tallies
            },
            tokens={each.arm: Tokens(each.read, each.generated, each.requests) for each in status.tokens or ()},
            pause_breached=bool(status.pause_breached),
            slowest_p99_s=status.slowest_p99_seconds or 0.0,
            unknown=tuple(_unknowns(status.unknown or ())),
            verdict=None if status.decision is None else _verdict_of(status.decision),
            finished_at=None if status.finished_at is None else _instant(status.finished_at),
            serial=status.serial or 0,
            handled=status.last_action or "",
            approved=bool(status.approved),
            waived=bool(status.waived),
            waived_all=bool(status.waived_all),
            paused=bool(status.paused),
            stopped_s=status.paused_seconds or 0.0,
            stopped_since=None if status.clock_stopped_at is None else _instant(status.clock_stopped_at),
            guarded=status.guard_revision or "",
            guard=None if status.guard_state is None else decode_guard(status.guard_state),
            after_attempt=status.after_attempt or 0,
        )
    except ValueError as error:
        raise Invalid(f"its status cannot be read: {error}", field=f"ModelRollout {attempt.name}") from error


def _step_in(index: int | None, attempt: Attempt) -> int:
    if index is None or not 0 <= index < len(attempt.steps):
        raise ValueError(f"stepIndex {index} is not one of the {len(attempt.steps)} steps")
    return index


def _instant(text: str | None) -> float:
    if text is None:
        raise ValueError("a time is missing")
    return datetime.fromisoformat(text).timestamp()


def _unknowns(notes: Iterable[UnknownNote]) -> Iterable[Unknown]:
    for note in notes:
        # What a newer operator calls by a name of its own is still not known.
        reason = Reason(note.reason) if note.reason in set(Reason) else Reason.NO_DATA
        yield Unknown(reason, note.message, note.objective, note.arm)


def _verdict_of(decision: WireDecision) -> Verdict:
    return Verdict(
        reason=Reason(decision.reason),
        message=decision.message,
        at=_instant(decision.at),
        objective=decision.objective or "",
        candidate=decision.candidate or "",
    )
