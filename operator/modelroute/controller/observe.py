"""The first part of a tick: everything that is read, and nothing that is decided."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelroute.api.objectives import Metric, Objective
from modelroute.api.resources import ACTION_ANNOTATION, ModelRoute
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.spec import ModelRouteSpec
from modelroute.cluster.client import Json
from modelroute.controller.kept import Kept, kept_of, noted_awaited_since, noted_refusal, noted_split
from modelroute.controller.ports import Ports
from modelroute.controller.reading import read_model_route
from modelroute.controller.routed import Routed, followed, read_route, routed
from modelroute.controller.sightings import goes_back
from modelroute.controller.spec import Gap, backend_of, gaps_in, indistinct_problems, plan_of, problems_of, query_of
from modelroute.errors import Invalid, Unavailable
from modelroute.gateway.adopted import Adoption, unlisted
from modelroute.gateway.render import LABEL_ROUTE, Template
from modelroute.metrics.ledger import window_end_for
from modelroute.metrics.reading import ArmQuery, ObjectiveQuery, RouteQuery
from modelroute.metrics.sampler import most_windows
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.consume import looks_from
from modelroute.rollout.decision import Phase
from modelroute.rollout.evidence import Unknown
from modelroute.rollout.frozen import as_frozen
from modelroute.rollout.guarding import QUIET_WINDOWS, guarded_since, is_baking, is_held_by_attempt
from modelroute.rollout.observation import Gateway, Look, Observation, Problem, Terms
from modelroute.rollout.places import is_in_place, positions
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend

ACTION_LIMIT = 256
"""Characters: the longest revision and the longest verb are far shorter, and a status must be able to keep it."""

LOOK_DEADLINE_S = 20.0
"""After it a tick goes on without evidence: it holds, and what needs none (a rollback, a person's word) is not kept
waiting."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tick read: the objects as they came, and the domain's view of them.

    `objectives` are those frozen in the latest attempt, else the spec's. `overlap` tells people of other routes that
    want the same requests; nothing is decided from it.
    """

    raw: Json
    route: ModelRoute
    routed: Routed
    kept: Kept
    gaps: tuple[Gap, ...]
    objectives: tuple[Objective, ...]
    observation: Observation
    overlap: str = ""

    @property
    def key(self) -> str:
        return f"{self.route.metadata.namespace}/{self.route.metadata.name}"

    @property
    def template(self) -> Template:
        return self.routed.template

    @property
    def adoption(self) -> Adoption | None:
        return self.routed.adoption

    @property
    def live(self) -> Json | None:
        """The HTTPRoute as it was read."""
        return self.routed.live

    @property
    def rollouts(self) -> tuple[Json, ...]:
        """The ModelRoute's own ModelRollouts, oldest first."""
        return self.kept.rollouts

    @property
    def rollout(self) -> Json | None:
        """The latest of them that has begun."""
        return self.kept.latest


async def observe(ports: Ports, namespace: str, name: str, *, now: float) -> Seen | None:
    """Everything about one ModelRoute; None where it is gone or going (what it owns goes with it)."""
    raw = await ports.model_routes.get(namespace, name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return None
    route, unreadable = read_model_route(raw)
    listed, live = await asyncio.gather(
        ports.model_rollouts.list(namespace, labels=f"{LABEL_ROUTE}={name}"), read_route(ports, route)
    )
    gaps, (kept, adoption, moved) = gaps_in(route.spec), followed(route, kept_of(route, listed))
    if moved and adoption is not None:
        live = await ports.adopted.read(adoption)
    plan, unplannable = _plan_of(route.spec, namespace) if not unreadable else (None, unreadable)
    problems = unplannable + problems_of(gaps) + indistinct_problems(route.spec, namespace)
    problems += await _backend_problems(ports, route)
    there = routed(
        route, live, adoption, plan=plan, record=kept.record, problems=problems, noted=noted_split(route, adoption)
    )
    gateway = replace(
        there.gateway,
        contended=ports.contention.is_contended((namespace, name), now),
        rollback_of=there.gateway.rollback_of or goes_back(ports.sightings, route, kept.record),
    )
    asked, redefined = _asked(route.spec, kept, plan)
    terms, server = _terms(ports, _in_force(route.spec, kept).metrics.prometheus, kept.record, asked)
    moved_at = ports.sightings.place_since((namespace, name), kept.record, gateway, now)
    query = _query(there.template, plan, kept.record, gateway, terms, asked, now, moved_at)
    look = await _look(ports, server, query, terms, now)
    if kept.record is not None and kept.record.progress.stage.under_way:
        look = as_frozen(kept.record.attempt, look)
    if plan is not None and look.readings:
        plan = plan.with_boundaries(look.readings[-1].boundaries)
    observation = Observation(
        name=name,
        plan=plan,
        problems=kept.problems + there.problems,
        record=kept.record,
        attempts=kept.attempts,
        noted=there.noted,
        refused=noted_refusal(route),
        was_going_back=route.status.phase == Phase.ROLLING_BACK,
        request=_request(route, kept.record),
        noted_token=route.status.next_action or "",
        cannot_return=(
            *_unlisted_way_back(adoption, gateway, kept.record, now),
            *await _way_back(ports, kept.record, now),
        ),
        redefined=redefined,
        gateway=gateway,
        look=look,
        terms=terms,
        moved_away=moved,
        awaited_since=noted_awaited_since(route),
        carried_at=ports.sightings.carried_at((namespace, name), kept.record),
    )
    objectives = tuple((kept.frozen or route.spec).objectives)
    return Seen(raw, route, there, kept, gaps, objectives, observation, ports.overlaps.told_of(there.named))


def _in_force(spec: ModelRouteSpec, kept: Kept) -> ModelRouteSpec | ModelRolloutSpec:
    """Whose metrics are asked: of the attempt that is under way, as they were frozen in it, else the spec's."""
    return kept.frozen if kept.frozen is not None and _under_way(kept.record) else spec


def _under_way(record: Record | None) -> bool:
    return record is not None and record.progress.stage.under_way


def _asked(spec: ModelRouteSpec, kept: Kept, plan: Plan | None) -> tuple[list[Objective], frozenset[str]]:
    """The objectives to be counted: those of the attempt under way, else the spec's.

    Also those that a promoted split goes on being held to while the spec wants another one; returned beside are the
    ones among these by which the spec means something else now, so that they cannot be counted.
    """
    wanted, record = list(spec.objectives), kept.record
    if kept.frozen is None or record is None:
        return wanted, frozenset()
    if record.progress.stage.under_way:
        return list(kept.frozen.objectives), frozenset()
    if record.progress.stage is not Stage.PROMOTED or not is_held_by_attempt(plan, record):
        return wanted, frozenset()
    by_name = {each.name: each for each in wanted}
    redefined = frozenset(each.name for each in kept.frozen.objectives if by_name.get(each.name, each) != each)
    return [*wanted, *(each for each in kept.frozen.objectives if each.name not in by_name)], redefined


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
    """Why the backends that an attempt, or a promotion still baking, came from could not take its traffic back."""
    if record is None or not (record.progress.stage is Stage.PROGRESSING or is_baking(record, now)):
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


def _terms(ports: Ports, server: str, record: Record | None, objectives: list[Objective]) -> tuple[Terms, str]:
    """The settings in force: of the attempt that is under way, else the operator's for that Prometheus."""
    known = ports.settings.prometheus.get(server)
    if known is None:
        return Terms(window_s=15.0, settle_min_s=30.0, scrape_interval_s=15.0), server
    analysis = ports.settings.analysis
    window_s = ports.settings.window_for(server)
    judged = any(each.metric is Metric.SAFETY_VIOLATION_RATE for each in objectives)
    delay_s = ports.settings.judge.max_delay_s if judged else 0.0
    terms = Terms(window_s, analysis.settle_min_s, known.scrape_interval_s, analysis.overdispersion, delay_s)
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
    models: dict[str, str] = {}
    if record is not None and record.progress.stage.under_way:
        if record.progress.live_at is None and record.progress.stage is Stage.ROLLING_BACK:
            return None
        arms = [(arm.name, arm.backend) for arm in record.attempt.arms]
        models = {arm.name: arm.model for arm in record.attempt.arms}
        since = looks_from(record)
        if record.progress.live_until is not None:
            # Of what is counted since somebody else changed the weights nobody can say what it stands for.
            until = min(until, math.floor(record.progress.live_until / terms.window_s) * terms.window_s)
    else:
        named = {share.backend: share.model for share in plan.split} if plan is not None else {}
        arms = [(named.get(backend, backend.name), backend) for backend, weight in gateway.weights.items() if weight]
        # Where traffic is about to move, the stable arms must be seen to have some, in more than one window.
        since = until - terms.window_s * (most_windows(terms.window_s) if _is_to_move(plan, gateway) else 1)
        if record is not None and record.progress.stage is Stage.PROMOTED:
            if is_held_by_attempt(plan, record):
                promoted = {arm.backend: arm.name for arm in record.attempt.arms if arm.wanted}
                arms = [(promoted.get(backend, name), backend) for name, backend in arms]
            if any(objective.max is not None for objective in objectives):
                since = min(since, guarded_since(record, now, window_s=terms.window_s))
                # Some are read again, and count once, so that whether there are requests is seen at every look.
                quiet = min(QUIET_WINDOWS, max(1, most_windows(terms.window_s) // 2))
                since = min(since, until - quiet * terms.window_s)
            if not is_in_place(gateway, record):
                since = max(since, math.ceil(moved_at / terms.window_s) * terms.window_s)
    if not arms or since >= until:
        return None
    rule, indexes = _positions(record, gateway)
    return RouteQuery(
        namespace=template.namespace,
        route=template.name,
        rule=rule,
        arms=tuple(_arm_query(arm, models.get(arm, arm), backend, indexes.get(backend)) for arm, backend in arms),
        objectives=_objective_queries(objectives),
        since=since,
        until=until,
        window_s=terms.window_s,
        gateways=tuple(
            (str(ref.get("namespace") or template.namespace), str(ref["name"])) for ref in template.parent_refs
        ),
    )


def _is_to_move(plan: Plan | None, gateway: Gateway) -> bool:
    live = {backend: weight for backend, weight in gateway.weights.items() if weight}
    return plan is not None and live != {share.backend: share.weight for share in plan.split if share.weight}


def _positions(record: Record | None, gateway: Gateway) -> tuple[int, Mapping[Backend, int | None]]:
    """Where what was counted is to be found: of a step that is live, where its arms stood when it was seen live."""
    if record is not None and record.progress.stage is Stage.PROGRESSING and record.progress.live_at is not None:
        noted = positions(record.progress.place, record.attempt.arms)
        if noted is not None:
            return noted
    return gateway.rule, {backend: index for index, backend in enumerate(gateway.weights)}


def _arm_query(arm: str, model: str, backend: Backend, index: int | None) -> ArmQuery:
    return ArmQuery(arm, backend.namespace, backend.name, backend.port or 0, index, model)


def _objective_queries(objectives: list[Objective]) -> tuple[ObjectiveQuery, ...]:
    return tuple(query_of(objective) for objective in objectives)


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
        async with asyncio.timeout(LOOK_DEADLINE_S):
            return Look(until, readings=await reader.read(query))
    except TimeoutError:
        message = f"Prometheus {server} did not answer within {LOOK_DEADLINE_S:.0f} s"
        return Look(until, problem=Unknown(Reason.PROMETHEUS_UNAVAILABLE, message))
    except Unavailable as error:
        return Look(until, problem=Unknown(Reason.PROMETHEUS_UNAVAILABLE, _named(server, error)))
    except Invalid as error:
        return Look(until, problem=Unknown(Reason.AMBIGUOUS_SERIES, str(error)))
