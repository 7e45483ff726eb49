"""Many e-processes side by side: one row each, advanced together, whatever they test.

Every row is a mixture over alternatives (the last axis) with late-onset spending: in each of its windows a part of its
unspent capital goes to its alternatives, which then grow or shrink by the window's likelihood ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from modelroute.analysis.mixture import POINTS, PRIOR, Flags, Floats, kept

LOG_PRIOR: Final[Floats] = np.log(PRIOR)
LACKING_PART: Final = 1 / 3
"""A window brings at most this part of what an alternative still lacks to decide alone, or the row's own cap."""

_ON_END: Final = 3
"""So many windows on end that bring the most they may decide alone."""

_GRAINS: Final = 1e9
_NEGLIGIBLE: Final = -80.0
"""What is kept of the capital: nine decimals of its logarithm, rounded down, and nothing below e^−80, for which the
next window's spending more than makes up. Both only shrink E; they keep the state small and its text short."""


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """`log_capital` (P, 16), −inf where nothing was spent; `log_unspent` (P,); `windows` (P,) that were bet on.

    `bad`, `total` (P,): what the row's reference had in its windows so far, which the next is predicted from.
    `due` (P,): a step began since the row's last window. `hits` (P, 16) in {0, 1, 2}: how many bets on end, up to the
    last one, brought the most that they might.
    """

    log_capital: Floats
    log_unspent: Floats
    windows: Floats
    bad: Floats
    total: Floats
    due: Flags
    hits: Floats

    @property
    def log_e(self) -> Floats:
        """ln E of each row, shape (P,). Under the row's null P(E ever ≥ 1/α) ≤ α (Ville), however often it is read."""
        return np.logaddexp(np.logaddexp.reduce(self.log_capital, axis=-1), self.log_unspent)

    def guess(self, prior_rate: Floats) -> Floats:
        """b̂: what the reference's rate is thought to be before the next window, in (0, 1). Shape (P,)."""
        return np.asarray((0.5 + self.bad) / (0.5 / prior_rate + self.total))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bank) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash, and a frozen dataclass would claim one


def fresh(rows: int) -> Bank:
    """Nothing seen and nothing spent: every E is 1."""
    zeros = np.zeros(rows)
    capital = np.full((rows, POINTS), -np.inf)
    return Bank(capital, zeros, zeros, zeros, zeros, np.zeros(rows, dtype=np.bool_), np.zeros((rows, POINTS)))


def restarted(bank: Bank, rows: Flags) -> Bank:
    """`bank` with E = 1 again in `rows`; what they know of their reference stays, as it only guides their bets."""
    return Bank(
        log_capital=np.where(rows[:, np.newaxis], -np.inf, bank.log_capital),
        log_unspent=np.where(rows, 0.0, bank.log_unspent),
        windows=np.where(rows, 0.0, bank.windows),
        bad=bank.bad,
        total=bank.total,
        due=bank.due & ~rows,
        hits=np.where(rows[:, np.newaxis], 0.0, bank.hits),
    )


def after_window(
    bank: Bank,
    log_ratios: Floats,
    *,
    bets: Flags,
    overdispersion: Floats,
    cap: Floats,
    log_goal: Floats,
    at_once: Flags | None = None,
    spends: Flags | None = None,
    thirds: Flags | None = None,
) -> Bank:
    """`bank` after a window that brought `log_ratios` ℓ, shape (P, 16), for the rows where `bets` is true.

    `overdispersion` D ≥ 1 divides ℓ. A window brings at most κ = max(`cap`, a part of what the row's alternative lacks
    to decide alone), with `log_goal` = ln(1/(α·w)): a third, half after a window that brought the most it might, all
    after two on end. One bad window never decides, unless no more than `cap` was lacking, and three on end always do
    (docs/adr/0005). κ hangs on the past only, so E stays an e-process: both only
    shrink e^ℓ. Rows `at_once` spend most on their first window. Rows that are not in `spends` go on with a bet of
    earlier windows and spend nothing; rows in `thirds` may bring a third however many windows brought the most before.
    `bad` and `total` are the caller's to add: they may be known where there is nothing to bet on.
    """
    begins = np.ones(bets.shape, dtype=np.bool_) if spends is None else spends
    keep = np.where(begins, kept(bank.windows, bank.due, False if at_once is None else at_once), 1.0)
    with np.errstate(divide="ignore"):
        log_spent = bank.log_unspent + np.log1p(-keep)
    capital = np.logaddexp(bank.log_capital, log_spent[:, np.newaxis] + LOG_PRIOR)
    part = 1.0 / (_ON_END - (bank.hits if thirds is None else np.where(thirds[:, np.newaxis], 0.0, bank.hits)))
    most = np.maximum(cap[:, np.newaxis], (log_goal[:, np.newaxis] - capital) * part)
    tempered = log_ratios / overdispersion[:, np.newaxis]
    grown = _rounded(capital + np.minimum(tempered, most))
    hits = np.where(tempered >= most, np.minimum(bank.hits + 1, _ON_END - 1), 0.0)
    return Bank(
        log_capital=np.where(bets[:, np.newaxis], grown, bank.log_capital),
        log_unspent=np.where(bets, _rounded(bank.log_unspent + np.log(keep)), bank.log_unspent),
        windows=bank.windows + (bets & begins),
        bad=bank.bad,
        total=bank.total,
        due=bank.due & ~bets,
        hits=np.where(bets[:, np.newaxis], hits, bank.hits),
    )


def _rounded(log_capital: Floats) -> Floats:
    # Dividing by the inverse of the grain gives the double nearest to the decimal, whose text is short.
    return np.where(log_capital < _NEGLIGIBLE, -np.inf, np.floor(log_capital * _GRAINS) / _GRAINS)
