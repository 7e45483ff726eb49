"""An attempt comes back from its ModelRollout as it was, through JSON as the API server keeps it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelroute.analysis.design import Design, Outcomes, Window
from modelroute.analysis.engine import State, advance, start
from modelroute.api.parse import parse
from modelroute.api.rollout_spec import ModelRolloutSpec
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.api.spec import ModelRouteSpec
from modelroute.controller.records import attempt_of, progress_of, spec_of, status_of
from modelroute.controller.spec import plan_of
from modelroute.errors import Invalid
from modelroute.rollout.attempt import Attempt, Coverage, Progress, Record, Stage, Verdict, comparisons_of
from modelroute.rollout.evidence import Tokens, Unknown
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend, Share, arms_between

Json = dict[str, Any]
NAMESPACE = "chat"
SPEC: Json = {
    "parentRefs": [{"name": "inference"}],
    "models": [
        {"name": "large", "tier": "Large", "weight": 60, "backendRef": {"name": "large-v1", "port": 8000}},
        {"name": "small", "tier": "Small", "weight": 40, "backendRef": {"name": "small-v2", "port": 8000}},
        {
            "name": "tiny",
            "tier": "Small",
            "weight": 7,
            "backendRef": {"name": "tiny", "port": 80, "namespace": "models"},
        },
    ],
    "objectives": [
        {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"},
        {"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "maxRatio": "1.2", "onBreach": "Pause"},
        {"name": "safety", "metric": "SafetyViolationRate", "max": "0.5%", "maxIncrease": "0.2pp"},
    ],
}


def made(spec: Json = SPEC, *, boundaries: dict[str, tuple[float, ...]] | None = None) -> tuple[Attempt, Json]:
    """An attempt from large and an old small to `spec`, and the ModelRollout spec that freezes it."""
    parsed = parse(ModelRouteSpec, spec)
    found = boundaries if boundaries is not None else {"slow": (2.0, 5.0)}
    plan = plan_of(parsed, NAMESPACE).with_boundaries(found)
    stable = (
        Share("large", Backend(NAMESPACE, "large-v1", 8000), 7_000),
        Share("small", Backend(NAMESPACE, "small-v1", 8000), 3_000),
    )
    arms = arms_between(stable, plan.split)
    attempt = Attempt(
        name="support-4",
        number=4,
        revision=plan.revision,
        arms=arms,
        steps=plan.steps,
        design=Design(plan.objectives, comparisons_of(arms, stable, plan.reference), plan.alpha, plan.beta),
        window_s=7.5,
        settle_min_s=30.0,
        judge_delay_s=12.0,
        boundaries=found,
    )
    frozen = spec_of(attempt, parsed, route="support", namespace=NAMESPACE, boundaries=found)
    return attempt, through_json(frozen.to_wire())


def through_json(content: Json) -> Json:
    back: Json = json.loads(json.dumps(content, allow_nan=False))
    return back


ATTEMPT, FROZEN = made()
instants = st.integers(1_600_000_000_000_000, 4_000_000_000_000_000).map(lambda microseconds: microseconds / 1e6)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
arm_names = st.sampled_from([arm.name for arm in ATTEMPT.arms])
counts = st.integers(0, 2**53).map(float)
candidates = st.sampled_from([arm.name for arm in ATTEMPT.candidates])
objectives = st.sampled_from([objective.name for objective in ATTEMPT.design.objectives])
unknowns = st.builds(Unknown, st.sampled_from(Reason), texts, st.none() | objectives, st.none() | arm_names)
verdicts = st.builds(
    Verdict, st.sampled_from(Reason), texts, instants, st.just("") | objectives, st.just("") | candidates
)


coverages = st.builds(Coverage, st.integers(0, 10**9).map(float), st.integers(0, 1_000))
# What was covered stands beside the candidate's requests.
every_candidate = st.fixed_dictionaries({arm.name: st.integers(0, 10**9).map(float) for arm in ATTEMPT.candidates})


@st.composite
def engines(draw: st.DrawFn) -> State:
    """States that counts have led to."""
    state = start(ATTEMPT.design)
    for index in range(draw(st.integers(0, 4))):
        outcomes = {}
        for objective in ATTEMPT.design.objectives:
            for arm in ATTEMPT.arms:
                if draw(st.booleans()):
                    total = draw(st.integers(0, 500))
                    bad = tuple(float(draw(st.integers(0, total))) for _ in range(objective.boundaries))
                    outcomes[objective.name, arm.name] = Outcomes(float(total), bad, bad[0])
        asked = {arm.name: 1 / len(ATTEMPT.arms) for arm in ATTEMPT.arms}
        end = 7.5 * (index + 1)
        state = advance(ATTEMPT.design, state, Window(end - 7.5, end, outcomes, asked, draw(st.booleans())))
    return state


progresses = st.builds(
    Progress,
    stage=st.sampled_from(Stage),
    step=st.integers(0, len(ATTEMPT.steps) - 1),
    started_at=instants,
    step_at=instants,
    live_at=st.none() | instants,
    consumed_until=instants,
    engine=engines(),
    requests=every_candidate,
    covered=st.dictionaries(st.tuples(objectives, candidates), coverages),
    tokens=st.dictionaries(arm_names, st.builds(Tokens, counts, counts, counts)),
    slowest_p99_s=st.floats(0, 1e6, allow_nan=False),
    unknown=st.lists(unknowns, max_size=10).map(tuple),
    verdict=st.none() | verdicts,
    finished_at=st.none() | instants,
)


def test_an_attempt_comes_back_as_it_was_frozen() -> None:
    assert attempt_of(parse(ModelRolloutSpec, FROZEN), name="support-4", namespace=NAMESPACE) == ATTEMPT


@settings(deadline=None, max_examples=60)
@given(progresses)
def test_progress_comes_back_as_it_was_written(progress: Progress) -> None:
    record = Record(ATTEMPT, progress)

    status = through_json(status_of(record, ModelRolloutStatus()).to_wire())
    back = progress_of(parse(ModelRolloutStatus, status), ATTEMPT)

    assert back == progress
    assert through_json(status_of(Record(ATTEMPT, back), parse(ModelRolloutStatus, status)).to_wire()) == status


@settings(deadline=None, max_examples=30)
@given(progresses, progresses)
def test_nothing_of_what_was_written_before_is_left_behind(before: Progress, after: Progress) -> None:
    first = status_of(Record(ATTEMPT, before), ModelRolloutStatus())

    status = through_json(status_of(Record(ATTEMPT, after), first).to_wire())

    assert progress_of(parse(ModelRolloutStatus, status), ATTEMPT) == after


def good_status() -> Json:
    progress = Progress(Stage.PROGRESSING, 1, 1.7e9, 1.7e9, 1.7e9, 1.7e9, start(ATTEMPT.design))
    return status_of(Record(ATTEMPT, progress), ModelRolloutStatus()).to_wire()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("phase", None, "its status was never written"),
        ("engineState", None, "its status was never written"),
        ("phase", "Dancing", "'Dancing' is not a valid Stage"),
        ("stepIndex", 9, "stepIndex 9 is not one of the 4 steps"),
        ("stepIndex", None, "stepIndex None is not one of the 4 steps"),
        ("startedAt", None, "a time is missing"),
        ("startedAt", "yesterday", "yesterday"),
        ("engineState", "not JSON", "cannot be read"),
        ("engineState", "[]", "version None"),
        ("engineState", '{"v":"0","until":null,"tracks":[]}', "version '0'"),
        ("engineState", '{"v":"1","until":null,"tracks":[]}', "does not belong to this attempt"),
        (
            "decision",
            {"verdict": "Back", "reason": "OfALaterVersion", "message": "m", "at": "2026-01-02T12:00:00Z"},
            "'OfALaterVersion' is not a valid Reason",
        ),
    ],
)
def test_a_status_that_is_not_ours_is_told_in_a_sentence(field: str, value: object, says: str) -> None:
    status = good_status()
    status[field] = value
    if value is None:
        del status[field]

    with pytest.raises(Invalid) as caught:
        progress_of(parse(ModelRolloutStatus, status), ATTEMPT)

    assert str(caught.value).startswith("ModelRollout support-4: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_state_of_another_design_is_not_taken_for_ours() -> None:
    other, _ = made(boundaries={"slow": (2.0, 5.0, 10.0)})
    status = parse(ModelRolloutStatus, good_status())

    with pytest.raises(Invalid, match="does not belong to this attempt"):
        progress_of(status, other)


def test_what_is_too_long_for_the_schema_is_cut_and_stays_readable() -> None:
    unknown = tuple(Unknown(Reason.NO_DATA, "no " * 2_000, "errors", "small") for _ in range(100))
    progress = Progress(Stage.ROLLING_BACK, 0, 1.7e9, 1.7e9, None, 1.7e9, start(ATTEMPT.design), unknown=unknown)
    long = replace(progress, verdict=Verdict(Reason.HARM_DETECTED, "worse " * 2_000, 1.7e9))

    status = status_of(Record(ATTEMPT, long), ModelRolloutStatus()).to_wire()

    assert len(status["unknown"]) == 64
    assert len(status["decision"]["message"]) == 2048
    assert progress_of(parse(ModelRolloutStatus, status), ATTEMPT).stage is Stage.ROLLING_BACK


def test_a_duration_that_is_no_number_is_not_written() -> None:
    progress = Progress(Stage.PROGRESSING, 0, 1.7e9, 1.7e9, None, 1.7e9, start(ATTEMPT.design), slowest_p99_s=math.inf)

    with pytest.raises(Invalid, match="slowest"):
        status_of(Record(ATTEMPT, progress), ModelRolloutStatus())


def test_what_a_later_version_could_not_tell_is_still_not_known() -> None:
    status = good_status()
    status["unknown"] = [{"reason": "OfALaterVersion", "message": "m"}]

    (unknown,) = progress_of(parse(ModelRolloutStatus, status), ATTEMPT).unknown

    assert (unknown.reason, unknown.message) == (Reason.NO_DATA, "m")
