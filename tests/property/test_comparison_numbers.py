"""The numbers of a comparison, against their definitions, independent code, and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from modelroute.compare import intervals, matrix
from modelroute.compare.domain import Criterion, Kind, Measure
from modelroute.compare.intervals import Estimate
from modelroute.compare.paired import mcnemar, tango
from modelroute.compare.sensitivity import sensitivities

KINDS = (Kind.ACCURACY, Kind.LATENCY_P95, Kind.COST_PER_INTERACTION)
shares = st.floats(0, 1).map(lambda value: round(value, 4))


@st.composite
def tables(draw: st.DrawFn, least: int = 2) -> tuple[dict[str, tuple[float, ...]], tuple[Criterion, ...]]:
    """Up to six models, three criteria of which one is better when higher, some weight."""
    weights = draw(st.tuples(*[st.integers(0, 10)] * 3).filter(any))
    criteria = tuple(
        Criterion(Measure(kind), weight, *((0.0, 1.0) if kind.higher_is_better else (1.0, 0.0)))
        for kind, weight in zip(KINDS, weights, strict=True)
    )
    count = draw(st.integers(least, 6))
    return {f"m{index}": draw(st.tuples(shares, shares, shares)) for index in range(count)}, criteria


@given(tables())
def test_who_is_first_in_the_matrix_is_on_the_front_or_ties_with_who_is(
    table: tuple[dict[str, tuple[float, ...]], tuple[Criterion, ...]],
) -> None:
    values, criteria = table
    rows = matrix.rank(values, criteria)
    dominated = matrix.dominated_by(values, criteria)

    best = [row.model for row in rows if row.total >= rows[0].total - 1e-12]

    assert any(not dominated[model] for model in best)
    for model, others in dominated.items():
        totals = {row.model: row.total for row in rows}
        assert all(totals[other] >= totals[model] - 1e-12 for other in others)


@given(tables(least=3))
def test_another_alternative_changes_nobodys_score_nor_the_order_of_the_others(
    table: tuple[dict[str, tuple[float, ...]], tuple[Criterion, ...]],
) -> None:
    values, criteria = table
    without = dict(list(values.items())[:-1])

    few, many = matrix.rank(without, criteria), matrix.rank(values, criteria)

    assert [row for row in many if row.model in without] == list(few)


@given(tables(), st.floats(0.01, 100))
def test_only_the_proportions_of_the_weights_count(
    table: tuple[dict[str, tuple[float, ...]], tuple[Criterion, ...]], times: float
) -> None:
    values, criteria = table
    scaled = tuple(Criterion(c.measure, c.weight * times, c.worst, c.target) for c in criteria)

    for one, other in zip(matrix.rank(values, criteria), matrix.rank(values, scaled), strict=True):
        assert one.total == pytest.approx(other.total)


@given(tables())
def test_within_its_range_no_weight_changes_the_winner_and_just_beyond_it_does(
    table: tuple[dict[str, tuple[float, ...]], tuple[Criterion, ...]],
) -> None:
    values, criteria = table
    rows = matrix.rank(values, criteria)

    for index, found in enumerate(sensitivities(rows, criteria)):
        rest = sum(c.weight for at, c in enumerate(criteria) if at != index)
        if rest == 0:
            continue

        def totals(share: float, at: int = index, others: float = rest) -> dict[str, float]:
            weight = others * share / (1 - share)
            moved = tuple(
                Criterion(c.measure, weight if i == at else c.weight, c.worst, c.target) for i, c in enumerate(criteria)
            )
            return {row.model: row.total for row in matrix.rank(values, moved)}

        winner = rows[0].model
        assert found.low - 1e-9 <= found.share <= found.high + 1e-9
        for share in np.linspace(found.low, min(found.high, 1 - 1e-9), 5):
            at = totals(float(share))
            assert at[winner] >= max(at.values()) - 1e-9
        for beyond, taker in ((found.low - 1e-3, found.below), (found.high + 1e-3, found.above)):
            if taker is not None and 0 <= beyond < 1:
                at = totals(beyond)
                assert at[winner] <= max(at.values()) + 1e-12
        assert found.below is not None or found.low == 0.0
        assert found.above is not None or found.high == 1.0


def test_the_matrix_agrees_with_an_independent_library() -> None:
    methods = pytest.importorskip("pymcdm.methods", reason="the oracle of the decision matrix: pip install pymcdm")
    normalizations = pytest.importorskip("pymcdm.normalizations")
    rng = np.random.default_rng(5)
    for _ in range(50):
        told = rng.uniform(0.05, 0.95, size=(5, 3))
        weights = rng.uniform(0.1, 1.0, size=3)
        criteria = tuple(
            Criterion(Measure(kind), weight, *((0.0, 1.0) if kind.higher_is_better else (1.0, 0.0)))
            for kind, weight in zip(KINDS, weights, strict=True)
        )
        values = {f"m{index}": tuple(row) for index, row in enumerate(told.tolist())}

        # The library scores between the best and the worst model: so two models that are at the declared bounds.
        signs = np.array([1 if kind.higher_is_better else -1 for kind in KINDS])
        bounds = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        whole = np.vstack([told, bounds])
        method = methods.WSM(normalizations.minmax_normalization)
        expected = method(whole, weights / weights.sum(), signs)[:5]

        found = {row.model: row.total for row in matrix.rank(values, criteria)}

        assert [found[model] for model in values] == pytest.approx(expected)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_share_has_the_exact_interval(bad: int, good: int, confidence: float) -> None:
    assume(bad + good > 0)
    expected = stats.binomtest(bad, bad + good).proportion_ci(confidence, method="exact")

    found = intervals.share(bad, bad + good, confidence=confidence)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 400), st.sampled_from([0.5, 0.95, 0.99]), st.sampled_from([0.9, 0.95]))
def test_a_quantile_lies_between_order_statistics_that_hold_their_level_and_no_closer_ones_do(
    n: int, p: float, confidence: float
) -> None:
    found = intervals.quantile(np.arange(1, n + 1, dtype=float), p, confidence=confidence)
    tail = (1 - confidence) / 2

    # Of the values 1..n each is its own rank. Fewer than `low` values at or below the quantile:
    assert stats.binom.cdf(found.low - 1, n, p) <= tail
    assert stats.binom.cdf(found.low, n, p) > tail
    if math.isinf(found.high):
        assert stats.binom.sf(n - 1, n, p) > tail
    else:
        assert stats.binom.sf(found.high - 1, n, p) <= tail
        assert stats.binom.sf(found.high - 2, n, p) > tail
    assert found.low <= found.value <= found.high


@given(st.lists(st.floats(0, 100), min_size=1, max_size=80), st.integers(0, 80))
def test_a_request_that_fails_never_makes_a_quantile_faster(values: list[float], failed: int) -> None:
    without = intervals.quantile(values, 0.95, confidence=0.95)

    with_failed = intervals.quantile(values + [math.inf] * failed, 0.95, confidence=0.95)

    assert with_failed.value >= without.value
    assert with_failed.high >= without.high


def brute_tango(gained: int, lost: int, n: int, d: float) -> float:
    """|z| of the score test, the restricted likelihood climbed by a search."""

    def unlikely(rate: float) -> float:
        cells = ((gained, rate + d), (lost, rate), (n - gained - lost, 1 - 2 * rate - d))
        return -sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    found = optimize.minimize_scalar(
        unlikely, bounds=(max(0.0, -d), (1 - d) / 2), method="bounded", options={"xatol": 1e-12}
    )
    return abs(gained - lost - n * d) / math.sqrt(n * (2 * found.x + d - d * d))


@settings(max_examples=50)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 60))
def test_the_ends_of_a_paired_interval_are_where_the_score_test_just_rejects(gained: int, lost: int, same: int) -> None:
    n = gained + lost + same

    low, high = tango(gained, lost, n, confidence=0.95)

    assert low <= (gained - lost) / n <= high
    for end in (low, high):
        if abs(end) < 0.999:
            assert brute_tango(gained, lost, n, end) == pytest.approx(1.959964, abs=2e-3)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 60))
def test_a_paired_interval_turns_round_with_its_models(gained: int, lost: int, same: int) -> None:
    n = gained + lost + same

    low, high = tango(gained, lost, n, confidence=0.95)

    assert tango(lost, gained, n, confidence=0.95) == pytest.approx((-high, -low), abs=1e-9)
    assert mcnemar(gained, lost) == mcnemar(lost, gained)


def covered(interval: Any, truth: float) -> bool:
    low, high = (interval.low, interval.high) if isinstance(interval, Estimate) else interval
    return bool(low <= truth <= high)


def test_intervals_hold_what_they_promise() -> None:
    """2,000 worlds each; 95 % intervals may miss in 5 % and, for those that are not exact, a little more."""
    rng = np.random.default_rng(3)
    hits = {"tango": 0, "quantile": 0}
    for _ in range(2000):
        gained, lost, _ = rng.multinomial(80, [0.04, 0.09, 0.87])
        hits["tango"] += covered(tango(gained, lost, 80, confidence=0.95), -0.05)
        hits["quantile"] += covered(intervals.quantile(rng.exponential(1, 120), 0.95, confidence=0.95), math.log(20))

    assert hits["tango"] >= 0.93 * 2000
    assert hits["quantile"] >= 0.945 * 2000


def test_the_bootstrap_of_a_skewed_mean_holds_about_what_it_promises() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for world in range(200):
        values = rng.lognormal(0, 0.8, 80)
        hits += covered(intervals.mean(values, confidence=0.95, seed=world), math.exp(0.32))

    assert hits >= 0.89 * 200


def test_the_bootstrap_agrees_with_scipys() -> None:
    values = np.random.default_rng(6).lognormal(0, 1, 60)
    expected = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, rng=1).confidence_interval

    found = intervals.mean(values, confidence=0.95, seed=1)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.03)


@given(st.floats(0, 0.5), st.floats(0.001, 0.5))
def test_as_many_items_as_it_says_settle_it_and_one_fewer_do_not(rate: float, limit: float) -> None:
    needed = intervals.items_to_settle(rate, limit, confidence=0.95)
    if needed is None:
        return

    def settled(n: int) -> bool:
        found = intervals.share(rate * n, n, confidence=0.95)
        return found.high < limit or found.low > limit

    assert settled(needed)
    assert needed == 1 or not settled(needed - 1)
