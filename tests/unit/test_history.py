"""The windows that a ModelRollout keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes import NAME, NAMESPACE, World, in_phase, run_until

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance, decode, encode, start
from modelroute.api.fields import format_instant
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout
from modelroute.api.rollout_status import Checkpoint, ModelRolloutStatus
from modelroute.cluster.client import Json
from modelroute.controller.history import CHECKPOINT_EVERY, WINDOWS_KEPT, windows_after
from modelroute.controller.records import attempt_of
from modelroute.controller.window_text import read, written
from modelroute.errors import Invalid
from modelroute.rollout.attempt import Attempt
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.reasons import Reason


def reading(end: float) -> WindowReading:
    outcomes = {("errors", "small"): Outcomes(120, (3,), 3), ("errors", "large"): Outcomes(480, (1,), 1)}
    return WindowReading(end - 5, end, outcomes, {}, (Unknown(Reason.JUDGE_SILENT, "no judge answered", "safety"),))


def window(end: float) -> Window:
    given = reading(end)
    return Window(given.start, end, given.outcomes, {"small": 0.2, "large": 0.8}, True, {"small": 120, "large": 480})


def test_a_window_is_told_in_one_line() -> None:
    end = 1_767_355_200.0
    (told,) = windows_after(ModelRolloutStatus(), [reading(end)], [window(end)], 2)

    assert told.counts == "errors/large=1/480 errors/small=3/120"
    assert (told.completions, told.settled) == ("large=480 small=120", True)
    assert (told.step, told.note) == (2, "JudgeSilent: no judge answered")


def test_only_the_last_windows_are_kept() -> None:
    ends = [5.0 * k for k in range(59)]
    first = windows_after(ModelRolloutStatus(), [reading(end) for end in ends], [window(end) for end in ends], 0)

    kept = windows_after(
        ModelRolloutStatus(windows=first), [reading(300.0), reading(305.0)], [window(300.0), window(305.0)], 1
    )

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
    first, last = status["sums"]
    assert first["liveAt"] < first["leftAt"] <= last["liveAt"] < last["leftAt"] == status["finishedAt"]
    assert [step["step"] for step in status["sums"]] == sorted({window["step"] for window in status["windows"]})


# Going through it again.


async def progressing(windows: int) -> tuple[Json, Attempt]:
    """A ModelRollout after so many windows or a few more, and its attempt."""
    world = World()
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "1h"}, {"progress": 100}]})
    ticker = world.ticker()

    def counted(_status: Json) -> bool:
        return bool(world.rollouts()) and _seen(world.rollouts()[-1]) >= windows

    await run_until(world, ticker, counted, within_s=windows * 10.0 + 60)
    rollout = world.rollouts()[-1]
    return rollout, attempt_of(parse(ModelRollout, rollout).spec, name=f"{NAME}-1", namespace=NAMESPACE)


def _seen(rollout: Json) -> int:
    return sum(step["windows"] for step in (rollout.get("status") or {}).get("sums") or [])


@pytest.mark.parametrize("windows", [5, 40, 61, 100, 150])
async def test_the_engine_comes_to_its_state_again_from_what_is_kept(windows: int) -> None:
    rollout, attempt = await progressing(windows)
    status = parse(ModelRollout, rollout).status
    kept = status.windows or []
    assert len(kept) == min(_seen(rollout), WINDOWS_KEPT)

    if _seen(rollout) == len(kept):
        state, again = start(attempt.design), kept
    else:
        first = next(each for each in status.checkpoints or () if each.until >= kept[0].end)
        state, again = decode(attempt.design, first.state), [each for each in kept if each.end > first.until]
        assert CHECKPOINT_EVERY <= len(again) <= WINDOWS_KEPT
    for record in again:
        state = advance(attempt.design, state, read(record, attempt))

    assert encode(state) == status.engine_state


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        (Outcomes(120.0, (3.0,), 3.0), "3/120"),
        (Outcomes(120.0, (3.0,), 2.0), "3;2/120"),
        (Outcomes(100.0, (8.0, 1.0), 8.0), "8,1/100"),
        (Outcomes(100.0, (8.0, 1.0), 7.0), "8,1;7/100"),
        (Outcomes(12_345_678.0, (0.1 + 0.2,), 0.1 + 0.2), "0.30000000000000004/12345678"),
    ],
)
async def test_what_was_counted_reads_back_without_loss(outcomes: Outcomes, text: str) -> None:
    _, attempt = await progressing(1)
    asked = {"large": 0.8, "small": 0.2}
    given = Window(0.0, 5.0, {("errors", "small@v=1"): outcomes}, asked, False, {"small@v=1": 7.5, "large": 3.0})

    told = written(given, 0, "")

    assert told.counts == f"errors/small@v=1={text}"
    assert read(told, attempt) == given


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"settled": None}, "it is not kept whether it had settled"),
        ({"counts": "errors/small=3/120 errors/la…"}, "the window that ended at 1970-01-01T00:00:05"),
        ({"step": 7}, "there is no step 8"),
    ],
    ids=["an older operator", "a line that was cut", "another attempt"],
)
async def test_a_window_that_cannot_be_read_says_why(changed: Json, says: str) -> None:
    _, attempt = await progressing(1)

    with pytest.raises(Invalid, match=says):
        read(written(window(5.0), 0, "").model_copy(update=changed), attempt)


def test_what_is_kept_of_four_objectives_stays_below_64_kilobytes() -> None:
    """One of them latency with 7 boundaries, at a few hundred requests a window: the largest that is promised."""
    chance = np.random.default_rng(3)
    objectives = (Objective("slow", ratio=1.2, limit=0.1, boundaries=7), *(Objective(n, margin=0.01) for n in "abc"))
    design = Design(objectives, (Comparison("small", "large"),), checks_split=True)
    state, records, checkpoints = start(design), [], []
    for k in range(60):
        outcomes = {
            (each.name, arm): Outcomes(
                total, tuple(map(float, np.sort(chance.binomial(int(total), 0.05, each.boundaries))[::-1])), 3.0
            )
            for each in objectives
            for arm, total in (("small", 120.0), ("large", 480.0))
        }
        each = Window(5.0 * k, 5.0 * k + 5, outcomes, {"small": 0.2, "large": 0.8}, True, {"small": 120, "large": 480})
        state = advance(design, state, each)
        records.append(written(each, 3, ""))
        if k % CHECKPOINT_EVERY == 0:
            checkpoints.append(Checkpoint(until=format_instant(each.end), state=encode(state)))
    status = ModelRolloutStatus(windows=records, checkpoints=checkpoints, engine_state=encode(state))

    assert len(checkpoints) == 2
    assert len(json.dumps(status.to_wire())) < 56_000, "8 kB are left for what people read"
