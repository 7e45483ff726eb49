"""Evidence about an absolute bound, against references that are computed in another way."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom

from modelroute.analysis.mixture import ALTERNATIVES, INVERTED, Floats
from modelroute.analysis.one_arm import Direction, log_above, log_below, log_e_alternatives, log_e_sums

HARM, SAFE = Direction.HARM, Direction.SAFE


def log_e_value(
    bad: float, total: float, limit: float, *, direction: Direction, prior: tuple[float, float] | None = None
) -> float:
    return float(log_e_sums(total, bad, limit=limit, direction=direction, prior=prior))


def log_factors(bad: float, total: float, limit: float, alternatives: Floats) -> Floats:
    return log_e_alternatives(total, bad, limit=limit, alternatives=alternatives)


def log_tail(a: float, b: float, p: float, *, upper: bool) -> float:
    return float(log_above(a, b, p) if upper else log_below(a, b, p))


def by_integration(bad: float, total: float, limit: float, direction: Direction, prior: tuple[float, float]) -> float:
    """The average over the truncated prior of the likelihood ratio, the plain way."""
    low, high = (limit, 1.0) if direction is HARM else (0.0, limit)
    peak = min(max(bad / total, low), high)

    def ratio(q: float) -> float:
        return math.exp(bad * math.log(q / limit) + (total - bad) * math.log((1 - q) / (1 - limit)))

    # u = sqrt(q) takes the prior's pole at 0 away.
    def integrand(u: float) -> float:
        q = u * u
        return float(ratio(q) * beta.pdf(q, *prior) * 2 * u) if 0 < q < 1 else 0.0

    value, _ = quad(integrand, math.sqrt(low), math.sqrt(high), points=[math.sqrt(peak)], epsabs=0, limit=400)
    weight = beta.sf(limit, *prior) if direction is HARM else beta.cdf(limit, *prior)
    return math.log(value / weight)


@pytest.mark.parametrize("direction", [HARM, SAFE])
@pytest.mark.parametrize(
    ("bad", "total", "limit", "prior"),
    [
        (0, 50, 0.05, None),
        (9, 100, 0.05, None),
        (2, 400, 0.005, None),
        (30, 1000, 0.02, (1.0, 1.0)),
        (2.5, 80.25, 0.03, None),
        (90, 100, 0.4, (2.0, 3.0)),
    ],
)
def test_it_is_the_average_likelihood_ratio_over_the_truncated_prior(
    bad: float, total: float, limit: float, prior: tuple[float, float] | None, direction: Direction
) -> None:
    expected = by_integration(bad, total, limit, direction, prior or (0.5, 0.5 / limit))

    assert log_e_value(bad, total, limit, direction=direction, prior=prior) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("direction", [HARM, SAFE])
def test_before_any_request_the_evidence_is_one(direction: Direction) -> None:
    assert log_e_value(0, 0, 0.01, direction=direction) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("limit", [0.02, 0.2, 0.7])
@pytest.mark.parametrize("direction", [HARM, SAFE])
def test_on_its_side_of_the_limit_nothing_is_gained_in_expectation(limit: float, direction: Direction) -> None:
    total = 12
    counts = np.arange(total + 1)
    values = np.exp([log_e_value(float(bad), total, limit, direction=direction) for bad in counts])
    grid = ALTERNATIVES if direction is HARM else INVERTED
    factors = np.exp([log_factors(float(bad), total, limit, grid) for bad in counts])
    for share in np.linspace(0, 1, 11):
        rate = share * limit if direction is HARM else limit + share * (1 - limit)
        chance = binom.pmf(counts, total, rate)
        assert chance @ values <= 1 + 1e-9
        assert np.all(chance @ factors <= 1 + 1e-9)
    at = binom.pmf(counts, total, limit)
    assert at @ values == pytest.approx(1, abs=1e-9)
    assert at @ factors == pytest.approx(np.ones(16), abs=1e-9)


@pytest.mark.parametrize(("a", "b", "p"), [(0.5, 50.0, 0.9), (300.0, 40_000.0, 0.06), (2_000.5, 100.0, 0.2)])
def test_the_logarithm_of_a_tail_goes_on_where_the_tail_underflows(a: float, b: float, p: float) -> None:
    """Against integration of the density, relative to its value at p."""
    for upper in (True, False):
        beyond = p > a / (a + b) if upper else p < a / (a + b)
        if not beyond:
            assert log_tail(a, b, p, upper=upper) == pytest.approx(
                math.log(beta.sf(p, a, b) if upper else beta.cdf(p, a, b)), abs=1e-9
            )
            continue
        at = beta.logpdf(p, a, b)
        scale = abs((a - 1) / p - (b - 1) / (1 - p))
        end = min(1.0, p + 50 / scale) if upper else max(0.0, p - 50 / scale)
        area, _ = quad(lambda q, at=at: math.exp(beta.logpdf(q, a, b) - at), *sorted((p, end)))
        assert log_tail(a, b, p, upper=upper) == pytest.approx(at + math.log(area), rel=1e-9)


@pytest.mark.parametrize("total", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("limit", [1e-6, 1e-3, 0.05, 0.5, 0.99])
@pytest.mark.parametrize("rate", [0.0, 1e-6, 1e-3, 0.05, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("direction", [HARM, SAFE])
def test_it_is_finite_at_ten_million_requests(total: float, limit: float, rate: float, direction: Direction) -> None:
    assert math.isfinite(log_e_value(rate * total, total, limit, direction=direction))


def test_a_limit_that_is_no_rate_shows_nothing() -> None:
    assert log_factors(5, 10, 1.1, ALTERNATIVES) == pytest.approx(np.zeros(16))
    assert log_factors(5, 10, 0.0, ALTERNATIVES) == pytest.approx(np.zeros(16))
    assert log_factors(5, 10, 1.0, ALTERNATIVES) == pytest.approx(np.zeros(16))


def test_tails_far_and_near_are_the_same_in_company_as_alone() -> None:
    """One that a float can hold, beside some that it cannot and that take few and many terms."""
    a, b = np.array([2_000.5, 3.0, 5_000.0, 300.0, 2.0]), np.array([100.0, 40.0, 5_000.0, 40_000.0, 1e6])
    p = np.array([0.2, 0.05, 0.3, 0.0002, 1e-150])
    together = log_below(a, b, p)

    assert [float(log_below(*each)) for each in zip(a, b, p, strict=True)] == pytest.approx(together, rel=1e-14)
    assert log_above(b[:4], a[:4], 1 - p[:4]) == pytest.approx(together[:4], rel=1e-9)
    exact = [mp.log(mp.betainc(*each, regularized=True)) for each in ((2000.5, 100, 0, 0.2), (3, 40, 0, 0.05))]
    assert together[:2] == pytest.approx(list(map(float, exact)), rel=1e-11)


@pytest.mark.parametrize(("a", "b", "p"), [(5_000, 5_000, 0.3), (300, 40_000, 0.0002), (2_000, 100, 0.5)])
def test_a_tail_that_underflows_is_the_sum_of_binomials(a: int, b: int, p: float) -> None:
    """For whole a and b: more than a − 1 hits in a + b − 1 tosses, of which the first terms are all."""
    n, odds = a + b - 1, mp.mpf(p) / (1 - mp.mpf(p))
    term = mp.binomial(n, a) * mp.mpf(p) ** a * (1 - mp.mpf(p)) ** (n - a)
    whole = mp.mpf(0)
    for j in range(a, n + 1):
        whole += term
        term *= odds * (n - j) / (j + 1)
        if term < whole * mp.mpf(10) ** -20:
            break

    assert float(log_below(a, b, p)) == pytest.approx(float(mp.log(whole)), rel=1e-13)
