"""The sampler: few questions for many routes, complete windows in order, the same ones for whoever asks again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.fake_prometheus import T0, FakeJudge, FakePrometheus, FakeTraefik, parse_selector, traefik_service

from modelroute.analysis.design import Outcomes
from modelroute.errors import Unavailable
from modelroute.metrics import asking
from modelroute.metrics.prometheus import AnswerTooLarge, ClockBehind, PrometheusServer, QueryWarning, Unreachable
from modelroute.metrics.reading import ArmQuery, CounterQuery, Metric, ObjectiveQuery, RouteQuery, WindowReading
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.scrapes import Series
from modelroute.metrics.sources import PROCESS_START
from modelroute.rollout.reasons import Reason

SERVER = PrometheusServer("default", "http://127.0.0.1:9", scrape_interval_s=5.0)
ARMS = (ArmQuery("large", "chat", "llama-70b", 8000), ArmQuery("small", "chat", "llama-8b", 8000))
ERRORS = ObjectiveQuery("errors", Metric.ERROR_RATE)
SAFETY = ObjectiveQuery("safety", Metric.SAFETY_VIOLATION_RATE, min_coverage=0.9)
TOKENS = ObjectiveQuery("tokens", Metric.TOKENS_PER_REQUEST)
CUSTOM = ObjectiveQuery("wrong", Metric.CUSTOM, bad=CounterQuery("wrong_total"), total=CounterQuery("answers_total"))
QUERY = RouteQuery("chat", "support-chat", 0, ARMS, (ERRORS,), T0, T0 + 50, 5.0)
TIMES = [T0 - 22 + 5 * place for place in range(200)]
FAR = T0 + 10_000


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def ramp(per_scrape: float) -> list[float | None]:
    return [per_scrape * place for place in range(len(TIMES))]


def gateway(route: str = "support-chat", small: float = 3) -> FakeTraefik:
    traefik = FakeTraefik(TIMES)
    traefik.requests(traefik_service("llama-70b", index=0, route=route), "200", ramp(7))
    return traefik.requests(traefik_service("llama-8b", index=1, route=route), "200", ramp(small))


def sampler_of(store: FakePrometheus, executor: ThreadPoolExecutor, *, now: float = FAR) -> Sampler:
    store.scraped_until = now
    return Sampler(SERVER, executor, store=store, clock=lambda: now, batch_wait_s=0.01)


async def test_windows_come_complete_and_in_order(executor: ThreadPoolExecutor) -> None:
    sampler = sampler_of(FakePrometheus(*gateway().series), executor, now=T0 + 36)
    windows = await sampler.read(QUERY)
    assert [(window.start - T0, window.end - T0) for window in windows] == [
        (0, 5),
        (5, 10),
        (10, 15),
        (15, 20),
        (20, 25),
    ]
    assert all(window.completions == {"large": 7, "small": 3} for window in windows)
    assert all(window.unknown == () for window in windows)


async def test_a_window_that_is_not_complete_is_not_read(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus(*gateway().series)
    assert await sampler_of(store, executor, now=T0 + 14.9).read(QUERY) == ()
    assert await sampler_of(store, executor).read(replace(QUERY, until=QUERY.since)) == ()
    assert await sampler_of(store, executor).read(replace(QUERY, until=QUERY.since + 4)) == ()
    assert store.asked == []


@pytest.mark.parametrize(("window_s", "count"), [(5.0, 20), (60.0, 10), (900.0, 1)])
async def test_a_read_is_bounded_and_the_rest_comes_with_the_next(
    executor: ThreadPoolExecutor, window_s: float, count: int
) -> None:
    sampler = sampler_of(FakePrometheus(*gateway().series), executor)
    windows = await sampler.read(replace(QUERY, until=T0 + 9000, window_s=window_s))
    assert len(windows) == count
    more = await sampler.read(replace(QUERY, since=windows[-1].end, until=T0 + 9000, window_s=window_s))
    assert more[0].start == windows[-1].end


async def test_a_window_read_again_alone_or_by_another_process_is_the_same(executor: ThreadPoolExecutor) -> None:
    started = [T0 - 86_400.0] * 8 + [T0 + 15.0] * (len(TIMES) - 8)
    traefik = FakeTraefik(TIMES, started=started)
    values = ramp(3)
    values[8:] = [float(place) for place in range(len(TIMES) - 8)]
    traefik.requests(traefik_service("llama-8b", index=1), "200", values)
    late = FakeTraefik(TIMES[9:], started=T0 + 20, instance="10.0.0.2:8082")
    late.requests(traefik_service("llama-8b", index=1), "500", [5.0] * len(late.times))
    missed = FakeTraefik(TIMES[:6] + TIMES[8:], started=T0 - 5000, instance="10.0.0.3:8082")
    missed.requests(
        traefik_service("llama-70b", index=0), "200", [float(place**2) for place in range(len(missed.times))]
    )
    judge = FakeJudge("llama-8b", TIMES).verdicts("pass", ramp(3))
    held = [*traefik.series, *late.series, *missed.series, *judge.series]
    query = replace(QUERY, objectives=(ERRORS, SAFETY))

    together = await sampler_of(FakePrometheus(*held), executor).read(query)
    alone: list[WindowReading] = []
    for place in range(10):
        one = replace(query, since=T0 + 5 * place, until=T0 + 5 * place + 5)
        soon = await sampler_of(FakePrometheus(*held), executor, now=one.until + 10).read(one)
        # One that misses scrapes is waited for; what is answered then is the same.
        alone += soon or await sampler_of(FakePrometheus(*held), executor, now=one.until + 30).read(one)
    assert list(together) == alone
    assert {each.reason for window in together for each in window.unknown} >= {Reason.SCRAPE_GAP, Reason.JUDGE_SILENT}


@pytest.mark.parametrize(("behind_s", "told"), [(4.0, False), (9.0, True), (90.0, True)])
async def test_by_a_clock_that_is_behind_prometheuss_nothing_is_counted(
    executor: ThreadPoolExecutor, behind_s: float, told: bool
) -> None:
    store = FakePrometheus(*gateway().series)
    sampler = sampler_of(store, executor, now=T0 + 100)
    store.scraped_until = T0 + 100 + behind_s
    query = replace(QUERY, since=T0 + 85, until=T0 + 90)
    if told:
        with pytest.raises(ClockBehind, match=r"the operator's clock is at least \d+ s behind Prometheus's"):
            await sampler.read(query)
    else:
        assert len(await sampler.read(query)) == 1


async def test_routes_that_ask_at_once_share_their_questions(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus()
    names = [f"route-{place}" for place in range(30)]
    for place, name in enumerate(names):
        store.add(*gateway(name, small=place).series[2:])
    store.add(*FakeTraefik(TIMES).series)
    sampler = sampler_of(store, executor)
    answers = await asyncio.gather(*(sampler.read(replace(QUERY, route=name)) for name in names))
    assert [windows[0].completions["small"] for windows in answers] == list(range(30))
    assert sorted(parse_selector(asked)[0] for asked in store.asked) == [
        "process_start_time_seconds",
        "traefik_config_reloads_total",  # as what every target has
        "traefik_config_reloads_total",  # as what it counts
        "traefik_service_request_duration_seconds_bucket",
        "traefik_service_requests_total",
    ]


async def test_questions_are_split_where_they_would_be_too_long(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_QUESTION_SIZE", 500)
    store = FakePrometheus(*gateway("route-0").series, *gateway("route-1").series[2:], *gateway("route-2").series[2:])
    sampler = sampler_of(store, executor)
    answers = await asyncio.gather(*(sampler.read(replace(QUERY, route=f"route-{n}")) for n in range(3)))
    assert all(windows[0].completions == {"large": 7, "small": 3} for windows in answers)
    asked = [
        matchers for name, matchers, _ in map(parse_selector, store.asked) if name == "traefik_service_requests_total"
    ]
    assert len(asked) > 1
    assert all(len(matchers[0][2]) < 1000 for matchers in asked)


class TooLargeForTwo(FakePrometheus):
    """Answers about one route at a time only."""

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        if expression.count("llama-8b") > 1:
            raise AnswerTooLarge("Prometheus default answered with more than 1 bytes")
        return super().samples(expression, at)


async def test_an_answer_that_is_too_large_is_asked_for_in_halves(executor: ThreadPoolExecutor) -> None:
    store = TooLargeForTwo(*gateway("route-0").series, *gateway("route-1").series[2:], *gateway("route-2").series[2:])
    sampler = sampler_of(store, executor)
    answers = await asyncio.gather(*(sampler.read(replace(QUERY, route=f"route-{n}")) for n in range(3)))
    assert all(windows[0].completions == {"large": 7, "small": 3} for windows in answers)


@pytest.mark.parametrize(
    "metric", ["traefik_config_reloads_total", "process_start_time_seconds", "traefik_service_requests_total"]
)
async def test_a_failure_consumes_nothing_and_the_next_read_has_it_all(
    executor: ThreadPoolExecutor, metric: str
) -> None:
    store = FakePrometheus(*gateway().series)
    store.fails[metric] = Unavailable("Prometheus default did not answer in time")
    sampler = sampler_of(store, executor)
    answers = await asyncio.gather(sampler.read(QUERY), sampler.read(QUERY), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    store.fails.clear()
    assert len(await sampler.read(QUERY)) == 10


async def test_a_failure_of_the_judges_query_leaves_other_routes_alone(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus(*gateway().series)
    store.fails["modelroute_judge_total"] = Unavailable("Prometheus default answered 422 (execution)")
    sampler = sampler_of(store, executor)
    with_judge = replace(QUERY, route="judged", objectives=(SAFETY,))
    answers = await asyncio.gather(sampler.read(QUERY), sampler.read(with_judge), return_exceptions=True)
    assert isinstance(answers[0], tuple)
    assert isinstance(answers[1], Unavailable)


async def test_warnings_make_every_window_unknown_and_never_a_pass(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus(*gateway().series)
    store.fails["traefik_service_requests_total"] = QueryWarning("Prometheus default answered with warnings")
    windows = await sampler_of(store, executor).read(QUERY)
    assert len(windows) == 10
    for window in windows:
        assert (window.outcomes, window.completions) == ({}, {})
        assert [each.reason for each in window.unknown] == [Reason.QUERY_WARNING]


async def test_a_bug_in_the_store_reaches_those_who_asked(executor: ThreadPoolExecutor) -> None:
    class Broken(FakePrometheus):
        def samples(self, expression: str, at: float) -> tuple[Series, ...]:
            raise ZeroDivisionError

    sampler = sampler_of(Broken(), executor)
    answers = await asyncio.gather(sampler.read(QUERY), sampler.read(QUERY), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ZeroDivisionError, ZeroDivisionError]


async def test_a_reader_that_is_cancelled_takes_nobody_with_it(executor: ThreadPoolExecutor) -> None:
    sampler = sampler_of(FakePrometheus(*gateway().series), executor)
    first, second = asyncio.create_task(sampler.read(QUERY)), asyncio.create_task(sampler.read(QUERY))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 10
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_two_routes_with_one_name_in_the_metrics_are_ambiguous_for_both(executor: ThreadPoolExecutor) -> None:
    sampler = sampler_of(FakePrometheus(*gateway().series), executor)
    assert (await sampler.read(QUERY))[0].unknown == (), "nobody else was seen yet"

    alike = replace(QUERY, namespace="chat-support", route="chat")
    for windows in await asyncio.gather(sampler.read(QUERY), sampler.read(alike)):
        assert {each.reason for window in windows for each in window.unknown} == {Reason.AMBIGUOUS_SERIES}
        assert all(window.completions == {} for window in windows)


async def test_a_gateway_whose_process_start_is_not_scraped_is_not_taken_for_silence(
    executor: ThreadPoolExecutor,
) -> None:
    series = [each for each in gateway().series if each.labels["__name__"] != "process_start_time_seconds"]
    windows = await sampler_of(FakePrometheus(*series), executor).read(QUERY)
    assert {each.reason for window in windows for each in window.unknown} == {Reason.NO_DATA}
    assert all(window.completions == {} for window in windows)


async def test_processes_of_other_jobs_are_not_asked_for(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus(*gateway().series)
    await sampler_of(store, executor).read(QUERY)
    asked = next(asked for asked in store.asked if asked.startswith("process_start"))
    assert parse_selector(asked)[1] == [("job", "=~", "traefik"), ("instance", "=~", r"10\.0\.0\.1:8082")]


async def test_another_clusters_traffic_is_not_counted_as_this_routes_and_with_its_name_ours_is(
    executor: ThreadPoolExecutor,
) -> None:
    store = FakePrometheus()
    for place, cluster in enumerate(("eu-1", "us-1")):
        instance, started = f"10.{place}.0.1:8082", T0 - 86_400 - 7 * place
        traefik = FakeTraefik(TIMES, instance=instance, started=started, cluster=cluster)
        store.add(*traefik.requests(traefik_service("llama-8b", index=1), "200", ramp(3 + 100 * place)).series)
    (first, *_) = await sampler_of(store, executor).read(QUERY)
    assert [(each.reason, each.message[:41]) for each in first.unknown] == [
        (Reason.AMBIGUOUS_SERIES, "targets of several clusters (eu-1, us-1):")
    ]

    ours = replace(SERVER, matchers=(("cluster", "eu-1"),))
    store.asked.clear()
    sampler = Sampler(ours, executor, store=store, clock=lambda: FAR, batch_wait_s=0.01)
    (first, *_) = await sampler.read(replace(QUERY, objectives=(ERRORS, SAFETY, TOKENS, CUSTOM)))
    assert first.completions == {"large": 0, "small": 3}
    asked = {name: matchers for name, matchers, _ in map(parse_selector, store.asked)}
    assert {"vllm:prompt_tokens_total", "wrong_total", "modelroute_judge_total", PROCESS_START} < set(asked)
    assert all(matchers[-1] == ("cluster", "=", "eu-1") for matchers in asked.values())


async def test_two_gateways_of_one_cluster_are_read_whoever_scraped_them(executor: ThreadPoolExecutor) -> None:
    store = FakePrometheus()
    for place in range(2):
        labels = {"cluster": "eu-1", "prometheus": f"monitoring/shard-{place}", "replica": str(place)}
        traefik = FakeTraefik(TIMES, instance=f"10.0.0.{place}:8082", started=T0 - 86_400 - 7 * place, **labels)
        store.add(*traefik.requests(traefik_service("llama-8b", index=1), "200", ramp(3)).series)
    (first, *_) = await sampler_of(store, executor).read(QUERY)

    assert (first.unknown, first.completions["small"]) == ((), 6)


class Lagging(FakePrometheus):
    """Samples arrive `lag_s` after their scrape, as by remote write; `now` is set by the test."""

    def __init__(self, *held: Series, lag_s: float) -> None:
        super().__init__(*held)
        self.lag_s, self.now = lag_s, T0

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        return super().samples(expression, min(at, self.now - self.lag_s))


async def read_on(store: Lagging, executor: ThreadPoolExecutor, query: RouteQuery) -> list[WindowReading]:
    """Every window, asked for each second as it becomes due, as ticks do."""
    sampler = Sampler(SERVER, executor, store=store, clock=lambda: store.now, batch_wait_s=0.0)
    found: list[WindowReading] = []
    while query.since < query.until and store.now < query.until + 100:
        windows = await sampler.read(query)
        found += windows
        query = replace(query, since=windows[-1].end if windows else query.since)
        store.now += 1.05
    return found


@pytest.mark.parametrize("lag_s", [0.0, 2.0, 9.0, 10.5, 13.0, 19.0])
async def test_samples_that_arrive_late_are_waited_for_and_none_is_lost(
    executor: ThreadPoolExecutor, lag_s: float
) -> None:
    for phase in (-3.0, 0.1, 1.7):
        times = [t + phase for t in TIMES]
        traefik = FakeTraefik(times).requests(traefik_service("llama-8b", index=1), "200", ramp(100))
        judge = FakeJudge("llama-8b", [t + 0.9 for t in times]).verdicts("violation", ramp(90))
        other = FakeJudge("llama-70b", [t + 1.3 for t in times], instance="10.0.1.2:8000")
        store = Lagging(*traefik.series, *judge.series, *other.series, lag_s=lag_s)
        query = replace(QUERY, since=T0 + 60, until=T0 + 360, objectives=(ERRORS, SAFETY))
        windows = await read_on(store, executor, query)

        assert len(windows) == 60
        assert [window.unknown for window in windows if window.unknown] == []
        assert sum(window.completions["small"] for window in windows) == 6000
        assert sum(window.outcomes["safety", "small"].absolute for window in windows) == 5400


class ByTurns(FakePrometheus):
    """Two replicas behind one address, the second of which scrapes `apart_s` later; `turn` says who answers."""

    def __init__(self, apart_s: float) -> None:
        super().__init__()
        self.turn = 0
        self.replicas = []
        for place in range(2):
            times = [t + place * apart_s for t in TIMES]
            small = [float(round(10 * (t - TIMES[0]))) for t in times]
            traefik = FakeTraefik(times).requests(traefik_service("llama-8b", index=1), "200", small)
            self.replicas.append(FakePrometheus(*traefik.series))

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        return self.replicas[self.turn].samples(expression, at)


@pytest.mark.parametrize("turns", [[0] * 10, [0, 1] * 5, [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]])
async def test_two_replicas_that_answer_by_turns_are_noticed_and_one_of_them_is_not(
    executor: ThreadPoolExecutor, turns: list[int]
) -> None:
    store = ByTurns(apart_s=1.5)
    sampler = sampler_of(store, executor)
    windows: list[WindowReading] = []
    for place, store.turn in enumerate(turns):
        windows += await sampler.read(replace(QUERY, since=T0 + 5 * place, until=T0 + 5 * place + 5))

    changed = [place > 0 and turns[place - 1] != turn for place, turn in enumerate(turns)]
    assert [bool(window.unknown) for window in windows] == changed
    assert {each.reason for window in windows for each in window.unknown} <= {Reason.REPLICAS_DIFFER}
    assert {window.completions["small"] for window in windows if not window.unknown} == {50}


class OneShardBehind(Lagging):
    """All arrives at once but the series with these labels, which come `lag_s` later: a shard of a remote write."""

    def __init__(self, *held: Series, lag_s: float, of: dict[str, str]) -> None:
        super().__init__(*held, lag_s=0.0)
        self.behind_s, self.of = lag_s, of.items()

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        found = super().samples(expression, at)
        cut = [
            Series(each.labels, tuple(s for s in each.samples if s.t <= self.now - self.behind_s))
            if self.of <= each.labels.items()
            else each
            for each in found
        ]
        return tuple(each for each in cut if each.samples)


@pytest.mark.parametrize("lag_s", [6.0, 15.0, 22.0])
@pytest.mark.parametrize(
    "of",
    [
        {"code": "200", "instance": "10.0.0.1:8082"},
        {"__name__": "process_start_time_seconds", "job": "traefik"},
        {"verdict": "pass"},
    ],
)
async def test_one_counter_that_arrives_later_than_the_others_is_waited_for_or_unknown_and_never_half(
    executor: ThreadPoolExecutor, lag_s: float, of: dict[str, str]
) -> None:
    small = traefik_service("llama-8b", index=1)
    traefik = FakeTraefik(TIMES).requests(small, "200", ramp(20)).requests(small, "500", ramp(1))
    judge = FakeJudge("llama-8b", [t + 1 for t in TIMES]).verdicts("pass", ramp(19)).verdicts("violation", ramp(1))
    store = OneShardBehind(*traefik.series, *judge.series, lag_s=lag_s, of=of)
    query = replace(QUERY, since=T0 + 60, until=T0 + 260, objectives=(ERRORS, SAFETY))
    windows = await read_on(store, executor, query)

    assert len(windows) == 40
    assert {window.outcomes["errors", "small"] for window in windows} == {Outcomes(21, (1,), 1)}
    known = Outcomes(20, (1,), 1)
    assert {window.outcomes.get(("safety", "small"), known) for window in windows} == {known}


async def test_a_counter_that_its_process_deleted_holds_windows_up_for_five_scrapes_and_no_longer(
    executor: ThreadPoolExecutor,
) -> None:
    small, gone = traefik_service("llama-8b", index=1), traefik_service("llama-8b", index=2)
    traefik = FakeTraefik(TIMES).requests(small, "200", ramp(20))
    traefik.requests(gone, "200", [value if t < T0 + 50 else None for t, value in zip(TIMES, ramp(7), strict=True)])
    store = Lagging(*traefik.series, lag_s=0.0)
    sampler = Sampler(SERVER, executor, store=store, clock=lambda: store.now, batch_wait_s=0.0)
    told: dict[float, float] = {}
    query = replace(QUERY, since=T0, until=T0 + 200)
    while query.since < query.until:
        for window in await sampler.read(query):
            told[window.end - T0] = store.now - window.end
            assert (window.unknown, window.completions["small"]) == ((), 27 if window.end <= T0 + 50 else 20)
            query = replace(query, since=window.end)
        store.now += 1

    assert max(told.values()) <= 5 * 5 + 5
    assert all(waited_s <= 10 for end, waited_s in told.items() if not 50 <= end <= 80)


async def test_samples_that_never_come_in_time_are_unknown_and_not_nothing(executor: ThreadPoolExecutor) -> None:
    store = Lagging(*gateway().series, lag_s=60.0)
    windows = await read_on(store, executor, replace(QUERY, until=T0 + 100, window_s=50.0))

    assert len(windows) == 2
    assert all(window.unknown and not window.outcomes for window in windows)


async def test_a_gateway_that_is_replaced_pod_by_pod_is_read_whole_a_little_later(executor: ThreadPoolExecutor) -> None:
    """Eight pods, one of them replaced each 15 s: each window waits until the one that went counts as gone."""
    store = Lagging(lag_s=0.0)
    truth = 0.0
    for pod in range(8):
        gone_at, gap_s = T0 + 20 + 15 * pod, 0.3 * pod
        for born, times, instance in (
            (T0 - 86_400 - pod, [t + gap_s for t in TIMES if t + gap_s < gone_at], f"old-{pod}"),
            (gone_at, [t + gap_s for t in TIMES if t + gap_s > gone_at], f"new-{pod}"),
        ):
            traefik = FakeTraefik(times, started=born, instance=instance)
            traefik.requests(traefik_service("llama-8b", index=1), "200", [float(3 * n) for n in range(len(times))])
            store.add(*traefik.series)
            truth += 3.0 * sum(T0 < t <= T0 + 200 for t in times[1:])
    windows = await read_on(store, executor, replace(QUERY, until=T0 + 200))

    assert [window.unknown for window in windows if window.unknown] == []
    assert sum(window.completions["small"] for window in windows) == truth


async def test_a_judge_that_goes_down_with_its_backend_does_not_hide_the_backends_failures(
    executor: ThreadPoolExecutor,
) -> None:
    traefik = FakeTraefik(TIMES).requests(traefik_service("llama-8b", index=1), "502", ramp(100))
    until_then = [t for t in TIMES if t < T0 + 20]
    down = FakeJudge("llama-8b", until_then).verdicts("pass", ramp(1)[: len(until_then)])
    up = FakeJudge("llama-70b", TIMES, instance="10.0.1.2:8000")
    store = Lagging(*traefik.series, *down.series, *up.series, lag_s=0.0)
    sampler = Sampler(SERVER, executor, store=store, clock=lambda: store.now, batch_wait_s=0.0)
    store.now = T0 + 25 + 12
    windows = await sampler.read(replace(QUERY, until=T0 + 25, objectives=(ERRORS, SAFETY)))

    assert len(windows) == 5
    assert windows[-1].outcomes["errors", "small"].absolute == 100
    assert {(each.reason, each.arm) for each in windows[-1].unknown} == {(Reason.SCRAPE_GAP, "small")}


class Hanging(FakePrometheus):
    """Does not answer in time until `well`; `asked` counts."""

    well = False

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        if self.well:
            return super().samples(expression, at)
        self.asked.append(expression)
        self.turn.wait(0.05)
        raise Unreachable("Prometheus default did not answer in time")

    turn = threading.Event()


async def test_a_server_that_hangs_is_asked_by_one_at_a_time_and_the_others_are_told_at_once(
    executor: ThreadPoolExecutor,
) -> None:
    store = Hanging(*gateway().series)
    sampler = sampler_of(store, executor)
    queries = [replace(QUERY, since=T0 + 5 * place, until=T0 + 5 * place + 5) for place in range(40)]
    for _ in range(3):
        answers = await asyncio.gather(*(sampler.read(query) for query in queries), return_exceptions=True)
        assert {type(each) for each in answers} == {Unreachable}
    # The crowd came before it was known: two threads were busy, and what stood in the queue was not asked any more.
    assert len(store.asked) <= 2 * 4 + 2 * 4

    store.well = True
    await sampler.read(queries[0])
    again = await asyncio.gather(*(sampler.read(query) for query in queries))
    assert all(len(windows) == 1 for windows in again)


async def test_an_answer_that_is_too_large_for_all_windows_is_asked_for_in_parts(executor: ThreadPoolExecutor) -> None:
    class TooLargeBeyond(FakePrometheus):
        def samples(self, expression: str, at: float) -> tuple[Series, ...]:
            name, _, range_s = parse_selector(expression)
            if name == "traefik_service_request_duration_seconds_bucket" and range_s > 80:
                raise AnswerTooLarge("too large")
            return super().samples(expression, at)

    sampler = sampler_of(TooLargeBeyond(*gateway().series), executor)
    query = replace(QUERY, until=T0 + 100)
    found: list[WindowReading] = []
    while query.since < query.until:
        windows = await sampler.read(query)
        assert windows
        found += windows
        query = replace(query, since=windows[-1].end)
    assert [window.end - T0 for window in found] == [5.0 * place for place in range(1, 21)]
    assert all(window.completions == {"large": 7, "small": 3} for window in found)


async def test_a_judge_that_is_down_for_a_while_spoils_no_window_of_the_gateway(executor: ThreadPoolExecutor) -> None:
    times = [t - 2.5 for t in TIMES]
    traefik = FakeTraefik(times).requests(traefik_service("llama-8b", index=1), "502", ramp(100))
    until_then = [t for t in times if t < T0 + 7]
    down = FakeJudge("llama-8b", until_then).verdicts("pass", ramp(1)[: len(until_then)])
    store = Lagging(*traefik.series, *down.series, lag_s=0.0)
    windows = await read_on(store, executor, replace(QUERY, until=T0 + 100, objectives=(ERRORS, SAFETY)))

    assert len(windows) == 20
    assert all(window.outcomes["errors", "small"].absolute == 100 for window in windows)
    assert all(("safety", "small") not in window.outcomes for window in windows[1:])
