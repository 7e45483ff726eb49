"""All that is carried of an attempt from window to window. Opaque to everyone but the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from modelroute.analysis.bank import Bank, fresh
from modelroute.analysis.blocks import Block
from modelroute.analysis.counts import Recent
from modelroute.analysis.design import Design
from modelroute.analysis.layout import layout_of
from modelroute.analysis.mixture import Floats

MARGINS: Final[Floats] = (
    np.asarray([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 35.0]) / 100
)
"""The margins whose evidence "could still be up to x pp worse" is told from. Shape (15,), rising."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted since the attempt began, of settled windows. `skipped` windows brought nothing."""

    candidate_bad: float = 0.0
    candidate_total: float = 0.0
    reference_bad: float = 0.0
    reference_total: float = 0.0
    windows: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Limited:
    """Process B of one pair with a `max`, besides its rows in the bank.

    `bad` of `total` since the attempt began, `gate_bad` of `gate_total` since the gate did; `log_sums` and `log_safe`
    are ln E against and for the candidate.
    """

    bad: float = 0.0
    total: float = 0.0
    log_sums: float = 0.0
    gate_bad: float = 0.0
    gate_total: float = 0.0
    log_safe: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """`until` (unix seconds): the end of the last window that was folded in, −inf before the first.

    `asked`: the shares that were asked for each comparison's candidate and reference in that window. `bank`: the rows
    of the layout. `tallies`: one for each pair; `limited`: one for each pair with a `max`; `bounds` (Q, 15): ln E of
    "not that much worse" at each of `MARGINS`, for each pair that compares, since the gate began. `recent`: for each
    candidate whose share is checked, what its reference completed in each of the last windows of this step. `blocks`:
    for each pair with a `max` and a reference, the windows that are judged as one and not enough yet.
    """

    until: float
    asked: tuple[tuple[float, float], ...]
    bank: Bank
    tallies: tuple[Tally, ...]
    limited: tuple[Limited, ...]
    bounds: Floats
    recent: Recent
    blocks: tuple[Block | None, ...]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, State)
            and (self.until, self.asked, self.tallies, self.limited, self.recent, self.blocks)
            == (other.until, other.asked, other.tallies, other.limited, other.recent, other.blocks)
            and self.bank == other.bank
            and np.array_equal(self.bounds, other.bounds)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash, and a frozen dataclass would claim one


def start(design: Design) -> State:
    """Nothing seen yet: every E is 1."""
    layout = layout_of(design)
    comparing = sum(pair.compares for pair in layout.pairs)
    return State(
        until=-math.inf,
        asked=(),
        bank=fresh(len(layout.rows)),
        tallies=(Tally(),) * len(layout.pairs),
        limited=(Limited(),) * sum(pair.limits for pair in layout.pairs),
        bounds=np.zeros((comparing, len(MARGINS))),
        recent=((),) * len(layout.checked),
        blocks=(None,) * int(layout.both.sum()),
    )
