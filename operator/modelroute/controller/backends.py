"""The backends' part of an observation: which may be named at all, and which of those could take traffic now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from modelroute.api.resources import ModelRoute
from modelroute.controller.ports import Ports
from modelroute.controller.spec import backend_of
from modelroute.errors import Unavailable
from modelroute.gateway.adopted import Adoption, unlisted
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.guarding import is_baking
from modelroute.rollout.observation import Gateway, Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend


@dataclass(frozen=True, slots=True)
class Backing:
    """`closed`: the backends of other namespaces that are neither looked at nor asked for what they count. `problems`
    of the spec, and why what the traffic came from `cannot_return`.
    """

    closed: frozenset[Backend]
    problems: tuple[Problem, ...]
    cannot_return: tuple[Problem, ...]


async def read_backends(
    ports: Ports, route: ModelRoute, record: Record | None, adoption: Adoption | None, gateway: Gateway, now: float
) -> Backing:
    """All backends that traffic is on, goes to, or may have to go back to."""
    namespace = route.metadata.namespace
    # One that is to have no traffic may be scaled to nothing.
    wanted = {
        f"spec.models[{index}].backendRef": backend_of(model.backend_ref, namespace)
        for index, model in enumerate(route.spec.models)
        if model.weight
    }
    back = _way_back(record, now)
    arms = record.attempt.arms if record is not None and (record.progress.stage.under_way or back) else ()
    named = [*wanted.values(), *gateway.weights, *(arm.backend for arm in arms)]
    closed = await ports.backends.closed(named, to=namespace)
    problems = await _problems(ports, wanted.items(), closed)
    way_back = await _problems(ports, back.items(), closed)
    return Backing(frozenset(closed), problems, (*_unlisted_way_back(adoption, gateway, record, now), *way_back))


def _way_back(record: Record | None, now: float) -> dict[str, Backend]:
    """The backends that an attempt, or a promotion still baking, came from, and would have to give traffic again."""
    if record is None or not (record.progress.stage is Stage.PROGRESSING or is_baking(record, now)):
        return {}
    arms = [arm for arm in record.attempt.arms if arm.stable and not arm.wanted]
    return {f"the way back to {arm.name}": arm.backend for arm in arms}


def _unlisted_way_back(
    adoption: Adoption | None, gateway: Gateway, record: Record | None, now: float
) -> tuple[Problem, ...]:
    """The backends that a promotion still baking came from and that the user took out of the adopted rule."""
    if adoption is None or record is None or not is_baking(record, now):
        return ()
    needed = {arm.backend: arm.name for arm in record.attempt.arms if arm.stable}
    return tuple(unlisted(adoption, gateway.weights, needed))


async def _problems(
    ports: Ports, named: Iterable[tuple[str, Backend]], closed: Mapping[Backend, Problem]
) -> tuple[Problem, ...]:
    """Why those backends could not take traffic now; `named` by who names them, for the message."""
    found = await asyncio.gather(*(_problem(ports, field, backend, closed) for field, backend in named))
    return tuple(problem for problem in found if problem is not None)


async def _problem(ports: Ports, field: str, backend: Backend, closed: Mapping[Backend, Problem]) -> Problem | None:
    if (why := closed.get(backend)) is not None:
        # Nothing of a Service is told to those who may not name it, not even that it is there.
        return Problem(why.reason, f"{field}: {why.message}", backend)
    try:
        found = await ports.backends.problem_with(backend, field=field)
    except Unavailable as error:
        # Not known is not good enough to go on, and no reason to stop a rollback.
        return Problem(Reason.BACKEND_UNKNOWN, f"{field} could not be checked: {error}")
    return None if found is None else replace(found, backend=backend)
