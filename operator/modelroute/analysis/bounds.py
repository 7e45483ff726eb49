"""How much worse could it still be? The smallest margin that was refuted, beside each comparison.

For each margin on a grid an e-process against "worse by at least that much in every window", which bets on the rates
seen so far (a plug-in of the past alone, so E[e^ℓ] ≤ 1 holds for each window: `two_arm`). Between two margins of the
grid the evidence is bounded from below, so that what is told is known to 0.01 percentage points.

Why that is allowed: what a window says for θ and against a point (b, c) is a sum of −x·ln c, −(n − x)·ln(1 − c) and the
same of b, all convex. Along a line of points c = b + margin it is convex in the margin, so the secant through two
margins, drawn on beyond the larger one, stays below it: what the secant refutes, that margin's own process refutes (the
uncapped one: a cap takes from the larger of the two margins at least as much as from the smaller). The projection's
points leave that line a little: in 42,472 simulated looks four secants were above the process, by 0.002 nats at most.
So a secant has to come `SLACK` above what refutes; a test holds what is told against the processes themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelroute.analysis.bank import LACKING_PART
from modelroute.analysis.counts import Seen
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import MARGINS, State
from modelroute.analysis.layout import Layout
from modelroute.analysis.mixture import Floats
from modelroute.analysis.two_arm import log_e_values

GRAIN: Final = 1e-4
"""What is told is rounded up to this: 0.01 percentage points."""

SLACK: Final = 0.01
"""Nats."""

_LAST: Final = len(MARGINS) - 1
_FLAT: Final = 1e-3
"""Nats per unit of the margin: evidence is kept to 1e-6, and what rises less than this is noise."""


def smallest_refuted(log_e: Floats, level: float) -> Floats:
    """The smallest margin such that it and all larger ones were refuted; NaN where not even the largest was.

    `log_e` (…, 15) are rows of `State.bounds`; `level` β in (0, 1); the result has the shape before the last axis. It
    is never above the smallest margin of the grid that was refuted with all larger ones, falls as evidence is added to
    all margins alike, and rises as β falls.

    Guarantee: the chance that this is ever below a difference that the candidate has had in every window since the gate
    began is at most β. Only the process of that very difference has to be refuted for that, so neither the grid nor
    what is between its margins costs anything.
    """
    goal = math.log(1 / level)
    shape = np.shape(log_e)[:-1]
    rows = np.reshape(np.asarray(log_e, dtype=np.float64), (-1, len(MARGINS)))
    # Before the first margin stands a place that always does, so that there is a last one to be found.
    standing = np.ones((len(rows), len(MARGINS) + 1), dtype=np.bool_)
    np.less(rows, goal, out=standing[:, 1:])
    # The largest margin that stands, −1 where none does; the next one is refuted with all larger ones.
    at = _LAST - standing[:, ::-1].argmax(axis=1)
    found = np.where(at == _LAST, np.nan, MARGINS[np.minimum(at + 1, _LAST)])
    inner = np.flatnonzero((at >= 1) & (at < _LAST))
    if inner.size:
        between = np.round(np.ceil(_secants(rows[inner], at[inner], goal + SLACK) / GRAIN - 1e-6) * GRAIN, 6)
        found[inner] = np.minimum(found[inner], between)
    return found.reshape(shape)


def _secants(rows: Floats, at: NDArray[np.intp], goal: float) -> Floats:
    """Where the secant through the margins `at` − 1 and `at` of each row comes to `goal`; ∞ where it does not.

    Nor is anything concluded where it passes above what is known of the margin after them.
    """
    line = np.arange(len(rows))
    first, second, third = rows[line, at - 1], rows[line, at], rows[line, at + 1]
    slope = (second - first) / (MARGINS[at] - MARGINS[at - 1])
    rises = (slope > _FLAT) & (second + slope * (MARGINS[at + 1] - MARGINS[at]) <= third)
    return np.where(rises, MARGINS[at] + (goal - second) / np.maximum(slope, _FLAT), np.inf)


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


def _grown(before: Floats, rows: Floats, margins: Floats = MARGINS) -> Floats:
    """ln E at each of `margins` after one more window; `before` (rows, margins), `rows` (rows, 8) as in the caller."""
    n_c, x_c, n_b, x_b, reference, candidate, overdispersion, goal = (column[:, np.newaxis] for column in rows.T)
    allowed = reference + margins
    possible = (allowed < 1) & (candidate < allowed)
    theta, bound = np.where(possible, candidate, 0.25), np.where(possible, allowed, 0.5)
    odds_ratio = theta / (1 - theta) * (1 - bound) / bound
    value = log_e_values(
        n_c, x_c, n_b, x_b, guess=reference, alternatives=odds_ratio[..., np.newaxis], margin=margins
    )[..., 0]  # fmt: skip
    most = np.maximum(goal / 2, (goal - before) * LACKING_PART)
    after = before + np.where(possible, np.minimum(value / overdispersion, most), 0.0)
    return np.asarray(np.floor(after * 1e6) / 1e6)
