"""What a rollout would take: simulated attempts go by the engine and by the operator's own gates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from modelroute.analysis.design import Action, Objective
from modelroute.planning.forecast import Forecast, forecast, range_of
from modelroute.planning.runs import ALL, Ending, Run, Setting
from modelroute.planning.simulation import simulate
from modelroute.planning.traffic import Change, Traffic, allowed, draw, harmful_times
from modelroute.planning.warnings import warnings_of
from modelroute.rollout.attempt import Deadline, Requirement, Step
from modelroute.rollout.observation import Acceptance, Gateway, Look, Observation, Terms
from modelroute.rollout.plan import Plan
from modelroute.rollout.split import Backend, Share
from modelroute.rollout.starting import begin

ERRORS = Objective("errors", margin=0.01)
STEPS = (Step(10, 600.0, 100), Step(50, 600.0, 100), Step(100, 600.0, 100))


def setting(
    *, rps: float = 20.0, rate: float = 0.01, judged: float = 1.0, objectives: tuple[Objective, ...] = (ERRORS,),
    steps: tuple[Step, ...] = STEPS, deadline_s: float = 86_400.0, small: int = 4_000,
) -> Setting:  # fmt: skip
    """Large hands part of its traffic over to small."""
    models = {name: Backend("chat", f"{name}-v1", 8000) for name in ("large", "small")}
    wanted = (Share("large", models["large"], 10_000 - small), Share("small", models["small"], small))
    plan = Plan(wanted, "large", "large", objectives, steps, 0.05, 0.05, "r1", deadline=Deadline(deadline_s))
    seen = Observation("support", plan, (), None, 0, None, Gateway(Acceptance.LIVE), Look(0.0), Terms(15.0, 30.0, 15.0))
    record = begin(seen, plan, plan.first_split, plan.first_split, 0.0).record
    assert record is not None
    names = [objective.name for objective in objectives]
    traffic = Traffic(rps, dict.fromkeys(names, rate), dict.fromkeys(names, judged))
    return Setting(record, replace(seen, plan=None), traffic)


def played(of: Setting, change: Change | None = None, *, runs: int = 20, seed: int = 1) -> tuple[Run, ...]:
    return simulate(of, change, runs=runs, chance=np.random.default_rng(seed))


def foreseen(of: Setting, *, runs: int = 20) -> Forecast:
    return forecast(of, runs=runs, seed=1)


# The rates.


@pytest.mark.parametrize(
    ("objective", "rate", "bound", "times"),
    [
        (Objective("a", margin=0.005), 0.01, 0.015, 2.0),
        (Objective("a", margin=0.01), 0.01, 0.02, 4.0),
        (Objective("a", ratio=1.2), 0.01, 0.012, 2.0),
        (Objective("a", limit=0.05), 0.02, 0.05, 4.0),
        (Objective("a", limit=0.05, margin=0.002), 0.02, 0.022, 2.0),
        (Objective("a", limit=0.05), 0.06, 0.06, 2.0),
        (Objective("a", limit=0.9), 0.3, 0.9, None),
    ],
    ids=["margin", "at the margin", "ratio", "max", "the stricter counts", "the reference breaks it", "never harmful"],
)
def test_what_is_simulated_is_always_more_than_is_allowed(
    objective: Objective, rate: float, bound: float, times: float | None
) -> None:
    assert allowed(objective, rate, compares=True) == pytest.approx(bound)
    assert harmful_times(objective, rate, compares=True) == times


def test_without_a_reference_only_max_is_held_against_a_candidate() -> None:
    assert allowed(Objective("a", margin=0.001), 0.01, compares=False) == 1.0


def test_bad_answers_that_nobody_judges_are_bad_all_the_same() -> None:
    traffic = Traffic(100.0, {"safety": 0.1}, {"safety": 0.05})
    shares, rates = np.asarray([[0.5, 0.5]] * 50), np.asarray([[0.1, 0.2]])

    drawn = draw(np.random.default_rng(1), traffic, np.full(50, 60.0), shares, rates, ["safety"])

    assert drawn.answered.sum() == pytest.approx(50 * 6_000, rel=0.02)
    assert drawn.bad.sum() == pytest.approx(50 * 3_000 * 0.3, rel=0.05)
    assert drawn.seen.sum() == pytest.approx(0.05 * drawn.answered.sum(), rel=0.05)
    assert np.all(drawn.seen_bad <= np.minimum(drawn.seen, drawn.bad))


# The runs.


def test_the_same_seed_gives_the_same_runs_and_another_gives_others() -> None:
    one, same, other = (played(setting(), seed=seed) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_a_harmless_candidate_passes_each_step_as_soon_as_it_may() -> None:
    runs = played(setting())

    assert {run.ending for run in runs} == {Ending.PROMOTED}
    for run in runs:
        assert [stay.step for stay in run.stays] == [0, 1, 2]
        assert all(600 <= (stay.seconds or 0) <= 660 for stay in run.stays)
        assert run.seconds == pytest.approx(sum(stay.seconds or 0 for stay in run.stays))
        assert run.requests == pytest.approx(sum(stay.requests for stay in run.stays))
    expected = 20 * sum(share * 600 for share in (0.04, 0.2, 0.4))
    assert np.mean([run.requests for run in runs]) == pytest.approx(expected, rel=0.1)


def test_few_requests_make_a_step_last() -> None:
    step = foreseen(setting(rps=2.0)).steps[0]

    assert step.candidate_rps == pytest.approx(0.08)
    assert step.seconds.median == pytest.approx(100 / 0.08, rel=0.15)
    assert step.left == 1.0


def test_a_candidate_that_always_fails_goes_back_after_a_look_or_two() -> None:
    runs = played(setting(), Change("errors", "small", 100.0))

    assert {run.ending for run in runs} == {Ending.ROLLED_BACK}
    assert max(run.seconds for run in runs) < 120
    assert all(run.bad == pytest.approx(run.requests) for run in runs)


def test_what_is_caught_too_late_tells_how_much_it_would_have_taken() -> None:
    runs = played(setting(objectives=(Objective("errors", margin=0.005),)), Change("errors", "small", 2.0))

    late = [run for run in runs if run.passed]
    assert late
    assert {run.ending for run in late} <= {Ending.ROLLED_BACK, Ending.OVERDUE}
    assert min(run.seconds for run in late) > 1_800


@pytest.mark.parametrize(
    ("action", "ending"),
    [(Action.ROLL_BACK, Ending.ROLLED_BACK), (Action.PAUSE, Ending.PAUSED), (Action.REPORT, Ending.CAUGHT)],
)
def test_each_action_catches_in_its_own_way(action: Action, ending: Ending) -> None:
    objectives = (replace(ERRORS, action=action), Objective("slow", limit=0.9))

    runs = played(setting(objectives=objectives, rate=0.02), Change("errors", "small", 20.0), runs=5)

    assert {run.ending for run in runs} == {ending}


def test_the_deadline_ends_what_is_not_decided() -> None:
    runs = played(setting(rps=0.5, deadline_s=3_600.0), runs=5)

    assert {run.ending for run in runs} == {Ending.OVERDUE}
    assert all(3_600 < run.seconds <= 3_600 + 15 for run in runs)


def test_larger_windows_tell_the_same() -> None:
    of = setting(objectives=(Objective("errors", margin=0.005),))
    fine, coarse = (
        simulate(of, Change("errors", "small", 3.0), runs=60, chance=np.random.default_rng(5), grain=grain)
        for grain in (10_000, 8)
    )

    fine_median, coarse_median = (float(np.median([run.requests for run in runs])) for runs in (fine, coarse))
    assert coarse_median == pytest.approx(fine_median, rel=0.25)


# The forecast.


def test_a_gate_tells_when_safety_is_shown_and_for_which_objective_last() -> None:
    gate = Step(50, 600.0, 100, Requirement.PROVEN_SAFE)
    found = foreseen(setting(steps=(gate, Step(100, 600.0, 100))))

    step = found.steps[0]
    assert step.proven == step.left == 1.0
    assert 500 < step.proofs["errors", "small"].median == step.proofs[ALL].median < 20_000
    assert [said for said in warnings_of(setting(), found, {}) if said.startswith("step")] == []


def test_a_gate_that_is_not_reached_is_warned_of_with_the_objective_that_lacks() -> None:
    gate = Step(50, 600.0, 100, Requirement.PROVEN_SAFE)
    of = setting(
        rps=1.0, steps=(gate, Step(100, 600.0, 100)), deadline_s=7_200.0,
        objectives=(replace(ERRORS, margin=0.5), Objective("safety", margin=0.001)),
    )  # fmt: skip

    found = foreseen(of, runs=10)
    said = warnings_of(of, found, {})

    assert math.isinf(found.steps[0].seconds.median)
    assert found.overdue == 1.0
    assert said[0].startswith(
        "step 1 asks for ProvenSafe, and gets it before the progressDeadline of 2h in 0 % of the runs"
    )
    assert "(not on safety)" in said[0]
    assert said[1] == "step 2 is never reached within the progressDeadline of 2h"


def test_a_step_without_enough_requests_before_the_deadline_is_warned_of() -> None:
    of = setting(rps=0.5, deadline_s=3_600.0)

    said = warnings_of(of, foreseen(of, runs=10), {})

    assert said[0] == (
        "step 1 is left before the progressDeadline of 1h in 0 % of the runs (minRequests 100 take 1h23m here):"
        " ask for less, or give it more time"
    )


def test_more_coverage_than_is_judged_is_warned_of() -> None:
    of = setting(judged=0.05)

    (said, *_) = warnings_of(of, foreseen(of, runs=10), {"errors": 0.9})

    assert said.startswith("errors: minCoverage is 90 %, and only 5 % of the answers are judged")


def test_a_doubling_that_is_allowed_is_said_and_more_is_simulated() -> None:
    of = setting()

    found = foreseen(of)

    (harm,) = found.harms
    assert (harm.times, harm.doubling_allowed, harm.caught) == (4.0, True, 1.0)
    assert sum(harm.steps.values()) == pytest.approx(1.0)
    assert 0 < harm.in_excess.median < harm.bad.median < harm.requests.median
    assert "a doubling from 1 % to 2 % is within what is allowed" in warnings_of(of, found, {})[0]


def test_a_reference_above_its_own_max_is_warned_of() -> None:
    of = setting(objectives=(Objective("errors", limit=0.005),))

    assert "the reference breaks it too" in warnings_of(of, foreseen(of, runs=10), {})[0]


def test_progress_is_told_from_nothing_to_all() -> None:
    told: list[tuple[str, float]] = []

    forecast(setting(), runs=10, seed=1, tell=lambda what, done: told.append((what, done)))

    assert {what for what, _ in told} == {"nothing is worse", "small is worse on errors"}
    for name in ("nothing is worse", "small is worse on errors"):
        parts = [done for what, done in told if what == name]
        assert parts == sorted(parts)
        assert parts[-1] == 1.0


def test_a_range_holds_those_that_never_get_there() -> None:
    found = range_of([1.0, 2.0, math.inf])

    assert (found.low, found.median, found.high) == (1.0, 2.0, math.inf)
    assert range_of([]).low == math.inf


def test_a_doubling_that_is_promoted_for_want_of_requests_is_warned_of() -> None:
    of = setting(objectives=(Objective("errors", margin=0.005),), rps=5.0)

    found = foreseen(of)

    (harm,) = found.harms
    assert harm.promoted > 0.5
    assert harm.caught + harm.promoted == pytest.approx(1.0)
    (said,) = warnings_of(of, found, {})
    assert "of the runs are promoted, for want of requests of small (it takes about" in said
