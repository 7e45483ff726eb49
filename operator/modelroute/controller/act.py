"""Carrying out what was decided: the route."""

from __future__ import annotations

from dataclasses import replace

from modelroute.controller.observe import Seen
from modelroute.controller.ports import Ports
from modelroute.errors import Invalid
from modelroute.gateway.render import as_it_is
from modelroute.rollout.attempt import Stage
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Share


async def act(ports: Ports, seen: Seen, decision: Decision, *, now: float) -> Decision:
    """Order the split at the gateway; the decision as it is to be told then.

    A route that somebody else changed is restored with an event; after too many of those within ten minutes only
    rollbacks still are, every few seconds.
    """
    if (order := decision.order) is None:
        return decision
    key = seen.route.metadata.namespace, seen.route.metadata.name
    restored = _was_changed(ports, seen)
    if restored and (wait_s := ports.contention.wait_s(key, order.rollback_of, now)):
        return replace(decision, wake_after_s=wait_s)
    if seen.adoption is not None:
        await ports.adopted.ensure(
            seen.adoption, _of_the_whole_rule(seen, order), seen.live, fenced=not order.rollback_of
        )
    else:
        decision = await _own_route(ports, seen, decision, order)
    if not restored:
        return decision
    ports.contention.restored(key, now)
    if order.rollback_of:
        ports.contention.went_back(key, order.rollback_of, now)
    if not (times := ports.contention.to_tell(key, now)):
        return decision
    how = "was changed by somebody else and is restored" if seen.live is not None else "was deleted and is made anew"
    how += f", {times} times since the last event" if times > 1 else ""
    said = Announcement(Reason.ROUTE_RESTORED, f"the HTTPRoute {how}", warning=True)
    return replace(decision, announcements=(*decision.announcements, said))


def _was_changed(ports: Ports, seen: Seen) -> bool:
    if seen.adoption is not None:
        return seen.live is not None and ports.adopted.was_changed(seen.adoption, seen.live)
    return ports.routes.was_changed(seen.template, seen.live)


def _of_the_whole_rule(seen: Seen, order: RouteOrder) -> RouteOrder:
    """`order` with nothing for the backends of ours that it does not name.

    In a rule of the user's own a backend that is not named is left alone, and would keep what it has. That one of them
    has something happens where its attempt's record was deleted, or where somebody else gave it some at rest.
    """
    observation = seen.observation
    ours = [share.backend for share in (observation.plan.split if observation.plan is not None else ())]
    if observation.record is not None:
        ours += [arm.backend for arm in observation.record.attempt.arms]
    named = {share.backend for share in order.split}
    rest = tuple(Share(backend.name, backend, 0) for backend in dict.fromkeys(ours) if backend not in named)
    return replace(order, split=(*order.split, *rest))


async def _own_route(ports: Ports, seen: Seen, decision: Decision, order: RouteOrder) -> Decision:
    """The operator's own route.

    Where the API server refuses the route itself (a filter that Gateway API does not know), that is the user's to mend:
    told like any other problem of the spec, and the live route stays as it was; a rollback goes its way with the words
    that the route has.
    """
    fenced = not order.rollback_of
    try:
        await ports.routes.ensure(seen.template, order, seen.live, fenced=fenced)
    except Invalid as error:
        if seen.live is not None and not _raises(decision):
            # The weights are ours: back they go whatever the rest of the spec says.
            await ports.routes.ensure(as_it_is(seen.template, seen.live), order, seen.live, fenced=fenced)
        return replace(
            decision,
            phase=Phase.HOLDING if seen.live is not None else Phase.PENDING,
            reason=Reason.INVALID_SPEC,
            message=f"the API server refuses the HTTPRoute, which stays as it was: {error}",
            stalled=True,
            wake_after_s=30.0,
        )
    return decision


def _raises(decision: Decision) -> bool:
    """Whether the order is one that may give a candidate more traffic."""
    return decision.record is not None and decision.record.progress.stage in {Stage.PROGRESSING, Stage.PROMOTED}
