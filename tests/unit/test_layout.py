"""Which processes a design has, what each weighs, and how much a window may bring it."""

from __future__ import annotations

import math

import pytest

from modelroute.analysis.design import Action, Comparison, Design, Objective
from modelroute.analysis.layout import Kind, gating, layout_of, least_cap, shares
from modelroute.analysis.mixture import ALTERNATIVES, INVERTED

SMALL, TINY, ALONE = Comparison("small", "large"), Comparison("tiny", "large"), Comparison("new", None)
OBJECTIVES = (
    Objective("errors", margin=0.005, limit=0.03),
    Objective("slow", ratio=1.2, boundaries=3),
    Objective("unsafe", limit=0.01),
    Objective("tone", Action.PAUSE, margin=0.3, limit=0.4),
    Objective("cost", Action.REPORT, margin=0.02),
)
ALL = Design(OBJECTIVES, (SMALL, TINY), alpha=0.04, beta=0.02, checks_split=True)
COMPARING = {Kind.MAIN, Kind.FAST, Kind.BOTH}
"""Of a pair with a reference these add up to its weight; `LIMIT` only holds there."""


@pytest.mark.parametrize(
    ("design", "parts", "processes"),
    [
        # For each of two candidates: margin, max and fast; three boundaries and fast; max and fast; and its answering.
        (ALL, {Action.ROLL_BACK: 8, Action.PAUSE: 2}, {Action.ROLL_BACK: 2 * (3 + 4 + 2) + 2, Action.PAUSE: 2 * 3}),
        (Design(OBJECTIVES[:1], (SMALL,)), {Action.ROLL_BACK: 1, Action.PAUSE: 0}, {Action.ROLL_BACK: 3}),
        (Design(OBJECTIVES[4:], (SMALL,), checks_split=True), {Action.ROLL_BACK: 1}, {Action.ROLL_BACK: 1}),
        (Design(OBJECTIVES[2:3], (ALONE,)), {Action.ROLL_BACK: 1}, {Action.ROLL_BACK: 1}),
        (Design(OBJECTIVES[:3], (ALONE,), checks_split=True), {Action.ROLL_BACK: 2}, {Action.ROLL_BACK: 2}),
    ],
)
def test_alpha_is_shared_by_what_decides_and_each_has_its_part(
    design: Design, parts: dict[Action, int], processes: dict[Action, int]
) -> None:
    layout = layout_of(design)

    assert {action: shares(design, action) for action in parts} == parts
    assert {action: gating(design, action) for action in processes} == processes
    for action, count in processes.items():
        cap = math.log(count / design.alpha) / 3
        assert least_cap(design, action) == pytest.approx(cap, rel=1e-14)
        mine = [row for row in layout.rows if row.kind in {Kind.MAIN, Kind.BOTH, Kind.LIMIT}
                and layout.pairs[row.owner].objective.action is action]  # fmt: skip
        assert {row.cap for row in mine} <= {least_cap(design, action)}
        decides = {Kind.LIMIT} if design.comparisons == (ALONE,) else COMPARING
        weights = [
            row.weight for row in layout.rows
            if (row.kind in decides and layout.pairs[row.owner].objective.action is action)
            or (row.kind is Kind.FEW and action is Action.ROLL_BACK)
        ]  # fmt: skip
        assert math.fsum(weights) == pytest.approx(1.0, rel=1e-12)


