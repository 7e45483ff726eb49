"""From what a user wrote to the domain's terms, and what of it is not in force yet."""

from __future__ import annotations

import json
from dataclasses import dataclass

from modelroute.analysis import design
from modelroute.api.objectives import Metric, Objective, OnBreach
from modelroute.api.quantities import parse_duration, parse_percent, parse_points, parse_ratio
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.routing import BackendRef, RouteRef
from modelroute.api.spec import ModelRouteSpec
from modelroute.api.status import FieldNotInForce
from modelroute.api.steps import Guard, MetricsSource
from modelroute.api.steps import OnDeadline as ApiOnDeadline
from modelroute.api.steps import Step as ApiStep
from modelroute.gateway.adopted import Adoption
from modelroute.gateway.render import Template
from modelroute.metrics import reading
from modelroute.rollout.attempt import Deadline, GuardTerms, OnDeadline, OnGuardBreach, Requirement, Step
from modelroute.rollout.observation import Problem
from modelroute.rollout.plan import Plan, revision_of
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend, Share, normalised

METRICS_IN_FORCE = {
    Metric.ERROR_RATE: reading.Metric.ERROR_RATE,
    Metric.LATENCY_ABOVE: reading.Metric.LATENCY_ABOVE,
    Metric.SAFETY_VIOLATION_RATE: reading.Metric.SAFETY_VIOLATION_RATE,
}


def backend_of(ref: BackendRef, namespace: str) -> Backend:
    return Backend(ref.namespace or namespace, ref.name, ref.port, ref.group, ref.kind)


def plan_of(spec: ModelRouteSpec, namespace: str) -> Plan:
    """The plan of an accepted spec; its backends' default namespace is the ModelRoute's."""
    weights = normalised([model.weight for model in spec.models])
    split = tuple(
        Share(model.name, backend_of(model.backend_ref, namespace), weight)
        for model, weight in zip(spec.models, weights, strict=True)
    )
    objectives = tuple(objective_of(objective) for objective in spec.objectives)
    return Plan(
        split=split,
        reference=spec.reference_name,
        initial=spec.initial_name,
        objectives=objectives,
        steps=tuple(step_of(step) for step in spec.rollout.steps),
        alpha=parse_percent(spec.rollout.false_rollback_rate),
        beta=parse_percent(spec.rollout.false_safe_rate),
        revision=revision_of(split, objectives, tuple(_counted(objective) for objective in spec.objectives)),
        paused=spec.paused,
        deadline=deadline_of(spec.rollout.progress_deadline, spec.rollout.on_deadline),
        guard=guard_of(spec.guard),
    )


def objective_of(objective: Objective) -> design.Objective:
    return design.Objective(
        name=objective.name,
        action=design.Action(objective.on_breach.value),
        margin=None if objective.max_increase is None else parse_points(objective.max_increase),
        ratio=None if objective.max_ratio is None else parse_ratio(objective.max_ratio),
        limit=None if objective.max is None else parse_percent(objective.max),
    )


def step_of(step: ApiStep) -> Step:
    return Step(
        progress=step.progress,
        min_duration_s=parse_duration(step.min_duration),
        min_requests=step.min_requests,
        require=Requirement(step.require.value),
        approval=step.approval,
    )


def deadline_of(after: str, action: ApiOnDeadline) -> Deadline:
    return Deadline(parse_duration(after), OnDeadline(action.value))


def guard_of(guard: Guard | None) -> GuardTerms:
    if guard is None:
        return GuardTerms()
    return GuardTerms(parse_duration(guard.bake), OnGuardBreach(guard.on_breach.value), guard.false_alarms_per_year)


def query_of(objective: Objective) -> reading.ObjectiveQuery | None:
    """What to ask the metrics for an objective; None where its metric is not in force."""
    metric = METRICS_IN_FORCE.get(objective.metric)
    if metric is None:
        return None
    coverage = objective.coverage_in_force
    return reading.ObjectiveQuery(
        name=objective.name,
        metric=metric,
        threshold_s=None if objective.threshold is None else parse_duration(objective.threshold),
        min_coverage=None if coverage is None else parse_percent(coverage),
    )


def template_of(spec: ModelRouteSpec, *, namespace: str, name: str, uid: str) -> Template:
    return Template(
        namespace=namespace,
        name=name,
        owner_uid=uid,
        parent_refs=tuple(ref.to_wire() for ref in spec.parent_refs or ()),
        hostnames=tuple(spec.hostnames or ()),
        matches=tuple(spec.matches or ()),
        filters=tuple(spec.filters or ()),
        timeouts=spec.timeouts or {},
    )


def adoption_of(spec: ModelRouteSpec | ModelRolloutSpec, *, namespace: str, name: str) -> Adoption | None:
    """The rule of the user's own route, where the spec names one."""
    if spec.route_ref is None:
        return None
    return Adoption(namespace=namespace, route=spec.route_ref.name, rule=spec.route_ref.rule, by=name)


def route_ref_of(adoption: Adoption) -> RouteRef:
    return RouteRef(name=adoption.route, rule=adoption.rule)


def _counted(objective: Objective) -> tuple[str, ...]:
    """What an objective counts, for the revision: all that changes which requests are bad, however it is written.

    What is in it is named field by field: a field that a later version adds must not give old specs a new revision.
    """
    counters = (counter for counter in (objective.bad, objective.total) if counter is not None)
    return (
        objective.metric.value,
        "" if objective.threshold is None else f"{parse_duration(objective.threshold):.3f}",
        "" if objective.coverage_in_force is None else f"{parse_percent(objective.coverage_in_force):.8f}",
        *(json.dumps([counter.metric, sorted(counter.labels.items())]) for counter in counters),
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """A field whose behaviour is not in force. `blocks`: without it the rollout would be less careful than asked."""

    field: str
    message: str
    blocks: bool

    def to_status(self) -> FieldNotInForce:
        return FieldNotInForce(field=self.field, message=self.message)


def gaps_in(spec: ModelRouteSpec) -> tuple[Gap, ...]:
    """Every field of `spec` that this version takes and does not act on; nothing is ignored without a name here."""
    gaps: list[Gap] = []
    if spec.metrics.source is not MetricsSource.TRAEFIK:
        gaps.append(Gap("spec.metrics.source", "only Traefik is in force yet", True))
    for index, objective in enumerate(spec.objectives):
        gaps += _objective_gaps(objective, f"spec.objectives[{index}]")
    priced = [index for index, model in enumerate(spec.models) if model.price is not None]
    gaps += [Gap(f"spec.models[{index}].price", "kept for reports, not used yet", False) for index in priced]
    return tuple(gaps)


def _objective_gaps(objective: Objective, at: str) -> list[Gap]:
    gaps = []
    if objective.metric not in METRICS_IN_FORCE:
        named = ", ".join(metric.value for metric in METRICS_IN_FORCE)
        message = f"{objective.metric.value} is not in force yet: use {named}"
        gaps.append(Gap(f"{at}.metric", message, objective.on_breach is not OnBreach.REPORT))
    return gaps


def problems_of(gaps: tuple[Gap, ...]) -> tuple[Problem, ...]:
    """What keeps a rollout from starting: fields that ask for more care than this version takes."""
    return tuple(Problem(Reason.NOT_IN_FORCE, f"{gap.field}: {gap.message}") for gap in gaps if gap.blocks)
