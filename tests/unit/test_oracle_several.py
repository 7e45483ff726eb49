"""The sums of attempts with several objectives, candidates and a split, against the same played by tests/oracle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import mpmath as mp
import pytest
from tests.oracle.whole import Known, Sum, attempt, split

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import Assessment, Finding, Knowledge, advance, assess, start

ALPHA = BETA = 0.05
STEP = 2
"""Before this window a step begins."""

Table = Sequence[tuple[float, float, float, float]]
ERRORS: Table = [(100, 2, 900, 9), (120, 9, 880, 7), (210, 16, 790, 9), (190, 15, 810, 8)]
UNSAFE: Table = [(100, 0, 900, 1), (120, 4, 880, 0), (210, 5, 790, 2), (190, 9, 810, 1)]
SLOW: Sequence[Table] = [
    [(100, 8, 900, 50), (120, 7, 880, 45), (210, 19, 790, 40), (190, 12, 810, 44)],
    [(100, 3, 900, 11), (120, 4, 880, 9), (210, 9, 790, 8), (190, 6, 810, 9)],
    [(100, 1, 900, 2), (120, 2, 880, 0), (210, 4, 790, 1), (190, 5, 810, 2)],
]
"""At three boundaries."""

COMPLETIONS = [(100.0, 900.0), (40.0, 880.0), (90.0, 790.0), (120.0, 810.0)]
ASKED = [0.1, 0.1, 0.2, 0.2]


def close(told: float, exact: float) -> bool:
    """The engine rounds what it keeps down to nine decimals: a little below, and never above."""
    return exact - 1e-7 <= told <= exact + 1e-9 * max(1, abs(exact))


def told(design: Design, tables: dict[str, Sequence[Table]], arms: Iterable[str] = ("new",)) -> Assessment:
    """The engine, with the same tables for each of the candidates `arms`."""
    state = start(design)
    for k, (asked, (mine, theirs)) in enumerate(zip(ASKED, COMPLETIONS, strict=True)):
        outcomes = {}
        for name, levels in tables.items():
            n_c, _, n_b, _ = levels[0][k]
            for arm in arms:
                outcomes[name, arm] = Outcomes(n_c, tuple(table[k][1] for table in levels), levels[0][k][1])
            outcomes[name, "old"] = Outcomes(n_b, tuple(table[k][3] for table in levels), levels[0][k][3])
        # Each candidate is asked for that share of what it and the reference are asked for.
        odds = asked / (1 - asked)
        whole = 1 + odds * len(list(arms))
        shares = {"old": 1 / whole} | dict.fromkeys(arms, odds / whole)
        completions = {"old": theirs} | dict.fromkeys(arms, mine)
        state = advance(design, state, Window(15.0 * k, 15.0 * k + 15, outcomes, shares, True, completions))
    return assess(design, state)


def played(objective: Objective, tables: Sequence[Table], shared: Sum, *, alone: bool = False) -> Known:
    return attempt(
        tables[0], [STEP], ratio=objective.ratio, margin=objective.margin, limit=objective.limit, alpha=ALPHA,
        beta=BETA, overdispersion=1, shared=shared, further=tables[1:], alone=alone,
    )  # fmt: skip


def finding(found: Assessment, objective: str) -> Finding:
    return next(each for each in found.findings if each.objective == objective)


ROLL_BACK = (
    Objective("errors", margin=0.005, limit=0.03),
    Objective("slow", ratio=1.2, boundaries=3),
    Objective("unsafe", limit=0.01),
)
TABLES = {"errors": [ERRORS], "slow": SLOW, "unsafe": [UNSAFE]}


def test_three_objectives_and_the_split_share_alpha_as_the_oracle_adds_them_up() -> None:
    design = Design(ROLL_BACK, (Comparison("new", "old"),), ALPHA, BETA, checks_split=True)
    # errors: margin, max, fast; slow: three boundaries, fast; unsafe: max, fast; and the split.
    shared = Sum(mp.mpf(1) / 4, 3 + 4 + 2 + 1)
    found = told(design, TABLES)

    exact = {each.name: played(each, TABLES[each.name], shared) for each in ROLL_BACK}
    _, few = split(COMPLETIONS, ASKED, alpha=ALPHA, overdispersion=1, shared=shared)
    whole = mp.log(mp.fsum([*(mp.exp(each.log_e) for each in exact.values()), mp.exp(few)]) / 4)
    for name, known in exact.items():
        assert close(finding(found, name).log_e, float(known.log_e)), name
        assert known.log_safe is not None
        assert close(finding(found, name).log_safe or math.nan, float(known.log_safe)), name
        harmful = float(known.log_e) - math.log(4) >= -math.log(ALPHA)
        assert (finding(found, name).knowledge is Knowledge.HARMFUL) == harmful, name
    assert close(found.rollback_log_evidence, float(whole))
    assert found.log_limit == pytest.approx(float(-mp.log(ALPHA)))


def test_two_candidates_are_summed_like_two_objectives() -> None:
    comparisons = (Comparison("new", "old"), Comparison("newer", "old"))
    found = told(Design(ROLL_BACK[:2], comparisons, ALPHA, BETA), TABLES, ("new", "newer"))

    shared = Sum(mp.mpf(1) / 4, 2 * (3 + 4))
    pairs = [played(each, TABLES[each.name], shared).log_e for each in ROLL_BACK[:2]]
    expected = float(mp.log(2 * mp.fsum(map(mp.exp, pairs)) / 4))
    assert close(found.rollback_log_evidence, expected)


def test_what_pauses_has_a_sum_of_its_own_and_what_reports_is_in_none() -> None:
    """Nor does the split, which rolls back, take from what pauses."""
    objectives = (
        ROLL_BACK[0],
        Objective("slow", Action.PAUSE, ratio=1.2, boundaries=3),
        Objective("unsafe", Action.PAUSE, limit=0.01),
        Objective("dear", Action.REPORT, limit=0.01),
    )
    design = Design(objectives, (Comparison("new", "old"),), ALPHA, BETA, checks_split=True)
    found = told(design, TABLES | {"dear": [ERRORS]})

    harm = played(objectives[0], [ERRORS], Sum(mp.mpf(1) / 2, 3 + 1)).log_e
    _, few = split(COMPLETIONS, ASKED, alpha=ALPHA, overdispersion=1, shared=Sum(mp.mpf(1) / 2, 3 + 1))
    pauses = [played(each, TABLES[each.name], Sum(mp.mpf(1) / 2, 4 + 2)).log_e for each in objectives[1:3]]
    assert close(found.rollback_log_evidence, float(mp.log((mp.exp(harm) + mp.exp(few)) / 2)))
    assert close(found.pause_log_evidence, float(mp.log(mp.fsum(map(mp.exp, pauses)) / 2)))


def test_where_only_the_split_can_roll_back_it_has_all_of_alpha() -> None:
    objective = Objective("errors", Action.PAUSE, margin=0.005)
    found = told(
        Design((objective,), (Comparison("new", "old"),), ALPHA, BETA, checks_split=True), {"errors": [ERRORS]}
    )

    _, few = split(COMPLETIONS, ASKED, alpha=ALPHA, overdispersion=1, shared=Sum(1, 1))
    assert close(found.rollback_log_evidence, float(few))
    assert found.answering[0].silent == (few >= -mp.log(ALPHA)) == found.rollback_breached


def test_without_a_reference_what_is_broken_stands_alone() -> None:
    objective = Objective("errors", limit=0.03)
    found = told(Design((objective,), (Comparison("new", None),), ALPHA, BETA), {"errors": [ERRORS]})

    expected = played(objective, [ERRORS], Sum(1, 1), alone=True)
    assert close(found.rollback_log_evidence, float(expected.log_e))
    assert expected.log_safe is not None
    assert close(found.findings[0].log_safe or math.nan, float(expected.log_safe))


def test_a_proof_of_safety_that_has_bad_windows_to_make_up_for_may_take_a_third_of_what_lacks() -> None:
    """The candidate gets better: what one window may bring is then more than half of ln(1/β)."""
    table: Table = [(300, 9, 2700, 27), (300, 24, 2700, 30), (4_000, 20, 9_000, 90), (4_000, 22, 9_000, 95)]
    objective = Objective("errors", margin=0.02)
    design = Design((objective,), (Comparison("new", "old"),), ALPHA, BETA)
    state = start(design)
    for k, (n_c, x_c, n_b, x_b) in enumerate(table):
        outcomes = {("errors", "new"): Outcomes(n_c, (x_c,), x_c), ("errors", "old"): Outcomes(n_b, (x_b,), x_b)}
        state = advance(design, state, Window(15.0 * k, 15.0 * k + 15, outcomes, {"new": 0.1, "old": 0.9}, True))
    (found,) = assess(design, state).findings

    exact = attempt(
        table, [], ratio=None, margin=0.02, limit=None, alpha=ALPHA, beta=BETA, overdispersion=1, shared=Sum(1, 2)
    ).log_safe
    assert exact is not None
    assert close(found.log_safe or math.nan, float(exact))


def test_a_bound_that_the_reference_breaks_too_counts_as_the_lesser_of_both() -> None:
    """Broken by much, and the reference by more: what is told is process A's share, and that it is broken."""
    outage: Table = [(100, 30, 900, 300), (120, 40, 880, 310), (210, 60, 790, 270), (190, 60, 810, 280)]
    objective = Objective("errors", limit=0.05)
    found = told(Design((objective,), (Comparison("new", "old"),), ALPHA, BETA), {"errors": [outage]})

    exact = played(objective, [outage], Sum(1, 2))
    broken = played(objective, [outage], Sum(mp.mpf(9) / 10, 2), alone=True)
    assert close(found.rollback_log_evidence, float(exact.log_e))
    assert float(exact.log_e) < 0
    assert broken.log_e > -mp.log(ALPHA)
    assert found.findings[0].reference_too


