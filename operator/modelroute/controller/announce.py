"""The last part of a tick: the status that people read, and what is worth an event. Told is what was done."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from modelroute.analysis.engine import assess
from modelroute.api.conditions import merge
from modelroute.api.fields import format_instant
from modelroute.api.status import LiveWeight, ModelRouteStatus, StableShare
from modelroute.controller.conditions import conditions_of
from modelroute.controller.evidence import evidence_of, overall
from modelroute.controller.observe import Seen, action_of
from modelroute.controller.ports import Ports
from modelroute.controller.records import backend_text, ref_of
from modelroute.controller.spec import route_ref_of
from modelroute.errors import ModelRouteError
from modelroute.gateway.observe import as_split
from modelroute.rollout.attempt import Record
from modelroute.rollout.decision import Announcement, Decision, Phase
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.resting import stable_split
from modelroute.rollout.split import Share, Split, in_words

log = logging.getLogger(__name__)


async def announce(ports: Ports, seen: Seen, decision: Decision, *, now: float) -> None:
    """Write the ModelRoute's status where it changed, then the events; an event that fails is only logged."""
    try:
        status = await write_status(ports, seen, decision, now=now)
    except ModelRouteError:
        # What was decided is written down and done, and is not decided again: its events are now or never.
        await tell(ports, seen, decision.announcements, now)
        raise
    ports.telemetry.report(seen, decision, status)
    changes = _changes(seen.route.status, decision)
    await tell(ports, seen, (*decision.announcements, *changes), now, stalled=decision.stalled)


async def write_status(ports: Ports, seen: Seen, decision: Decision, *, now: float) -> ModelRouteStatus:
    """The ModelRoute's status after `decision`, written where it changed."""
    status = status_of(seen, decision, now=now)
    if status != seen.route.status:
        body = {**seen.raw, "status": status.to_wire()}
        await ports.model_routes.replace_status(seen.route.metadata.namespace, seen.route.metadata.name, body)
    return status


async def tell(
    ports: Ports, seen: Seen, announcements: Sequence[Announcement], now: float, *, stalled: bool = False
) -> None:
    """An event for each, and word to who wants it; an event that cannot be written is only logged.

    `stalled`: after the last of them nothing but a person can go on.
    """
    for place, said in enumerate(announcements):
        log.info("%s: %s: %s", seen.key, said.reason, said.message)
        ports.messenger.offer(seen, said, stalled=stalled and place == len(announcements) - 1, now=now)
        try:
            # A microsecond apart, so that whoever sorts them by time keeps their order.
            await ports.events.announce(seen.raw, said, now=now + place * 1e-6)
        except ModelRouteError as error:
            log.warning("%s: the event %s could not be written: %s", seen.key, said.reason, error)


def status_of(seen: Seen, decision: Decision, *, now: float) -> ModelRouteStatus:
    """The whole status of a ModelRoute after `decision` was carried out."""
    route, observation = seen.route, seen.observation
    namespace, generation = route.metadata.namespace, route.metadata.generation
    record = decision.record or observation.record
    under_way = record is not None and record.progress.stage.under_way
    stable = _stable(observation, decision)
    live = _live(seen, decision, record if under_way else None)
    return ModelRouteStatus(
        observed_generation=generation,
        phase=decision.phase.value,
        message=decision.message,
        step=f"{record.progress.step + 1}/{len(record.attempt.steps)}" if record and under_way else None,
        progress=record.attempt.steps[record.progress.step].progress if record and under_way else None,
        live=in_words({name: share.weight for name, share in live}) or None,
        live_weights=[
            LiveWeight(
                arm=name,
                model=share.model,
                backend=backend_text(share.backend, namespace),
                weight=share.weight,
            )
            for name, share in live
        ],
        stable=[
            StableShare(model=share.model, backend_ref=ref_of(share.backend, namespace), weight=share.weight)
            for share in stable or ()
            if share.weight
        ],
        verdict=overall(assess(record.attempt.design, record.progress.engine)) if record else None,
        route_ref=route_ref_of(seen.adoption) if seen.adoption is not None else None,
        rollout=record.attempt.name if record else None,
        attempt=record.attempt.number if record else route.status.attempt,
        revision=observation.plan.revision if observation.plan else None,
        next_action=decision.next_action or None,
        last_action=_last_action(seen, decision),
        deadline=None if decision.deadline_at is None else format_instant(decision.deadline_at),
        guard=decision.guard or None,
        lacking=list(decision.lacking) or None,
        not_in_force=[gap.to_status() for gap in seen.gaps],
        objectives=evidence_of(record, seen.objectives) if record is not None else None,
        conditions=merge(route.status.conditions or [], conditions_of(seen, decision), generation=generation, now=now),
    )


def _stable(observation: Observation, decision: Decision) -> Split | None:
    """What the route rests on; nothing before the gateway had it once: until then the phase stays Pending."""
    if decision.order is None:
        return stable_split(observation)
    return observation.noted if decision.phase is Phase.PENDING else decision.order.stable


def _last_action(seen: Seen, decision: Decision) -> str | None:
    """The last request that was dealt with, also where only the ModelRollout could be told of it in time."""
    asked = action_of(seen.route)
    dealt_with = decision.handled == asked or (
        seen.observation.record is not None and seen.observation.record.progress.handled == asked
    )
    return asked if asked and dealt_with else seen.route.status.last_action


def _live(seen: Seen, decision: Decision, under_way: Record | None) -> list[tuple[str, Share]]:
    """Each arm's name and share: as ordered, else as the route carries it; at rest only those with traffic."""
    if decision.order is not None:
        split = decision.order.split
    else:
        models = {share.backend: share.model for share in stable_split(seen.observation) or ()}
        carried = as_split(seen.observation.gateway.weights) or ()
        split = tuple(replace(share, model=models.get(share.backend, share.model)) for share in carried)
    if under_way is None:
        plan = seen.observation.plan
        wanted = {share.model: share.backend for share in plan.split} if plan is not None else {}
        return [
            # Another version than the spec's: say which, or it would read as the spec's own.
            (share.model if wanted.get(share.model) == share.backend else f"{share.model}@{share.backend.name}", share)
            for share in split
            if share.weight
        ]
    named = {arm.backend: arm.name for arm in under_way.attempt.arms}
    return [(named.get(share.backend, share.model), share) for share in split]


def _changes(before: ModelRouteStatus, decision: Decision) -> tuple[Announcement, ...]:
    """An event where the route stands differently than before, unless the decision has its own word on it."""
    if decision.announcements:
        return ()
    ready = next((c for c in before.conditions or () if c.type == "Ready"), None)
    if before.phase == decision.phase.value and ready is not None and ready.reason == decision.reason.value:
        return ()
    if decision.phase in {Phase.PENDING, Phase.PROGRESSING, Phase.ROLLING_BACK} and not decision.stalled:
        return ()
    if decision.reason is Reason.WAITING_FOR_GATEWAY and decision.record is None:
        # Every change of the route is followed by a second of this; the status says it for as long as it lasts.
        return ()
    warning = decision.stalled or decision.phase is Phase.HOLDING
    return (Announcement(decision.reason, decision.message, warning=warning),)
