"""Counters of a user's own: whose they are, how they are counted, and what makes them unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.fake_prometheus import T0, FakePrometheus, FakeTraefik, parse_selector, series, traefik_service

from modelroute.analysis.design import Outcomes
from modelroute.metrics.counters import alike, labels_for
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.reading import ArmQuery, CounterQuery, Metric, ObjectiveQuery, RouteQuery, WindowReading
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.scrapes import Series
from modelroute.rollout.reasons import Reason

LARGE = ArmQuery("large", "chat", "llama-70b", 8000)
SMALL = ArmQuery("small", "chat", "llama-8b", 8000)
BY_SERVICE = (("service", "$(backend)"),)
BAD, TOTAL = CounterQuery("wrong_total", BY_SERVICE), CounterQuery("answers_total", BY_SERVICE)
WRONG = ObjectiveQuery("wrong", Metric.CUSTOM, bad=BAD, total=TOTAL)
QUERY = RouteQuery("chat", "support-chat", 0, (LARGE, SMALL), (WRONG,), T0, T0 + 5, 5.0)
TIMES = [T0 - 22 + 5 * place for place in range(8)]
"""Scrapes; those at T0 − 2 and T0 + 3 bound the window."""

ERRORS, SAFETY, TOKENS = Metric.ERROR_RATE, Metric.SAFETY_VIOLATION_RATE, Metric.TOKENS_PER_REQUEST
BEFORE, AT = TIMES.index(T0 - 2), TIMES.index(T0 + 3)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Pod:
    """One process that serves counters, scraped at `TIMES`; values are given as (before, at) the window's scrape."""

    def __init__(
        self,
        service: str,
        instance: str = "10.0.1.1:8000",
        *,
        namespace: str = "chat",
        started: float | None = T0 - 9000,
        times: Sequence[float] = TIMES,
    ) -> None:
        self.times = times
        self.labels = {"job": "models", "instance": instance, "namespace": namespace, "service": service}
        self.series: list[Series] = []
        if started is not None:
            self.series.append(series("process_start_time_seconds", self.labels, ((t, started) for t in times)))

    def has(self, name: str, before: float | None, at: float | None, **own: str) -> Pod:
        """`None` where the counter was not there; before the window it was as it was at its start."""
        seen = [(t, value) for t in self.times if (value := before if t < T0 else at) is not None]
        self.series.append(series(name, {**self.labels, **own}, seen))
        return self


def gateway() -> FakeTraefik:
    traefik = FakeTraefik(TIMES)
    for index, service in enumerate(("llama-70b", "llama-8b")):
        traefik.requests(traefik_service(service, index=index), "200", [9.0 * place for place in range(len(TIMES))])
    return traefik


async def read(
    executor: ThreadPoolExecutor, pods: Sequence[Pod], query: RouteQuery = QUERY
) -> tuple[WindowReading, FakePrometheus]:
    store = FakePrometheus(*gateway().series, *(each for pod in pods for each in pod.series))
    server = PrometheusServer("default", "http://127.0.0.1:9", scrape_interval_s=5.0)
    sampler = Sampler(server, executor, store=store, clock=lambda: T0 + 1000, batch_wait_s=0.0)
    (window,) = await sampler.read(query)
    return window, store


def known(total: float, bad: float) -> Outcomes:
    return Outcomes(total, (bad,), bad)


def large() -> Pod:
    return Pod("llama-70b", "10.0.1.9:8000").has("answers_total", 100, 190).has("wrong_total", 3, 4)


async def test_each_arm_is_counted_by_its_own_series_as_a_share_of_its_own_total(executor: ThreadPoolExecutor) -> None:
    small = Pod("llama-8b").has("answers_total", 10, 40).has("wrong_total", 5, 7)
    window, _ = await read(executor, [large(), small])

    assert window.outcomes == {("wrong", "large"): known(90, 1), ("wrong", "small"): known(30, 2)}
    assert window.completions == {"large": 9, "small": 9}
    assert window.unknown == ()


async def test_a_window_after_missed_scrapes_tells_since_when_it_counts(executor: ThreadPoolExecutor) -> None:
    small = Pod("llama-8b", times=[t for t in TIMES if not T0 - 15 < t < T0])
    whole, _ = await read(executor, [large(), Pod("llama-8b").has("answers_total", 10, 40)])
    gap, _ = await read(executor, [large(), small.has("answers_total", 10, 40)])

    assert (whole.counted_from, gap.counted_from) == (T0 - 2, T0 - 17)
    assert gap.outcomes["wrong", "small"] == known(30, 0)


