"""Where the arms stand in their route: a gateway's metrics name a rule and its backends by their positions.

What was counted while they stood elsewhere is read under those positions, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelroute.rollout.attempt import Record
from modelroute.rollout.observation import Gateway
from modelroute.rollout.split import Arm, Backend

_TEXT = re.compile(r"\d+:(?:\d+|-)(?:,(?:\d+|-))*")


def place_of(gateway: Gateway, arms: Sequence[Arm]) -> str:
    """'1:0,2': rule 1, the first arm at its backendRef 0, the second at 2; '-' for one that is not there."""
    order = list(gateway.weights)
    indexes = (str(order.index(arm.backend)) if arm.backend in gateway.weights else "-" for arm in arms)
    return f"{gateway.rule}:{','.join(indexes)}"


def positions(place: str, arms: Sequence[Arm]) -> tuple[int, Mapping[Backend, int | None]] | None:
    """The rule's index and each backend's in it; None where `place` is no place of these arms."""
    if not _TEXT.fullmatch(place):
        return None
    rule, _, text = place.partition(":")
    indexes = [None if each == "-" else int(each) for each in text.split(",")]
    if len(indexes) != len(arms):
        return None
    return int(rule), {arm.backend: index for arm, index in zip(arms, indexes, strict=True)}


def is_in_place(gateway: Gateway, record: Record) -> bool:
    """Whether the arms stand where they stood when the split was seen live; also where nobody noted it."""
    noted = record.progress.place
    return not noted or noted == place_of(gateway, record.attempt.arms)


def placed(gateway: Gateway, record: Record) -> Record:
    """`record` with where the arms stand now."""
    return Record(record.attempt, replace(record.progress, place=place_of(gateway, record.attempt.arms)))
