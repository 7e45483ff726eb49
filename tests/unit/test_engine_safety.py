"""Proofs of safety: what they take, what they do not show, where they start afresh, and how bad it could still be."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from tests.oracle import processes as oracle

from modelroute.analysis.bounds import smallest_refuted
from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import MARGINS, Assessment, Knowledge, State, advance, assess, start, start_gate
from modelroute.analysis.layout import Kind, layout_of

ERRORS = Objective("errors", margin=0.02)
DESIGN = Design((ERRORS,), (Comparison("small", "large"),))


def window(
    k: int, small: tuple[float, ...] = (3, 300), large: tuple[float, ...] = (27, 2700), *,
    share: float = 0.1, name: str = "errors",
) -> Window:  # fmt: skip
    """(bad at each boundary …, total) of each arm."""
    outcomes = {
        (name, arm): Outcomes(counts[-1], counts[:-1], counts[0])
        for arm, counts in (("small", small), ("large", large))
    }
    return Window(5.0 * k - 5, 5.0 * k, outcomes, {"small": share, "large": 1 - share}, True)


def after(*windows: Window, design: Design = DESIGN) -> State:
    state = start(design)
    for each in windows:
        state = advance(design, state, each)
    return state


def known(*windows: Window, design: Design = DESIGN) -> Assessment:
    return assess(design, after(*windows, design=design))


def test_an_equal_candidate_is_proven_safe_by_some_windows() -> None:
    assert not known(window(1)).proven_safe
    found = known(*(window(k) for k in range(1, 12)))

    assert found.proven_safe
    assert found.findings[0].verdict is Knowledge.SAFE
    assert found.findings[0].requests_lacking == 0


def test_one_window_proves_nothing_however_good_it_is() -> None:
    assert not known(window(1, (0, 3000), (600, 27_000))).proven_safe


def test_a_candidate_worse_by_more_than_the_margin_is_not_proven_safe() -> None:
    assert not known(*(window(k, (13, 300)) for k in range(1, 60))).proven_safe


def test_seven_points_more_at_the_threshold_are_not_safe_at_two_whatever_the_tail_looks_like() -> None:
    """10 % against 3 % at the threshold, and far better than the reference at the boundaries above it."""
    design = Design((replace(ERRORS, boundaries=3),), DESIGN.comparisons)
    windows = [window(k, (30, 0, 0, 300), (81, 270, 270, 2700)) for k in range(1, 60)]

    assert not known(*windows, design=design).proven_safe


def test_harm_of_latency_is_seen_in_the_tail_as_well() -> None:
    design = Design((replace(ERRORS, margin=0.0, boundaries=3),), DESIGN.comparisons)
    windows = [window(k, (30, 20, 12, 300), (270, 60, 20, 2700)) for k in range(1, 12)]

    assert known(*windows, design=design).rollback_breached
    assert not known(*windows, design=Design((replace(ERRORS, margin=0.0),), DESIGN.comparisons)).rollback_breached


def test_every_objective_that_rolls_back_must_be_proven() -> None:
    other = Objective("slow", margin=0.02)
    report = Objective("cost", margin=0.02, action=Action.REPORT)
    pause = Objective("tone", margin=0.02, action=Action.PAUSE)

    def both(k: int) -> Window:
        first, second = window(k), window(k, (15, 300), name="slow")
        return replace(first, outcomes={**first.outcomes, **second.outcomes})

    windows = [both(k) for k in range(1, 12)]

    assert not known(*windows, design=Design((ERRORS, other), DESIGN.comparisons)).proven_safe
    assert known(*windows, design=Design((ERRORS, report, pause), DESIGN.comparisons)).proven_safe


def test_where_nothing_can_be_proven_nothing_is() -> None:
    report = Design((replace(ERRORS, action=Action.REPORT),), DESIGN.comparisons)

    assert not known(*(window(k) for k in range(1, 12)), design=report).proven_safe


@pytest.mark.parametrize(("bad", "proven"), [(3, True), (15, False)])
def test_a_limit_is_proven_by_its_own_process_turned_round(bad: int, proven: bool) -> None:
    design = Design((Objective("errors", limit=0.05),), DESIGN.comparisons)

    assert known(*(window(k, (bad, 300)) for k in range(1, 12)), design=design).proven_safe is proven


def test_a_proof_of_safety_is_not_carried_over_to_the_next_step() -> None:
    proven = after(*(window(k) for k in range(1, 12)))
    next_step = advance(DESIGN, proven, window(12, share=0.2))

    assert assess(DESIGN, proven).proven_safe
    assert not assess(DESIGN, next_step).proven_safe
    assert assess(DESIGN, next_step).findings[0].tally.windows == 12


def test_a_step_is_a_change_of_what_is_asked_of_either_arm() -> None:
    """A third arm takes of the reference's part: that is a new step for the candidate too."""
    proven = after(*(window(k) for k in range(1, 12)))
    less = replace(window(12), asked={"small": 0.1, "large": 0.5, "third": 0.4})
    same = replace(window(12), asked={"small": 0.1, "large": 0.9, "third": 0.0})

    assert not assess(DESIGN, advance(DESIGN, proven, less)).proven_safe
    assert assess(DESIGN, advance(DESIGN, proven, same)).proven_safe


