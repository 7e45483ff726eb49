"""What is promised of the mean, by counting everything that can happen to a few requests, with exact chances.

The engine's own numbers are averaged here; the chances are fractions, and nothing is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from tests.oracle import processes as oracle
from tests.oracle.enumerated import Window as Table
from tests.oracle.enumerated import binomial, expected, hypergeometric, paths, tables

from modelroute.analysis.audit import TwoArm, log_e_two_arm
from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.detector import Guard, Watched, advance_guard, start_guard
from modelroute.analysis.engine import State, advance_all, assess, start
from modelroute.analysis.one_arm import Direction, log_e_alternatives, log_e_sums
from modelroute.analysis.two_arm import log_e_values

SIZES = [(1, 1), (3, 5), (6, 4)]
FORMS = [(Fraction(1), Fraction(0)), (Fraction(1), Fraction(1, 20)), (Fraction(6, 5), Fraction(1, 500)),
         (Fraction(3), Fraction(0))]  # fmt: skip
PSIS = (1.25, 4.0, 100.0)
RATES = [Fraction(each, 100) for each in (0, 1, 4, 11, 25, 50, 90, 100)]
CLOSE = 1e-10


@cache
def engine_says(
    n_c: int, n_b: int, form: tuple[Fraction, Fraction], guess: float, psis: tuple[float, ...]
) -> list[tuple[float, ...]]:
    """ℓ of each table in the order of `tables`, for each alternative."""
    every = np.asarray([table for table, _ in tables(n_c, n_b, Fraction(0), Fraction(0))], dtype=np.float64)
    ratio, margin = map(float, form)
    found = log_e_values(*every.T, guess=guess, alternatives=np.asarray(psis), ratio=ratio, margin=margin)
    return [tuple(row) for row in found.tolist()]


def mean(
    n_c: int, n_b: int, q_c: Fraction, q_b: Fraction, form: tuple[Fraction, Fraction], guess: float,
    psis: tuple[float, ...], which: int,
) -> float:  # fmt: skip
    logs = engine_says(n_c, n_b, form, guess, psis)
    chances = [chance for _, chance in tables(n_c, n_b, q_c, q_b)]
    return float(expected([(log[which], chance) for log, chance in zip(logs, chances, strict=True)]))


@pytest.mark.parametrize("guess", [0.01, 0.2])
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("safe", [False, True], ids=["harm", "safe"])
def test_over_all_tables_no_alternative_gains_within_its_null(
    size: tuple[int, int], form: tuple[Fraction, Fraction], guess: float, safe: bool
) -> None:
    psis = tuple(1 / psi for psi in PSIS) if safe else PSIS
    tried = 0
    for q_b in RATES:
        bound = form[0] * q_b + form[1]
        candidates = {bound, *RATES}
        for q_c in candidates:
            if q_c > 1 or (q_c < bound if safe else q_c > bound):
                continue
            for which in range(len(psis)):
                tried += 1
                found = mean(*size, q_c, q_b, form, guess, psis, which)
                assert found <= 1 + CLOSE, f"qC {q_c}, qB {q_b}, ψ {psis[which]}: {found}"
    assert tried > 50


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("psi", [4.0, 0.25], ids=["harm", "safe"])
def test_over_all_tables_it_is_one_where_both_touch_and_more_at_the_alternative(
    form: tuple[Fraction, Fraction], psi: float
) -> None:
    """The point where they touch is the oracle's."""
    n_c, n_b, guess = 5, 8, 0.1
    ratio, margin = (mp.mpf(part.numerator) / part.denominator for part in form)
    theta = oracle.with_odds(ratio * mp.mpf(guess) + margin, mp.mpf(psi))
    touching = Fraction(float(oracle.nearest(n_c, n_b, theta, mp.mpf(guess), ratio, margin)))
    there = mean(n_c, n_b, form[0] * touching + form[1], touching, form, guess, (psi,), 0)
    beyond = mean(n_c, n_b, Fraction(float(theta)), Fraction(guess), form, guess, (psi,), 0)

    assert there == pytest.approx(1, abs=CLOSE)
    assert beyond > 1.01


