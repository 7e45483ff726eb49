"""The first part of a tick: everything that is read, and nothing that is decided."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelroute.api.objectives import Objective
from modelroute.api.parse import parse
from modelroute.api.resources import ACTION_ANNOTATION, ModelRollout, ModelRoute
from modelroute.api.spec import ModelRouteSpec
from modelroute.cluster.client import Json
from modelroute.controller.ports import Ports
from modelroute.controller.records import attempt_of, progress_of
from modelroute.controller.sightings import goes_back
from modelroute.controller.spec import (
    Gap,
    adoption_of,
    backend_of,
    gaps_in,
    plan_of,
    problems_of,
    query_of,
    route_ref_of,
    template_of,
)
from modelroute.errors import Invalid, Unavailable
from modelroute.gateway.adopted import Adopted, Adoption, unlisted
from modelroute.gateway.adopted import observe as observe_adopted
from modelroute.gateway.adopted import template_of as template_of_adopted
from modelroute.gateway.observe import observe as observe_gateway
from modelroute.gateway.render import LABEL_ROUTE, Template, as_it_is
from modelroute.metrics.ledger import window_end_for
from modelroute.metrics.reading import ArmQuery, ObjectiveQuery, RouteQuery
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.consume import looks_from
from modelroute.rollout.decision import Phase
from modelroute.rollout.evidence import Unknown
from modelroute.rollout.guarding import guarded_since, is_baking
from modelroute.rollout.observation import Gateway, Look, Observation, Problem, Terms
from modelroute.rollout.places import is_in_place, positions
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.resting import BACKEND_REASONS
from modelroute.rollout.split import Backend, Share, Split

ACTION_LIMIT = 256
"""Characters: the longest revision and the longest verb are far shorter, and a status must be able to keep it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tick read: the objects as they came, and the domain's view of them.

    `rollouts` are the ModelRoute's own, oldest first; `rollout` is the latest that has begun. `objectives` are those
    frozen in it, else the spec's.
    """

    raw: Json
    route: ModelRoute
    template: Template
    adoption: Adoption | None
    live: Json | None
    rollouts: tuple[Json, ...]
    rollout: Json | None
    gaps: tuple[Gap, ...]
    objectives: tuple[Objective, ...]
    observation: Observation

    @property
    def key(self) -> str:
        return f"{self.route.metadata.namespace}/{self.route.metadata.name}"


async def observe(ports: Ports, namespace: str, name: str, *, now: float) -> Seen | None:
    """Everything about one ModelRoute; None where it is gone or going (what it owns goes with it)."""
    raw = await ports.model_routes.get(namespace, name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return None
    route = parse(ModelRoute, raw)
    spec, uid = route.spec, route.metadata.uid
    template, adoption = (
        template_of(spec, namespace=namespace, name=name, uid=uid),
        adoption_of(spec, namespace=namespace, name=name),
    )
    listed, live = await asyncio.gather(
        ports.model_rollouts.list(namespace, labels=f"{LABEL_ROUTE}={name}"),
        ports.routes.read(namespace, name) if adoption is None else ports.adopted.read(adoption),
    )
    rollouts = tuple(sorted((each for each in listed if _owned_by(each, uid)), key=_attempt_number))
    begun = [each for each in rollouts if (each.get("status") or {}).get("phase")]
    # Of a ModelRoute of this name that is gone: not our history, but their names are taken.
    left = [each for each in listed if not _owned_by(each, uid)]
    gaps, (plan, unplannable) = gaps_in(spec), _plan_of(spec, namespace)
    problems = unplannable + problems_of(gaps) + await _backend_problems(ports, route)
    attempts = max([_attempt_number(each) for each in (*begun, *left)] + [route.status.attempt or 0])
    latest = begun[-1] if begun and _is_the_latest(begun[-1], route) else None
    record, unreadable = _record_of(latest, namespace) if latest is not None else (None, ())
    noted, theirs = _noted(route, namespace), _rule_of(latest, namespace, name) if record is not None else None
    moved = theirs is not None and theirs != adoption
    if moved and record is not None and record.progress.stage.under_way:
        adoption, live = theirs, await ports.adopted.read(theirs) if theirs is not None else None
    elif moved:
        # How the last attempt ended on another rule says nothing of this one: what it carries is where it rests.
        record = None
    if adoption is not None and route.status.route_ref not in {None, route_ref_of(adoption)}:
        noted = None
    if adoption is None:
        if live is not None and any(problem.reason not in BACKEND_REASONS for problem in problems):
            # A spec that cannot be carried out changes nothing about the live route.
            template = as_it_is(template, live)
        gateway = observe_gateway(live, template)
    else:
        found = _adopted(live, adoption, plan, record, noted)
        template, gateway, problems = template_of_adopted(adoption, live), found.gateway, found.problems + problems
        noted = noted or found.carried
    gateway = replace(
        gateway,
        contended=ports.contention.is_contended((namespace, name), now),
        rollback_of=gateway.rollback_of or goes_back(ports.sightings, route, record),
    )
    frozen = parse(ModelRollout, latest).spec if latest is not None and record is not None else None
    under_way = record is not None and record.progress.stage.under_way
    terms, server = _terms(
        ports, frozen.metrics.prometheus if frozen and under_way else spec.metrics.prometheus, record
    )
    asked = frozen.objectives if frozen and under_way else spec.objectives
    moved_at = ports.sightings.place_since((namespace, name), record, gateway, now)
    query = _query(template, plan, record, gateway, terms, asked, now, moved_at)
    look = await _look(ports, server, query, terms, now)
    if plan is not None and look.readings:
        plan = plan.with_boundaries(look.readings[-1].boundaries)
    observation = Observation(
        name=name,
        plan=plan,
        problems=unreadable + problems,
        record=record,
        attempts=attempts,
        noted=noted,
        refused_revision=(route.status.revision or "") if route.status.phase == Phase.ROLLED_BACK else "",
        request=_request(route, record),
        noted_token=route.status.next_action or "",
        cannot_return=(*_unlisted_way_back(adoption, gateway, record, now), *await _way_back(ports, record, now)),
        gateway=gateway,
        look=look,
        terms=terms,
        moved_away=moved and record is not None,
        carried_at=ports.sightings.carried_at((namespace, name), record),
    )
    return Seen(
        raw,
        route,
        template,
        adoption,
        live,
        rollouts,
        latest,
        gaps,
        tuple(frozen.objectives if frozen is not None else spec.objectives),
        observation,
    )


def _adopted(
    live: Json | None, adoption: Adoption, plan: Plan | None, record: Record | None, noted: Split | None
) -> Adopted:
    """The user's own rule. It must list every backend that has or gets traffic, and may list what had some."""
    wanted = {share.backend: share.model for share in (plan.split if plan is not None else ())}
    needed = {share.backend: share.model for share in (plan.split if plan is not None else ()) if share.weight}
    known = [*wanted, *(share.backend for share in noted or ())]
    if record is not None:
        known += [arm.backend for arm in record.attempt.arms]
        if record.progress.stage.under_way:
            needed |= {arm.backend: arm.name for arm in record.attempt.arms if arm.stable or arm.wanted}
    return observe_adopted(live, adoption, needed=needed, known=known)


