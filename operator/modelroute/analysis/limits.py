"""What breaks a `max`: process B over sums, what it proves, and how it is joined with process A (docs/adr/0008)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelroute.analysis.bank import LACKING_PART
from modelroute.analysis.counts import Seen
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import Limited, State
from modelroute.analysis.layout import Kind, Layout
from modelroute.analysis.mixture import Floats
from modelroute.analysis.one_arm import Direction, log_e_alternatives, log_e_sums
from modelroute.analysis.two_arm import log_e_values


def limited_after(attempts: Sequence[tuple[Design, Layout, State, Seen]]) -> list[tuple[Limited, ...]]:
    """`State.limited` of each attempt after a window.

    The sums of all attempts are looked up in one stroke: that is what most of the time would go to.
    """
    found = [list(state.limited) for _, _, state, _ in attempts]
    due = [
        _Due(at, line, index, design, layout, limited, counts)
        for at, (design, layout, state, seen) in enumerate(attempts)
        for line, (index, limited) in enumerate(zip(_limited(layout), state.limited, strict=True))
        if (counts := seen.absolute[index]) is not None
    ]
    if due:
        harm = _growth(due, Direction.HARM)
        safe = _growth(due, Direction.SAFE)
        for each, against, for_it in zip(due, harm, safe, strict=True):
            found[each.at][each.line] = _after(each, float(against), float(for_it))
    return [tuple(each) for each in found]


@dataclass(frozen=True, slots=True)
class _Due:
    """One pair that a window brings `counts` (n, x) for: `line` of the attempt `at`, pair `index` of its layout."""

    at: int
    line: int
    index: int
    design: Design
    layout: Layout
    limited: Limited
    counts: tuple[float, float]

    @property
    def limit(self) -> float:
        limit = self.layout.pairs[self.index].objective.limit
        assert limit is not None, "the layout has seen to it"
        return limit


def _limited(layout: Layout) -> Iterable[int]:
    return (index for index, pair in enumerate(layout.pairs) if pair.limits)


def _growth(due: Sequence[_Due], direction: Direction) -> Floats:
    """By how much the sums' ln E grows with the window, uncapped, for each of `due`."""
    harm = direction is Direction.HARM
    rows = [
        (*((each.limited.total, each.limited.bad) if harm else (each.limited.gate_total, each.limited.gate_bad)),
         *each.counts, each.design.overdispersion, each.limit)
        for each in due
    ]  # fmt: skip
    total, bad, n, x, d, limit = np.asarray(rows, dtype=np.float64).T
    then, now = log_e_sums(
        np.stack([total, total + n]) / d, np.stack([bad, bad + x]) / d, limit=limit, direction=direction
    )
    return np.asarray(now - then)


def log_broken(limited: Limited, log_row: float) -> float:
    """ln E against q ≤ p0 for one arm alone, valid at every look.

    The mean of two e-processes: the conjugate mixture over all sums, and the row of the bank, which spends its capital
    over time. The first alone would have to take back hours of health before it can see harm that starts late.
    It decides where there is no reference at all; beside one it only holds, and what goes back is the row of both.
    """
    return float(np.logaddexp(limited.log_sums, log_row)) - math.log(2)


def log_e_both(table: Floats, guess: Floats, limit: Floats, alternatives: Floats) -> Floats:
    """ℓ of one window for each alternative, against "within `max`, or no worse than the reference". Shape (P, 16).

    `table` (P, 4): counts nC, xC, nB, xB, with nB = 0 where the reference is asked for nothing; `guess` (P,): b̂;
    `limit` (P,): p0; `alternatives` (P, 16): odds ratios ψ > 1. The candidate is bet to have ψ times the odds of p0 or
    of b̂, whichever is more: that is above both. The lesser of what B and A make of that bet counts, or B's alone.

    Guarantee: E[e^ℓ] ≤ 1 whenever in this very window q ≤ p0, or the reference has traffic and qC ≤ qB: e^ℓ is at most
    B's factor, whose mean is at most 1 in the first case, and at most A's, whose mean is at most 1 in the second. So
    which of the two holds may change from window to window, as it does when an outage begins that both arms share, and
    the product over the windows is an e-process all the same. min(B, A) of two whole processes is not one then: A
    saves up a difference that `max` allows, and B fires in the outage.
    """
    n, x, n_b, x_b = table.T
    compared = n_b > 0
    top = np.where(compared, np.maximum(limit, guess), limit)
    own = log_e_alternatives(n, x, limit=limit, alternatives=alternatives * _odds_ratio(top, limit))
    against = log_e_values(n, x, n_b, x_b, guess=guess, alternatives=alternatives * _odds_ratio(top, guess))
    return np.where(compared[:, np.newaxis], np.minimum(own, against), own)


def _odds_ratio(rate: Floats, base: Floats) -> Floats:
    """(P, 1): how many times the odds of `base` those of `rate` are."""
    return np.asarray(rate * (1 - base) / ((1 - rate) * base))[:, np.newaxis]


def _after(each: _Due, harm: float, safe: float) -> Limited:
    """One pair after the window, of which the sums' evidence grew by `harm` and by `safe`."""
    limited, (n, x) = each.limited, each.counts
    (place,) = each.layout.of(Kind.LIMIT, each.index)
    row = each.layout.rows[place]

    def grown(log_e: float, growth: float, cap: float, goal: float) -> float:
        return _short(log_e + min(growth, max(cap, (goal - log_e) * LACKING_PART)))

    beta = -math.log(each.design.beta)
    return replace(
        limited,
        bad=limited.bad + x,
        total=limited.total + n,
        log_sums=grown(limited.log_sums, harm, row.cap, -math.log(row.level * row.weight)),
        gate_bad=limited.gate_bad + x,
        gate_total=limited.gate_total + n,
        log_safe=grown(limited.log_safe, safe, beta / 2, beta),
    )


def _short(log_e: float) -> float:
    """Nine decimals, rounded down: what is written is what is known."""
    return math.floor(log_e * 1e9) / 1e9
