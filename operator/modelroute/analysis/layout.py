"""Which processes an attempt runs, in which order, and what each weighs: a function of its design alone.

sum of an action (RollBack, Pause)
  └─ pair: objective × candidate           equal shares; so has each candidate's answering, where it is checked
       ├─ fast path                        10 % (none without a reference)
       ├─ margin or ratio: its boundaries  the rest, equally between the forms that there are,
       └─ max                              and of a form equally between its boundaries
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np

from modelroute.analysis.design import Action, Comparison, Design, Objective
from modelroute.analysis.mixture import ALTERNATIVES, INVERTED, Flags, Floats

FAST_MARGIN: Final = 0.20
FAST_SHARE: Final = 0.10
"""The fast path: above the reference by more than 20 percentage points, or than is allowed where that is more; without
a fixed cap, with 10 % of each pair's weight."""

TOO_MANY: Final = 1.1
TOO_FEW: Final = 0.9
"""The split is as asked for while a candidate's share of the completions is within these times the asked share."""


class Kind(StrEnum):
    """What one process tests. Those up to `BOTH` compare two arms, the others watch one."""

    MAIN = "main"  # worse than margin or ratio allow, at one boundary
    FAST = "fast"  # far worse
    SAFE = "safe"  # better than margin or ratio allow
    BOTH = "both"  # worse than `max`, and in the same windows worse than the reference: what goes back for `max`
    LIMIT = "limit"  # worse than `max`, whatever the reference does
    MANY = "many"  # more completions than asked for
    FEW = "few"  # fewer


TWO_ARM: Final = (Kind.MAIN, Kind.FAST, Kind.SAFE, Kind.BOTH)


@dataclass(frozen=True, slots=True)
class Pair:
    """An objective and the comparison that it is tested on.

    `compares`: is it held against a reference? `limits`: is it held to a bound of its own?
    """

    objective: Objective
    comparison: Comparison
    compares: bool
    limits: bool

    @classmethod
    def of(cls, objective: Objective, comparison: Comparison) -> Pair:
        bounded = objective.margin is not None or objective.ratio is not None
        compares = bounded and comparison.reference is not None
        return cls(objective, comparison, compares, objective.limit is not None)


@dataclass(frozen=True, slots=True)
class Row:
    """One process of the bank. `owner` is the index of its pair, or of its comparison for MANY and FEW.

    `weight` in (0, 1]: its share of the sum that it belongs to; `level` in (0, 1): the error rate of that sum.
    """

    kind: Kind
    owner: int
    boundary: int
    weight: float
    level: float
    cap: float


@dataclass(frozen=True, slots=True)
class Layout:
    """`rows` of the bank and the same as columns: what a window's arithmetic needs of each. Shapes (P,), (P, 16).

    `places`: the rows by kind and owner. `log_parts`: by action, ln of between how many equal parts its sum is divided.
    """

    pairs: tuple[Pair, ...]
    checked: tuple[Comparison, ...]
    rows: tuple[Row, ...]
    ratio: Floats
    margin: Floats
    prior_rate: Floats
    two_arm: Flags
    both: Flags
    alternatives: Floats
    log_goal: Floats
    cap: Floats
    at_once: Flags
    thirds: Flags
    places: Mapping[tuple[Kind, int], tuple[int, ...]]
    log_parts: Mapping[Action, float]

    def of(self, kind: Kind, owner: int) -> tuple[int, ...]:
        """The rows of that kind of a pair or comparison."""
        return self.places.get((kind, owner), ())


def pairs_of(design: Design) -> tuple[Pair, ...]:
    """What is tested: each objective on each candidate, where it has a bound that can be tested there."""
    every = (Pair.of(objective, comparison) for objective in design.objectives for comparison in design.comparisons)
    return tuple(pair for pair in every if pair.compares or pair.limits)


def checked_of(design: Design) -> tuple[Comparison, ...]:
    """The candidates whose share of the completions is tested."""
    return tuple(each for each in design.comparisons if design.checks_split and each.reference is not None)


@lru_cache(maxsize=4096)
def shares(design: Design, action: Action) -> int:
    """Between how many equal parts the sum of `action` is divided."""
    counted = sum(pair.objective.action is action for pair in pairs_of(design))
    return counted + (len(checked_of(design)) if action is Action.ROLL_BACK else 0)


def gating(design: Design, action: Action) -> int:
    """M: how many processes decide about `action`."""
    mine = (pair for pair in pairs_of(design) if pair.objective.action is action)
    counted = sum(
        (pair.objective.boundaries if pair.compares else 0) + pair.limits + (pair.comparison.reference is not None)
        for pair in mine
    )
    return counted + (len(checked_of(design)) if action is Action.ROLL_BACK else 0)


def least_cap(design: Design, action: Action) -> float:
    """κ = ln(M/α)/3, in nats: as much a window may always bring."""
    return math.log(max(gating(design, action), 1) / design.alpha) / 3