def test_of_a_pair_the_fast_path_has_a_tenth_and_forms_and_boundaries_share_the_rest_alike() -> None:
    layout = layout_of(ALL)

    def weights(name: str, kind: Kind) -> list[float]:
        (pair,) = (i for i, each in enumerate(layout.pairs) if (each.objective.name, each.comparison) == (name, SMALL))
        return [layout.rows[row].weight for row in layout.of(kind, pair)]

    assert weights("errors", Kind.FAST) == pytest.approx([0.1 / 8])
    assert weights("errors", Kind.MAIN) == weights("errors", Kind.BOTH) == pytest.approx([0.45 / 8])
    assert weights("slow", Kind.MAIN) == pytest.approx([0.3 / 8] * 3)
    assert weights("unsafe", Kind.BOTH) == weights("unsafe", Kind.LIMIT) == pytest.approx([0.9 / 8])
    assert [layout.rows[row].boundary for row in layout.of(Kind.MAIN, 2)] == [0, 1, 2]
    at_the_threshold = {row.boundary for row in layout.rows if row.kind in {Kind.FAST, Kind.SAFE}}
    assert at_the_threshold == {0}, "averaging over boundaries proves nothing, and the fast path has one"
    assert weights("tone", Kind.MAIN) == pytest.approx([0.45 / 2])
    assert weights("slow", Kind.BOTH) == weights("unsafe", Kind.MAIN) == weights("unsafe", Kind.SAFE) == []
    assert weights("tone", Kind.SAFE) == [], "a proof is asked only of what rolls back"


def test_each_kind_of_process_has_its_bets_its_level_and_its_most() -> None:
    layout = layout_of(ALL)
    inverted = {Kind.SAFE, Kind.FEW}
    for index, row in enumerate(layout.rows):
        assert layout.alternatives[index].tolist() == (INVERTED if row.kind in inverted else ALTERNATIVES).tolist()
        assert layout.two_arm[index] == (row.kind in {Kind.MAIN, Kind.FAST, Kind.SAFE, Kind.BOTH})
        assert layout.both[index] == (row.kind is Kind.BOTH)
        assert layout.at_once[index] == (row.kind is Kind.SAFE)
        assert layout.thirds[index] == (row.kind in {Kind.SAFE, Kind.BOTH})
        assert row.level == (0.02 if row.kind is Kind.SAFE else 0.04)
        assert layout.log_goal[index] == pytest.approx(-math.log(row.level * row.weight), rel=1e-14)
        assert layout.cap[index] == row.cap
        assert index in layout.of(row.kind, row.owner)
    caps = {kind: {row.cap for row in layout.rows if row.kind is kind} for kind in Kind}
    assert caps[Kind.FAST] == caps[Kind.MANY] == {math.inf}
    assert list(caps[Kind.SAFE]) == pytest.approx([math.log(50) / 2])
    assert caps[Kind.FEW] == {least_cap(ALL, Action.ROLL_BACK)}
    assert {row.weight for row in layout.rows if row.kind in {Kind.SAFE, Kind.MANY}} == {1.0}
    assert {row.weight for row in layout.rows if row.kind is Kind.FEW} == {1 / 8}


def test_the_null_of_each_process_is_what_its_objective_allows() -> None:
    """(r, δ) by objective and kind; for the fast path 20 points, or what the objective allows where that is more."""
    layout = layout_of(Design((*OBJECTIVES, Objective("odd", limit=0.5, prior_rate=0.2)), (SMALL,)))
    found = {
        (layout.pairs[row.owner].objective.name, row.kind): (ratio, margin, prior)
        for row, ratio, margin, prior in zip(
            layout.rows, layout.ratio.tolist(), layout.margin.tolist(), layout.prior_rate.tolist(), strict=True
        )
    }

    assert found["errors", Kind.MAIN] == found["errors", Kind.SAFE] == (1.0, 0.005, 0.01)
    assert found["errors", Kind.FAST] == (1.0, 0.2, 0.01)
    assert found["errors", Kind.BOTH] == (1.0, 0.0, 0.01)
    assert found["errors", Kind.LIMIT] == (1.0, 0.03, 0.01)
    assert found["slow", Kind.MAIN] == (1.2, 0.0, 0.01)
    assert found["slow", Kind.FAST] == (1.2, 0.2, 0.01)
    assert found["tone", Kind.FAST] == (1.0, 0.3, 0.01)
    assert found["odd", Kind.FAST] == (1.0, 0.5, 0.2)
    assert found["odd", Kind.BOTH] == (1.0, 0.0, 0.2)