def action_of(route: ModelRoute) -> str:
    """What the annotation asks for, cut to what a status can keep."""
    return route.metadata.annotations.get(ACTION_ANNOTATION, "").strip()[:ACTION_LIMIT]


def _request(route: ModelRoute, record: Record | None) -> str:
    """What a person asks for and nobody has dealt with yet."""
    asked = action_of(route)
    known = {route.status.last_action or "", record.progress.handled if record is not None else ""}
    return "" if asked in known else asked


def _unlisted_way_back(
    adoption: Adoption | None, gateway: Gateway, record: Record | None, now: float
) -> tuple[Problem, ...]:
    """The backends that a promotion still baking came from and that the user took out of the adopted rule."""
    if adoption is None or record is None or not is_baking(record, now):
        return ()
    needed = {arm.backend: arm.name for arm in record.attempt.arms if arm.stable}
    return tuple(unlisted(adoption, gateway.weights, needed))


async def _way_back(ports: Ports, record: Record | None, now: float) -> tuple[Problem, ...]:
    """Why the backends that a promotion still baking came from could not take its traffic back."""
    if record is None or not is_baking(record, now):
        return ()
    arms = [arm for arm in record.attempt.arms if arm.stable and not arm.wanted]
    checks = (_backend_problem(ports, f"the way back to {arm.name}", arm.backend) for arm in arms)
    return tuple(problem for problem in await asyncio.gather(*checks) if problem is not None)


