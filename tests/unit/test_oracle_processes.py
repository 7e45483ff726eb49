"""The engine's processes against the same written a second time in 40 digits (tests/oracle)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import mpmath as mp
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from tests.oracle import processes as oracle

from modelroute.analysis.detector import Guard, Watched, advance_guard, start_guard
from modelroute.analysis.interval import time_uniform
from modelroute.analysis.one_arm import log_above, log_below
from modelroute.cli.analyze import analyzed
from modelroute.cli.tables import read_table

Windows = list[list[float]]
TABLES: dict[str, Windows] = {
    "plain": [[100, 5, 900, 9], [100, 2, 900, 8], [50, 0, 450, 3.5]],
    "no failures": [[40, 0, 400, 0]] * 3,
    "only failures": [[7, 7, 60, 60], [3, 3, 9, 9]],
    "an arm without traffic": [[0, 0, 900, 9], [100, 4, 0, 0], [100, 4, 900, 9]],
    "tiny and huge": [[1, 1, 1, 0], [10_000_000, 101_000, 10_000_000, 100_000], [0.25, 0.125, 3.5, 0.5]],
}
FORMS: list[tuple[float, float, float, float, float | None]] = [
    (1, 0, 0.01, 1, None),
    (1, 0.01, 0.01, 1, 0.7),
    (1.3, 0, 0.05, 2.5, None),
    (1.2, 0.002, 0.001, 1, 1.5),
    (1, 0.995, 0.02, 1, None),
]
"""r, δ, b0, D, κ."""


def answer(table: dict[str, Any]) -> list[float]:
    found: list[float] = analyzed(read_table(json.dumps(table)))["logE"]
    return found


def agree(found: Iterable[float], expected: Iterable[Any]) -> None:
    """ln E to 1e-9, absolute and relative: E itself to nine digits wherever it matters."""
    assert list(found) == pytest.approx([float(each) for each in expected], rel=1e-9, abs=1e-9)


def two_arm(
    windows: Windows, direction: str, form: tuple[float, float, float, float, float | None], **more: Any
) -> None:
    ratio, margin, prior, overdispersion, cap = form
    table = {
        "test": "two-arm", "direction": direction, "ratio": ratio, "margin": margin, "priorRate": prior,
        "overdispersion": overdispersion, "cap": cap, "windows": windows,
    }  # fmt: skip
    if more:
        table |= {
            "alternatives": more["alternatives"], "priorWeights": more["parts"],
            "onset": {str(at): part for at, part in more["onset"].items()},
        }  # fmt: skip
    expected = oracle.two_arm(
        windows, safe=direction == "safe", ratio=ratio, margin=margin, prior_rate=prior,
        overdispersion=overdispersion, cap=cap, alternatives=more.get("alternatives"), parts=more.get("parts"),
        onset=more.get("onset"),
    )  # fmt: skip
    agree(answer(table), expected)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("windows", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize(("direction", "psis"), [("harm", [1.5, 30.0]), ("safe", [0.1, 0.9])])
def test_two_arms_agree_at_the_edges(
    windows: Windows, direction: str, psis: list[float], form: tuple[float, float, float, float, float | None]
) -> None:
    two_arm(windows, direction, form, alternatives=psis, parts=[0.75, 0.25], onset={0: 0.25, 2: 0.5})


@pytest.mark.parametrize("direction", ["harm", "safe"])
def test_two_arms_agree_on_the_grid_and_the_schedule_that_nobody_chose(direction: str) -> None:
    two_arm(TABLES["plain"], direction, FORMS[1])


def test_the_oracle_gives_the_published_check_values() -> None:
    one, other = mp.mpf("0.02"), mp.mpf("0.03")
    window = (100, 5, 900, 9)

    assert float(oracle.two_arm_factor(window, mp.mpf("0.01"), 0, 1, 0, one)) == pytest.approx(2.1633810413, abs=5e-11)
    assert float(oracle.nearest(100, 900, one, mp.mpf("0.01"), 1, 0)) == pytest.approx(0.011, abs=1e-15)
    assert float(oracle.two_arm_factor(window, mp.mpf("0.01"), 0, 1.2, 0.002, other)) == pytest.approx(
        1.9342897692, abs=5e-11
    )


def counts(most: int) -> st.SearchStrategy[list[float]]:
    arm = st.integers(0, most).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
    return st.tuples(arm, arm).map(lambda pair: [*map(float, (*pair[0], *pair[1]))])


@seed(20261124)
@given(
    windows=st.lists(counts(20_000), min_size=1, max_size=3),
    direction=st.sampled_from(["harm", "safe"]),
    ratio=st.floats(1, 3),
    margin=st.floats(0, 0.3),
    prior=st.floats(1e-4, 0.3),
    overdispersion=st.floats(1, 20),
    cap=st.none() | st.floats(0.01, 5),
)
@settings(max_examples=8, deadline=None, database=None)
def test_two_arms_agree_on_any_counts(
    windows: Windows, direction: str, ratio: float, margin: float, prior: float, overdispersion: float,
    cap: float | None,
) -> None:  # fmt: skip
    form = (ratio, margin, prior, overdispersion, cap)
    psis = [2.0, 50.0] if direction == "harm" else [0.5, 0.02]
    two_arm(windows, direction, form, alternatives=psis, parts=[0.5, 0.5], onset={0: 0.5})


@pytest.mark.parametrize("direction", ["harm", "safe"])
@pytest.mark.parametrize("prior", [None, [1.0, 1.0], [2.5, 40.0]])
@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5, 0.97])
@pytest.mark.parametrize(
    "windows", [[[0, 0], [1, 1]], [[50, 0], [350, 2]], [[80.25, 2.5], [20, 20]], [[2_000, 100], [0, 0]]]
)
def test_one_arm_agrees_at_the_edges(
    windows: Windows, limit: float, prior: list[float] | None, direction: str
) -> None:  # fmt: skip
    table: dict[str, Any] = {"test": "one-arm", "limit": limit, "direction": direction, "windows": windows}
    if prior is not None:
        table["prior"] = prior
    sums = [(sum(row[0] for row in windows[: k + 1]), sum(row[1] for row in windows[: k + 1])) for k in (0, 1)]
    safe, given_prior = direction == "safe", (prior[0], prior[1]) if prior else None
    expected = [oracle.one_arm(n, x, limit, safe=safe, prior=given_prior) for n, x in sums]

    agree(answer(table), expected)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 300), (7, 3), (40, 900), (900, 40), (200, 700)])
@pytest.mark.parametrize("p", [Fraction(1, 128), Fraction(1, 16), Fraction(1, 2), Fraction(31, 32)])
def test_the_tails_of_beta_are_sums_of_binomials(a: int, b: int, p: Fraction) -> None:
    for above, engine in ((True, log_above), (False, log_below)):
        tail = oracle.exact_tail(a, b, p, above=above)
        expected = mp.log(mp.mpf(tail.numerator)) - mp.log(mp.mpf(tail.denominator))

        agree([float(engine(a, b, float(p)))], [expected])


@pytest.mark.parametrize(
    ("a", "b", "p"), [(900, 40, Fraction(1, 128)), (3_000, 100, Fraction(1, 2)), (2_000, 700, Fraction(3, 8))]
)
def test_where_a_tail_is_less_than_a_float_can_hold_its_logarithm_is_still_right_to_nine_decimals(
    a: int, b: int, p: Fraction
) -> None:
    """E is what counts, so the difference of logarithms does, however large they are."""
    tail = oracle.exact_tail(a, b, p, above=False)
    expected = float(mp.log(mp.mpf(tail.numerator)) - mp.log(mp.mpf(tail.denominator)))

    assert expected < -650
    assert float(log_below(a, b, float(p))) == pytest.approx(expected, rel=0, abs=1e-9)
    assert float(log_above(b, a, float(1 - p))) == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize(
    ("windows", "theta"),
    [
        ([[10, 90], [30, 70], [0, 0]], [0.1, 0.9]),
        ([[0, 5, 1], [9, 0, 40]], [0.001, 0.299, 0.7]),
        ([[400, 0]], [0.5, 0.5]),
    ],
)
def test_shares_agree_request_by_request(windows: list[list[int]], theta: list[float]) -> None:
    found = analyzed(read_table(str({"test": "shares", "shares": theta, "windows": windows}).replace("'", '"')))
    expected = [float(each) for each in oracle.shares(windows, theta)]
    best = [min(1.0, math.exp(-max(expected[: k + 1]))) for k in range(len(expected))]

    agree(found["logE"], expected)
    agree(found["p"], best)


@pytest.mark.parametrize("overdispersion", [1.0, 3.0])
@pytest.mark.parametrize("limit", [0.001, 0.05, 0.6])
@pytest.mark.parametrize(
    "windows", [[(0, 0), (5, 100)], [(0, 3_000), (90, 100), (90, 100), (1, 80)], [(0.5, 2.25)] * 4, [(0, 500)] * 5]
)
def test_a_detector_agrees_and_never_tells_more(
    windows: list[tuple[float, float]], limit: float, overdispersion: float
) -> None:
    """The engine rounds each level down to nine decimals, window by window."""
    guard = Guard((Watched("slow", "small", limit),), window_s=15.0, overdispersion=overdispersion)
    state = start_guard(guard)
    for index, window in enumerate(windows):
        state = advance_guard(guard, state, end=float(index), counts={("slow", "small"): window})
    looks = mp.mpf("365.25") * 86_400 / 15 / mp.mpf(guard.false_alarms_per_year)
    expected = float(oracle.detector(windows, limit, overdispersion=overdispersion, cap=mp.log(looks) / 3))

    assert expected - 1e-9 * (len(windows) + 1) <= state.detectors[0].log_level <= expected + 1e-10


@pytest.mark.parametrize("overdispersion", [1.0, 4.0])
@pytest.mark.parametrize("level", [0.05, 0.001])
@pytest.mark.parametrize(
    ("bad", "total"), [(0, 10), (10, 10), (3, 100), (0.5, 7.25), (1, 10**6), (999_999, 10**6), (500, 1_000)]
)
def test_an_interval_ends_where_the_mixture_crosses(
    bad: float, total: float, level: float, overdispersion: float
) -> None:
    found = time_uniform(bad, total, level=level, overdispersion=overdispersion)

    low, high = oracle.interval(bad, total, level=level, overdispersion=overdispersion)
    assert (found.low, found.high) == pytest.approx((float(low), float(high)), rel=1e-8, abs=1e-12)
