"""Writing an attempt down, before anything is done about it."""

from __future__ import annotations

from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout, ModelRoute, identity
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.cluster.client import Json
from modelroute.controller.amounts import amounts_of
from modelroute.controller.evidence import evidence_of
from modelroute.controller.history import (
    checkpoints_after,
    consumed_in,
    shown_to_engine,
    sums_after,
    windows_after,
)
from modelroute.controller.live import live_in
from modelroute.controller.observe import Seen
from modelroute.controller.ports import Ports
from modelroute.controller.records import spec_of, status_of, updated
from modelroute.errors import Invalid
from modelroute.gateway.render import LABEL_ROUTE, owner_reference
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.decision import Decision
from modelroute.rollout.split import in_words


async def persist(ports: Ports, seen: Seen, decision: Decision) -> None:
    """Write the decision's records to their ModelRollouts, with the resourceVersions that were read.

    And what an earlier look could not write, also where this one adds nothing.
    """
    key = seen.route.metadata.namespace, seen.route.metadata.name
    known = (seen.observation.record, seen.observation.promotion)
    ahead = [each for each in known if each is not None and ports.unwritten.is_ahead(key, _rollout_of(seen, each))]
    due = {each.attempt.name: each for each in (*ahead, decision.guarded, decision.record) if each is not None}
    for record in due.values():
        await _write(ports, seen, decision, record)


def _rollout_of(seen: Seen, record: Record) -> Json:
    return next(each for each in seen.rollouts if each["metadata"]["name"] == record.attempt.name)


async def _write(ports: Ports, seen: Seen, decision: Decision, record: Record) -> None:
    fresh = decision.fresh and record is decision.record
    rollout = await _begin(ports, seen, record) if fresh else _rollout_of(seen, record)
    before = parse(ModelRolloutStatus, rollout.get("status") or {})
    namespace, name = seen.route.metadata.namespace, seen.route.metadata.name
    status = updated(status_of(record, before), _told(seen, decision, record, before)).to_wire()
    if status == before.to_wire() and not ports.unwritten.is_ahead((namespace, name), rollout):
        return
    body = {**rollout, "status": status}
    await ports.model_rollouts.replace_status(namespace, rollout["metadata"]["name"], body)


def with_evidence(seen: Seen, record: Record | None) -> Json | None:
    """The ModelRollout of `record` with what was counted, and nothing decided; None where it would be too large."""
    if record is None:
        return None
    rollout = _rollout_of(seen, record)
    before = parse(ModelRolloutStatus, rollout.get("status") or {})
    try:
        status = updated(status_of(record, before), _history(seen, record, before))
    except Invalid:
        return None
    return {**rollout, "status": status.to_wire()}


def _told(seen: Seen, decision: Decision, record: Record, before: ModelRolloutStatus) -> dict[str, object]:
    """What only people read. How an attempt ended stands: after that only the guard has something to add."""
    if before.finished_at is not None and record.progress.finished_at is not None:
        return {}
    verdict, live = record.progress.verdict, live_in(seen, record.attempt)
    return {
        "reason": (verdict.reason if verdict is not None else decision.reason).value,
        "message": decision.message,
        "lacking": list(decision.lacking) or None,
        "live": in_words({each.arm: each.weight for each in live}) or None,
        "live_weights": live,
        "objectives": evidence_of(record, seen.objectives),
        "amounts": amounts_of(record, seen.objectives, seen.route.spec.models),
        **_history(seen, record, before),
    }


def _history(seen: Seen, record: Record, before: ModelRolloutStatus) -> dict[str, object]:
    """The windows that this tick folded in; they belong to the step that was live when they were counted."""
    was = seen.observation.record
    if was is None or was.attempt.name != record.attempt.name or was.progress.stage is not Stage.PROGRESSING:
        return {}
    new = consumed_in(seen.observation.look.readings, was.progress, record.progress)
    shown = shown_to_engine(was, new, seen.observation.terms.scrape_interval_s)
    return {
        "windows": windows_after(before, new, shown, was.progress.step),
        "checkpoints": checkpoints_after(before),
        "sums": sums_after(before, new, was.progress, record),
    }


async def _begin(ports: Ports, seen: Seen, record: Record) -> Json:
    """Create the ModelRollout; only with its first status, written after this, has the attempt begun."""
    route: ModelRoute = seen.route
    namespace = route.metadata.namespace
    for left in seen.rollouts:
        if left["metadata"]["name"] == record.attempt.name:
            # Created, and then the operator died before the first status: no weight has risen, so it never began.
            await ports.model_rollouts.delete(namespace, record.attempt.name, uid=left["metadata"]["uid"])
    plan = seen.observation.plan
    boundaries = plan.boundaries if plan is not None else {}
    name = route.metadata.name
    spec = spec_of(record.attempt, route.spec, route=name, namespace=namespace, boundaries=boundaries)
    body: Json = {
        **identity(ModelRollout),
        "metadata": {
            "name": record.attempt.name,
            "namespace": namespace,
            "labels": {LABEL_ROUTE: route.metadata.name},
            "ownerReferences": [owner_reference(route.metadata.name, route.metadata.uid)],
        },
        "spec": spec.to_wire(),
    }
    return await ports.model_rollouts.create(namespace, body)


async def tidy_history(ports: Ports, seen: Seen, decision: Decision) -> None:
    """Delete the oldest finished attempts beyond `historyLimit`, and what was created and never begun.

    Not the promotion that the guard watches, nor what says that a revision is not to be tried again.
    """
    namespace, observation = seen.route.metadata.namespace, seen.observation
    needed = (observation.record, observation.promotion, *observation.overtaken)
    names = {each.attempt.name for each in needed if each is not None}
    finished = [each for each in seen.rollouts if (each.get("status") or {}).get("finishedAt")]
    for old in finished[: max(0, len(finished) - seen.route.spec.history_limit)]:
        if old is not seen.rollout and old["metadata"]["name"] not in names:
            await ports.model_rollouts.delete(namespace, old["metadata"]["name"], uid=old["metadata"]["uid"])
    present = decision.record.attempt.name if decision.record is not None else ""
    for left in seen.rollouts:
        metadata = left["metadata"]
        if not (left.get("status") or {}).get("phase") and metadata["name"] != present:
            # Of an operator that died in between. Not one that was read before its first status came.
            version = metadata["resourceVersion"]
            await ports.model_rollouts.delete(namespace, metadata["name"], uid=metadata["uid"], version=version)