def _plan_of(spec: ModelRouteSpec, namespace: str) -> tuple[Plan | None, tuple[Problem, ...]]:
    """The plan; a spec that the API server took and we cannot read (a newer schema) is a problem, not a crash."""
    try:
        return plan_of(spec, namespace), ()
    except Invalid as error:
        return None, (Problem(Reason.INVALID_SPEC, str(error)),)


def _owned_by(rollout: Json, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in rollout["metadata"].get("ownerReferences") or [])


def _attempt_number(rollout: Json) -> int:
    return int(rollout["spec"]["attempt"])


def _record_of(rollout: Json, namespace: str) -> tuple[Record | None, tuple[Problem, ...]]:
    """The attempt that a ModelRollout keeps; one that cannot be read is a problem, and moves no traffic."""
    try:
        parsed = parse(ModelRollout, rollout)
        attempt = attempt_of(parsed.spec, name=parsed.metadata.name, namespace=namespace)
        return Record(attempt, progress_of(parsed.status, attempt)), ()
    except Invalid as error:
        name = rollout["metadata"]["name"]
        message = f"ModelRollout {name} cannot be read ({error}): delete it to start over from the stable split"
        return None, (Problem(Reason.RECORD_UNREADABLE, message),)


def _rule_of(rollout: Json | None, namespace: str, name: str) -> Adoption | None:
    """The user's own rule that an attempt was started on; None where it was none, or nobody noted it."""
    return None if rollout is None else adoption_of(parse(ModelRollout, rollout).spec, namespace=namespace, name=name)


def _is_the_latest(rollout: Json, route: ModelRoute) -> bool:
    """Whether no later attempt is known of: where its record was deleted, an older one says nothing about now."""
    return _attempt_number(rollout) >= (route.status.attempt or 0)


def _noted(route: ModelRoute, namespace: str) -> Split | None:
    if not route.status.stable:
        return None
    return tuple(
        Share(share.model, backend_of(share.backend_ref, namespace), share.weight) for share in route.status.stable
    )


async def _backend_problems(ports: Ports, route: ModelRoute) -> tuple[Problem, ...]:
    namespace = route.metadata.namespace
    # One that is to have no traffic may be scaled to nothing.
    wanted = [(index, model) for index, model in enumerate(route.spec.models) if model.weight]
    checks = (
        _backend_problem(ports, f"spec.models[{index}].backendRef", backend_of(model.backend_ref, namespace))
        for index, model in wanted
    )
    found = await asyncio.gather(*checks)
    return tuple(problem for problem in found if problem is not None)


async def _backend_problem(ports: Ports, field: str, backend: Backend) -> Problem | None:
    try:
        return await ports.backends.problem_with(backend, field=field)
    except Unavailable as error:
        # Not known is not good enough to go on, and no reason to stop a rollback.
        return Problem(Reason.BACKEND_UNKNOWN, f"{field} could not be checked: {error}")


def _terms(ports: Ports, server: str, record: Record | None) -> tuple[Terms, str]:
    """The settings in force: of the attempt that is under way, else the operator's for that Prometheus."""
    known = ports.settings.prometheus.get(server)
    if known is None:
        return Terms(window_s=15.0, settle_min_s=30.0, scrape_interval_s=15.0), server
    analysis = ports.settings.analysis
    window_s = ports.settings.window_for(server)
    terms = Terms(window_s, analysis.settle_min_s, known.scrape_interval_s, analysis.overdispersion)
    if record is not None and record.progress.stage.under_way:
        return Terms(record.attempt.window_s, record.attempt.settle_min_s, terms.scrape_interval_s), server
    return terms, server


