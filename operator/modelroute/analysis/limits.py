"""Process B of each pair with a `max`: sums, what they prove, and how it joins process A (STATISTICS.md B)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from modelroute.analysis.bank import LACKING_PART, Bank
from modelroute.analysis.counts import Seen
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import Limited, State
from modelroute.analysis.layout import Kind, Layout
from modelroute.analysis.one_arm import Direction, log_e_sums


def limited_after(design: Design, layout: Layout, state: State, seen: Seen, bank: Bank) -> tuple[Limited, ...]:
    """`State.limited` after a window; `bank` is the bank after it."""
    limited = [index for index, pair in enumerate(layout.pairs) if pair.limits]
    if not limited:
        return ()
    before, after = _rows(layout, state.bank), _rows(layout, bank)
    return tuple(
        each if seen.absolute[index] is None else _after(design, layout, index, each, seen, before[index], after[index])
        for index, each in zip(limited, state.limited, strict=True)
    )


def log_broken(limited: Limited, log_row: float) -> float:
    """ln E against q ≤ p0 for one arm alone, valid at every look.

    The mean of two e-processes: the conjugate mixture over all sums, and the row of the bank, which spends its capital
    over time. The first alone would have to take back hours of health before it can see harm that starts late.
    """
    return float(np.logaddexp(limited.log_sums, log_row)) - math.log(2)


def log_harm(limited: Limited, log_row: float, log_above: float | None) -> float:
    """ln E against "within `max`, or no worse than the reference": the union of both nulls.

    min(B, A) over the windows in which the reference has traffic, times B's growth over the others, where it stands
    alone. Each null makes its own factor an e-process, and min is below both. `log_above` is None without a reference.
    """
    broken = log_broken(limited, log_row)
    if log_above is None:
        return broken
    return limited.log_alone + min(broken - limited.log_alone, log_above)


def _rows(layout: Layout, bank: Bank) -> dict[int, float]:
    values = bank.log_e
    return {row.owner: float(values[i]) for i, row in enumerate(layout.rows) if row.kind is Kind.LIMIT}


def _after(
    design: Design, layout: Layout, index: int, limited: Limited, seen: Seen, row_before: float, row_after: float
) -> Limited:
    counts, limit = seen.absolute[index], layout.pairs[index].objective.limit
    assert counts is not None, "the caller has seen to it"
    assert limit is not None, "the caller has seen to it"
    (row,) = (layout.rows[i] for i in layout.of(Kind.LIMIT, index))
    n, x = counts
    d = design.overdispersion

    def grown(bad: float, total: float, log_e: float, direction: Direction, cap: float, goal: float) -> float:
        sums = np.asarray([total, total + n]) / d, np.asarray([bad, bad + x]) / d
        then, now = log_e_sums(*sums, limit=limit, direction=direction)
        most = max(cap, (goal - log_e) * LACKING_PART)
        return _short(log_e + min(float(now - then), most))

    beta = -math.log(design.beta)
    goal = -math.log(row.level * row.weight)
    after = replace(
        limited,
        bad=limited.bad + x,
        total=limited.total + n,
        log_sums=grown(limited.bad, limited.total, limited.log_sums, Direction.HARM, row.cap, goal),
        gate_bad=limited.gate_bad + x,
        gate_total=limited.gate_total + n,
        log_safe=grown(limited.gate_bad, limited.gate_total, limited.log_safe, Direction.SAFE, beta / 2, beta),
    )
    if not seen.alone[index]:
        return after
    growth = log_broken(after, row_after) - log_broken(limited, row_before)
    return replace(after, log_alone=_short(limited.log_alone + growth))


def _short(log_e: float) -> float:
    """Nine decimals, rounded down: what is written is what is known."""
    return math.floor(log_e * 1e9) / 1e9
