"""Conditions: what is assessed now, merged into what was there."""

from __future__ import annotations

import pytest

from modelroute.api.conditions import Assessment, find, is_true, merge
from modelroute.api.status import Condition, ConditionStatus, ConditionType
from modelroute.rollout.reasons import Reason

NOON = 1767355200.0
READY, STALLED, ACCEPTED = ConditionType.READY, ConditionType.STALLED, ConditionType.ACCEPTED
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def ready(status: ConditionStatus, message: str = "All is well.") -> Assessment:
    return Assessment(READY, status, Reason.STABLE, message)


def test_a_first_assessment_is_dated_now() -> None:
    (condition,) = merge([], [ready(TRUE)], generation=3, now=NOON)

    expected = {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-01-02T12:00:00Z",
        "reason": "Stable",
        "message": "All is well.",
    }
    assert expected == condition.to_wire()


def test_the_same_assessment_again_changes_nothing() -> None:
    once = merge([], [ready(TRUE)], generation=3, now=NOON)

    assert once == merge(once, [ready(TRUE)], generation=3, now=NOON + 60)


def test_a_new_message_does_not_move_the_time() -> None:
    once = merge([], [ready(FALSE)], generation=3, now=NOON)

    (condition,) = merge(once, [ready(FALSE, "Still not.")], generation=4, now=NOON + 60)

    assert condition.last_transition_time == "2026-01-02T12:00:00Z"
    assert (condition.message, condition.observed_generation) == ("Still not.", 4)


@pytest.mark.parametrize("later", [FALSE, UNKNOWN])
def test_a_new_status_moves_the_time(later: ConditionStatus) -> None:
    once = merge([], [ready(TRUE)], generation=3, now=NOON)

    (condition,) = merge(once, [ready(later)], generation=3, now=NOON + 60)

    assert condition.last_transition_time == "2026-01-02T12:01:00Z"


def test_what_nobody_assessed_stays_as_it_was() -> None:
    before = merge([], [ready(TRUE), Assessment(ACCEPTED, TRUE, Reason.ACCEPTED, "")], generation=1, now=NOON)

    after = merge(before, [ready(FALSE)], generation=2, now=NOON + 60)

    assert find(after, ACCEPTED) == find(before, ACCEPTED)


def test_the_order_is_always_the_same_and_strangers_come_last() -> None:
    strangers = [
        Condition(type=name, status=TRUE, last_transition_time="2026-01-01T00:00:00Z", reason="X", message="")
        for name in ("Zebra", "Antelope")
    ]
    assessed = [Assessment(kind, TRUE, Reason.STABLE, "") for kind in reversed(ConditionType)]

    merged = merge(strangers, assessed, generation=1, now=NOON)

    assert [*ConditionType, "Zebra", "Antelope"] == [condition.type for condition in merged]


def test_unknown_is_not_true_and_neither_is_absent() -> None:
    conditions = merge([], [ready(UNKNOWN)], generation=1, now=NOON)

    assert not is_true(conditions, READY)
    assert not is_true(conditions, STALLED)
    assert not is_true(None, READY)
    assert is_true(merge(conditions, [ready(TRUE)], generation=1, now=NOON), READY)
