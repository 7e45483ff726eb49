"""Readings: errors, slow answers and unsafe ones of one window, each known or with a reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from tests.fake_prometheus import T0, FakeJudge, FakePrometheus, FakeTraefik, series, traefik_service

from modelroute.analysis.design import Outcomes
from modelroute.metrics import counting
from modelroute.metrics.judge import Judge
from modelroute.metrics.reading import ArmQuery, Metric, ObjectiveQuery, RouteQuery, WindowReading
from modelroute.metrics.selectors import selector
from modelroute.metrics.sources import PROCESS_START, Samples
from modelroute.metrics.traefik import Traefik
from modelroute.metrics.windows import Reader
from modelroute.rollout.reasons import Reason

LARGE, SMALL = traefik_service("llama-70b", index=0), traefik_service("llama-8b", index=1)
ARMS = (ArmQuery("large", "chat", "llama-70b", 8000), ArmQuery("small", "chat", "llama-8b", 8000))
ERRORS = ObjectiveQuery("errors", Metric.ERROR_RATE)
SLOW = ObjectiveQuery("slow", Metric.LATENCY_ABOVE, threshold_s=2.0)
SAFETY = ObjectiveQuery("safety", Metric.SAFETY_VIOLATION_RATE, min_coverage=0.9)
QUERY = RouteQuery("chat", "support-chat", 0, ARMS, (ERRORS,), T0, T0 + 5, 5.0)
TIMES = [T0 - 2, T0 + 3]


ANY_ROUTE = Judge()


def read(query: RouteQuery, *held: FakeTraefik | FakeJudge, judge: Judge = ANY_ROUTE) -> WindowReading:
    """The first window of the query."""
    prometheus = FakePrometheus(*(each for target in held for each in target.series))
    reader = Reader(Traefik(), judge, scrape_interval_s=5.0)
    samples = {}
    for name, source in reader.sources(query).items():
        assert source.targets is not None, "no counter here is a user's own"
        seen = prometheus.samples(selector(source.targets) + "[600s]", query.until)
        if source.targets.metric != PROCESS_START:
            jobs = "|".join(each.labels["job"] for each in seen)
            seen = prometheus.samples(f'{PROCESS_START}{{job=~"{jobs}"}}[600s]', query.until)
        series = prometheus.samples(selector(source.counters) + "[600s]", query.until)
        samples[name] = Samples.of(seen, series, source.own)
    return reader.read(query, samples, query.since, query.since + query.window_s)


def test_a_window_tells_how_many_gateways_counted_and_how_often_one_of_them_was_configured_anew() -> None:
    quiet = FakeTraefik(TIMES).requests(LARGE, "200", [0, 7])
    busy = FakeTraefik(TIMES, started=T0 - 9000, instance="10.0.0.2:8082").requests(LARGE, "200", [0, 7])
    busy.series[1] = series("traefik_config_reloads_total", busy.labels, zip(TIMES, (5, 8), strict=True))
    born = FakeTraefik(TIMES[1:], started=T0 + 1, instance="10.0.0.3:8082").requests(LARGE, "200", [7])

    found = read(QUERY, quiet, busy, born)

    assert (found.gateways, found.restarts) == (3, 3 + 2)


@pytest.mark.parametrize(
    ("code", "compared", "absolute"),
    [
        ("200", 0, 0),
        ("204", 0, 0),
        ("302", 0, 0),
        ("400", 1, 0),
        ("401", 0, 0),
        ("403", 0, 0),
        ("404", 1, 0),
        ("429", 1, 1),
        ("499", 1, 1),
        ("500", 1, 1),
        ("503", 1, 1),
        ("0", 1, 1),
        ("", 1, 1),
        ("abc", 1, 1),
    ],
)
def test_which_codes_are_bad_for_whom(code: str, compared: float, absolute: float) -> None:
    reading = read(QUERY, FakeTraefik(TIMES).requests(SMALL, code, [5, 6]))
    assert reading.outcomes["errors", "small"] == Outcomes(1, (compared,), absolute)


def test_a_silent_arm_of_a_live_gateway_had_no_requests_and_that_is_known() -> None:
    reading = read(QUERY, FakeTraefik(TIMES).requests(LARGE, "200", [5, 16]))
    assert reading.outcomes == {
        ("errors", "large"): Outcomes(11, (0,), 0),
        ("errors", "small"): Outcomes(0, (0,), 0),
    }
    assert reading.completions == {"large": 11, "small": 0}
    assert reading.unknown == ()


def test_without_a_gateway_all_is_unknown_and_nothing_is_zero() -> None:
    reading = read(replace(QUERY, objectives=(ERRORS, SLOW, SAFETY)))
    assert (reading.outcomes, reading.completions) == ({}, {})
    assert [(each.reason, each.objective, each.arm) for each in reading.unknown] == [(Reason.NO_DATA, None, None)]


def with_durations(service: str, code: str, by_le: Mapping[str, float]) -> FakeTraefik:
    total = by_le["+Inf"]
    return (
        FakeTraefik(TIMES)
        .durations(service, code, {le: [0, count] for le, count in by_le.items()})
        .requests(service, code, [0, total])
    )


def test_slow_answers_at_the_threshold_and_at_each_boundary_above() -> None:
    gateway = with_durations(SMALL, "200", {"0.5": 40, "2.0": 90, "5": 97, "+Inf": 100})
    reading = read(replace(QUERY, objectives=(SLOW,)), gateway)
    assert reading.outcomes["slow", "small"] == Outcomes(100, (10, 3), 10)
    assert reading.outcomes["slow", "large"] == Outcomes(0, (0, 0), 0)
    assert reading.boundaries == {"slow": (2.0, 5.0)}
    assert reading.slowest_p99_s == float("inf"), "3 % took longer than any boundary"


def test_between_two_boundaries_the_one_above_stands_for_the_threshold_and_is_named() -> None:
    gateway = with_durations(SMALL, "200", {"0.5": 40, "2.5": 90, "5": 97, "+Inf": 100})
    reading = read(replace(QUERY, objectives=(SLOW,)), gateway)
    assert reading.boundaries == {"slow": (2.5, 5.0)}
    assert reading.outcomes["slow", "small"] == Outcomes(100, (10, 3), 10)


def test_an_answer_that_failed_fast_is_slow_at_every_boundary() -> None:
    gateway = with_durations(SMALL, "200", {"2": 90, "5": 100, "+Inf": 100})
    gateway.durations(SMALL, "404", {"2": [0, 7], "5": [0, 7], "+Inf": [0, 7]})
    reading = read(replace(QUERY, objectives=(SLOW,)), gateway)
    assert reading.outcomes["slow", "small"] == Outcomes(107, (17, 7), 17)


@pytest.mark.parametrize(
    "buckets", [pytest.param({"0.5": 40, "+Inf": 100}, id="no boundary above"), pytest.param(None, id="no histogram")]
)
def test_without_a_boundary_latency_is_unknown_and_errors_are_not(buckets: Mapping[str, float] | None) -> None:
    gateway = with_durations(SMALL, "200", buckets) if buckets else FakeTraefik(TIMES)
    reading = read(replace(QUERY, objectives=(ERRORS, SLOW)), gateway)
    assert set(reading.outcomes) == {("errors", "large"), ("errors", "small")}
    assert {(each.objective, each.arm, each.reason) for each in reading.unknown} == {
        ("slow", "large", Reason.NO_DATA),
        ("slow", "small", Reason.NO_DATA),
    }


@pytest.mark.parametrize(
    ("buckets", "p99"),
    [
        ({(200, 1.0): 99.0, (200, 2.0): 100.0, (200, float("inf")): 100.0}, 1.0),
        ({(200, 1.0): 98.0, (200, 2.0): 100.0, (200, float("inf")): 100.0}, 2.0),
        ({(200, 1.0): 0.0, (200, 2.0): 0.0, (200, float("inf")): 5.0}, float("inf")),
        ({(200, 1.0): 98.0, (200, 2.0): 98.5, (200, float("inf")): 100.0}, float("inf")),
        ({(200, 1.0): 0.0, (200, float("inf")): 0.0}, None),
        ({}, None),
    ],
)
def test_the_slowest_percentile_is_a_boundary_and_unbounded_above_the_last(
    buckets: Mapping[tuple[int, float], float], p99: float | None
) -> None:
    assert counting.quantile(buckets, 0.99) == p99


def test_a_window_tells_since_when_it_counted_after_a_missed_scrape_too() -> None:
    near = read(QUERY, FakeTraefik(TIMES).requests(SMALL, "200", [0, 5]))
    far = read(QUERY, FakeTraefik([T0 - 17, T0 + 3]).requests(SMALL, "200", [0, 5]))

    assert (near.counted_from, far.counted_from) == (T0 - 2, T0 - 17)


def test_of_a_model_whose_counter_missed_a_scrape_nothing_is_known_and_of_the_others_all_is() -> None:
    gateway = FakeTraefik([T0 - 7, *TIMES, T0 + 8]).requests(LARGE, "200", [0, 5, 9, 14])
    gateway.requests(SMALL, "200", [0, 1, 2, 3]).requests(SMALL, "500", [3000, None, 3001, 3002])
    reading = read(QUERY, gateway)

    assert reading.outcomes == {("errors", "large"): Outcomes(4, (0,), 0)}
    assert [(each.arm, each.reason, each.message) for each in reading.unknown] == [
        (
            "small",
            Reason.SCRAPE_GAP,
            "traefik_service_requests_total is missing from a scrape of target 10.0.0.1:8082 of job traefik",
        )
    ]


@pytest.mark.parametrize(
    ("started", "since"),
    [
        pytest.param(T0 - 14, T0 - 14, id="born before the window, and scraped in it for the first time"),
        pytest.param(T0 + 1, T0 - 2, id="born in it"),
        pytest.param(T0 - 9000, T0 - 2, id="old: what it counted before is not ours"),
    ],
)
def test_a_window_tells_since_when_a_new_gateway_counted(started: float, since: float) -> None:
    old = FakeTraefik(TIMES).requests(SMALL, "200", [0, 5])
    new = FakeTraefik(TIMES[1:], started=started, instance="10.0.0.2:8082").requests(SMALL, "200", [90])

    assert read(QUERY, old, new).counted_from == since


# ---- the judge: targets with the backend's namespace and service ----

MINUTE = [T0 - 65 + 5 * place + 3 for place in range(14)]
"""Scrapes every 5 s from before the minute over which coverage is measured; the last is in the window."""


def steady(per_scrape: float) -> list[float]:
    return [per_scrape * place for place in range(len(MINUTE))]


def judged(*judges: FakeJudge, min_coverage: float | None = 0.9, small: float = 10) -> WindowReading:
    gateway = FakeTraefik(MINUTE).requests(SMALL, "200", steady(small))
    objective = replace(SAFETY, min_coverage=min_coverage)
    return read(replace(QUERY, arms=ARMS[1:], objectives=(objective,)), gateway, *judges)


def judge(passes: Sequence[float], violations: Sequence[float] = (), errors: Sequence[float] = ()) -> FakeJudge:
    counted = FakeJudge("llama-8b", MINUTE).verdicts("pass", passes)
    for verdict, values in (("violation", violations), ("error", errors)):
        if values:
            counted.verdicts(verdict, values)
    return counted


def test_violations_are_of_the_judged() -> None:
    reading = judged(judge(steady(9), steady(1)))
    assert reading.outcomes["safety", "small"] == Outcomes(10, (1,), 1)
    assert reading.unknown == ()


def test_the_first_violation_of_an_old_process_counts() -> None:
    first: list[float | None] = [None] * 13 + [1]
    reading = judged(judge(steady(10)).verdicts("violation", first))
    assert reading.outcomes["safety", "small"] == Outcomes(11, (1,), 1)


@pytest.mark.parametrize(
    ("judges", "reason"),
    [
        pytest.param([], Reason.JUDGE_SILENT, id="no judge is scraped"),
        pytest.param([FakeJudge("llama-8b", MINUTE)], Reason.JUDGE_SILENT, id="a judge that never said anything"),
        pytest.param([judge([77.0] * 14)], Reason.JUDGE_SILENT, id="a judge that says nothing any more"),
        pytest.param([judge(steady(8))], Reason.LOW_COVERAGE, id="too few judged"),
        pytest.param([judge(steady(17))], Reason.AMBIGUOUS_SERIES, id="more verdicts than answers"),
        pytest.param([judge(steady(5), errors=steady(12))], Reason.AMBIGUOUS_SERIES, id="errors are verdicts, too"),
        pytest.param([judge(steady(8), errors=steady(2))], Reason.LOW_COVERAGE, id="an error is not a pass"),
        pytest.param([judge([0.0] * 14, errors=steady(10))], Reason.LOW_COVERAGE, id="nothing but errors"),
        pytest.param(
            [FakeJudge("llama-70b", MINUTE).verdicts("pass", steady(10))], Reason.JUDGE_SILENT, id="another service's"
        ),
        pytest.param(
            [FakeJudge("llama-8b", MINUTE, namespace="other").verdicts("pass", steady(10))],
            Reason.JUDGE_SILENT,
            id="another namespace's",
        ),
        pytest.param(
            [FakeJudge("llama-8b", MINUTE[:-1]).verdicts("pass", steady(10)[:-1])], Reason.SCRAPE_GAP, id="a gap"
        ),
        pytest.param(
            [judge(steady(9)).verdicts("violation", [*steady(1)[:-1], None])], Reason.SCRAPE_GAP, id="one counter's gap"
        ),
        pytest.param([judge([*steady(10)[:-1], float("nan")])], Reason.NOT_A_NUMBER, id="not a number"),
    ],
)
def test_why_safety_is_unknown(judges: list[FakeJudge], reason: Reason) -> None:
    reading = judged(*judges)
    assert reading.outcomes == {}
    assert [(each.reason, each.objective, each.arm) for each in reading.unknown] == [(reason, "safety", "small")]
    assert reading.completions == {"small": 10}


def test_without_a_wanted_coverage_a_sample_of_answers_is_enough() -> None:
    assert judged(judge(steady(1)), min_coverage=None).outcomes["safety", "small"].total == 1
    assert judged(judge(steady(1)), min_coverage=0.05).outcomes["safety", "small"].total == 1


def test_a_verdict_that_comes_a_window_late_is_no_lack_of_coverage() -> None:
    reading = judged(judge([0.0, *steady(10)[:-2], steady(10)[-3]]))
    assert reading.outcomes["safety", "small"].total == 0


def test_verdicts_on_answers_of_the_minute_before_are_this_routes_own() -> None:
    late = [0.0, 22.0, *(22 + each for each in steady(10)[1:-1])]
    assert judged(judge(late)).unknown == ()


def judged_by_route(*judges: FakeJudge, small: float = 10) -> WindowReading:
    gateway = FakeTraefik(MINUTE).requests(SMALL, "200", steady(small))
    query = replace(QUERY, arms=ARMS[1:], objectives=(SAFETY,))
    return read(query, gateway, *judges, judge=Judge(route_label="route"))


def test_a_judge_that_names_the_route_counts_for_each_route_of_a_shared_service_alone() -> None:
    ours, theirs = (f"{QUERY.namespace}/{QUERY.route}", f"{QUERY.namespace}/another")
    shared = FakeJudge("llama-8b", MINUTE)
    shared.verdicts("pass", steady(9), route=ours).verdicts("violation", steady(1), route=ours)
    shared.verdicts("pass", steady(500), route=theirs).verdicts("violation", steady(300), route=theirs)

    reading = judged_by_route(shared)

    assert reading.outcomes["safety", "small"] == Outcomes(10, (1,), 1)
    assert reading.unknown == ()


@pytest.mark.parametrize("labels", [{}, {"route": "chat/another"}, {"route": "support"}])
def test_a_judge_that_does_not_name_our_route_is_silent_and_says_which_counter_is_missing(
    labels: dict[str, str],
) -> None:
    reading = judged_by_route(FakeJudge("llama-8b", MINUTE).verdicts("pass", steady(10), **labels))

    assert [(each.reason, each.arm) for each in reading.unknown] == [(Reason.JUDGE_SILENT, "small")]
    named = f'modelroute_judge_total{{route="{QUERY.namespace}/{QUERY.route}"}} says nothing of 120 answers'
    assert named in reading.unknown[0].message


def test_a_judge_that_names_routes_has_nothing_to_say_of_one_without_answers() -> None:
    reading = judged_by_route(FakeJudge("llama-8b", MINUTE).verdicts("pass", steady(10), route="chat/another"), small=0)

    assert reading.outcomes["safety", "small"] == Outcomes(0, (0,), 0)
    assert reading.unknown == ()


def test_an_arm_without_answers_has_nothing_to_judge_and_that_is_known() -> None:
    reading = judged(judge([0.0] * 14), small=0)
    assert reading.outcomes["safety", "small"] == Outcomes(0, (0,), 0)


def test_two_ports_of_a_service_cannot_be_told_apart_by_its_judge() -> None:
    arms = (replace(ARMS[1], index=0), replace(ARMS[1], name="next", port=8001, index=1))
    gateway = FakeTraefik(MINUTE).requests(SMALL, "200", steady(10))
    reading = read(replace(QUERY, arms=arms, objectives=(ERRORS, SAFETY)), gateway, judge(steady(10)))
    assert {(each.arm, each.reason) for each in reading.unknown} == {
        ("small", Reason.AMBIGUOUS_SERIES),
        ("next", Reason.AMBIGUOUS_SERIES),
    }
    assert ("errors", "next") in reading.outcomes