async def test_pods_and_series_of_an_arm_are_summed_and_those_of_others_are_not(executor: ThreadPoolExecutor) -> None:
    pods = [
        large(),
        Pod("llama-8b", "10.0.1.1:8000").has("answers_total", 0, 10, route="a").has("answers_total", 0, 5, route="b"),
        Pod("llama-8b", "10.0.1.2:8000", started=T0 - 77).has("answers_total", 7, 8).has("wrong_total", 7, 8, why="x"),
        Pod("llama-8b", "10.0.1.3:8000", namespace="other").has("answers_total", 0, 1000).has("wrong_total", 0, 1000),
        Pod("llama-8b-canary", "10.0.1.4:8000").has("answers_total", 0, 1000),
    ]
    window, _ = await read(executor, pods)

    assert window.outcomes["wrong", "small"] == known(16, 1)


async def test_a_counter_that_appears_with_its_first_event_counts_from_nothing(executor: ThreadPoolExecutor) -> None:
    small = Pod("llama-8b").has("answers_total", 10, 40).has("wrong_total", None, 2)
    window, _ = await read(executor, [large(), small])

    assert window.outcomes["wrong", "small"] == known(30, 2)


async def test_bad_ones_that_were_never_counted_are_none_where_all_are_counted(executor: ThreadPoolExecutor) -> None:
    window, _ = await read(executor, [large(), Pod("llama-8b").has("answers_total", 10, 40)])

    assert window.outcomes["wrong", "small"] == known(30, 0)


async def test_a_restarted_process_is_counted_from_nothing(executor: ThreadPoolExecutor) -> None:
    pod = Pod("llama-8b", started=None).has("answers_total", 1000, 4).has("wrong_total", 900, 1)
    starts = ((t, T0 - 9000 if t < T0 else T0 + 1) for t in TIMES)
    pod.series.append(series("process_start_time_seconds", pod.labels, starts))
    window, _ = await read(executor, [large(), pod])

    assert window.outcomes["wrong", "small"] == known(4, 1)