@pytest.mark.parametrize("overdispersion", [1.0, 4.0])
@pytest.mark.parametrize(
    "completions",
    [COMPLETIONS, [(0, 900), (0, 880), (0, 790), (0, 810)], [(300, 700), (200, 800), (0, 5), (900, 100)]],
    ids=["few", "none", "many"],
)
def test_the_split_is_told_as_the_oracle_plays_it(
    completions: list[tuple[float, float]], overdispersion: float
) -> None:
    design = Design(
        (Objective("errors", margin=0.005),), (Comparison("new", "old"),), ALPHA, BETA, overdispersion, True
    )  # fmt: skip
    state = start(design)
    for k, (asked, (mine, theirs)) in enumerate(zip(ASKED, completions, strict=True)):
        # A third arm takes a half: the share is that of the two.
        shares = {"new": asked / 2, "old": (1 - asked) / 2, "third": 0.5}
        arms = {"new": float(mine), "old": float(theirs), "third": 77.0}
        state = advance(design, state, Window(15.0 * k, 15.0 * k + 15, {}, shares, True, arms))
    (found,) = assess(design, state).answering

    shared = Sum(mp.mpf(1) / 2, 3)
    many, few = split(completions, ASKED, alpha=ALPHA, overdispersion=overdispersion, shared=shared)
    assert close(found.log_many, float(many))
    assert close(found.log_few, float(few))
    assert found.mismatch == (many >= -mp.log(ALPHA))
    assert found.silent == (few >= -mp.log(ALPHA / 2))
