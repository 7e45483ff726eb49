"""Reading what the first engine wrote: processes against a reference alone, pair by pair."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from modelroute.analysis.bank import fresh
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import State, Tally, start
from modelroute.analysis.layout import Kind, layout_of
from modelroute.analysis.mixture import POINTS, unspent


def from_version_1(design: Design, content: dict[str, Any]) -> State:
    """The state of a version 1 `content` for `design`. Raises ValueError where it is not of this design."""
    layout = layout_of(design)
    tracks = content["tracks"]
    comparing = [index for index, pair in enumerate(layout.pairs) if pair.compares]
    if len(tracks) != len(comparing):
        raise ValueError("it does not belong to this attempt's objectives and candidates")
    empty = fresh(len(layout.rows))
    capital, windows = empty.log_capital.copy(), empty.windows.copy()
    bad, total = empty.bad.copy(), empty.total.copy()
    tallies = list(start(design).tallies)
    for index, (mains, fast, tally) in zip(comparing, tracks, strict=True):
        rows = (*layout.of(Kind.MAIN, index), *layout.of(Kind.FAST, index))
        for row, (values, seen, reference_bad, reference_total) in zip(rows, (*mains, fast), strict=True):
            if len(values) != POINTS:
                raise ValueError(f"{len(values)} alternatives instead of {POINTS}")
            capital[row] = [-math.inf if value is None else value for value in values]
            windows[row], bad[row], total[row] = seen, reference_bad, reference_total
        a, b, c, d, counted, skipped = tally
        tallies[index] = Tally(float(a), float(b), float(c), float(d), int(counted), int(skipped))
    bank = replace(
        empty, log_capital=capital, windows=windows, log_unspent=np.log(unspent(windows)), bad=bad, total=total
    )
    until = content["until"]
    return replace(start(design), until=-math.inf if until is None else float(until), bank=bank, tallies=tuple(tallies))
