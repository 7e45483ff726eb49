"""The split on the wire against the one asked for: too many, too few, none at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelroute.analysis.counts import least_level, recent_after
from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import Assessment, State, advance, assess, start
from modelroute.analysis.layout import Kind, layout_of

DESIGN = Design((Objective("errors", margin=0.005),), (Comparison("small", "large"),), checks_split=True)


def window(
    k: int, small: float | None, large: float | None = 900, *, share: float = 0.1, settled: bool = True
) -> Window:
    completions = {arm: count for arm, count in (("small", small), ("large", large)) if count is not None}
    outcomes = {("errors", arm): Outcomes(count, (0.0,), 0.0) for arm, count in completions.items()}
    return Window(5.0 * k - 5, 5.0 * k, outcomes, {"small": share, "large": 1 - share}, settled, completions)


def after(*windows: Window, design: Design = DESIGN) -> State:
    state = start(design)
    for each in windows:
        state = advance(design, state, each)
    return state


def known(*windows: Window, design: Design = DESIGN) -> Assessment:
    return assess(design, after(*windows, design=design))


def test_the_split_that_was_asked_for_raises_nothing() -> None:
    found = known(*(window(k, 100) for k in range(1, 100)))

    assert not found.rollback_breached
    assert not found.answering[0].mismatch
    assert found.most_silent is None


@pytest.mark.parametrize("small", [93, 107])
def test_within_a_tenth_of_the_asked_share_nothing_is_said_however_long_it_lasts(small: float) -> None:
    found = known(*(window(k, small) for k in range(1, 400)))

    assert not found.rollback_breached
    assert not found.answering[0].mismatch


def test_a_candidate_that_never_answers_while_its_reference_does_is_harm() -> None:
    found = known(*(window(k, 0) for k in range(1, 6)))

    assert found.rollback_breached
    assert found.most_silent is not None
    assert found.most_silent.candidate == "small"
    assert found.answering[0].silent


def test_a_candidate_that_stops_answering_after_hours_of_health_is_harm() -> None:
    healthy = [window(k, 100) for k in range(1, 700)]

    assert known(*healthy, *(window(k, 0) for k in range(700, 708))).rollback_breached


def test_one_silent_window_decides_nothing() -> None:
    assert not known(*(window(k, 100) for k in range(1, 20)), window(20, 0)).rollback_breached


def test_too_many_completions_are_a_mismatch_and_no_harm() -> None:
    found = known(*(window(k, 180, 820) for k in range(1, 30)))

    assert found.answering[0].mismatch
    assert not found.rollback_breached


def test_where_the_reference_does_not_answer_the_candidate_is_not_to_blame() -> None:
    found = known(*(window(k, 100, 0) for k in range(1, 30)))

    assert found.answering[0].mismatch
    assert not found.rollback_breached


def test_a_third_arm_that_dies_changes_nothing_for_the_others() -> None:
    """Half of the traffic is a third arm's, and that is gone: the candidate still has a tenth of what its pair does."""
    state = start(DESIGN)
    for k in range(1, 100):
        each = window(k, 50, 450)
        state = advance(DESIGN, state, Window(each.start, each.end, each.outcomes,
                        {"small": 0.05, "large": 0.45, "third": 0.5}, True, each.completions))  # fmt: skip

    assert not assess(DESIGN, state).answering[0].mismatch
    assert not assess(DESIGN, state).rollback_breached


@pytest.mark.parametrize(
    "silent",
    [
        window(1, 0, settled=False),
        window(1, None),
        window(1, 0, None),
        window(1, 0, share=1.0),
        window(1, 10, share=0.0),
        replace(window(1, 0), asked={"small": 1.0}),
        replace(window(1, 10), asked={"large": 1.0}),
    ],
    ids=["settling", "candidate unknown", "reference unknown", "nothing asked of the reference",
         "nothing asked of the candidate", "reference not named", "candidate not named"],
)  # fmt: skip
def test_what_says_nothing_of_the_split_moves_no_evidence(silent: Window) -> None:
    state = after(silent)

    assert bet_on(state) == {Kind.MANY: 0, Kind.FEW: 0}
    assert (assess(DESIGN, state).answering[0].log_few, assess(DESIGN, state).answering[0].log_many) == (0, 0)


