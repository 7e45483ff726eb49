"""The gateway's half of an observation: the route as it stands, its words, and what keeps it from being written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelroute.api.resources import ModelRoute
from modelroute.cluster.client import Json
from modelroute.controller.kept import Kept, tells_of_another_rule
from modelroute.controller.ports import Ports
from modelroute.controller.spec import adoption_of, template_of
from modelroute.gateway.adopted import Adopted, Adoption
from modelroute.gateway.adopted import observe as observe_adopted
from modelroute.gateway.adopted import template_of as template_of_adopted
from modelroute.gateway.observe import observe as observe_gateway
from modelroute.gateway.render import Template, as_it_is
from modelroute.rollout.attempt import Record
from modelroute.rollout.observation import Gateway, Problem
from modelroute.rollout.plan import Plan
from modelroute.rollout.resting import BACKEND_REASONS
from modelroute.rollout.split import Split


@dataclass(frozen=True, slots=True)
class Routed:
    """The operator's own route, or the rule of the user's own (`adoption`). `problems` are all that are known by now;
    `noted` is the stable split as the status notes it, or as an adopted rule that was never moved carries it."""

    template: Template
    adoption: Adoption | None
    live: Json | None
    gateway: Gateway
    problems: tuple[Problem, ...]
    noted: Split | None

    @property
    def named(self) -> tuple[str, str]:
        """Namespace and name of the HTTPRoute."""
        return self.template.namespace, self.adoption.route if self.adoption is not None else self.template.name


async def read_route(ports: Ports, route: ModelRoute) -> Json | None:
    """The HTTPRoute that carries the traffic, or None where there is none."""
    metadata = route.metadata
    adoption = adoption_of(route.spec, namespace=metadata.namespace, name=metadata.name)
    if adoption is not None:
        return await ports.adopted.read(adoption)
    return await ports.routes.read(metadata.namespace, metadata.name)


def followed(route: ModelRoute, kept: Kept) -> tuple[Kept, Adoption | None, bool]:
    """Which rule of the user's own is looked at, whether it is another than the spec's, and what counts there.

    The attempt under way keeps its rule. How the last one ended on another, or on this one before the ModelRoute was on
    another, says nothing of the spec's: what that one carries is where it rests.
    """
    named = {"namespace": route.metadata.namespace, "name": route.metadata.name}
    wanted = adoption_of(route.spec, **named)
    theirs = adoption_of(kept.frozen, **named) if kept.frozen is not None else None
    if theirs is None or wanted is None or kept.record is None:
        return kept, wanted, False
    if kept.record.progress.stage.under_way:
        return kept, theirs, theirs != wanted
    if theirs != wanted or _was_left(route, wanted, kept.record):
        return replace(kept, record=None, frozen=None, overtaken=(), promotion=None), wanted, False
    return kept, wanted, False


def _was_left(route: ModelRoute, adoption: Adoption, last: Record) -> bool:
    """Whether the ModelRoute has been on another rule since `last` ended on that of `adoption`."""
    status = route.status
    # The status of the first look after the return is of this rule again, and still names no ModelRollout.
    disowned = status.route_ref is not None and status.rollout is None and status.attempt == last.attempt.number
    return disowned or tells_of_another_rule(route, adoption)


def routed(
    route: ModelRoute,
    live: Json | None,
    adoption: Adoption | None,
    *,
    plan: Plan | None,
    record: Record | None,
    problems: tuple[Problem, ...],
    noted: Split | None,
) -> Routed:
    """What `live` means for a ModelRoute with that plan and attempt."""
    metadata = route.metadata
    named = {"namespace": metadata.namespace, "name": metadata.name}
    template = template_of(route.spec, **named, uid=metadata.uid)
    if adoption is None:
        if live is not None and any(problem.reason not in BACKEND_REASONS for problem in problems):
            # A spec that cannot be carried out changes nothing about the live route.
            template = as_it_is(template, live)
        return Routed(template, None, live, observe_gateway(live, template), problems, noted)
    found = _adopted(live, adoption, plan, record, noted)
    template = template_of_adopted(adoption, live)
    return Routed(template, adoption, live, found.gateway, found.problems + problems, noted or found.carried)


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
