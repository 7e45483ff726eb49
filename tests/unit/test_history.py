"""The windows that a ModelRollout keeps."""

from __future__ import annotations

from tests.fakes import World, in_phase, run_until

from modelroute.analysis.design import Outcomes
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.controller.history import WINDOWS_KEPT, windows_after
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.reasons import Reason


def reading(end: float) -> WindowReading:
    outcomes = {("errors", "small"): Outcomes(120, (3,), 3), ("errors", "large"): Outcomes(480, (1,), 1)}
    return WindowReading(end - 5, end, outcomes, {}, (Unknown(Reason.JUDGE_SILENT, "no judge answered", "safety"),))


def test_a_window_is_told_in_one_line() -> None:
    (told,) = windows_after(ModelRolloutStatus(), [reading(1_767_355_200.0)], 2)

    assert told.counts == "errors/large=1/480 errors/small=3/120"
    assert (told.step, told.note) == (2, "JudgeSilent: no judge answered")


def test_only_the_last_windows_are_kept() -> None:
    status = ModelRolloutStatus(windows=windows_after(ModelRolloutStatus(), [reading(5.0 * k) for k in range(59)], 0))

    kept = windows_after(status, [reading(300.0), reading(305.0)], 1)

    assert len(kept) == WINDOWS_KEPT
    assert [each.step for each in kept[-3:]] == [0, 1, 1]


async def test_the_sums_of_the_steps_are_what_was_counted_in_them() -> None:
    world = World()
    world.apply()
    await run_until(world, world.ticker(), in_phase("Stable", attempt=1))

    status = world.rollouts()[-1]["status"]
    totals = {
        tally["arm"]: sum(t["total"] for step in status["sums"] for t in step["tallies"] if t["arm"] == tally["arm"])
        for tally in status["sums"][0]["tallies"]
    }
    windows = [dict(part.split("=") for part in window["counts"].split()) for window in status["windows"]]
    assert len(windows) == sum(step["windows"] for step in status["sums"])
    for arm, total in totals.items():
        assert total == sum(float(window[f"errors/{arm}"].split("/")[1]) for window in windows)
    assert [step["step"] for step in status["sums"]] == sorted({window["step"] for window in status["windows"]})
