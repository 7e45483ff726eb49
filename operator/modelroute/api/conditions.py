"""Conditions as the Kubernetes API conventions want them: what is assessed now, merged into what was there
before.

Pure: `now` is an argument. The time of a condition moves only when its status does, so that "since when is it
stalled?" has an answer, and writing the same assessment twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelroute.api.fields import format_instant
from modelroute.api.status import Condition, ConditionStatus, ConditionType


@dataclass(frozen=True, slots=True)
class Assessment:
    """One aspect as it is now; `reason` is a CamelCase word of modelroute.rollout.reasons."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


def merge(before: Sequence[Condition], now_is: Iterable[Assessment], *, generation: int, now: float) -> list[Condition]:
    """`before` with each assessment of `now_is` put in; conditions that nobody assessed stay as they are.

    `now` in unix seconds. Ordered as in ConditionType, conditions of others after them in the order they had.
    """
    merged = {condition.type: condition for condition in before}
    for assessment in now_is:
        old = merged.get(assessment.type)
        unchanged = old is not None and old.status == assessment.status
        merged[assessment.type] = Condition(
            type=assessment.type,
            status=assessment.status,
            observed_generation=generation,
            last_transition_time=old.last_transition_time if old and unchanged else _to_the_second(now),
            reason=assessment.reason,
            message=assessment.message,
        )
    return sorted(merged.values(), key=_rank)


def find(conditions: Iterable[Condition] | None, of: ConditionType) -> Condition | None:
    """The condition of that type, or None."""
    return next((condition for condition in conditions or () if condition.type == of), None)


def is_true(conditions: Iterable[Condition] | None, of: ConditionType) -> bool:
    """Whether that condition is there and True; Unknown is not."""
    condition = find(conditions, of)
    return condition is not None and condition.status is ConditionStatus.TRUE


_ORDER = {kind.value: rank for rank, kind in enumerate(ConditionType)}


def _rank(condition: Condition) -> int:
    return _ORDER.get(condition.type, len(_ORDER))


def _to_the_second(now: float) -> str:
    # metav1.Time has no fractions: a client that writes the object back would cut them off.
    return format_instant(now)[:19] + "Z"