NAN, INF = float("nan"), float("inf")
UNKNOWN: dict[str, tuple[Pod | None, Reason, str]] = {
    "nothing at all": (None, Reason.NO_DATA, "no series answers_total{namespace='chat', service='llama-8b'}"),
    "only bad ones": (
        Pod("llama-8b").has("wrong_total", 0, 0),
        Reason.NO_DATA,
        "no series answers_total{namespace='chat', service='llama-8b'} was scraped in this window",
    ),
    "more bad ones than all": (
        Pod("llama-8b").has("answers_total", 0, 3).has("wrong_total", 0, 4),
        Reason.COUNTERS_DISAGREE,
        "wrong_total{namespace='chat', service='llama-8b'} counted 4 and answers_total 3 at the same scrapes",
    ),
    "bad ones of NaN": (
        Pod("llama-8b").has("answers_total", 0, 3).has("wrong_total", 0, NAN),
        Reason.NOT_A_NUMBER,
        "wrong_total{namespace='chat', service='llama-8b'} has a value that is not a count",
    ),
    "all of infinity": (
        Pod("llama-8b").has("answers_total", 0, INF),
        Reason.NOT_A_NUMBER,
        "answers_total{namespace='chat', service='llama-8b'} has a value that is not a count",
    ),
    "all below nothing": (
        Pod("llama-8b").has("answers_total", 0, -1),
        Reason.NOT_A_NUMBER,
        "answers_total{namespace='chat', service='llama-8b'} has a value that is not a count",
    ),
    "all that vanished": (
        Pod("llama-8b").has("answers_total", 10, None).has("wrong_total", 0, 0),
        Reason.NO_DATA,
        "no series answers_total{namespace='chat', service='llama-8b'} was scraped in this window",
    ),
    "bad ones that vanished": (
        Pod("llama-8b").has("answers_total", 10, 20).has("wrong_total", 5, None),
        Reason.SCRAPE_GAP,
        "wrong_total is missing from a scrape of target 10.0.1.1:8000 of job models",
    ),
    "no start of the process": (
        Pod("llama-8b", started=None).has("answers_total", 0, 3),
        Reason.NO_DATA,
        "answers_total: target 10.0.1.1:8000 of job models has no process_start_time_seconds",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
async def test_what_does_not_add_up_is_unknown_and_names_the_metric(executor: ThreadPoolExecutor, what: str) -> None:
    pod, reason, words = UNKNOWN[what]
    window, _ = await read(executor, [large(), *([pod] if pod else [])])

    (unknown,) = window.unknown
    assert (unknown.objective, unknown.arm, unknown.reason) == ("wrong", "small", reason)
    assert words in unknown.message
    assert ("wrong", "small") not in window.outcomes
    assert window.outcomes["wrong", "large"] == known(90, 1), "the other arm is known"


async def test_the_bad_ones_of_one_pod_are_not_excused_by_another(executor: ThreadPoolExecutor) -> None:
    pods = [
        large(),
        Pod("llama-8b", "10.0.1.1:8000").has("answers_total", 0, 100),
        Pod("llama-8b", "10.0.1.2:8000", started=T0 - 77).has("wrong_total", 0, 7),
    ]
    window, _ = await read(executor, pods)

    assert [each.reason for each in window.unknown] == [Reason.COUNTERS_DISAGREE]


async def test_a_pod_that_misses_a_scrape_leaves_a_gap(executor: ThreadPoolExecutor) -> None:
    pod = Pod("llama-8b", started=None)
    seen = [(t, 10.0) for t in TIMES if t < T0 - 5]
    pod.series += [series(name, pod.labels, seen) for name in ("answers_total", "process_start_time_seconds")]
    window, _ = await read(executor, [large(), pod])

    assert [(each.reason, each.message) for each in window.unknown] == [
        (Reason.SCRAPE_GAP, "answers_total: target 10.0.1.1:8000 of job models was not scraped in this window")
    ]


async def test_labels_of_the_metric_do_as_well_as_those_of_the_target(executor: ThreadPoolExecutor) -> None:
    """One evaluator that counts for all arms: its target says nothing of them."""
    counter = CounterQuery("graded_total", (("model", "m-$(arm)"),))
    objective = ObjectiveQuery("wrong", Metric.CUSTOM, bad=replace(counter, metric="failed_total"), total=counter)
    evaluator = Pod("evaluator").has("graded_total", 0, 9, model="m-small").has("graded_total", 0, 8, model="m-large")
    evaluator.has("failed_total", 0, 2, model="m-small")
    window, store = await read(executor, [evaluator], replace(QUERY, objectives=(objective,)))

    assert window.outcomes == {("wrong", "large"): known(8, 0), ("wrong", "small"): known(9, 2)}
    asked = [parse_selector(each) for each in store.asked]
    assert [matchers for name, matchers, _ in asked if name == "graded_total"] == [
        [("model", "=~", "m-large|m-small"), ("namespace", "=~", "chat")]
    ], "both arms in one question"


async def test_two_versions_of_a_model_are_not_told_apart_by_its_name(executor: ThreadPoolExecutor) -> None:
    counter = CounterQuery("answers_total", (("model", "$(arm)"),))
    objective = ObjectiveQuery("wrong", Metric.CUSTOM, bad=counter, total=counter)
    old = ArmQuery("small@llama-70b", "chat", "llama-70b", 8000, model="small")
    query = replace(QUERY, arms=(old, SMALL), objectives=(objective,))
    window, _ = await read(executor, [Pod("llama-8b").has("answers_total", 0, 9, model="small")], query)

    assert {each.arm: each.reason for each in window.unknown} == dict.fromkeys(
        ("small", "small@llama-70b"), Reason.AMBIGUOUS_SERIES
    )
    assert "no label of answers_total tells small@llama-70b, small apart" in window.unknown[0].message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("$(backend)", "llama-8b"),
        ("a-$(arm).$(namespace)-$(backend)", "a-small.chat-llama-8b"),
        ("$(ARM)$(service)$(arm", "$(ARM)$(service)$(arm"),
        ("$$(arm))", "$small)"),
        ("{{ .arm }} .*|x", "{{ .arm }} .*|x"),
        ('"} or up{a="', '"} or up{a="'),
        ("", ""),
    ],
)
def test_a_value_is_text_and_only_three_placeholders_are_filled_in(value: str, text: str) -> None:
    assert dict(labels_for(CounterQuery("x", (("a", value),)), SMALL)) == {"a": text, "namespace": "chat"}


def test_a_name_that_looks_like_a_placeholder_is_not_filled_in_again() -> None:
    arm = ArmQuery("x", "chat", "$(namespace)", 8000)
    assert dict(labels_for(CounterQuery("x", (("a", "$(backend)"),)), arm))["a"] == "$(namespace)"


@pytest.mark.parametrize("value", ["$(namespace)", "kube-system", ".*", ""])
def test_the_namespace_is_the_backends_whatever_is_asked_for(value: str) -> None:
    assert labels_for(CounterQuery("x", (("namespace", value),)), SMALL) == (("namespace", "chat"),)


