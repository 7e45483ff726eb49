"""What is live: the split that every expected parent reports accepted, which is not yet the one that is ordered. Pure.

A route that was just written is a wish. Until its parents report its new generation accepted, the split that they took
last is what users meet, so the last status is what remembers it; the message says what is ordered, and whom it waits
for. Where there is no route nothing is live, and where a status was lost and the parents keep silent, nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from modelroute.api.status import LiveWeight
from modelroute.controller.observe import Seen
from modelroute.controller.records import backend_text
from modelroute.gateway.observe import as_split
from modelroute.rollout.attempt import Attempt
from modelroute.rollout.decision import Decision
from modelroute.rollout.observation import Acceptance
from modelroute.rollout.resting import stable_split
from modelroute.rollout.split import Arm, Share


def live_in(seen: Seen, attempt: Attempt) -> list[LiveWeight]:
    """The live share of every arm of `attempt`, and of what else has traffic."""
    taken, namespace = _taken(seen), seen.route.metadata.namespace
    if not taken:
        return []
    found = [_of_arm(arm, taken.pop(backend_text(arm.backend, namespace), None), namespace) for arm in attempt.arms]
    return found + [each for each in taken.values() if each.weight]


def live_at_rest(seen: Seen, last: Attempt | None) -> list[LiveWeight]:
    """What has traffic while no attempt is under way, in the names that the spec has for it now."""
    named = _names_at_rest(seen, last)
    return [
        LiveWeight(arm=arm, model=model, backend=each.backend, weight=each.weight)
        for backend, each in _taken(seen).items()
        if each.weight
        for arm, model in [named.get(backend, (each.arm, each.model))]
    ]


def is_ordered(seen: Seen, decision: Decision) -> bool:
    """Whether the decision asks for another split than the route had when it was read."""
    if decision.order is None:
        return False
    asked = {share.backend: share.weight for share in decision.order.split if share.weight}
    return asked != {backend: weight for backend, weight in seen.observation.gateway.weights.items() if weight}


def _taken(seen: Seen) -> dict[str, LiveWeight]:
    """By backend: what the parents took last."""
    gateway, namespace = seen.observation.gateway, seen.route.metadata.namespace
    match gateway.acceptance:
        case Acceptance.LIVE:
            shares = {share.backend: share for share in as_split(gateway.weights) or ()}
            texts = [(backend_text(backend, namespace), backend) for backend in gateway.weights]
            return {
                text: LiveWeight(
                    arm=backend.name,
                    model=backend.name,
                    backend=text,
                    weight=shares[backend].weight if backend in shares else 0,
                )
                for text, backend in texts
            }
        case Acceptance.WAITING | Acceptance.REJECTED:
            return {each.backend or each.arm: each for each in seen.route.status.live_weights or ()}
        case Acceptance.ABSENT | Acceptance.FOREIGN:
            return {}
        case other:
            assert_never(other)


def _of_arm(arm: Arm, taken: LiveWeight | None, namespace: str) -> LiveWeight:
    return LiveWeight(
        arm=arm.name,
        model=arm.model,
        backend=backend_text(arm.backend, namespace),
        weight=taken.weight if taken is not None else 0,
    )


def _names_at_rest(seen: Seen, last: Attempt | None) -> Mapping[str, tuple[str, str]]:
    """By backend, the arm's name and its model: the spec's own model, else which version of which model it is."""
    plan, namespace = seen.observation.plan, seen.route.metadata.namespace
    known = [Share(arm.model, arm.backend, 0) for arm in (last.arms if last is not None else ())]
    known += stable_split(seen.observation) or ()
    wanted = {share.model: share.backend for share in (plan.split if plan is not None else ())}
    names = {
        share.backend: (
            # Another version than the spec's: say which, or it would read as the spec's own.
            share.model if wanted.get(share.model) == share.backend else f"{share.model}@{share.backend.name}",
            share.model,
        )
        for share in known
    }
    names |= {backend: (model, model) for model, backend in wanted.items()}
    return {backend_text(backend, namespace): name for backend, name in names.items()}
