"""Windows that are judged as one for a `max`: what both halves say, how a block goes on, ends and is undone."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from tests.oracle import processes as oracle

from modelroute.analysis.blocks import Block, after, base_of, guesses, log_e_halves, so_far
from modelroute.analysis.mixture import ALTERNATIVES, POINTS

Counts = tuple[float, float, float, float]
PLACES = [0, 7, 15]
"""Alternatives that are looked at: the smallest, one in the middle, the largest."""


def exact(counts: Counts, guess: float, limit: float) -> tuple[list[float], list[float]]:
    """(own, against) by tests/oracle: one bet, ψ times the odds of the higher of p0 and b̂, against each of the two."""
    n, x, n_b, _ = counts
    own, against = [], []
    for place in PLACES:
        top = max(limit, guess) if n_b > 0 else limit
        rate = oracle.with_odds(mp.mpf(top), oracle.grid()[place])
        own.append(float(oracle.log_ratio(mp.mpf(x), mp.mpf(n), rate, mp.mpf(limit))))
        factor = oracle.two_arm_factor(counts, mp.mpf(guess), 0, 1, 0, rate)
        against.append(float(factor) if n_b > 0 else own[-1])
    return own, against


TABLES: list[tuple[Counts, float, float]] = [
    ((15, 2, 135, 3), 0.02, 0.05),  # the reference is thought to be within the limit
    ((15, 2, 135, 40), 0.2, 0.05),  # and above it
    ((15, 2, 0, 0), 0.02, 0.05),  # asked for nothing
    ((15, 2, 0, 0), 0.2, 0.05),
    ((15, 0, 0.5, 0), 0.2, 0.05),
    ((15, 15, 135, 0), 0.01, 0.3),
]


def test_both_halves_are_shown_one_bet_and_without_a_reference_the_limit_stands_alone() -> None:
    tables, guess, limit = (np.array(column, dtype=np.float64) for column in zip(*TABLES, strict=True))
    found = log_e_halves(tables, guess, limit, np.tile(ALTERNATIVES, (len(TABLES), 1)))

    for line, each in enumerate(TABLES):
        own, against = exact(*each)
        assert found.own[line, PLACES] == pytest.approx(own, abs=1e-9)
        assert found.against[line, PLACES] == pytest.approx(against, abs=1e-9)
        assert found.lesser[line, PLACES] == pytest.approx(np.minimum(own, against), abs=1e-9)


@pytest.mark.parametrize("guess", [0.02, 0.2], ids=["within the limit", "above the limit"])
@pytest.mark.parametrize("reference", [0.0, 0.5, 135.0])
def test_an_open_block_says_by_itself_what_its_windows_said_one_by_one(guess: float, reference: float) -> None:
    """Of the candidate against p0 the sums suffice; the rest is as it was kept. One that begins has said nothing."""
    kept = tuple(0.25 * place for place in range(POINTS))
    blocks = [None, Block(total=40, bad=3, guess=guess, against=kept)]
    now = np.array([[15, 2, reference, 0.0]] * 2)
    found = so_far(blocks, now, np.array([0.05, 0.05]), np.tile(ALTERNATIVES, (2, 1)))

    own, _ = exact((40, 3, reference, 0), guess, 0.05)
    assert found.own[0].tolist() == found.against[0].tolist() == [0.0] * POINTS
    assert found.own[1, PLACES] == pytest.approx(own, abs=1e-9)
    assert tuple(found.against[1]) == kept
    assert guesses(blocks, np.array([0.3, 0.4])).tolist() == [0.3, guess], "a block stays with its own bet"


def test_where_no_block_is_open_nothing_was_said() -> None:
    found = so_far([], np.zeros((0, 4)), np.zeros(0), np.zeros((0, POINTS)))

    assert found.own.shape == found.against.shape == (0, POINTS)


@pytest.mark.parametrize(
    ("block", "counts", "limit", "total_bad"),
    [
        (None, (15, 2), 0.05, (15, 2)),
        (Block(15, 2, 0.02, (0.0,) * POINTS), (20, 3), 0.05, (35, 5)),
        (Block(15, 2, 0.02, (0.0,) * POINTS), (44.9, 0), 0.05, (59.9, 2)),
        (None, (60, 0), 0.05, None),  # three bad answers are allowed in 60
        (None, (59, 59), 0.05, (59, 59)),  # it is the requests that fill it
        (Block(45, 2, 0.02, (0.0,) * POINTS), (15, 0), 0.05, None),
        (Block(45, 2, 0.02, (0.0,) * POINTS), (15, 0), 0.04, (60, 2)),
    ],
)
def test_a_block_is_full_once_three_bad_answers_would_be_allowed_in_it(
    block: Block | None, counts: tuple[float, float], limit: float, total_bad: tuple[float, float] | None
) -> None:
    found = after(block, counts, limit, 0.02, np.zeros(POINTS))

    assert (found and (found.total, found.bad)) == total_bad
    assert found is None or found.guess == 0.02


@pytest.mark.parametrize("value", [0.1234567891, 2.7182818284, -0.1234567891, -2.7182818284, 0.0])
def test_what_a_block_keeps_is_short_and_at_most_what_was_said(value: float) -> None:
    found = after(None, (15, 2), 0.05, 0.02, np.full(POINTS, value))

    assert found is not None
    (kept,) = set(found.against)
    assert value - 1e-9 < kept <= value
    assert len(repr(abs(kept)).partition(".")[2]) <= 9


@pytest.mark.parametrize(
    ("gained", "cap", "goal", "grown"),
    [
        (0.5, 1.0, 6.0, 0.5),  # all of it
        (-2.0, 1.0, 6.0, -2.0),
        (9.0, 1.0, 6.0, 8 / 3),  # a third of what was lacking
        (9.0, 3.0, 6.0, 3.0),  # the cap, which is more
        (9.0, 1.0, -3.0, 1.0),  # nothing was lacking
        (2.9, 3.0, 6.0, 2.9),
    ],
)
def test_what_a_block_began_with_is_what_it_grew_from(gained: float, cap: float, goal: float, grown: float) -> None:
    """It began with ln E = −2, and a window brings at most the cap or a third of what lacks."""
    now = np.array([[-2.0 + grown, -math.inf]])
    found = base_of(now, np.array([[gained, gained]]), np.array([cap]), np.array([goal]))

    assert found[0, 0] == pytest.approx(-2.0, abs=1e-12)
    assert found[0, 1] == -math.inf, "nothing was spent and nothing is there"
