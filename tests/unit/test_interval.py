"""Intervals that hold at every look at once."""

from __future__ import annotations

import numpy as np
import pytest

from modelroute.analysis.interval import Interval, time_uniform


def test_before_any_request_every_rate_is_possible() -> None:
    assert time_uniform(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(("bad", "total"), [(0, 10), (10, 10), (3, 100), (0.5, 7.25), (1, 10**7), (5 * 10**6, 10**7)])
def test_it_holds_the_observed_rate_and_lies_within_0_and_1(bad: float, total: float) -> None:
    found = time_uniform(bad, total)

    assert 0 <= found.low <= bad / total <= found.high <= 1
    assert (found.low == 0) == (bad == 0)
    assert (found.high == 1) == (bad == total)


def test_half_a_request_rules_something_out_already() -> None:
    """With x = 0 and n = ½ the mixture is 2/π, and (1 − q)^½ comes to 0.05 times that."""
    found = time_uniform(0, 0.5)

    assert found.low == 0.0
    assert found.high == pytest.approx(1 - (0.05 * 2 / np.pi) ** 2, abs=1e-9)


def test_its_ends_are_where_the_mixture_reaches_the_level() -> None:
    """Against the mixture done as a sum over a fine grid of Beta(½, ½), in u = arcsin √θ, where that is uniform."""
    found = time_uniform(7, 120)
    theta = np.sin((np.arange(200_000) + 0.5) / 200_000 * np.pi / 2) ** 2
    for end in (found.low, found.high):
        ratio = np.mean(np.exp(7 * np.log(theta / end) + 113 * np.log((1 - theta) / (1 - end))))
        assert ratio == pytest.approx(20, rel=1e-3)


def test_more_requests_make_it_narrower_and_overdispersion_wider() -> None:
    few, many, bound = time_uniform(5, 100), time_uniform(500, 10_000), time_uniform(500, 10_000, overdispersion=10)

    assert many.high - many.low < bound.high - bound.low < few.high - few.low


def test_it_misses_the_running_mean_of_drifting_rates_in_at_most_5_percent_of_runs() -> None:
    chance = np.random.default_rng(41)
    runs, missed = 120, 0
    rates = np.linspace(0.01, 0.08, 40)
    for _ in range(runs):
        bad = np.cumsum(chance.binomial(50, rates))
        for k in range(40):
            found = time_uniform(float(bad[k]), 50.0 * (k + 1))
            if not found.low <= rates[: k + 1].mean() <= found.high:
                missed += 1
                break

    assert missed <= 0.05 * runs, f"{missed} of {runs} runs"
