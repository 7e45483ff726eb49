"""The soak's own judgement: what it plans is seeded, and what it calls wrong is wrong."""

from __future__ import annotations

import itertools

import pytest
from tests.bench.soak.judging import ALPHA, Ended, Rate, Verdict, judged, sums_to_whole
from tests.bench.soak.plan import START, Doing, Fault, Truth, Wanted, draw_change, draw_faults
from tests.bench.soak.routes import Route
from tests.bench.soak.vitals import Life, Usage, growth_mib_per_hour, quantile, read_metrics
from tests.bench.soak.watch import RESTORED_WITHIN_S, Watch

from modelroute.controller.families import OF_THE_OPERATOR

KEY = ("soak-0", "r000")

ENDS = [
    (Truth.HEALTHY, Doing.NOTHING, Ended("Promoted"), Verdict.JUSTIFIED),
    (Truth.HEALTHY, Doing.NOTHING, Ended("RolledBack", "HarmDetected", "slow"), Verdict.FALSE_ROLLBACK),
    (Truth.HEALTHY, Doing.NOTHING, Ended("RolledBack", "ProgressDeadlineExceeded"), Verdict.UNEXPLAINED),
    (Truth.HEALTHY, Doing.NOTHING, Ended("Superseded"), Verdict.UNEXPLAINED),
    (Truth.HEALTHY, Doing.REVERT, Ended("Superseded"), Verdict.JUSTIFIED),
    (Truth.HEALTHY, Doing.REVERT, Ended(""), Verdict.JUSTIFIED),
    (Truth.UNSAFE, Doing.ABORT, Ended("Aborted"), Verdict.JUSTIFIED),
    (Truth.UNSAFE, Doing.NOTHING, Ended("RolledBack", "HarmDetected", "safety"), Verdict.JUSTIFIED),
    (Truth.FAILING, Doing.PAUSE, Ended("Promoted"), Verdict.MISSED_HARM),
    (Truth.SLOW, Doing.ABORT, Ended("Promoted"), Verdict.MISSED_HARM),
]


@pytest.mark.parametrize(("truth", "doing", "ended", "verdict"), ENDS)
def test_an_end_is_judged_by_the_truth_and_by_what_a_person_did(
    truth: Truth, doing: Doing, ended: Ended, verdict: Verdict
) -> None:
    assert judged(truth, doing, ended) is verdict


@pytest.mark.parametrize(
    ("wrong", "total", "allowed"), [(0, 100, True), (9, 100, True), (14, 100, False), (1, 1, True)]
)
def test_a_rate_is_too_high_only_when_that_is_sure(wrong: int, total: int, allowed: bool) -> None:
    # One of one is no proof: its lower 99 % limit is 1 %.
    assert Rate(wrong, total, ALPHA).is_allowed is allowed


def test_of_harm_that_is_promoted_one_is_too_many() -> None:
    assert Rate(0, 97, 0.0).is_allowed
    assert not Rate(1, 97, 0.0).is_allowed


@pytest.mark.parametrize(
    ("weights", "whole"),
    [([10_000, 0], True), ([6_000, 4_000], True), ([100, 100], False), ([10_001, -1], False), ([], False)],
)
def test_weights_are_not_negative_and_sum_to_the_whole(weights: list[int], whole: bool) -> None:
    assert sums_to_whole(weights) is whole


def test_changes_follow_from_the_seed_and_always_change_something() -> None:
    stable = Wanted("good-a", 40)
    drawn = [draw_change(1, "r007", number, stable) for number in range(300)]

    assert drawn == [draw_change(1, "r007", number, stable) for number in range(300)]
    assert drawn != [draw_change(2, "r007", number, stable) for number in range(300)]
    assert stable not in {change.wanted for change in drawn}
    assert {change.wanted.truth for change in drawn} == set(Truth)
    assert {change.doing for change in drawn} == set(Doing)


