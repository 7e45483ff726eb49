"""What is kept of earlier ticks: the attempts in their ModelRollouts, and what the last status noted of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelroute.api.fields import parse_instant
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout, ModelRoute
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.status import ConditionType
from modelroute.cluster.client import Json
from modelroute.controller.records import attempt_of, progress_of
from modelroute.controller.spec import backend_of, route_ref_of
from modelroute.errors import Invalid
from modelroute.gateway.adopted import Adoption
from modelroute.gateway.ownership import is_left, is_owned_by, is_route_left
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.decision import Phase
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal
from modelroute.rollout.split import TOTAL, Share, Split, same_traffic


@dataclass(frozen=True, slots=True)
class Kept:
    """`rollouts` are the ModelRoute's own, oldest first, `left` those of them that have to be made its own; `latest` is
    the last that has begun, `frozen` its spec and `record` what it says, both None where it cannot be read, which
    `problems` tells then. `attempts`: how many there were. `overtaken`: the later ones that had ended when the guard
    took `latest` back. `promotion`: the attempt that promoted the split which the route rests on, with its spec; None
    where none did, or where one is under way.
    """

    rollouts: tuple[Json, ...]
    latest: Json | None
    frozen: ModelRolloutSpec | None
    record: Record | None
    attempts: int
    problems: tuple[Problem, ...]
    overtaken: tuple[Record, ...] = ()
    promotion: tuple[Record, ModelRolloutSpec] | None = None
    left: tuple[Json, ...] = ()


def kept_of(route: ModelRoute, listed: Sequence[Json], live: Json | None = None) -> Kept:
    """`listed` are the ModelRollouts with the ModelRoute's label, in any order; `live` is its HTTPRoute."""
    namespace, left = route.metadata.namespace, _left_to(route, listed, live)
    own = [*(each for each in listed if is_owned_by(each, route.metadata.uid)), *left]
    rollouts = tuple(sorted(own, key=_attempt_number))
    begun = sorted((each for each in rollouts if (each.get("status") or {}).get("phase")), key=turn_of)
    # Of a ModelRoute of this name that is gone: not our history, but their names are taken.
    others = [each for each in listed if each not in own]
    attempts = max([turn_of(each)[0] for each in (*begun, *others)] + [route.status.attempt or 0])
    latest = begun[-1] if begun and _is_the_latest(begun[-1], route) else None
    record, problems = _record_of(latest, namespace) if latest is not None else (None, ())
    frozen = parse(ModelRollout, latest).spec if latest is not None and record is not None else None
    if record is None or frozen is None:
        return Kept(rollouts, latest, None, None, attempts, problems, left=left)
    behind = (_record_of(each, namespace)[0] for each in begun[:-1] if turn_of(each)[0] == turn_of(begun[-1])[0])
    overtaken = tuple(each for each in behind if each is not None)
    promotion = _promotion_of(record, frozen, begun, namespace)
    return Kept(rollouts, latest, frozen, record, attempts, problems, overtaken, promotion, left)


def turn_of(rollout: Json) -> tuple[int, int]:
    """What attempts are sorted by: their number, but one whose promotion was taken back comes after those it overtook.

    Of two that overtook the same attempt the lower number is the later one: the guard goes further back each time.
    """
    number = int((rollout.get("spec") or {}).get("attempt") or 0)
    return max(number, (rollout.get("status") or {}).get("afterAttempt") or 0), -number


def _promotion_of(
    record: Record, frozen: ModelRolloutSpec, begun: Sequence[Json], namespace: str
) -> tuple[Record, ModelRolloutSpec] | None:
    """The latest attempt itself where it was promoted; where it ended otherwise, the last one that was.

    That one only where the latest started from its split, and on the same route: its own record may have been deleted.
    """
    stage = record.progress.stage
    if stage is Stage.PROMOTED:
        return record, frozen
    last = next((each for each in reversed(begun) if each["status"]["phase"] == Stage.PROMOTED), None)
    if stage.under_way or last is None:
        return None
    earlier, _ = _record_of(last, namespace)
    if earlier is None or not same_traffic(earlier.attempt.wanted, record.attempt.stable):
        return None
    spec = parse(ModelRollout, last).spec
    return (earlier, spec) if spec.route_ref == frozen.route_ref else None


def noted_split(route: ModelRoute, adoption: Adoption | None = None) -> Split | None:
    """The stable split as the status notes it; None where that is none: who may write a status may write anything.

    Nor does what is noted of another rule of the user's own say anything of the rule of `adoption`.
    """
    if adoption is not None and tells_of_another_rule(route, adoption):
        return None
    noted = route.status.stable or []
    whole = sum(share.weight for share in noted) == TOTAL and all(share.weight > 0 for share in noted)
    if not whole:
        return None
    namespace = route.metadata.namespace
    return tuple(Share(share.model, backend_of(share.backend_ref, namespace), share.weight) for share in noted)


def tells_of_another_rule(route: ModelRoute, adoption: Adoption) -> bool:
    """Whether the last status is about another rule of the user's own than that of `adoption`."""
    return route.status.route_ref not in {None, route_ref_of(adoption)}


def noted_since(route: ModelRoute, problem: Problem) -> float | None:
    """Since when (unix seconds), at the longest, the last status has told of just that problem of this generation."""
    known = problem.reason.value, problem.message, route.metadata.generation
    for each in route.status.conditions or ():
        if each.type == ConditionType.ACCEPTED and (each.reason, each.message, each.observed_generation) == known:
            try:
                return parse_instant(each.last_transition_time)
            except Invalid:
                return None  # no operator wrote that; the wait begins anew
    return None


def noted_refusal(route: ModelRoute) -> Refusal | None:
    """What the status says is not tried again by itself."""
    status = route.status
    if (told := status.refused) is not None:
        return Refusal(told.revision, told.attempt, told.reason, told.message, told.serial)
    if status.phase != Phase.ROLLED_BACK or not status.revision:
        return None
    # Of an operator that noted no more than the phase.
    serial = (status.next_action or "").rpartition(".")[2]
    return Refusal(
        status.revision,
        status.attempt or 0,
        Reason.ROLLED_BACK.value,
        "no reason was kept",
        int(serial) if serial.isdecimal() else status.attempt or 0,
    )


def _left_to(route: ModelRoute, listed: Sequence[Json], live: Json | None) -> tuple[Json, ...]:
    """The ModelRollouts that the ModelRoute takes back after a restore, with its HTTPRoute or its status.

    Not those that are left of one of its name that somebody deleted for good.
    """
    name, uid = route.metadata.name, route.metadata.uid
    left = tuple(each for each in listed if is_left(each, name, uid))
    named = any(each["metadata"]["name"] == route.status.rollout for each in left)
    with_route = route.spec.route_ref is None and live is not None and is_route_left(live, name, uid)
    return left if named or with_route else ()


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


def _is_the_latest(rollout: Json, route: ModelRoute) -> bool:
    """Whether no later attempt is known of: where its record was deleted, an older one says nothing about now."""
    return turn_of(rollout)[0] >= (route.status.attempt or 0)
