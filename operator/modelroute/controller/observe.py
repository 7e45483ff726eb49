"""The first part of a tick: everything that is read, and nothing that is decided."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from modelroute.api.objectives import Objective
from modelroute.api.resources import ACTION_ANNOTATION, ModelRoute
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.spec import ModelRouteSpec
from modelroute.cluster.client import Json
from modelroute.controller.backends import read_backends
from modelroute.controller.kept import Kept, kept_of, noted_refusal, noted_split
from modelroute.controller.looking import look_for, query_for, terms_for
from modelroute.controller.ports import Ports
from modelroute.controller.reading import read_model_route
from modelroute.controller.routed import Routed, followed, read_route, routed
from modelroute.controller.sightings import goes_back
from modelroute.controller.spec import Gap, gaps_in, plan_of, problems_of, refusal_problems
from modelroute.errors import Invalid
from modelroute.gateway.adopted import Adoption
from modelroute.gateway.render import LABEL_ROUTE, Template
from modelroute.rollout.attempt import Record
from modelroute.rollout.decision import Phase
from modelroute.rollout.frozen import as_frozen
from modelroute.rollout.guarding import is_held_by_attempt
from modelroute.rollout.observation import Observation, Problem
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason

ACTION_LIMIT = 256
"""Characters: the longest revision and the longest verb are far shorter, and a status must be able to keep it."""


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
    known = ports.unwritten.known((namespace, name), listed)
    gaps, (kept, adoption, moved) = gaps_in(route.spec), followed(route, kept_of(route, known, live))
    if moved and adoption is not None:
        live = await ports.adopted.read(adoption)
    plan, unplannable = _plan_of(route.spec, namespace) if not unreadable else (None, unreadable)
    problems = unplannable + problems_of(gaps) + refusal_problems(route.spec, namespace)
    there = routed(
        route, live, adoption, plan=plan, record=kept.record, problems=problems, noted=noted_split(route, adoption)
    )
    promotion = kept.promotion[0] if kept.promotion is not None else None
    backing = await read_backends(ports, route, promotion or kept.record, adoption, there.gateway, now)
    problems = kept.problems + there.problems + backing.problems
    gateway = replace(
        there.gateway,
        contended=ports.contention.is_contended((namespace, name), now),
        rollback_of=there.gateway.rollback_of or goes_back(ports.sightings, route, promotion or kept.record),
    )
    asked, redefined = _asked(route.spec, kept, plan)
    terms, server = terms_for(ports, _in_force(route.spec, kept).metrics.prometheus, kept.record, asked)
    moved_at = ports.sightings.place_since((namespace, name), promotion or kept.record, gateway, now)
    query = query_for(
        there.template, plan, kept.record, promotion, gateway, terms, asked, now, moved_at, backing.closed
    )
    look = await look_for(ports, server, query, terms, now)
    if kept.record is not None and kept.record.progress.stage.under_way:
        look = as_frozen(kept.record.attempt, look)
    if plan is not None and look.readings:
        plan = plan.with_boundaries(look.readings[-1].boundaries)
    observation = Observation(
        name=name,
        plan=plan,
        problems=problems,
        record=kept.record,
        earlier=promotion if promotion is not kept.record else None,
        overtaken=kept.overtaken,
        attempts=kept.attempts,
        noted=there.noted,
        refused=noted_refusal(route),
        back_because=ports.sightings.back_because((namespace, name), promotion or kept.record),
        was_going_back=route.status.phase == Phase.ROLLING_BACK,
        request=_request(route, kept.record),
        noted_token=route.status.next_action or "",
        cannot_return=backing.cannot_return,
        redefined=redefined,
        gateway=gateway,
        look=look,
        terms=terms,
        moved_away=moved,
        awaited_since=ports.sightings.awaited_since(route, problems[0] if problems else None, now),
        silent_since=ports.sightings.silent_since((namespace, name), gateway, now),
        rejected_since=ports.sightings.rejected_since((namespace, name), gateway, now),
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
    if kept.promotion is None or not is_held_by_attempt(plan, kept.promotion[0]):
        return wanted, frozenset()
    by_name, held = {each.name: each for each in wanted}, kept.promotion[1].objectives
    redefined = frozenset(each.name for each in held if by_name.get(each.name, each) != each)
    return [*wanted, *(each for each in held if each.name not in by_name)], redefined


def action_of(route: ModelRoute) -> str:
    """What the annotation asks for, cut to what a status can keep."""
    return route.metadata.annotations.get(ACTION_ANNOTATION, "").strip()[:ACTION_LIMIT]


def _request(route: ModelRoute, record: Record | None) -> str:
    """What a person asks for and nobody has dealt with yet."""
    asked = action_of(route)
    known = {route.status.last_action or "", record.progress.handled if record is not None else ""}
    return "" if asked in known else asked


def _plan_of(spec: ModelRouteSpec, namespace: str) -> tuple[Plan | None, tuple[Problem, ...]]:
    """The plan; a spec that the API server took and we cannot read (a newer schema) is a problem, not a crash."""
    try:
        return plan_of(spec, namespace), ()
    except Invalid as error:
        return None, (Problem(Reason.INVALID_SPEC, str(error)),)
