"""How much worse it could still be: never less than that margin's own process refuted, never above the grid."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.oracle.processes import two_arm_factor
from tests.oracle.whole import MARGINS as WRITTEN

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


def rows_with(**places: float) -> Floats:
    """Nothing refuted up to 0.8 pp, and everything from 1.2 pp on; the evidence at single margins as given."""
    row = np.where(MARGINS < 0.01, 0.0, 9.0)
    for name, value in places.items():
        row[["pp_0_5", "pp_0_8", "pp_1_2"].index(name) + 5] = value
    return row


@pytest.mark.parametrize(
    ("row", "told"),
    [
        # 1.5 nats from 0.5 to 0.8 pp; 0.5057 are lacking to what refutes and the slack, so 0.1011 pp more, rounded up.
        (rows_with(pp_0_5=1.0, pp_0_8=2.5, pp_1_2=6.0), 0.0091),
        (rows_with(pp_0_5=1.0, pp_0_8=2.5, pp_1_2=4.4), 0.012),  # the secant passes above what is known at 1.2 pp
        (rows_with(pp_0_5=1.0, pp_0_8=2.5, pp_1_2=4.6), 0.0091),
        (rows_with(pp_0_5=2.0, pp_0_8=1.0, pp_1_2=6.0), 0.012),  # it falls
        (rows_with(pp_0_5=2.5, pp_0_8=2.5, pp_1_2=6.0), 0.012),  # it does neither
        (rows_with(pp_0_5=-40.0, pp_0_8=2.99, pp_1_2=90.0), 0.0081),  # just there
        (rows_with(pp_0_5=0.0, pp_0_8=1.8, pp_1_2=6.0), 0.0101),  # 1.2057 lacking at 600 a unit: 0.201 pp
    ],
)
def test_between_two_margins_of_the_grid_the_secant_through_the_last_two_that_stand_tells(
    row: Floats, told: float
) -> None:
    assert smallest_refuted(row, BETA).item() == pytest.approx(told, abs=1e-12)


def test_the_secant_through_the_first_two_margins_tells_too() -> None:
    """From 0.02 to 0.05 pp it rises by 5,000 nats a unit, so what is lacking takes 0.0101 pp more."""
    row = np.full(len(MARGINS), 9.0)
    row[:3] = 1.0, 2.5, 6.0
    alone = np.full(len(MARGINS), 1e6)
    alone[0] = 2.0

    assert smallest_refuted(row, BETA).item() == pytest.approx(0.0007, abs=1e-12)
    assert smallest_refuted(alone, BETA).item() == MARGINS[1], "through one there is none"


def test_a_secant_that_rises_slowly_tells_too_where_it_gets_there_before_the_next_margin() -> None:
    """Half a nat a unit from 13 to 20 pp; 0.0157 are lacking to what refutes and the slack: 3.15 pp more, not 35 pp."""
    row = np.zeros(len(MARGINS))
    row[-3:] = 2.955, 2.99, 9.0

    assert smallest_refuted(row, BETA).item() == pytest.approx(0.2315, abs=1e-12)


@pytest.mark.parametrize("overdispersion", [1.0, 2.0])
@pytest.mark.parametrize(
    ("prior_rate", "windows"),
    [
        (0.01, [(300, 3, 2_700, 27)]),
        (0.01, [(300, 15, 2_700, 27), (300, 3, 2_700, 20)]),  # then the small margins are no bet any more
        (0.01, [(20_000, 0, 20_000, 400), (20_000, 0, 20_000, 400)]),  # as much as a window may bring, twice
        (0.01, [(20_000, 0, 20_000, 400)] * 3),
        (0.01, [(2_000, 120, 2_000, 20), (20_000, 0, 20_000, 400)]),  # more where more is lacking
        (0.8, [(300, 200, 2_700, 2_300)]),  # 20 pp more would be all
        (0.01, [(1, 0, 1, 0), (0, 0, 9, 0), (9, 0, 0, 0)]),
    ],
)
def test_each_margin_of_the_grid_is_shown_what_the_oracle_shows_it(
    prior_rate: float, windows: list[tuple[int, int, int, int]], overdispersion: float
) -> None:
    """The margins are the oracle's: what a record keeps is read as evidence at these, by any later operator too."""
    objective = Objective("errors", margin=0.01, prior_rate=prior_rate)
    design = Design((objective,), (Comparison("new", "old"),), overdispersion=overdispersion)
    state, seen, exact = start(design), (0, 0, 0, 0), [0.0] * len(WRITTEN)
    for k, counts in enumerate(windows):
        state = advance(design, state, _told(k, counts))
        candidate, reference = ((0.5 + seen[x]) / (0.5 / prior_rate + seen[n]) for n, x in ((0, 1), (2, 3)))
        for at, margin in enumerate(map(float, WRITTEN)):
            if counts[0] and counts[2] and candidate < reference + margin < 1:
                value = float(two_arm_factor(counts, mp.mpf(reference), 0, 1, margin, mp.mpf(candidate)))
                most = max(GOAL / 2, (GOAL - exact[at]) / 3)
                exact[at] = math.floor((exact[at] + min(value / overdispersion, most)) * 1e6) / 1e6
        seen = tuple(a + b for a, b in zip(seen, counts, strict=True))  # type: ignore[assignment]  # four, as before

    assert state.bounds[0] == pytest.approx(exact, abs=2e-6)
    assert np.all(state.bounds[0] <= np.array(exact) + 5e-7), "rounded down"


def test_an_objective_of_which_nothing_is_known_keeps_its_margins_and_hides_no_other() -> None:
    names = ("unknown", "errors", "empty", "slow")
    design = Design(tuple(Objective(name, margin=0.01) for name in names), (Comparison("new", "old"),))
    told = _told(0, (300, 3, 2_700, 27))
    new, old, none = told.outcomes["errors", "new"], told.outcomes["errors", "old"], Outcomes(0, (0,), 0)
    more = {("empty", "new"): none, ("empty", "old"): old, ("slow", "new"): new, ("slow", "old"): old}
    outcomes = {**told.outcomes, **more}
    found = advance(design, start(design), Window(0, 15, outcomes, told.asked, True)).bounds

    assert found[0].tolist() == found[2].tolist() == [0.0] * len(MARGINS)
    assert found[1].tolist() == found[3].tolist()
    assert np.all(found[1] > 0)
