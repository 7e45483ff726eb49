"""The last step that compares a candidate with its reference is not left in doubt (docs/adr/0010)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.test_machine import NEWER, World, plan

from modelroute.analysis.design import Objective
from modelroute.analysis.engine import assess
from modelroute.rollout.decision import Phase
from modelroute.rollout.evidence_gates import no_comparison_ends_in_doubt
from modelroute.rollout.lack import View
from modelroute.rollout.reasons import Reason

MARGIN = (Objective("errors", margin=0.05),)


def at(step: int, mine: tuple[float, float], theirs: tuple[float, float], **changes: object) -> View:
    """In the step of that index of three, a version that replaces another: bad and all of each, nothing else known."""
    world = World(plan(10_000, objectives=MARGIN))
    world.run_until(Phase.STABLE)
    world.plan = plan(10_000, NEWER, objectives=MARGIN, **changes)
    world.run_until(Phase.PROGRESSING)
    assert world.record is not None
    attempt = world.record.attempt
    (pair,) = attempt.design.comparisons
    counts = {("errors", pair.candidate): mine, ("errors", str(pair.reference)): theirs}
    record = replace(world.record, progress=replace(world.record.progress, step=step, step_counts=counts))
    return View(world.observation(), record, assess(attempt.design, record.progress.engine), world.now)


@pytest.mark.parametrize(
    ("step", "mine", "theirs", "doubt"),
    [
        pytest.param(1, (30, 60), (2, 20), True, id="half of them beside a few that were bad by chance"),
        pytest.param(1, (38, 84), (1, 12), True, id="as in the soak before ADR 9"),
        pytest.param(0, (30, 60), (2, 20), False, id="the next step compares them as well"),
        pytest.param(2, (30, 60), (0, 0), False, id="nothing to compare with any more: another check's"),
        pytest.param(1, (30, 60), (0, 0), False, id="the reference has yet to answer: another check's"),
        pytest.param(1, (1, 20), (0, 20), False, id="as chance has it"),
        pytest.param(1, (60, 1_000), (10, 1_000), False, id="just what is allowed"),
        pytest.param(1, (90, 1_000), (10, 1_000), True, id="more than is allowed"),
        pytest.param(1, (0, 20), (20, 20), False, id="better"),
    ],
)
def test_what_the_counts_of_the_step_say_holds_where_no_more_of_them_come(
    step: int, mine: tuple[float, float], theirs: tuple[float, float], doubt: bool
) -> None:
    lack = no_comparison_ends_in_doubt(at(step, mine, theirs))

    assert (lack is not None) == doubt
    if lack is not None:
        assert (lack.phase, lack.reason) == (Phase.HOLDING, Reason.HARM_SUSPECTED)
        assert f"{mine[0]} of {mine[1]:,} bad by" in lack.message
        assert f"against {theirs[0]} of {theirs[1]:,} by" in lack.message


def test_the_last_step_of_a_shift_ends_the_comparison_as_well() -> None:
    """The reference keeps its traffic, but after the promotion nobody holds the two against each other."""
    world = World(plan(4_000, objectives=MARGIN))
    world.run_until(Phase.PROGRESSING)
    assert world.record is not None
    attempt, held = world.record.attempt, []
    for step in range(len(attempt.steps)):
        counts = {("errors", "small"): (30.0, 60.0), ("errors", "large"): (2.0, 20.0)}
        record = replace(world.record, progress=replace(world.record.progress, step=step, step_counts=counts))
        view = View(world.observation(), record, assess(attempt.design, record.progress.engine), world.now)
        held.append(no_comparison_ends_in_doubt(view) is not None)

    assert held == [False, False, True]