def test_a_gate_without_a_change_of_the_split_starts_afresh_and_harm_goes_on() -> None:
    design = Design((replace(ERRORS, limit=0.5),), DESIGN.comparisons)
    proven = after(*(window(k) for k in range(1, 12)), design=design)
    gate = start_gate(design, proven)

    assert assess(design, proven).proven_safe
    assert assess(design, gate).findings[0].log_safe == 0
    assert assess(design, gate).rollback_log_evidence == assess(design, proven).rollback_log_evidence
    assert np.all(gate.bounds == 0)


def test_a_gate_begins_with_nothing_won_and_spends_most_on_its_first_window() -> None:
    (safe,) = layout_of(DESIGN).of(Kind.SAFE, 0)
    gate = start_gate(DESIGN, after(*(window(k) for k in range(1, 12))))
    once = advance(DESIGN, gate, window(12))
    twice = advance(DESIGN, once, window(13))

    assert gate.bank.log_e[safe] == 0
    assert not gate.bank.hits[safe].any()
    assert once.bank.log_unspent[safe] == pytest.approx(np.log(0.1), abs=2e-9)
    assert twice.bank.log_unspent[safe] == pytest.approx(np.log(0.1 * np.sqrt(20 / 21)), abs=2e-9)


def test_states_are_the_same_when_all_that_is_carried_is() -> None:
    state = after(window(1))
    bank = state.bank

    assert bank == replace(bank)
    for name in ("log_capital", "log_unspent", "windows", "bad", "total", "due"):
        assert bank != replace(bank, **{name: ~getattr(bank, name) if name == "due" else getattr(bank, name) + 1})
    assert bank != 3
    assert state == replace(state)
    assert state != replace(state, bounds=state.bounds + 1)
    assert state != replace(state, until=1e9)
    assert state != replace(state, bank=replace(bank, bad=bank.bad + 1))
    assert state != 3


def test_a_gate_without_a_change_of_the_split_spends_nothing_more_of_harms_capital() -> None:
    proven = after(*(window(k) for k in range(1, 5)))
    on, gate = (advance(DESIGN, state, window(5)) for state in (proven, start_gate(DESIGN, proven)))

    assert assess(DESIGN, gate).rollback_log_evidence == assess(DESIGN, on).rollback_log_evidence
    assert assess(DESIGN, gate).findings[0].log_safe != assess(DESIGN, on).findings[0].log_safe


def test_a_step_of_one_candidate_leaves_the_proof_of_another_alone() -> None:
    design = Design((ERRORS,), (Comparison("small", "large"), Comparison("tiny", "large")))

    def three(k: int, asked: dict[str, float]) -> Window:
        first = window(k)
        tiny = {("errors", "tiny"): Outcomes(300, (3,), 3)}
        return replace(first, outcomes={**first.outcomes, **tiny}, asked=asked)

    before = [three(k, {"small": 0.1, "tiny": 0.1, "large": 0.8}) for k in range(1, 12)]
    now = three(12, {"small": 0.1, "tiny": 0.2, "large": 0.8})
    found = known(*before, now, design=design)

    assert [finding.proven_safe for finding in found.findings] == [True, False]


def test_requests_lacking_shrink_to_nothing_where_safety_is_near_and_are_unknown_where_it_is_not() -> None:
    early, later = (
        known(*(window(k, (1, 100), (9, 900)) for k in range(1, n))).findings[0].requests_lacking for n in (2, 4)
    )
    never = known(*(window(k, (20, 300)) for k in range(1, 20))).findings[0].requests_lacking

    assert early is not None
    assert later is not None
    assert 0 < later < early < 20_000
    assert never is None


