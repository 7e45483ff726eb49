"""The last part of a tick: the status that people read, and what is worth an event. Told is what was done."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from modelroute.analysis.engine import assess
from modelroute.api.conditions import merge
from modelroute.api.fields import format_instant
from modelroute.api.status import Condition, ConditionType, ModelRouteStatus, RefusedRevision, StableShare
from modelroute.controller.amounts import amounts_of
from modelroute.controller.conditions import conditions_of
from modelroute.controller.evidence import evidence_of, overall
from modelroute.controller.live import live_at_rest, live_in
from modelroute.controller.observe import Seen, action_of
from modelroute.controller.ports import Ports
from modelroute.controller.records import ref_of
from modelroute.controller.spec import route_ref_of
from modelroute.errors import ModelRouteError
from modelroute.rollout.attempt import Record
from modelroute.rollout.decision import Announcement, Decision, Phase
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal, refusal_in
from modelroute.rollout.resting import stable_split
from modelroute.rollout.split import Split, in_words

log = logging.getLogger(__name__)

APART_S = 1e-5


async def announce(ports: Ports, seen: Seen, decision: Decision, *, now: float) -> None:
    """Write the ModelRoute's status where it changed, then the events; an event that fails is only logged."""
    try:
        status = await write_status(ports, seen, decision, now=now)
    except ModelRouteError:
        # What was decided is written down and done, and is not decided again: its events are now or never.
        await tell(ports, seen, decision.announcements, now)
        raise
    ports.telemetry.report(seen, decision, status)
    said = (*decision.announcements, *_changes(seen.route.status, decision), *_overlap(seen.route.status, status))
    await tell(ports, seen, _not_again(ports, seen, decision, said, now), now, stalled=decision.stalled)


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
            # Apart, so that whoever sorts them by time keeps their order; by more than one of the microseconds that are
            # written, for a float of today's seconds is too coarse to tell two neighbours apart.
            await ports.events.announce(seen.raw, said, now=now + place * APART_S)
        except ModelRouteError as error:
            log.warning("%s: the event %s could not be written: %s", seen.key, said.reason, error)


def status_of(seen: Seen, decision: Decision, *, now: float) -> ModelRouteStatus:
    """The whole status of a ModelRoute after `decision` was carried out."""
    route, observation = seen.route, seen.observation
    namespace, generation = route.metadata.namespace, route.metadata.generation
    record = decision.record or observation.record
    under_way = record is not None and record.progress.stage.under_way
    stable = _stable(observation, decision)
    last = record.attempt if record is not None else None
    live = live_in(seen, last) if last is not None and under_way else live_at_rest(seen, last)
    told_live = in_words({each.arm: each.weight for each in live})
    return ModelRouteStatus(
        observed_generation=generation,
        phase=decision.phase.value,
        message=decision.message,
        step=f"{record.progress.step + 1}/{len(record.attempt.steps)}" if record and under_way else None,
        progress=record.attempt.steps[record.progress.step].progress if record and under_way else None,
        live=told_live or None,
        live_weights=live,
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
        refused=_refused(decision.refused or observation.refused, record),
        next_action=decision.next_action or None,
        last_action=_last_action(seen, decision),
        deadline=None if decision.deadline_at is None else format_instant(decision.deadline_at),
        guard=decision.guard or None,
        lacking=list(decision.lacking) or None,
        not_in_force=[gap.to_status() for gap in seen.gaps] or None,
        objectives=evidence_of(record, seen.objectives) if record is not None else None,
        amounts=amounts_of(record, seen.objectives, route.spec.models) if record is not None else None,
        conditions=merge(
            route.status.conditions or [],
            conditions_of(seen, decision, live=told_live),
            generation=generation,
            now=now,
        ),
    )


def _refused(noted: Refusal | None, record: Record | None) -> RefusedRevision | None:
    found = refusal_in(record, noted)
    if found is None:
        return None
    return RefusedRevision(
        revision=found.revision, attempt=found.attempt, reason=found.reason, message=found.told, serial=found.serial
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


def _not_again(
    ports: Ports, seen: Seen, decision: Decision, said: Sequence[Announcement], now: float
) -> tuple[Announcement, ...]:
    """`said` without what was told lately of how things stand. What was done is told each time.

    An alarm of the guard that takes nothing back comes again for as long as the bound is broken.
    """
    key, moment = (seen.route.metadata.namespace, seen.route.metadata.name), decision.next_action
    stays = decision.phase is not Phase.ROLLING_BACK
    done = [each for each in decision.announcements if not (each.reason is Reason.GUARD_BREACHED and stays)]
    return tuple(
        each for each in said if each in done or ports.repeats.is_new(key, each.reason, f"{moment} {each.about}", now)
    )


def _overlap(before: ModelRouteStatus, status: ModelRouteStatus) -> tuple[Announcement, ...]:
    """An event where another route has come to want the same requests."""
    told = _programmed_reason(status)
    if told is None or told.reason != Reason.ROUTE_OVERLAPS or _programmed_reason(before) == told:
        return ()
    return (Announcement(Reason.ROUTE_OVERLAPS, told.message, warning=True),)


def _programmed_reason(status: ModelRouteStatus) -> Condition | None:
    return next((each for each in status.conditions or () if each.type == ConditionType.PROGRAMMED), None)


def _changes(before: ModelRouteStatus, decision: Decision) -> tuple[Announcement, ...]:
    """An event where the route stands differently than before, unless the decision has its own word on it."""
    if decision.announcements:
        return ()
    ready = next((c for c in before.conditions or () if c.type == "Ready"), None)
    if before.phase == decision.phase.value and ready is not None and ready.reason == decision.reason.value:
        return ()
    if decision.phase in {Phase.PENDING, Phase.PROGRESSING, Phase.ROLLING_BACK} and not decision.stalled:
        return ()
    if decision.reason is Reason.WAITING_FOR_GATEWAY and not decision.under_way:
        # Every change of the route is followed by a second of this; the status says it for as long as it lasts.
        return ()
    warning = decision.stalled or decision.phase is Phase.HOLDING
    return (Announcement(decision.reason, decision.message, warning=warning),)