async def test_what_a_service_counts_that_the_route_may_not_name_is_not_asked_for(
    executor: ThreadPoolExecutor,
) -> None:
    theirs = ArmQuery("small", "shared", "llama-8b", 8000, is_closed=True)
    pods = [
        Pod("llama-70b").has("answers_total", 0, 9).has("wrong_total", 0, 3),
        Pod("llama-8b", "10.0.1.2:8000", namespace="shared").has("answers_total", 0, 9).has("wrong_total", 0, 3),
    ]
    objectives = tuple(ObjectiveQuery(metric, metric) for metric in (ERRORS, SAFETY, TOKENS))
    window, store = await read(executor, pods, replace(QUERY, arms=(LARGE, theirs), objectives=(WRONG, *objectives)))

    asked = [parse_selector(each) for each in store.asked]
    named = {value for name, matchers, _ in asked if not name.startswith("traefik_") for _, _, value in matchers}
    assert not any("shared" in value or "llama-8b" in value for value in named)
    assert window.outcomes["wrong", "large"] == known(9, 3)
    unread = {each.objective: each for each in window.unknown if each.arm == "small"}
    assert {name: each.reason for name, each in unread.items()} == dict.fromkeys(
        ("wrong", SAFETY, TOKENS), Reason.REF_NOT_PERMITTED
    )
    assert unread["wrong"].message == "what llama-8b counts is not read without a ReferenceGrant in namespace shared"


async def test_where_no_service_may_be_named_no_judge_is_asked(executor: ThreadPoolExecutor) -> None:
    arms = tuple(replace(arm, is_closed=True) for arm in (LARGE, SMALL))
    query = replace(QUERY, arms=arms, objectives=(ObjectiveQuery("safe", SAFETY),))
    window, store = await read(executor, [], query)

    assert "modelroute_judge_total" not in {name for name, _, _ in map(parse_selector, store.asked)}
    assert {each.reason for each in window.unknown} == {Reason.REF_NOT_PERMITTED}


def test_arms_of_one_service_by_two_ports_share_their_series() -> None:
    other = replace(SMALL, name="next", port=9000)
    assert alike(TOTAL, [LARGE, SMALL, other]) == (SMALL, other)


async def test_a_window_read_again_alone_or_by_another_process_is_the_same(executor: ThreadPoolExecutor) -> None:
    """Pods come, go, restart and miss scrapes; a counter appears late."""
    times = [T0 - 62 + 5 * place for place in range(40)]
    held = [*FakeTraefik(times).requests(traefik_service("llama-8b", index=1), "200", [1.0] * len(times)).series]

    def pod(instance: str, scrapes: Sequence[float], started: Sequence[float], **counters: Sequence[float]) -> None:
        labels = {"job": "models", "instance": instance, "namespace": "chat", "service": "llama-8b"}
        held.append(series("process_start_time_seconds", labels, zip(scrapes, started, strict=True)))
        for name, values in counters.items():
            seen = zip(scrapes[-len(values) :], values, strict=True)
            held.append(series(name, labels, seen))

    ramp = [float(place**2) for place in range(len(times))]
    old = [T0 - 9000.0] * len(times)
    pod("10.0.1.1:8000", times, old, answers_total=ramp, wrong_total=[1.0, 1.0, 4.0, 9.0] * 5)
    pod("10.0.1.2:8000", times[:18], [T0 - 9002.0] * 18, answers_total=ramp[:18])
    late = times[19:]
    pod(
        "10.0.1.3:8000",
        late,
        [T0 + 30.0] * 10 + [T0 + 81.0] * (len(late) - 10),
        answers_total=[*ramp[5:15], *ramp[:11]],
    )
    missed = times[:15] + times[17:]
    pod("10.0.1.4:8000", missed, [T0 - 9001.0] * len(missed), answers_total=ramp[: len(missed)])
    query = replace(QUERY, arms=(SMALL,), until=T0 + 100)
    server = PrometheusServer("default", "http://127.0.0.1:9", scrape_interval_s=5.0)

    async def asked(one: RouteQuery) -> tuple[WindowReading, ...]:
        store = FakePrometheus(*held)
        store.scraped_until = one.until + 10
        return await Sampler(server, executor, store=store, clock=lambda: one.until + 10, batch_wait_s=0.0).read(one)

    together = await asked(query)
    alone = [
        window
        for place in range(20)
        for window in await asked(replace(query, since=T0 + 5 * place, until=T0 + 5 * place + 5))
    ]

    assert list(together) == alone
    assert {each.reason for window in together for each in window.unknown} == {Reason.SCRAPE_GAP}
    assert sum(("wrong", "small") in window.outcomes for window in together) > 10