@pytest.mark.parametrize("psi", [4.0, 0.25], ids=["harm", "safe"])
@pytest.mark.parametrize(("n_c", "n_b"), [(3, 5), (7, 4)])
def test_without_a_margin_what_decides_given_both_arms_sum_is_fishers_likelihood(
    n_c: int, n_b: int, psi: float
) -> None:
    """Given how many failed in both arms together, only ψ^xC is left, and the chances are hypergeometric, whatever the
    rate: so the mean over all tables is put together a second way, which knows no binomials of the arms.
    """
    guess, form = 0.1, FORMS[0]
    logs = dict(zip([table for table, _ in tables(n_c, n_b, Fraction(0), Fraction(0))],
                    (row[0] for row in engine_says(n_c, n_b, form, guess, (psi,))), strict=True))  # fmt: skip
    given: dict[int, float] = {}
    for both in range(n_c + n_b + 1):
        inside = range(max(0, both - n_b), min(n_c, both) + 1)
        values = {x: math.exp(logs[n_c, x, n_b, both - x]) for x in inside}
        for x in inside:
            assert values[x] / values[inside[0]] == pytest.approx(psi ** (x - inside[0]), rel=1e-12)
        given[both] = math.fsum(values[x] * float(hypergeometric(x, both, n_c, n_b)) for x in inside)
    for rate in RATES:
        second = math.fsum(float(binomial(both, n_c + n_b, rate)) * value for both, value in given.items())
        assert second == pytest.approx(mean(n_c, n_b, rate, rate, form, guess, (psi,), 0), rel=1e-12)
        assert second <= 1 + CLOSE


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("limit", [Fraction(1, 50), Fraction(3, 10), Fraction(4, 5)])
def test_over_all_sums_one_arm_gains_nothing_within_its_bound(limit: Fraction, direction: Direction) -> None:
    n = 15
    logs = [float(log_e_sums(n, x, limit=float(limit), direction=direction)) for x in range(n + 1)]

    def at(rate: Fraction) -> float:
        return float(expected([(log, binomial(x, n, rate)) for x, log in enumerate(logs)]))

    assert at(limit) == pytest.approx(1, abs=CLOSE)
    harm = direction is Direction.HARM
    for part in (Fraction(0), Fraction(1, 3), Fraction(9, 10)):
        within = limit * part if harm else limit + (1 - limit) * (1 - part)
        assert at(within) < 1
    assert at((1 + limit) / 2 if harm else limit / 4) > 1


@pytest.mark.parametrize("alternatives", [[1.25, 30.0], [0.02, 0.8]], ids=["harm", "safe"])
def test_over_all_sums_an_alternative_against_a_bound_is_one_at_the_bound(alternatives: list[float]) -> None:
    n, limit = 9, Fraction(1, 5)
    logs = log_e_alternatives(
        np.full(n + 1, n), np.arange(n + 1), limit=np.full(n + 1, 0.2), alternatives=np.asarray(alternatives)
    )
    for which, psi in enumerate(alternatives):
        for times in (Fraction(1, 2), Fraction(1), Fraction(3, 2)):
            found = float(expected([(log[which], binomial(x, n, limit * times)) for x, log in enumerate(logs)]))
            assert found == pytest.approx(1, abs=CLOSE) if times == 1 else (found > 1) == ((psi > 1) == (times > 1))


def test_over_all_paths_of_three_windows_evidence_is_ever_20_with_a_chance_of_at_most_5_percent() -> None:
    """Ville, exactly: b̂ and what is spent follow the path; rates drift along the null's boundary, window by window."""
    sizes = [(2, 3), (3, 2), (2, 3)]
    rates = [(rate, rate) for rate in (Fraction(1, 10), Fraction(1, 2), Fraction(1, 100))]
    test = TwoArm(alternatives=(3.0, 50.0), weights=(0.5, 0.5), onset={0: 0.5, 1: 0.3, 2: 0.2})
    last, crossed, highest = [], Fraction(0), -math.inf
    for path, chance in paths(sizes, rates):
        logs = log_e_two_arm(test, path)
        last.append((logs[-1], chance))
        highest = max(highest, *logs)
        if max(logs) >= math.log(20):
            crossed += chance

    assert sum(chance for _, chance in last) == 1
    assert float(expected(last)) <= 1 + CLOSE
    assert highest > math.log(20), "some path does cross"
    assert 0 < crossed <= Fraction(1, 20)


OBJECTIVE = Objective("errors", margin=0.05, limit=0.2, prior_rate=0.1)
DESIGN = Design((OBJECTIVE,), (Comparison("new", "old"),), alpha=0.2, checks_split=True)


def whole(path: Sequence[Table], k: int, completions: tuple[float, float] | None = None) -> Window:
    n_c, x_c, n_b, x_b = path[k]
    outcomes = {("errors", "new"): Outcomes(n_c, (x_c,), x_c), ("errors", "old"): Outcomes(n_b, (x_b,), x_b)}
    arms = {} if completions is None else dict(zip(("new", "old"), completions, strict=True))
    # A step begins with the third window.
    asked = {"new": 0.5, "old": 0.5} if k < 2 else {"new": 0.6, "old": 0.4}
    return Window(15.0 * k, 15.0 * k + 15, outcomes, asked, True, arms)


