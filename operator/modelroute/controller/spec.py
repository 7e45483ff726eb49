"""From what a user wrote to the domain's terms, and what of it is not in force yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from modelroute.analysis import design
from modelroute.api.objectives import AMOUNTS, CounterRef, Metric, Objective, OnBreach
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
from modelroute.metrics import counters, reading
from modelroute.rollout.attempt import Deadline, GuardTerms, OnDeadline, OnGuardBreach, Requirement, Step
from modelroute.rollout.observation import Problem
from modelroute.rollout.plan import Plan, revision_of
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend, Share, normalised

METRICS = {
    Metric.ERROR_RATE: reading.Metric.ERROR_RATE,
    Metric.LATENCY_ABOVE: reading.Metric.LATENCY_ABOVE,
    Metric.SAFETY_VIOLATION_RATE: reading.Metric.SAFETY_VIOLATION_RATE,
    Metric.CUSTOM: reading.Metric.CUSTOM,
    Metric.TOKENS_PER_REQUEST: reading.Metric.TOKENS_PER_REQUEST,
    Metric.COST_PER_REQUEST: reading.Metric.COST_PER_REQUEST,
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


def query_of(objective: Objective) -> reading.ObjectiveQuery:
    """What to ask the metrics for an objective."""
    coverage = objective.coverage_in_force
    return reading.ObjectiveQuery(
        name=objective.name,
        metric=METRICS[objective.metric],
        threshold_s=None if objective.threshold is None else parse_duration(objective.threshold),
        min_coverage=None if coverage is None else parse_percent(coverage),
        bad=_counter_of(objective.bad),
        total=_counter_of(objective.total),
    )


def _counter_of(counter: CounterRef | None) -> reading.CounterQuery | None:
    return None if counter is None else reading.CounterQuery(counter.metric, tuple(sorted(counter.labels.items())))


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
    return tuple(gaps)


def _objective_gaps(objective: Objective, at: str) -> list[Gap]:
    if objective.metric not in AMOUNTS or objective.max_ratio is None:
        return []
    message = (
        f"{objective.metric.value} is reported, and not held to a bound yet: remove maxRatio, and set onBreach: Report"
    )
    return [Gap(f"{at}.maxRatio", message, objective.on_breach is not OnBreach.REPORT)]


def indistinct_in(spec: ModelRouteSpec, namespace: str) -> Iterator[tuple[str, str]]:
    """Backends, or else Custom counters, that are the same for two models, as (field, what to do).

    Not a rule of the schema alone: that cannot see which namespace is the ModelRoute's own, nor that the backends'
    namespaces, which are always asked for, tell counters apart.
    """
    backends = [backend_of(model.backend_ref, namespace) for model in spec.models]
    for index, backend in enumerate(backends):
        if (first := backends.index(backend)) != index:
            yield (
                f"spec.models[{index}].backendRef",
                f"is that of {spec.models[first].name}, as {namespace} is the namespace where none is set, so their "
                "requests could not be told apart: give each a Service of its own",
            )
            return
    arms = [
        reading.ArmQuery(model.name, backend.namespace, backend.name, backend.port or 0)
        for model, backend in zip(spec.models, backends, strict=True)
    ]
    for index, objective in enumerate(spec.objectives):
        query = query_of(objective)
        for name, counter in (("bad", query.bad), ("total", query.total)):
            if counter is not None and (shared := counters.alike(counter, arms)):
                yield (
                    f"spec.objectives[{index}].{name}.labels",
                    f"nothing tells {' and '.join(arm.name for arm in shared)} apart, so all would be judged by the "
                    f"same {counter.metric}: add a label that differs, for example service: $(backend)",
                )


def unserved_in(spec: ModelRouteSpec) -> Iterator[tuple[str, str]]:
    """Filters with which the gateway fails every request, as (field, what it does).

    Whose metrics are read is whose gateway it is; a Gateway API filter that another one serves is none of these.
    """
    for index, each in enumerate(spec.filters or ()):
        if spec.metrics.source is MetricsSource.TRAEFIK and each.get("type") == "RequestMirror":
            yield (
                f"spec.filters[{index}].type",
                "Traefik does not mirror requests: it accepts the route, and answers 500 to all of this rule",
            )


def refusals_in(spec: ModelRouteSpec, namespace: str) -> Iterator[tuple[str, str]]:
    """What the API server takes and nobody can carry out, as (field, why)."""
    yield from unserved_in(spec)
    yield from indistinct_in(spec, namespace)


def refusal_problems(spec: ModelRouteSpec, namespace: str) -> tuple[Problem, ...]:
    """The same as what keeps a spec from being carried out."""
    return tuple(Problem(Reason.INVALID_SPEC, f"{field}: {what}") for field, what in refusals_in(spec, namespace))


def problems_of(gaps: tuple[Gap, ...]) -> tuple[Problem, ...]:
    """What keeps a rollout from starting: fields that ask for more care than this version takes."""
    return tuple(Problem(Reason.NOT_IN_FORCE, f"{gap.field}: {gap.message}") for gap in gaps if gap.blocks)