@lru_cache(maxsize=4096)
def layout_of(design: Design) -> Layout:
    """The layout of `design`; the same design has the same rows in the same order for as long as the state is kept."""
    pairs, checked = pairs_of(design), checked_of(design)
    rows: list[Row] = []
    for index, pair in enumerate(pairs):
        rows += _pair_rows(design, index, pair)
    part = 1.0 / max(shares(design, Action.ROLL_BACK), 1)
    for index in range(len(checked)):
        # Too many only holds, and a hold ends when the evidence falls: it needs no cap. Too few goes back.
        rows.append(Row(Kind.MANY, index, 0, 1.0, design.alpha, math.inf))
        rows.append(Row(Kind.FEW, index, 0, part, design.alpha, least_cap(design, Action.ROLL_BACK)))
    bounds = [_null(row, pairs) for row in rows]
    inverted = np.asarray([row.kind in {Kind.SAFE, Kind.FEW} for row in rows], dtype=np.bool_)
    return Layout(
        pairs=pairs,
        checked=checked,
        rows=tuple(rows),
        ratio=np.asarray([ratio for ratio, _, _ in bounds], dtype=np.float64),
        margin=np.asarray([margin for _, margin, _ in bounds], dtype=np.float64),
        prior_rate=np.asarray([prior for _, _, prior in bounds], dtype=np.float64),
        two_arm=np.asarray([row.kind in TWO_ARM for row in rows], dtype=np.bool_),
        both=np.asarray([row.kind is Kind.BOTH for row in rows], dtype=np.bool_),
        alternatives=np.where(inverted[:, np.newaxis], INVERTED, ALTERNATIVES),
        log_goal=np.asarray([-math.log(row.level * row.weight) for row in rows], dtype=np.float64),
        cap=np.asarray([row.cap for row in rows], dtype=np.float64),
        at_once=np.asarray([row.kind is Kind.SAFE for row in rows], dtype=np.bool_),
        # Three bad windows of the reference are no proof, and what a block began with is found from its third.
        thirds=np.asarray([row.kind in {Kind.SAFE, Kind.BOTH} for row in rows], dtype=np.bool_),
        places={
            key: tuple(i for i, row in enumerate(rows) if (row.kind, row.owner) == key)
            for key in {(row.kind, row.owner) for row in rows}
        },
        log_parts={action: math.log(max(shares(design, action), 1)) for action in Action},
    )


def _pair_rows(design: Design, index: int, pair: Pair) -> list[Row]:
    objective = pair.objective
    part = 1.0 / max(shares(design, objective.action), 1)
    cap = least_cap(design, objective.action)
    form = part * form_share(pair)
    rows = []
    if pair.compares:
        each = form / objective.boundaries
        rows += [Row(Kind.MAIN, index, at, each, design.alpha, cap) for at in range(objective.boundaries)]
    if pair.comparison.reference is not None:
        rows.append(Row(Kind.FAST, index, 0, part * FAST_SHARE, design.alpha, math.inf))
    if pair.compares and objective.action is Action.ROLL_BACK:
        rows.append(Row(Kind.SAFE, index, 0, 1.0, design.beta, math.log(1 / design.beta) / 2))
    if pair.limits:
        if pair.comparison.reference is not None:
            rows.append(Row(Kind.BOTH, index, 0, form, design.alpha, cap))
        rows.append(Row(Kind.LIMIT, index, 0, form, design.alpha, cap))
    return rows


def form_share(pair: Pair) -> float:
    """The part of a pair's weight that one of its forms (against the reference; `max`) has."""
    fast = FAST_SHARE if pair.comparison.reference is not None else 0.0
    return (1.0 - fast) / (pair.compares + pair.limits)


def _null(row: Row, pairs: tuple[Pair, ...]) -> tuple[float, float, float]:
    """(r, δ, b0) of the row's null; for a row of one arm δ stands for its bound p0, where that never changes.

    The fast path's null holds every rate that the pair allows: its margin is never below the objective's own, its
    ratio is the objective's, and an objective with nothing but `max` is not far worse before it is above `max`.
    """
    if row.kind in {Kind.MANY, Kind.FEW}:
        return 1.0, math.nan, 0.5
    objective = pairs[row.owner].objective
    match row.kind:
        case Kind.BOTH:
            return 1.0, 0.0, objective.prior_rate
        case Kind.LIMIT:
            return 1.0, objective.limit or math.nan, objective.prior_rate
        case Kind.FAST:
            allowed = objective.margin or 0.0 if pairs[row.owner].compares else objective.limit or 0.0
            return objective.ratio or 1.0, max(FAST_MARGIN, allowed), objective.prior_rate
        case _:
            return objective.ratio or 1.0, objective.margin or 0.0, objective.prior_rate
