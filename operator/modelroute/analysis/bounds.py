"""How much worse could it still be? The smallest margin that was refuted, beside each comparison.

For each margin on a grid an e-process against "worse by at least that much in every window", which bets on the rates
seen so far (a plug-in of the past alone, so E[e^ℓ] ≤ 1 holds for each window: `two_arm`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelroute.analysis.bank import LACKING_PART
from modelroute.analysis.counts import Seen
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import MARGINS, State
from modelroute.analysis.layout import Layout
from modelroute.analysis.mixture import Floats
from modelroute.analysis.two_arm import log_e_values


def smallest_refuted(log_e: Floats, level: float) -> float | None:
    """The smallest of `MARGINS` such that it and all larger ones were refuted; None where not even the largest was.

    `log_e` (15,) is a row of `State.bounds`; `level` β in (0, 1). Guarantee: the chance that this is ever below a
    difference that the candidate has had in every window since the gate began is at most β. The largest true margin is
    the only one whose false refutation is needed for that, so the grid costs nothing.
    """
    standing = np.flatnonzero(log_e < math.log(1 / level))
    first = 0 if standing.size == 0 else int(standing[-1]) + 1
    return None if first == len(MARGINS) else float(MARGINS[first])


def log_e_bounds(attempts: Sequence[tuple[Design, Layout, State, Seen]]) -> list[Floats]:
    """`State.bounds` of each attempt after a window. Tempered and capped like every process of the engine."""
    rows, where = [], []
    for at, (design, layout, state, seen) in enumerate(attempts):
        comparing = (index for index, pair in enumerate(layout.pairs) if pair.compares)
        for line, index in enumerate(comparing):
            counts, tally = seen.pairs[index], state.tallies[index]
            if counts is None or not (counts[0] > 0 and counts[2] > 0):
                continue
            prior = 0.5 / layout.pairs[index].objective.prior_rate
            reference = (0.5 + tally.reference_bad) / (prior + tally.reference_total)
            candidate = (0.5 + tally.candidate_bad) / (prior + tally.candidate_total)
            rows.append((*counts, reference, candidate, design.overdispersion, -math.log(design.beta)))
            where.append((at, line))
    found = [state.bounds.copy() for _, _, state, _ in attempts]
    if rows:
        before = np.stack([found[at][line] for at, line in where])
        for (at, line), value in zip(where, _grown(before, np.asarray(rows)), strict=True):
            found[at][line] = value
    return found


def _grown(before: Floats, rows: Floats) -> Floats:
    """ln E at each margin after one more window; both shapes are (rows, 15)."""
    n_c, x_c, n_b, x_b, reference, candidate, overdispersion, goal = (column[:, np.newaxis] for column in rows.T)
    allowed = reference + MARGINS
    possible = (allowed < 1) & (candidate < allowed)
    theta, bound = np.where(possible, candidate, 0.25), np.where(possible, allowed, 0.5)
    odds_ratio = theta / (1 - theta) * (1 - bound) / bound
    value = log_e_values(
        n_c, x_c, n_b, x_b, guess=reference, alternatives=odds_ratio[..., np.newaxis], margin=MARGINS
    )[..., 0]  # fmt: skip
    most = np.maximum(goal / 2, (goal - before) * LACKING_PART)
    after = before + np.where(possible, np.minimum(value / overdispersion, most), 0.0)
    return np.asarray(np.floor(after * 1e6) / 1e6)