@pytest.mark.parametrize("overdispersion", [1.0, 2.5])
@pytest.mark.parametrize(
    ("objective", "windows"),
    [
        (Objective("errors", margin=0.02), 1),
        (Objective("errors", ratio=1.5, prior_rate=0.05), 2),
        (Objective("errors", limit=0.05), 1),
        (Objective("errors", margin=0.02, limit=0.05), 1),
        (Objective("errors", margin=0.1, limit=0.015), 1),
    ],
)
def test_requests_lacking_are_what_lacks_by_what_the_best_alternative_gains(
    objective: Objective, windows: int, overdispersion: float
) -> None:
    """Per request, at the rates seen so far: of the slower of both, where both have to be proven."""
    design = Design((objective,), DESIGN.comparisons, overdispersion=overdispersion)
    (found,) = known(*(window(k, (1, 200), (18, 1800)) for k in range(1, windows + 1)), design=design).findings
    n, x, n_b, x_b = (windows * each for each in (200, 1, 1800, 18))
    gains = []
    if objective.limit is None or objective.margin is not None:
        guess = (0.5 + mp.mpf(x_b)) / (0.5 / objective.prior_rate + n_b)
        one = (1, x / n, n_b / n, x_b / n)
        allowed = (objective.ratio or 1, objective.margin or 0)
        gains.append(max(oracle.two_arm_factor(one, guess, 1 / psi, *allowed) for psi in oracle.grid()))
    if objective.limit is not None:
        limit = mp.mpf(objective.limit)
        gains.append(
            max(oracle.log_ratio(mp.mpf(x) / n, 1, oracle.with_odds(limit, 1 / psi), limit) for psi in oracle.grid())
        )

    assert not found.proven_safe
    assert found.log_safe is not None
    lacks = -mp.log(mp.mpf(0.05)) - found.log_safe
    assert found.requests_lacking == pytest.approx(float(lacks / (min(gains) / overdispersion)), rel=1e-9)


def test_where_nothing_is_to_be_proven_no_requests_are_lacking_for_it() -> None:
    pause = Design((replace(ERRORS, action=Action.PAUSE),), DESIGN.comparisons)
    (found,) = known(window(1), design=pause).findings

    assert found.log_safe is None
    assert found.requests_lacking is None
    assert not found.proven_safe


def test_requests_lacking_are_unknown_before_both_arms_were_counted() -> None:
    nothing, alone = known().findings[0], known(window(1, (0, 0), (27, 2700))).findings[0]

    assert nothing.requests_lacking is None
    assert alone.requests_lacking is None


def test_how_bad_it_could_still_be_shrinks_as_requests_come() -> None:
    few, many = (known(*(window(k) for k in range(1, n))).findings[0].worst_difference for n in (6, 60))

    assert few is not None
    assert many is not None
    assert many < few <= 0.05
    assert known().findings[0].worst_difference is None


@pytest.mark.parametrize("worse", [0.012, 0.0119, 0.01, 0.009])
def test_how_bad_it_could_still_be_is_below_the_truth_in_at_most_5_percent_of_gates(worse: float) -> None:
    """The candidate is worse by so much in every window: on the grid, just below a margin of it, and in between."""
    chance = np.random.default_rng(31)
    runs, below = 100, 0
    for _ in range(runs):
        state = start(DESIGN)
        for k in range(1, 21):
            state = advance(
                DESIGN, state, window(k, (chance.binomial(300, 0.01 + worse), 300), (chance.binomial(2700, 0.01), 2700))
            )
            worst = assess(DESIGN, state).findings[0].worst_difference
            if worst is not None and worst <= worse:
                below += 1
                break

    assert below <= 5, f"{below} of {runs} gates"


def test_a_margin_counts_as_refuted_only_with_all_larger_ones() -> None:
    log_e = np.full(len(MARGINS), 4.0)
    log_e[3] = 1.0

    assert smallest_refuted(log_e, 0.05) == MARGINS[4]
    assert smallest_refuted(np.full(len(MARGINS), 4.0), 0.05) == MARGINS[0]
    assert np.isnan(smallest_refuted(np.zeros(len(MARGINS)), 0.05))


def test_a_candidate_as_bad_as_the_margin_is_called_safe_in_at_most_5_percent_of_gates() -> None:
    chance = np.random.default_rng(32)
    runs, wrong = 100, 0
    for _ in range(runs):
        state = start(DESIGN)
        for k in range(1, 21):
            state = advance(
                DESIGN, state, window(k, (chance.binomial(300, 0.03), 300), (chance.binomial(2700, 0.01), 2700))
            )
            if assess(DESIGN, state).proven_safe:
                wrong += 1
                break

    assert wrong <= 5, f"{wrong} of {runs} gates"


def test_a_candidate_that_gets_better_in_the_middle_of_a_gate_is_proven_safe_in_the_end() -> None:
    bad = [window(k, (90, 300)) for k in range(1, 20)]
    good = [window(k) for k in range(20, 60)]

    assert not known(*bad).proven_safe
    assert known(*bad, *good).proven_safe
