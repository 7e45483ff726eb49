"""What makes the engine's promise true: e-values under the null, by enumeration and simulation, and no overflow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom

from modelroute.analysis.bank import LACKING_PART, LOG_PRIOR, Bank, after_window, fresh
from modelroute.analysis.blocks import base_of, log_e_halves
from modelroute.analysis.mixture import ALTERNATIVES, INVERTED, POINTS, Floats
from modelroute.analysis.one_arm import Direction, log_e_alternatives, log_e_sums
from modelroute.analysis.two_arm import log_e_values, projection

N_C, N_B = 6, 9
PSI = np.array([1.25, 3.0, 20.0])
NULLS = [(1.0, 0.0), (1.0, 0.05), (1.2, 0.0), (1.5, 0.02), (3.0, 0.0)]


def expectation(q_c: float, q_b: float, *, guess: float, ratio: float, margin: float, psi: Floats = PSI) -> Floats:
    """E[e^ℓ] for each alternative, over all tables of N_C and N_B requests. Shape (3,)."""
    x_c, x_b = (grid.ravel() for grid in np.meshgrid(np.arange(N_C + 1), np.arange(N_B + 1)))
    logs = log_e_values(
        np.full(x_c.shape, N_C), x_c, np.full(x_b.shape, N_B), x_b,
        guess=np.full(x_c.shape, guess), alternatives=psi, ratio=ratio, margin=margin,
    )  # fmt: skip
    chance = binom.pmf(x_c, N_C, q_c) * binom.pmf(x_b, N_B, q_b)
    return np.asarray(chance @ np.exp(logs))


@pytest.mark.parametrize(("ratio", "margin"), NULLS)
@pytest.mark.parametrize("guess", [0.01, 0.1, 0.28])
def test_no_alternative_gains_in_expectation_where_the_candidate_is_as_good_as_allowed(
    ratio: float, margin: float, guess: float
) -> None:
    for q_b, share in itertools.product(np.linspace(0.0, 1.0, 21), (0.0, 0.3, 0.8, 1.0)):
        q_c = share * min(1.0, ratio * q_b + margin)
        found = expectation(float(q_c), float(q_b), guess=guess, ratio=ratio, margin=margin)
        assert np.all(found <= 1 + 1e-9), f"qC {q_c}, qB {q_b}: E = {found}"


@pytest.mark.parametrize("limit", [0.05, 0.3])
@pytest.mark.parametrize("guess", [0.01, 0.1, 0.6])
def test_no_alternative_gains_where_the_candidate_is_within_its_limit_or_no_worse_than_its_reference(
    limit: float, guess: float
) -> None:
    """Each half of the null by itself, so a sequence of windows may have now one of them and now the other."""
    x_c, x_b = (grid.ravel() for grid in np.meshgrid(np.arange(N_C + 1), np.arange(N_B + 1)))
    size, n_b = x_c.size, N_B
    table = np.stack([np.full(size, N_C), x_c, np.full(size, n_b), x_b], axis=1).astype(np.float64)
    logs = log_e_halves(table, np.full(size, guess), np.full(size, limit), np.tile(PSI, (size, 1))).lesser
    rates = np.linspace(0.0, 1.0, 21)
    for q_c, q_b in itertools.product(rates, rates):
        found = (binom.pmf(x_c, N_C, q_c) * binom.pmf(x_b, n_b, q_b)) @ np.exp(logs)
        if q_c <= limit or q_c <= q_b:
            assert np.all(found <= 1 + 1e-9), f"qC {q_c}, qB {q_b}: E = {found}"
        elif q_c > 0.9 and q_b < 0.1:
            assert np.all(found > 1), f"qC {q_c}, qB {q_b}: E = {found}"


@given(base=st.floats(-60, 5), gained=st.floats(-30, 60), cap=st.floats(0.1, 5), goal=st.floats(1, 12))
def test_what_a_block_began_with_is_found_again_from_what_it_came_to(
    base: float, gained: float, cap: float, goal: float
) -> None:
    now = base + min(gained, max(cap, (goal - base) * LACKING_PART))
    found = base_of(np.array([[now]]), np.array([[gained]]), np.array([cap]), np.array([goal]))

    assert found.item() == pytest.approx(base, abs=1e-9)


@pytest.mark.parametrize(("ratio", "margin"), NULLS)
@pytest.mark.parametrize("guess", [0.01, 0.1, 0.28])
def test_no_inverted_alternative_gains_in_expectation_where_the_candidate_is_as_bad_as_refuted(
    ratio: float, margin: float, guess: float
) -> None:
    for q_b, share in itertools.product(np.linspace(0.0, 1.0, 21), (0.0, 0.3, 0.8, 1.0)):
        least = ratio * q_b + margin
        if least > 1:
            continue
        q_c = least + share * (1 - least)
        found = expectation(float(q_c), float(q_b), guess=guess, ratio=ratio, margin=margin, psi=1 / PSI)
        assert np.all(found <= 1 + 1e-9), f"qC {q_c}, qB {q_b}: E = {found}"


@pytest.mark.parametrize(("ratio", "margin"), NULLS)
@pytest.mark.parametrize("psi", [PSI, 1 / PSI], ids=["harm", "safe"])
def test_at_the_projection_the_expectation_is_one(ratio: float, margin: float, psi: Floats) -> None:
    guess = 0.1
    allowed = ratio * guess + margin
    odds = psi * allowed / (1 - allowed)
    theta_c = odds / (1 + odds)
    for index, theta in enumerate(theta_c):
        b = float(projection(N_C, N_B, theta, guess, ratio, margin))
        found = expectation(ratio * b + margin, b, guess=guess, ratio=ratio, margin=margin, psi=psi)
        assert found[index] == pytest.approx(1.0, abs=1e-9)


@given(
    n_c=st.floats(1, 1e7),
    n_b=st.floats(1, 1e7),
    theta_b=st.floats(1e-6, 0.3),
    log_psi=st.floats(-4.6, 4.6),
    ratio=st.floats(1, 2),
    margin=st.floats(0, 0.3),
)
@settings(max_examples=200, deadline=None)
def test_the_projection_is_the_root_that_a_plain_root_finder_gives(
    n_c: float, n_b: float, theta_b: float, log_psi: float, ratio: float, margin: float
) -> None:
    allowed = ratio * theta_b + margin
    theta_c = 1 / (1 + (1 - allowed) / allowed * math.exp(-log_psi))
    ends = theta_b, (theta_c - margin) / ratio
    if max(ends) - max(min(ends), 0) < 1e-9 * max(ends):
        return

    def slope(b: float) -> float:
        c = ratio * b + margin
        return n_b * (b - theta_b) / (b * (1 - b)) + n_c * ratio * (c - theta_c) / (c * (1 - c))

    low, high = max(min(ends), 1e-300), max(ends)
    expected = brentq(slope, low, high, xtol=1e-18, rtol=1e-14, maxiter=2000)

    assert float(projection(n_c, n_b, theta_c, theta_b, ratio, margin)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("limit", [0.02, 0.3])
@pytest.mark.parametrize("direction", list(Direction))
def test_the_process_of_one_arm_is_one_in_expectation_at_its_bound_and_less_within(
    limit: float, direction: Direction
) -> None:
    n = 40
    x = np.arange(n + 1)
    e_values = np.exp(log_e_sums(np.full(n + 1, n), x, limit=limit, direction=direction))
    within = limit * 0.5 if direction is Direction.HARM else limit * 1.5

    assert binom.pmf(x, n, limit) @ e_values == pytest.approx(1, abs=1e-9)
    assert binom.pmf(x, n, within) @ e_values < 1


def simulated(
    *, runs: int, windows: int, rates: tuple[float, float], log_ratios: Callable[..., Floats], seed: int,
    follow: bool = False, cap: float = math.inf,
) -> float:  # fmt: skip
    """The share of runs in which E ever reaches 20, one bank row for each run; `rates` (qC, qB)."""
    chance = np.random.default_rng(seed)
    bank, n_c = fresh(runs), np.full(runs, 60)
    crossed = np.zeros(runs, dtype=bool)
    ones = np.ones(runs)
    for _ in range(windows):
        x_c, x_b = chance.binomial(n_c, rates[0]), chance.binomial(300, rates[1], runs)
        found = log_ratios(n_c, x_c, 300 * ones, x_b, bank.guess(0.01 * ones))
        bank = after_window(
            bank, found, bets=ones > 0, overdispersion=ones, cap=cap * ones, log_goal=math.log(20) * ones
        )
        bank = replace(bank, bad=bank.bad + x_b, total=bank.total + 300, due=chance.random(runs) < 0.1)
        crossed |= bank.log_e >= math.log(20)
        if follow:
            n_c = np.where(bank.log_e > 0, 20, 120)
    return float(crossed.mean())


@pytest.mark.parametrize(
    ("q_b", "ratio", "margin", "follow", "cap"),
    [
        (0.02, 1.0, 0.0, False, math.inf),
        (0.02, 1.0, 0.01, False, math.inf),
        (0.05, 1.3, 0.0, False, math.inf),
        (0.02, 1.0, 0.0, True, math.inf),
        (0.02, 1.0, 0.0, False, 1.0),
    ],
)
@pytest.mark.parametrize("alternatives", [ALTERNATIVES, INVERTED], ids=["harm", "safe"])
def test_at_the_boundary_the_evidence_reaches_20_in_at_most_5_percent_of_runs(
    q_b: float, ratio: float, margin: float, follow: bool, cap: float, alternatives: Floats
) -> None:
    """`follow`: the candidate's traffic hangs on the evidence so far, as a rollout's does."""

    def log_ratios(n_c: Floats, x_c: Floats, n_b: Floats, x_b: Floats, guess: Floats) -> Floats:
        return log_e_values(n_c, x_c, n_b, x_b, guess=guess, alternatives=alternatives, ratio=ratio, margin=margin)

    share = simulated(
        runs=800, windows=30, rates=(ratio * q_b + margin, q_b), log_ratios=log_ratios, seed=11, follow=follow, cap=cap
    )

    assert share <= 0.05, f"{share:.2%} of 800 runs crossed"


@pytest.mark.parametrize("alternatives", [ALTERNATIVES, INVERTED], ids=["harm", "safe"])
def test_at_its_bound_one_arm_reaches_20_in_at_most_5_percent_of_runs(alternatives: Floats) -> None:
    def log_ratios(n_c: Floats, x_c: Floats, *_: Floats) -> Floats:
        return log_e_alternatives(n_c, x_c, limit=np.full(n_c.shape, 0.04), alternatives=alternatives)

    share = simulated(runs=800, windows=40, rates=(0.04, 0.1), log_ratios=log_ratios, seed=12)

    assert share <= 0.05, f"{share:.2%} of 800 runs crossed"


@given(
    n_c=st.integers(0, 10**7),
    n_b=st.integers(0, 10**7),
    bad_c=st.floats(0, 1),
    bad_b=st.floats(0, 1),
    guess=st.floats(1e-6, 1 - 1e-6),
    ratio=st.floats(1, 100),
    margin=st.floats(0, 0.99),
    alternatives=st.sampled_from([ALTERNATIVES, INVERTED]),
)
@settings(max_examples=200, deadline=None)
def test_no_counts_up_to_ten_million_make_a_nan_or_an_infinity(
    n_c: int, n_b: int, bad_c: float, bad_b: float, guess: float, ratio: float, margin: float, alternatives: Floats
) -> None:
    found = log_e_values(
        n_c, bad_c * n_c, n_b, bad_b * n_b, guess=guess, alternatives=alternatives, ratio=ratio, margin=margin
    )

    assert np.all(np.isfinite(found))


@given(
    n=st.integers(0, 10**7),
    bad=st.floats(0, 1),
    limit=st.floats(1e-6, 1 - 1e-6),
    direction=st.sampled_from(list(Direction)),
)
@settings(max_examples=300, deadline=None)
def test_no_sums_up_to_ten_million_make_a_nan_or_an_infinity(
    n: int, bad: float, limit: float, direction: Direction
) -> None:
    assert math.isfinite(log_e_sums(n, bad * n, limit=limit, direction=direction))


def test_without_overdispersion_and_cap_a_window_brings_just_its_likelihood_ratios() -> None:
    chance = np.random.default_rng(5)
    found = chance.normal(0, 30, (1, POINTS))
    one = np.ones(1)
    bank = after_window(
        fresh(1), found, bets=one > 0, overdispersion=one, cap=math.inf * one, log_goal=math.log(20) * one
    )

    assert bank.log_capital == pytest.approx(math.log(0.5) + LOG_PRIOR + found, abs=2e-9)


def test_tempering_and_capping_only_take_evidence_away() -> None:
    chance = np.random.default_rng(6)
    one = np.ones(1)

    def last(overdispersion: float, cap: float) -> Bank:
        bank = fresh(1)
        for found in chance.normal(1, 1, (5, 1, POINTS)).clip(0):
            bank = after_window(
                bank, found, bets=one > 0, overdispersion=overdispersion * one, cap=cap * one, log_goal=3 * one
            )
        return bank

    results = []
    for overdispersion, cap in ((1.0, math.inf), (1.0, 0.5), (3.0, math.inf), (3.0, 0.5)):
        chance = np.random.default_rng(6)
        results.append(float(last(overdispersion, cap).log_e[0]))

    assert results[0] == max(results)
    assert results[3] == min(results)


def test_what_is_kept_of_the_capital_is_rounded_down() -> None:
    """Never more than was won, and short."""
    ratios = np.linspace(-3.0, 0.5, POINTS)[np.newaxis]
    one = np.ones(1)
    bank = after_window(
        fresh(1), ratios, bets=np.ones(1, dtype=np.bool_), overdispersion=3 * one, cap=one, log_goal=4 * one
    )
    exact = math.log(0.5) + LOG_PRIOR + ratios[0] / 3

    for kept, won in [(bank.log_unspent[0], math.log(0.5)), *zip(bank.log_capital[0], exact, strict=True)]:
        assert won - 1e-9 <= kept <= won + 1e-15
        assert round(kept * 1e9) == pytest.approx(kept * 1e9, abs=1e-5)
