"""How much worse it could still be: never less than that margin's own process refuted, never above the grid."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelroute.analysis.bounds import GRAIN, smallest_refuted
from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import MARGINS, advance, assess, start
from modelroute.analysis.mixture import Floats
from modelroute.analysis.two_arm import log_e_values

BETA = 0.05
GOAL = math.log(1 / BETA)
ROWS = arrays(np.float64, (3, len(MARGINS)), elements=st.floats(-50, 50))
RISING = ROWS.map(lambda rows: np.sort(rows, axis=-1))


def on_the_grid(row: Floats, goal: float = GOAL) -> float:
    """The rule without anything between the margins, as one would write it down."""
    refuted = math.nan
    for margin, evidence in zip(MARGINS[::-1], row[::-1], strict=True):
        if evidence < goal:
            break
        refuted = float(margin)
    return refuted


@given(rows=st.one_of(ROWS, RISING))
def test_it_is_at_least_as_tight_as_the_grid_and_above_every_margin_that_stands(rows: Floats) -> None:
    for row, found in zip(rows, smallest_refuted(rows, BETA), strict=True):
        grid = on_the_grid(row)
        if math.isnan(grid):
            assert math.isnan(found)
            continue
        standing = MARGINS[grid > MARGINS]
        assert found <= grid
        assert standing.size == 0 or found > standing[-1]
        assert found == grid or abs(found / GRAIN - round(found / GRAIN)) < 1e-6


@given(rows=st.one_of(ROWS, RISING), more=st.floats(0, 20))
def test_more_evidence_never_makes_it_worse(rows: Floats, more: float) -> None:
    before, after = smallest_refuted(rows, BETA), smallest_refuted(rows + more, BETA)

    assert np.all(np.isnan(before) | (after <= before + 1e-12))


@given(rows=st.one_of(ROWS, RISING), level=st.floats(0.001, 0.5))
def test_a_stricter_level_never_makes_it_better(rows: Floats, level: float) -> None:
    strict, loose = smallest_refuted(rows, level / 2), smallest_refuted(rows, level)

    assert np.all(np.isnan(strict) | (loose <= strict + 1e-12))


@given(rows=st.one_of(ROWS, RISING))
def test_many_rows_at_once_are_as_each_alone(rows: Floats) -> None:
    together = smallest_refuted(rows, BETA)

    assert [str(each) for each in together] == [str(smallest_refuted(row, BETA)) for row in rows]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    candidate_size=st.sampled_from([5, 30, 300, 3_000]),
    others=st.sampled_from([0.5, 1, 4, 20]),
    base=st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.3]),
    worse=st.sampled_from([-0.5, 0.0, 0.2, 1.0, 5.0]),
    overdispersion=st.sampled_from([1.0, 3.0]),
)
def test_what_is_told_is_refuted_by_that_margins_own_process(
    seed: int, candidate_size: int, others: float, base: float, worse: float, overdispersion: float
) -> None:
    """The margin's own process by this test's own loop, uncapped, over the same windows with the same bets."""
    chance = np.random.default_rng(seed)
    design = Design((Objective("errors", margin=0.01),), (Comparison("new", "old"),), overdispersion=overdispersion)
    rate = min(base + worse * max(base, 0.002), 0.9) if worse > 0 else base * (1 + worse)
    fine = np.linspace(GRAIN, 3_500 * GRAIN, 3_500)
    state = start(design)
    own: Floats = np.zeros(len(fine))
    seen: Floats = np.zeros(4)
    for k in range(25):
        n_c, n_b = chance.poisson(candidate_size), chance.poisson(candidate_size * others)
        counts = (n_c, chance.binomial(n_c, rate), n_b, chance.binomial(n_b, base))
        own = own + _window(fine, counts, seen) / overdispersion
        seen = np.add(seen, counts, dtype=np.float64)
        state = advance(design, state, _told(k, counts))
        found = assess(design, state).findings[0].worst_difference
        if found is not None and not np.any(np.isclose(found, MARGINS, rtol=0, atol=1e-9)):
            assert own[round(found / GRAIN) - 1] >= GOAL - 1e-6


def _told(k: int, counts: tuple[int, int, int, int]) -> Window:
    n_c, x_c, n_b, x_b = map(float, counts)
    outcomes = {("errors", "new"): Outcomes(n_c, (x_c,), x_c), ("errors", "old"): Outcomes(n_b, (x_b,), x_b)}
    return Window(15.0 * k, 15.0 * k + 15, outcomes, {"new": 0.2, "old": 0.8}, True)


def _window(margins: Floats, counts: tuple[int, int, int, int], seen: Floats) -> Floats:
    """ℓ at each margin, betting on the rates seen before."""
    if not counts[0] or not counts[2]:
        return np.zeros_like(margins)
    candidate, reference = ((0.5 + seen[x]) / (50.0 + seen[n]) for n, x in ((0, 1), (2, 3)))
    allowed = reference + margins
    open_ = (candidate < allowed) & (allowed < 1)
    odds = np.where(open_, candidate / (1 - candidate) * (1 - allowed) / np.where(allowed < 1, allowed, 1.0), 0.5)
    values = log_e_values(*counts, guess=reference, alternatives=odds[:, np.newaxis], margin=margins)[:, 0]
    return np.where(open_, values, 0.0)