def _query(
    template: Template,
    plan: Plan | None,
    record: Record | None,
    gateway: Gateway,
    terms: Terms,
    objectives: list[Objective],
    now: float,
    moved_at: float,
) -> RouteQuery | None:
    """What to ask of the metrics; None while nothing that could be counted is live."""
    until = window_end_for(now, terms.window_s, terms.scrape_interval_s)
    if record is not None and record.progress.stage.under_way:
        if record.progress.live_at is None and record.progress.stage is Stage.ROLLING_BACK:
            return None
        arms = [(arm.name, arm.backend) for arm in record.attempt.arms]
        since = looks_from(record)
        if record.progress.live_until is not None:
            # Of what is counted since somebody else changed the weights nobody can say what it stands for.
            until = min(until, math.floor(record.progress.live_until / terms.window_s) * terms.window_s)
    else:
        named = {share.backend: share.model for share in plan.split} if plan is not None else {}
        arms = [(named.get(backend, backend.name), backend) for backend, weight in gateway.weights.items() if weight]
        since = until - terms.window_s
        if record is not None and record.progress.stage is Stage.PROMOTED:
            since = min(since, guarded_since(record, now, window_s=terms.window_s))
            if not is_in_place(gateway, record):
                since = max(since, math.ceil(moved_at / terms.window_s) * terms.window_s)
    if not arms or since >= until:
        return None
    rule, indexes = _positions(record, gateway)
    return RouteQuery(
        namespace=template.namespace,
        route=template.name,
        rule=rule,
        arms=tuple(_arm_query(arm, backend, indexes.get(backend)) for arm, backend in arms),
        objectives=_objective_queries(objectives),
        since=since,
        until=until,
        window_s=terms.window_s,
        gateways=tuple(
            (str(ref.get("namespace") or template.namespace), str(ref["name"])) for ref in template.parent_refs
        ),
    )


def _positions(record: Record | None, gateway: Gateway) -> tuple[int, Mapping[Backend, int | None]]:
    """Where what was counted is to be found: of a step that is live, where its arms stood when it was seen live."""
    if record is not None and record.progress.stage is Stage.PROGRESSING and record.progress.live_at is not None:
        noted = positions(record.progress.place, record.attempt.arms)
        if noted is not None:
            return noted
    return gateway.rule, {backend: index for index, backend in enumerate(gateway.weights)}


def _arm_query(arm: str, backend: Backend, index: int | None) -> ArmQuery:
    return ArmQuery(arm, backend.namespace, backend.name, backend.port or 0, index)


def _objective_queries(objectives: list[Objective]) -> tuple[ObjectiveQuery, ...]:
    return tuple(query for objective in objectives if (query := query_of(objective)) is not None)


def _named(server: str, error: Exception) -> str:
    told = str(error)
    return told if server in told else f"Prometheus {server}: {told}"


async def _look(ports: Ports, server: str, query: RouteQuery | None, terms: Terms, now: float) -> Look:
    until = window_end_for(now, terms.window_s, terms.scrape_interval_s)
    reader = ports.readers.get(server)
    if reader is None:
        named = ", ".join(sorted(ports.readers)) or "none"
        message = (
            f"spec.metrics.prometheus: no Prometheus server is named {server!r} in the operator's configuration"
            f" (named there: {named})"
        )
        return Look(until, problem=Unknown(Reason.PROMETHEUS_NOT_CONFIGURED, message))
    if query is None:
        return Look(until)
    try:
        return Look(until, readings=await reader.read(query))
    except Unavailable as error:
        return Look(until, problem=Unknown(Reason.PROMETHEUS_UNAVAILABLE, _named(server, error)))
    except Invalid as error:
        return Look(until, problem=Unknown(Reason.AMBIGUOUS_SERIES, str(error)))
