"""What makes the engine's promise true: e-values under the null, by enumeration and simulation, and no overflow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from modelroute.analysis.mixture import ALTERNATIVES, Floats
from modelroute.analysis.process import Null, Process, next_process
from modelroute.analysis.two_arm import log_e_values, projection

N_C, N_B = 6, 9
PSI = np.array([1.25, 3.0, 20.0])


def expectation(q_c: float, q_b: float, *, guess: float, ratio: float, margin: float) -> Floats:
    """E[e^ℓ] for each alternative, over all tables of N_C and N_B requests. Shape (3,)."""
    x_c, x_b = (grid.ravel() for grid in np.meshgrid(np.arange(N_C + 1), np.arange(N_B + 1)))
    logs = log_e_values(
        np.full(x_c.shape, N_C), x_c, np.full(x_b.shape, N_B), x_b,
        guess=np.full(x_c.shape, guess), alternatives=PSI, ratio=ratio, margin=margin,
    )  # fmt: skip
    chance = binom.pmf(x_c, N_C, q_c) * binom.pmf(x_b, N_B, q_b)
    return np.asarray(chance @ np.exp(logs))


NULLS = [(1.0, 0.0), (1.0, 0.05), (1.2, 0.0), (1.5, 0.02), (3.0, 0.0)]


@pytest.mark.parametrize(("ratio", "margin"), NULLS)
@pytest.mark.parametrize("guess", [0.01, 0.1, 0.28])
def test_no_alternative_gains_in_expectation_anywhere_in_the_null(ratio: float, margin: float, guess: float) -> None:
    rates = np.linspace(0.0, 1.0, 21)
    for q_b, share in itertools.product(rates, (0.0, 0.3, 0.8, 1.0)):
        q_c = share * min(1.0, ratio * q_b + margin)
        found = expectation(float(q_c), float(q_b), guess=guess, ratio=ratio, margin=margin)
        assert np.all(found <= 1 + 1e-9), f"qC {q_c}, qB {q_b}: E = {found}"


@pytest.mark.parametrize(("ratio", "margin"), NULLS)
def test_at_the_projection_the_expectation_is_one(ratio: float, margin: float) -> None:
    guess = 0.1
    allowed = ratio * guess + margin
    odds = PSI * allowed / (1 - allowed)
    theta_c = odds / (1 + odds)
    for index, theta in enumerate(theta_c):
        b = float(projection(N_C, N_B, theta, guess, ratio, margin))
        if ratio * b + margin <= 1:
            found = expectation(ratio * b + margin, b, guess=guess, ratio=ratio, margin=margin)
            assert found[index] == pytest.approx(1.0, abs=1e-9)


def crossings(
    *, runs: int, windows: int, q_b: float, ratio: float, margin: float, weights_follow_evidence: bool, seed: int
) -> float:
    """The share of runs on the null's boundary in which E ever reaches 20."""
    chance = np.random.default_rng(seed)
    null = Null(ratio=ratio, margin=margin)
    crossed = 0
    for _ in range(runs):
        process, n_c = Process(), 60
        for _ in range(windows):
            x_c = chance.binomial(n_c, ratio * q_b + margin)
            x_b = chance.binomial(300, q_b)
            process = next_process(process, null, n_candidate=n_c, x_candidate=x_c, n_reference=300, x_reference=x_b)
            if process.log_e >= math.log(20):
                crossed += 1
                break
            if weights_follow_evidence:
                n_c = 20 if process.log_e > 0 else 120
    return crossed / runs


@pytest.mark.parametrize(
    ("q_b", "ratio", "margin", "weights_follow_evidence"),
    [(0.02, 1.0, 0.0, False), (0.02, 1.0, 0.01, False), (0.05, 1.3, 0.0, False), (0.02, 1.0, 0.0, True)],
)
def test_at_the_boundary_the_evidence_reaches_20_in_less_than_5_percent_of_runs(
    q_b: float, ratio: float, margin: float, weights_follow_evidence: bool
) -> None:
    share = crossings(
        runs=150, windows=25, q_b=q_b, ratio=ratio, margin=margin,
        weights_follow_evidence=weights_follow_evidence, seed=11,
    )  # fmt: skip

    assert share <= 0.05, f"{share:.1%} of runs crossed"


@given(
    n_c=st.integers(0, 10**7),
    n_b=st.integers(0, 10**7),
    bad_c=st.floats(0, 1),
    bad_b=st.floats(0, 1),
    guess=st.floats(1e-6, 1 - 1e-6),
    ratio=st.floats(1, 100),
    margin=st.floats(0, 0.99),
)
@settings(max_examples=150, deadline=None)
def test_no_counts_up_to_ten_million_make_a_nan_or_an_infinity(
    n_c: int, n_b: int, bad_c: float, bad_b: float, guess: float, ratio: float, margin: float
) -> None:
    found = log_e_values(
        n_c, bad_c * n_c, n_b, bad_b * n_b, guess=guess, alternatives=ALTERNATIVES, ratio=ratio, margin=margin
    )

    assert np.all(np.isfinite(found))