def bet_on(state: State) -> dict[Kind, int]:
    """The windows that either process of the split has bet on."""
    layout = layout_of(DESIGN)
    return {kind: int(state.bank.windows[layout.of(kind, 0)[0]]) for kind in (Kind.MANY, Kind.FEW)}


def test_more_than_all_cannot_be_too_many() -> None:
    """At 95 % of what both are asked for, 1.1 times the share is above 1: only too few can be seen."""
    state = after(window(1, 950, 50, share=0.95))

    assert bet_on(state) == {Kind.MANY: 0, Kind.FEW: 1}


def test_what_watches_one_arm_counts_no_reference() -> None:
    state = after(window(1, 100))
    rows = [layout_of(DESIGN).of(kind, 0)[0] for kind in (Kind.MANY, Kind.FEW)]

    assert [(state.bank.bad[row], state.bank.total[row]) for row in rows] == [(0, 0), (0, 0)]


def test_the_split_has_a_share_of_alpha_like_one_more_objective() -> None:
    windows = [window(k, 100) for k in range(1, 10)]
    with_it = known(*windows)
    without = known(*windows, design=Design(DESIGN.objectives, DESIGN.comparisons))

    assert without.answering == ()
    assert with_it.rollback_log_evidence != without.rollback_log_evidence


def test_a_step_of_one_candidate_forgets_what_its_reference_completed_before_and_another_keeps_its_own() -> None:
    two = replace(DESIGN, comparisons=(Comparison("small", "large"), Comparison("tiny", "large")))

    def three(k: int, tiny: float) -> Window:
        first = window(k, 100, 900 + k)
        return replace(first, asked={**first.asked, "tiny": tiny}, completions={**first.completions, "tiny": 10})

    state = after(three(1, 0.1), three(2, 0.1), three(3, 0.2), design=two)

    assert state.recent == ((901.0, 902.0, 903.0), (903.0,))


@pytest.mark.parametrize(("seconds", "kept"), [(15.0, 20), (7.0, 43), (300.0, 1), (600.0, 1), (0.25, 300)])
def test_what_a_reference_completed_is_kept_for_five_minutes_of_windows(seconds: float, kept: int) -> None:
    """At times that unix seconds have; of windows of less than a second as many as if they took one."""
    (recent,) = start(DESIGN).recent
    for k in range(400):
        begun = 1.8e9 + seconds * k
        told = replace(window(1, 100, k), start=begun, end=begun + seconds)
        (recent,) = recent_after(layout_of(DESIGN), (recent,), told)

    assert recent == tuple(map(float, range(400 - kept, 400)))


@pytest.mark.parametrize(
    ("recent", "level"),
    [
        ((900.0, 700.0, 800.0), 700.0),  # each window has requests enough to be told by itself
        ((30.0, 20.0, 10.0, 40.0), 15.0),  # 25 in the mean: two on end
        ((2.0, 0.0, 4.0, 2.0), 2.0),  # 50 are not there yet: all of them
        ((50.0, 50.0), 50.0),
        ((48.0, 51.0), 49.5),  # half a request too few in the mean: two on end
        ((48.0, 53.0), 48.0),  # half a request more than it takes
        ((0.0, 0.0, 0.0), 0.0),
        ((7.0,), 7.0),
    ],
)
def test_the_quietest_part_is_the_least_of_as_many_windows_on_end_as_hold_fifty_requests(
    recent: tuple[float, ...], level: float
) -> None:
    assert least_level(recent) == pytest.approx(level)