def test_faults_come_one_after_the_other_all_kinds_of_them_and_end_in_time() -> None:
    planned = draw_faults(3, from_s=10.0, until_s=1_500.0, every_s=30.0)

    assert planned == draw_faults(3, from_s=10.0, until_s=1_500.0, every_s=30.0)
    assert {each.fault for each in planned} == set(Fault)
    assert all(before.at_s + before.for_s < after.at_s for before, after in itertools.pairwise(planned))
    assert planned[-1].at_s + planned[-1].for_s <= 1_500.0


def looked_at(watch: Watch, weights: dict[str, int] | None, *, now: float, phase: str = "Stable") -> list[str]:
    """What is violated once a route at rest was seen with these weights (None: it has no HTTPRoute)."""
    refs = [{"name": name, "weight": weight} for name, weight in (weights or {}).items()]
    live = {} if weights is None else {KEY: {"spec": {"rules": [{"backendRefs": refs}]}}}
    watch.routes({KEY: Route(KEY, 1)}, {KEY: {"status": {"phase": phase}}}, live, now)
    return [violation.kind for violation in watch.violations]


def test_a_split_at_rest_that_nobody_asked_for_is_a_violation_when_it_stays() -> None:
    watch = Watch(0.0)

    assert looked_at(watch, {"large": 10_000}, now=1.0) == []
    assert looked_at(watch, {"large": 9_000, "good-a": 1_000}, now=2.0) == []
    looked_at(watch, {"large": 9_000, "good-a": 1_000}, now=3.0)
    assert looked_at(watch, {"large": 9_000, "good-a": 1_000}, now=4.0) == ["split at rest"]


def test_what_somebody_else_did_to_a_route_is_excused_until_it_had_to_be_restored() -> None:
    watch = Watch(0.0)
    watch.meddled(KEY, Fault.ROUTE_DELETED, 1.0)
    assert looked_at(watch, None, now=2.0) == []
    assert looked_at(watch, {"large": 10_000}, now=4.0) == []
    lost = {"host": "r000.soak-0.example.com", "sent_at": 5.0, "status": 404, "error": ""}

    assert watch.failed([lost], 9.0) == ([], [lost])
    assert watch.failed([{**lost, "sent_at": 60.0}], 61.0)[0] == [{**lost, "sent_at": 60.0}]
    watch.meddled(KEY, Fault.ROUTE_EDITED, 70.0)
    assert looked_at(watch, {"large": 100}, now=71.0 + RESTORED_WITHIN_S)[-1] == "not restored"


def test_the_operators_metrics_are_read() -> None:
    names = {family.name for family in OF_THE_OPERATOR}
    text = """# HELP modelroute_phase 1 for the phase
modelroute_phase{route_namespace="soak-0",route="r000",phase="Stable"} 1.0
modelroute_phase{route_namespace="soak-0",route="r000",phase="Pending"} 0.0
modelroute_ticks_total{outcome="ok"} 12.0
modelroute_ticks_overdue 2.0
modelroute_tick_lag_seconds_bucket{le="0.1"} 9.0
modelroute_tick_lag_seconds_bucket{le="1.0"} 10.0
modelroute_tick_lag_seconds_bucket{le="+Inf"} 10.0
modelroute_evidence_timestamp_seconds{route_namespace="soak-0",route="r000"} 1.7e+09
"""
    read = read_metrics(text)

    assert {"modelroute_ticks", "modelroute_ticks_overdue", "modelroute_tick_lag_seconds"} <= {
        name.removesuffix("_total") for name in names
    }
    assert (read.routes, read.overdue, read.ticks) == (1, 2.0, {"ok": 12.0})
    assert quantile(read.lag_buckets, 0.5) == 0.1
    assert quantile(read.lag_buckets, 0.99) == 1.0
    assert read.evidence_at == {KEY: 1.7e9}


def test_growth_is_a_slope_and_needs_a_minute() -> None:
    life = Life(1, [Usage(10.0 * n, 100.0 + n, 0.0, 9) for n in range(30)])

    assert growth_mib_per_hour(life.settled(60.0)) == pytest.approx(360.0)
    assert growth_mib_per_hour(life.usage[:4]) is None
    assert START.share == 0
