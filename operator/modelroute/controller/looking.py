"""What the metrics are asked for in one look, and what they answered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping

from modelroute.api.objectives import Metric, Objective
from modelroute.controller.ports import Ports
from modelroute.controller.spec import query_of
from modelroute.errors import Invalid, Unavailable
from modelroute.gateway.render import Template
from modelroute.metrics.prometheus import ClockBehind
from modelroute.metrics.reading import ArmQuery, ObjectiveQuery, RouteQuery
from modelroute.metrics.sampler import most_windows
from modelroute.metrics.scrapes import window_end_for
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.consume import looks_from
from modelroute.rollout.evidence import Unknown
from modelroute.rollout.guarding import QUIET_WINDOWS, guarded_since, is_held_by_attempt, rests_since
from modelroute.rollout.observation import Gateway, Look, Terms
from modelroute.rollout.places import is_in_place, positions
from modelroute.rollout.plan import Plan
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend

LOOK_DEADLINE_S = 20.0
"""After it a tick goes on without evidence: it holds, and what needs none (a rollback, a person's word) is not kept
waiting."""


def terms_for(ports: Ports, server: str, record: Record | None, objectives: list[Objective]) -> tuple[Terms, str]:
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


def query_for(
    template: Template,
    plan: Plan | None,
    record: Record | None,
    promotion: Record | None,
    gateway: Gateway,
    terms: Terms,
    objectives: list[Objective],
    now: float,
    moved_at: float,
    closed: Collection[Backend],
) -> RouteQuery | None:
    """What to ask of the metrics; None while nothing that could be counted is live.

    `promotion`: the attempt that promoted the split which the route rests on, `record` or an earlier one. What backends
    that are `closed` count themselves is not asked for.
    """
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
        if promotion is not None:
            if is_held_by_attempt(plan, promotion):
                promoted = {arm.backend: arm.name for arm in promotion.attempt.arms if arm.wanted}
                arms = [(promoted.get(backend, name), backend) for name, backend in arms]
            if any(objective.max is not None for objective in objectives):
                rests_at = rests_since(promotion, record)
                since = min(since, guarded_since(promotion, now, rests_at=rests_at, window_s=terms.window_s))
                # Some are read again, and count once, so that whether there are requests is seen at every look.
                quiet = min(QUIET_WINDOWS, max(1, most_windows(terms.window_s) // 2))
                since = min(since, until - quiet * terms.window_s)
            if not is_in_place(gateway, promotion):
                since = max(since, math.ceil(moved_at / terms.window_s) * terms.window_s)
    if not arms or since >= until:
        return None
    rule, indexes = _positions(record, gateway)
    return RouteQuery(
        namespace=template.namespace,
        route=template.name,
        rule=rule,
        arms=tuple(
            ArmQuery(
                arm,
                backend.namespace,
                backend.name,
                backend.port or 0,
                indexes.get(backend),
                models.get(arm, arm),
                is_closed=backend in closed,
            )
            for arm, backend in arms
        ),
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


def _objective_queries(objectives: list[Objective]) -> tuple[ObjectiveQuery, ...]:
    return tuple(query_of(objective) for objective in objectives)


def _named(server: str, error: Exception) -> str:
    told = str(error)
    return told if server in told else f"Prometheus {server}: {told}"


async def look_for(ports: Ports, server: str, query: RouteQuery | None, terms: Terms, now: float) -> Look:
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
    except ClockBehind as error:
        return Look(until, problem=Unknown(Reason.CLOCK_BEHIND, _named(server, error)))
    except Unavailable as error:
        return Look(until, problem=Unknown(Reason.PROMETHEUS_UNAVAILABLE, _named(server, error)))
    except Invalid as error:
        return Look(until, problem=Unknown(Reason.AMBIGUOUS_SERIES, str(error)))
