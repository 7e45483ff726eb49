"""What is told of where the evidence stands: whose share of α it is, who is silent, and the words for it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import Assessment, Knowledge, advance, assess, start

Counts = tuple[float, float]
PAIR = (Comparison("small", "large"),)


def window(
    k: int, small: Counts, large: Counts = (9, 900), *, names: tuple[str, ...] = ("errors",), share: float = 0.1,
    completions: dict[str, float] | None = None,
) -> Window:  # fmt: skip
    """(bad, total) of each arm, the same for all objectives."""
    arms = {"small": small, "tiny": small, "large": large}
    outcomes = {(name, arm): Outcomes(n, (x,), x) for name in names for arm, (x, n) in arms.items()}
    asked = {"small": share, "tiny": share, "large": 1 - 2 * share}
    return Window(5.0 * k - 5, 5.0 * k, outcomes, asked, True, completions or {})


def looks(design: Design, *windows: Window) -> list[Assessment]:
    state, found = start(design), []
    for each in windows:
        state = advance(design, state, each)
        found.append(assess(design, state))
    return found


@pytest.mark.parametrize("count", [1, 8])
def test_an_objective_is_harmful_by_itself_once_its_share_of_alpha_is_used_up(count: int) -> None:
    """Its own evidence has to be as many times 1/α as there are objectives."""
    names = tuple(f"errors {index}" for index in range(count))
    design = Design(tuple(Objective(name, margin=0.005) for name in names), PAIR)
    found = looks(design, *(window(k, (4, 100), names=names) for k in range(1, 60)))
    logs = [each.findings[0].log_e for each in found]
    needed = found[0].log_limit + math.log(count)

    assert [each.findings[0].knowledge is Knowledge.HARMFUL for each in found] == [log >= needed for log in logs]
    assert min(logs) < needed <= max(logs)
    assert any(abs(log - needed) < math.log(2) for log in logs)


@pytest.mark.parametrize("action", [Action.REPORT, Action.ROLL_BACK])
def test_a_candidate_is_silent_by_itself_once_its_share_of_alpha_is_used_up(action: Action) -> None:
    """Alone, where the objective only reports; else it shares α with that."""
    design = Design((Objective("errors", action, margin=0.005),), PAIR, checks_split=True)
    completions = {"small": 76.0, "large": 800.0}
    found = looks(design, *(window(k, (0, 100), completions=completions) for k in range(1, 40)))
    needed = found[0].log_limit + math.log(1 if action is Action.REPORT else 2)
    logs = [each.answering[0].log_few for each in found]

    assert [each.answering[0].silent for each in found] == [log >= needed for log in logs]
    assert min(logs) < needed <= max(logs)
    assert any(0 <= log - needed < math.log(2) for log in logs)
    assert any(0 <= needed - log < math.log(2) for log in logs)


@pytest.mark.parametrize("silent", ["small", "tiny"])
def test_of_two_candidates_the_one_that_does_not_answer_is_named_with_its_reference(silent: str) -> None:
    design = Design((Objective("errors", margin=0.005),), (*PAIR, Comparison("tiny", "large")), checks_split=True)
    completions = {"small": 100.0, "tiny": 100.0, "large": 800.0, silent: 0.0}
    worst = looks(design, *(window(k, (0, 100), completions=completions) for k in range(1, 5)))[-1].most_silent

    assert worst is not None
    assert (worst.candidate, worst.reference) == (silent, "large")


def test_a_reference_that_had_no_requests_is_not_named_among_the_counts() -> None:
    alone = replace(window(1, (3, 100), (0, 0)), asked={"small": 1.0})
    (told,) = looks(Design((Objective("errors", limit=0.05),), PAIR), alone)
    (both,) = looks(Design((Objective("errors", limit=0.05),), PAIR), window(1, (3, 100)))

    assert told.findings[0].in_words() == "3 of 100 bad"
    assert both.findings[0].in_words() == "3 of 100 bad against 9 of 900 by large"


def test_evidence_beyond_all_that_a_float_can_hold_is_added_up_like_any_other() -> None:
    (found,) = looks(Design((Objective("errors", margin=0.005),), PAIR), window(1, (1e6, 1e6), (0, 1e6)))

    assert found.rollback_breached
    assert 1e5 < found.rollback_log_evidence < 1e7


@pytest.mark.parametrize(
    ("small", "large", "known"),
    [((0, 1), (0, 1), True), ((0, 1), (0, 0), False), ((0, 0), (0, 1), False), ((3, 300), (0, 0), False)],
)
@pytest.mark.parametrize("limit", [None, 0.05])
def test_what_is_lacking_is_known_from_the_first_request_of_both_arms_on(
    small: Counts, large: Counts, limit: float | None, known: bool
) -> None:
    (found,) = looks(Design((Objective("errors", margin=0.02, limit=limit),), PAIR), window(1, small, large))

    assert (found.findings[0].requests_lacking is not None) is known


def test_of_a_limit_alone_too_what_is_lacking_is_known_from_the_first_request_on() -> None:
    (found,) = looks(Design((Objective("errors", limit=0.05),), (Comparison("small", None),)), window(1, (0, 1)))

    assert found.findings[0].requests_lacking is not None