def states_after(every: Sequence[Sequence[Table]], design: Design) -> list[State]:
    states = [start(design)] * len(every)
    for k in range(len(every[0])):
        states = advance_all((design, state, whole(path, k)) for state, path in zip(states, every, strict=True))
    return states


AT_MARGIN = (Fraction(1, 5), Fraction(3, 20))
ALL_GOOD = (Fraction(1, 20), Fraction(0))
NULLS = {
    "at the margin": [(Fraction(3, 20), Fraction(1, 10)), ALL_GOOD, AT_MARGIN],
    "within max, and worse than the reference by the margin": [AT_MARGIN] * 3,
    "above max, but no worse than the reference": [(Fraction(7, 10), Fraction(7, 10))] * 3,
    "one null, then the other": [ALL_GOOD, (Fraction(9, 10), Fraction(9, 10)), AT_MARGIN],
}


@pytest.mark.parametrize("rates", NULLS.values(), ids=NULLS)
def test_over_all_paths_the_whole_engine_gains_nothing_in_the_mean_where_nothing_is_worse_than_allowed(
    rates: list[tuple[Fraction, Fraction]],
) -> None:
    """Margin, fast path and `max` with its reference, capped, over a step. `max` is min of both halves and no mean:
    where windows change from one null to the other neither half alone covers them, and min is below either.
    """
    every, chances = zip(*paths([(3, 2), (2, 3), (3, 2)], rates), strict=True)
    logs = [assess(DESIGN, state).rollback_log_evidence for state in states_after(every, DESIGN)]

    found = float(expected(list(zip(logs, chances, strict=True))))
    assert found <= 1 + CLOSE
    assert sum(chance for log, chance in zip(logs, chances, strict=True) if log >= math.log(5)) <= Fraction(1, 5)


def test_over_all_paths_the_whole_engine_gains_where_the_candidate_is_worse() -> None:
    every, chances = zip(*paths([(3, 2), (2, 3), (3, 2)], [(Fraction(4, 5), Fraction(1, 20))] * 3), strict=True)
    logs = [assess(DESIGN, state).rollback_log_evidence for state in states_after(every, DESIGN)]

    assert float(expected(list(zip(logs, chances, strict=True)))) > 1.5


@pytest.mark.parametrize(
    ("share", "many", "few"),
    [(Fraction(11, 20), 1.0, None), (Fraction(9, 20), None, 1.0), (Fraction(1, 2), 0.999, 0.999)],
    ids=["1.1 of the asked share", "0.9", "as asked"],
)
def test_over_all_splits_neither_bound_is_refuted_in_the_mean_by_a_share_at_it(
    share: Fraction, many: float | None, few: float | None
) -> None:
    """Half of what both complete is asked for. At a bound its process is a fair bet, within both it loses."""
    n = 6
    design = Design((OBJECTIVE,), (Comparison("new", "old"),), alpha=0.2, checks_split=True)
    found, chances = [], []
    for x, y in [(x, y) for x in range(n + 1) for y in range(n + 1)]:
        state = start(design)
        for k, mine in enumerate((x, y)):
            window = whole([(0, 0, 0, 0)] * 2, k, (mine, n - mine))
            (state,) = advance_all([(design, state, window)])
        found.append(assess(design, state).answering[0])
        chances.append(binomial(x, n, share) * binomial(y, n, share))
    for expectation, logs in ((many, [each.log_many for each in found]), (few, [each.log_few for each in found])):
        value = float(expected(list(zip(logs, chances, strict=True))))
        if expectation == 1.0:
            # κ and rounding down take a little away.
            assert 0.9 < value <= 1 + CLOSE
        elif expectation is not None:
            assert value < expectation


def test_over_all_paths_the_guards_level_is_in_the_mean_the_number_of_windows() -> None:
    limit, n, windows = Fraction(3, 10), 3, 4
    guard = Guard((Watched("slow", "small", float(limit)),), window_s=15.0)

    def levels(rate: Fraction) -> float:
        states = [(start_guard(guard), Fraction(1))]
        for k in range(windows):
            states = [
                (advance_guard(guard, state, end=float(k), counts={("slow", "small"): (x, n)}),
                 chance * binomial(x, n, rate))
                for state, chance in states for x in range(n + 1)
            ]  # fmt: skip
        return float(expected([(state.detectors[0].log_level, chance) for state, chance in states]))

    assert levels(limit) == pytest.approx(windows, rel=1e-6)
    assert levels(limit / 2) < windows
    assert levels(Fraction(9, 10)) > 10 * windows
