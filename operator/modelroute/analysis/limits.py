"""Process B of each pair with a `max`: sums, what they show and what they prove (STATISTICS.md B)."""

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
from modelroute.analysis.one_arm import Direction, log_e_sums


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
