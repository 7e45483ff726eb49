"""One window of two arms, digit by digit against tests/oracle, and where nothing can be shown."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from tests.oracle import processes as oracle

from modelroute.analysis.mixture import ALTERNATIVES, INVERTED
from modelroute.analysis.two_arm import log_e_values, projection

Counts = tuple[float, float, float, float]
PLACES = [0, 8, 15]


@pytest.mark.parametrize("safe", [False, True], ids=["harm", "safe"])
@pytest.mark.parametrize(("ratio", "margin"), [(1.0, 0.0), (1.5, 0.0), (1.0, 0.2), (1.2, 0.002)])
@pytest.mark.parametrize(
    ("counts", "guess"),
    [
        ((100, 5, 900, 9), 0.01),
        ((100, 0, 900, 0), 0.01),
        ((1, 1, 9, 0), 0.01),
        ((9, 3, 1, 1), 0.3),
        ((0.5, 0.5, 0.25, 0.0), 0.05),
        ((3, 3, 3_000_000, 3), 1e-6),
        ((3_000_000, 40_000, 3, 0), 0.3),
    ],
)
def test_what_a_window_says_is_what_the_formula_gives_in_forty_digits(
    counts: Counts, guess: float, ratio: float, margin: float, *, safe: bool
) -> None:
    grid = INVERTED if safe else ALTERNATIVES
    n_c, x_c, n_b, x_b = counts
    found = log_e_values(n_c, x_c, n_b, x_b, guess=guess, alternatives=grid, ratio=ratio, margin=margin)

    exact = [1 / psi if safe else psi for psi in oracle.grid()]
    for place in PLACES:
        value = float(oracle.two_arm_factor(counts, mp.mpf(guess), exact[place], ratio, margin))
        assert value != 0
        assert found[place] == pytest.approx(value, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "guess", "ratio", "margin"),
    [
        ((0, 0, 900, 9), 0.01, 1.0, 0.0),
        ((100, 5, 0, 0), 0.01, 1.0, 0.0),
        ((100, 5, 900, 9), 0.5, 2.0, 0.0),  # all of the candidate's requests may be bad
        ((100, 5, 900, 9), 0.75, 1.0, 0.25),
        ((100, 5, 900, 9), 0.9, 1.2, 0.0),
    ],
)
def test_where_an_arm_has_no_requests_or_all_is_allowed_nothing_is_shown(
    counts: Counts, guess: float, ratio: float, margin: float
) -> None:
    n_c, x_c, n_b, x_b = counts
    for grid in (ALTERNATIVES, INVERTED):
        found = log_e_values(n_c, x_c, n_b, x_b, guess=guess, alternatives=grid, ratio=ratio, margin=margin)

        assert found.tolist() == [0.0] * 16


def test_the_projection_is_the_root_of_the_cubic_in_whatever_company_it_is_found() -> None:
    """Entries that take many of Newton's steps beside those that take few, in any shape."""
    chance = np.random.default_rng(7)
    cases: list[tuple[float, ...]] = []
    while len(cases) < 30:
        theta_b, psi = float(10 ** chance.uniform(-6, -0.3)), float(10 ** chance.uniform(-2, 2))
        ratio, margin = float(chance.choice([1.0, 1.2, 3.0])), float(chance.choice([0.0, 0.01, 0.3]))
        allowed = ratio * theta_b + margin
        if allowed < 0.99:
            theta_c = float(oracle.with_odds(mp.mpf(allowed), psi))
            cases.append((*map(float, 10 ** chance.uniform(0, 7, 2)), theta_c, theta_b, ratio, margin))
    columns = np.array(cases).T
    together = projection(*columns)

    exact = [float(oracle.nearest(*map(mp.mpf, case))) for case in cases]
    assert together == pytest.approx(exact, rel=1e-11)
    assert projection(*columns.reshape(6, 5, 6)).ravel().tolist() == together.tolist()
    for case, found in zip(cases, together, strict=True):
        assert projection(*case).item() == found
