"""Windows on end in which `max` is judged as one, so that little traffic is not too little (docs/adr/0008).

For `max` the lesser counts of two numbers, B's and A's. In a window with a handful of requests both are mostly chance,
and the lesser of two chances says next to nothing. So windows are put together until `ALLOWED` bad answers would be
allowed in them, and the lesser of both *sums* counts. Where there is traffic enough a block is one window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelroute.analysis.bank import LACKING_PART, Bank
from modelroute.analysis.mixture import POINTS, Floats
from modelroute.analysis.one_arm import log_e_alternatives
from modelroute.analysis.two_arm import log_e_values

ALLOWED: Final = 3.0
"""A block is full once it holds so many of the candidate's requests that p0 times their number is this."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is not full yet: `bad` of `total` by the candidate, the bet on the reference's rate (`guess`) with
    which it began, and the sum of A's ℓ for each of the 16 alternatives.
    """

    total: float
    bad: float
    guess: float
    against: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """What both halves say of a block up to now, (Q, 16): `own` against p0, `against` against the reference."""

    own: Floats
    against: Floats

    @property
    def lesser(self) -> Floats:
        return np.minimum(self.own, self.against)


def log_e_halves(table: Floats, guess: Floats, limit: Floats, alternatives: Floats) -> Halves:
    """ℓ of one window for each alternative, against q ≤ p0 and against qC ≤ qB.

    `table` (Q, 4): counts nC, xC, nB, xB, with nB = 0 where the reference is asked for nothing: there B stands alone.
    `guess` (Q,): b̂; `limit` (Q,): p0; `alternatives` (Q, 16): odds ratios ψ > 1. The candidate is bet to have ψ times
    the odds of p0 or of b̂, whichever is more: that is above both, and both are shown the same bet.

    Guarantee: E[e^own] ≤ 1 where q ≤ p0 in this window, E[e^against] ≤ 1 where qC ≤ qB or the reference has no
    traffic and q ≤ p0. So the mean of e^lesser is at most 1 in either case. Over a block each half's product is a
    supermartingale as long as its case lasts, and E before the block times e^lesser is below it at every look inside:
    E is below a supermartingale whichever of the two cases holds in each block, as long as it holds for the block. A
    case that ends inside a block, as when an outage begins, can bring what a capped block brings, and never decides.
    """
    n, x, n_b, x_b = table.T
    compared = n_b > 0
    top = np.where(compared, np.maximum(limit, guess), limit)
    own = log_e_alternatives(n, x, limit=limit, alternatives=alternatives * _odds_ratio(top, limit))
    against = log_e_values(n, x, n_b, x_b, guess=guess, alternatives=alternatives * _odds_ratio(top, guess))
    return Halves(own, np.where(compared[:, np.newaxis], against, own))


def _odds_ratio(rate: Floats, base: Floats) -> Floats:
    """(Q, 1): how many times the odds of `base` those of `rate` are."""
    return np.asarray(rate * (1 - base) / ((1 - rate) * base))[:, np.newaxis]


def guesses(blocks: Sequence[Block | None], now: Floats) -> Floats:
    """b̂ of each block: the one with which it began, or `now` where one begins."""
    found = [fresh if block is None else block.guess for block, fresh in zip(blocks, now.tolist(), strict=True)]
    return np.asarray(found, dtype=np.float64)


def so_far(blocks: Sequence[Block | None], table: Floats, limit: Floats, alternatives: Floats) -> Halves:
    """What both halves said of the open blocks before this window, whose `table` only tells where B stands alone."""
    nothing = (0.0,) * POINTS
    counts = np.asarray([(0.0, 0.0) if block is None else (block.total, block.bad) for block in blocks]).reshape(-1, 2)
    against = np.asarray([nothing if block is None else block.against for block in blocks]).reshape(-1, POINTS)
    guess = guesses(blocks, np.full(len(blocks), 0.5))
    top = np.where(table[:, 2] > 0, np.maximum(limit, guess), limit)
    own = log_e_alternatives(*counts.T, limit=limit, alternatives=alternatives * _odds_ratio(top, limit))
    return Halves(own, against)


def base_of(capital: Floats, lesser: Floats, cap: Floats, log_goal: Floats) -> Floats:
    """What the capital (Q, 16) of an open block was when it began, after spending: `bank.after_window` undone.

    It had grown by the least of `lesser` (tempered), and of the most that a window may bring; both rise in it.
    """
    least = capital - cap[:, np.newaxis]
    share = (capital - LACKING_PART * log_goal[:, np.newaxis]) / (1 - LACKING_PART)
    return np.maximum(capital - lesser, np.minimum(least, share))


def reopened(bank: Bank, rows: NDArray[np.intp], base: Floats) -> Bank:
    """`bank` with the capital of `rows` as it was when their blocks began."""
    capital = bank.log_capital.copy()
    capital[rows] = base
    return replace(bank, log_capital=capital)


def after(block: Block | None, counts: Sequence[float], limit: float, guess: float, against: Floats) -> Block | None:
    """The block after a window with `counts` nC, xC; None once it is full. `against` (16,): A's sum, this one's too."""
    total, bad = (block.total, block.bad) if block is not None else (0.0, 0.0)
    total, bad = total + counts[0], bad + counts[1]
    if total * limit >= ALLOWED:
        return None
    return Block(total, bad, guess, tuple((np.floor(against * 1e9) / 1e9).tolist()))
