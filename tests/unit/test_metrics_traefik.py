"""Traefik's labels: which series are an arm's, and which could be somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.fake_prometheus import T0, FakeTraefik, parse_selector, traefik_service

from modelroute.metrics.reading import ArmQuery, RouteQuery
from modelroute.metrics.selectors import selector
from modelroute.metrics.sources import Samples, Tally
from modelroute.metrics.traefik import DURATIONS, REQUESTS, Traefik
from modelroute.rollout.reasons import Reason

LARGE = ArmQuery("large", "chat", "llama-70b", 8000)
SMALL = ArmQuery("small", "chat", "llama-8b", 8000)
QUERY = RouteQuery("chat", "support-chat", 0, (LARGE, SMALL), (), T0, T0 + 5, 5.0)
TIMES = [T0 - 2, T0 + 3]
HASH = "45af9ef9910ebee71992"


def tally(query: RouteQuery, *targets: FakeTraefik, preset: Traefik | None = None) -> Tally:
    preset = preset or Traefik()
    held = [each for target in targets for each in target.series]
    processes = [each for each in held if each.labels["__name__"] == "process_start_time_seconds"]
    samples = {
        name: Samples.of(
            processes,
            [
                each
                for each in held
                if each.labels["__name__"] == source.counters.metric and source.counters.admits(each.labels)
            ],
            source.own,
        )
        for name, source in preset.sources(query).items()
    }
    return preset.tally(query, samples, query.since, query.until, scrape_interval_s=5.0)


def of_labels(query: RouteQuery, *services: str) -> Tally:
    """Each service label counts one more than the one before: 1, 2, 4, …"""
    traefik = FakeTraefik(TIMES)
    for place, service in enumerate(services):
        traefik.requests(service, "200", [0, 2**place])
    return tally(query, traefik)


def test_a_label_recorded_from_traefik_is_its_arms_and_has_no_port() -> None:
    recorded = (
        "httproute-chat-support-chat-x-gw-chat-inference-ep-web-0-13acc6dd714771b6d3f1"
        "-svc-chat-a--b-1@kubernetesgateway"
    )
    query = replace(QUERY, route="support.chat--x", arms=(LARGE, ArmQuery("small", "chat", "a--b", 8000)))
    assert of_labels(query, recorded).requests == {("small", 200): 1}


def test_listeners_gateways_and_matches_are_summed() -> None:
    counted = of_labels(
        QUERY,
        f"httproute-chat-support-chat-gw-chat-inference-ep-web-0-{HASH}-svc-chat-llama-8b-1@kubernetesgateway",
        f"httproute-chat-support-chat-gw-chat-inference-ep-websecure-0-{HASH}-svc-chat-llama-8b-1@kubernetesgateway",
        f"httproute-chat-support-chat-gw-infra-other-ep-web-0-{HASH}-svc-chat-llama-8b-1@kubernetesgateway",
        f"httproute-chat-support-chat-ls-infra-other-ep-web-0-{HASH}-svc-chat-llama-8b-1@kubernetesgateway",
        f"httproute-chat-support-chat-gw-chat-inference-ep-web-0-{HASH[::-1]}-svc-chat-llama-8b-1@kubernetesgateway",
    )
    assert counted.requests == {("small", 200): 31}


@pytest.mark.parametrize(
    "label",
    [
        traefik_service("llama-8b", index=1, rule=1),
        traefik_service("llama-8b", index=1, rule=10),
        traefik_service("llama-8b", index=1, route="support"),
        traefik_service("llama-8b", index=1, route="support-chat-2"),
        traefik_service("llama-8b", index=1, route="my-support-chat"),
        traefik_service("llama-8b-v2", index=1),
        traefik_service("my-llama-8b", index=1),
        traefik_service("llama-8b", index=1, namespace="chat-2"),
        traefik_service("llama-8b", index=1).replace("@kubernetesgateway", "@kubernetescrd"),
        traefik_service("llama-8b", index=1).replace("httproute", "grpcroute"),
        "x" + traefik_service("llama-8b", index=1),
    ],
)
def test_a_label_that_only_resembles_an_arms_is_left_alone(label: str) -> None:
    counted = of_labels(QUERY, label)
    assert counted.requests == {}
    assert counted.unknown == {}


def test_two_arms_that_read_alike_are_ambiguous_unless_their_places_are_known() -> None:
    arms = (ArmQuery("one", "a-b", "c", 80), ArmQuery("two", "a", "b-c", 80), ArmQuery("three", "a", "d", 80))
    query = replace(QUERY, arms=arms)
    labels = [
        f"httproute-chat-support-chat-gw-chat-inference-ep-web-0-{HASH}-svc-a-{name}@kubernetesgateway"
        for name in ("b-c-0", "b-c-1", "d-2")
    ]

    counted = of_labels(query, *labels)
    assert {arm: problem.reason for arm, problem in counted.unknown.items()} == {
        "one": Reason.AMBIGUOUS_SERIES,
        "two": Reason.AMBIGUOUS_SERIES,
    }
    assert counted.requests == {("three", 200): 4}

    placed = tuple(replace(arm, index=place) for place, arm in enumerate(arms))
    counted = of_labels(replace(query, arms=placed), *labels)
    assert counted.unknown == {}
    assert counted.requests == {("one", 200): 1, ("two", 200): 2, ("three", 200): 4}


def test_two_ports_of_a_service_are_ambiguous_unless_their_places_are_known() -> None:
    arms = (LARGE, replace(LARGE, name="small", port=8001))
    labels = [traefik_service("llama-70b", index=0), traefik_service("llama-70b", index=1)]
    assert set(of_labels(replace(QUERY, arms=arms), *labels).unknown) == {"large", "small"}

    placed = tuple(replace(arm, index=place) for place, arm in enumerate(arms))
    counted = of_labels(replace(QUERY, arms=placed), *labels)
    assert counted.requests == {("large", 200): 1, ("small", 200): 2}


def test_a_neighbours_longer_name_is_ambiguous_unless_the_gateways_are_known() -> None:
    own = traefik_service("llama-8b", index=1)
    neighbours = traefik_service("llama-8b", index=1, route="support-chat-gw-2")
    assert of_labels(QUERY, own, neighbours).unknown["small"].reason is Reason.AMBIGUOUS_SERIES

    counted = of_labels(replace(QUERY, gateways=(("chat", "inference"),)), own, neighbours)
    assert counted.unknown == {}
    assert counted.requests == {("small", 200): 1}


def test_routes_that_traefik_names_alike_have_one_identity() -> None:
    traefik = Traefik()
    first = traefik.identity(replace(QUERY, namespace="a-b", route="c"))
    assert first == traefik.identity(replace(QUERY, namespace="a", route="b-c"))
    assert first == traefik.identity(replace(QUERY, namespace="a", route="b.c"))
    assert first != traefik.identity(replace(QUERY, namespace="a", route="bc"))


def test_an_arm_without_a_series_on_a_live_gateway_had_no_requests() -> None:
    counted = tally(QUERY, FakeTraefik(TIMES))
    assert counted.problem is None
    assert counted.requests == {}
    assert counted.unknown == {}


def test_without_any_gateway_nothing_is_known() -> None:
    problem = tally(QUERY).problem
    assert problem is not None
    assert problem.reason is Reason.NO_DATA


def test_the_first_failure_of_an_old_process_counts() -> None:
    traefik = FakeTraefik(TIMES).requests(traefik_service("llama-8b", index=1), "500", [None, 1])
    assert tally(QUERY, traefik).requests == {("small", 500): 1}


def test_a_value_that_is_not_a_number_makes_its_arm_unknown_and_no_other() -> None:
    traefik = FakeTraefik(TIMES)
    traefik.requests(traefik_service("llama-8b", index=1), "200", [1, float("nan")])
    traefik.requests(traefik_service("llama-70b", index=0), "200", [1, 3])
    counted = tally(QUERY, traefik)
    assert counted.unknown["small"].reason is Reason.NOT_A_NUMBER
    assert counted.requests["large", 200] == 2


@pytest.mark.parametrize("label", ["service", "exported_service"])
def test_a_service_label_of_the_targets_own_is_no_obstacle(label: str) -> None:
    traefik = FakeTraefik(TIMES, service="traefik", namespace="infra")
    traefik.requests("", "200", [1, 3])
    counter = traefik.series[-1]
    name = traefik_service("llama-8b", index=1)
    traefik.series[-1] = replace(counter, labels={**counter.labels, "service": "traefik", label: name})
    assert tally(QUERY, traefik, preset=Traefik(service_label=label)).requests == {("small", 200): 2}


def with_buckets(boundaries: Sequence[str], **options: Any) -> FakeTraefik:
    buckets = {le: [0.0, float(place)] for place, le in enumerate(boundaries)}
    return FakeTraefik(TIMES, **options).durations(traefik_service("llama-8b", index=1), "200", buckets)


def test_boundaries_are_numbers_and_those_of_two_instances_must_agree() -> None:
    one = with_buckets(["0.5", "2", "+Inf"])
    same = with_buckets(["5e-1", "2.0", "+Inf"], started=T0 - 9000, instance="10.0.0.2:8082")
    other = with_buckets(["0.5", "3", "+Inf"], started=T0 - 9000, instance="10.0.0.2:8082")
    assert tally(QUERY, one, same).boundaries == (0.5, 2.0, float("inf"))
    assert tally(QUERY, one, same).durations["small", 200, 2.0] == 2
    problem = tally(QUERY, one, other).timing_problem
    assert problem is not None
    assert problem.reason is Reason.AMBIGUOUS_SERIES


def test_targets_can_be_narrowed_to_those_of_one_gateway() -> None:
    sources = Traefik(targets=(("job", 'traefik-"public"'),)).sources(QUERY)
    for source in sources.values():
        assert source.targets is not None
        for question in (source.counters, source.targets):
            _, matchers, _ = parse_selector(selector(question) + "[5s]")
            assert ("job", "=~", 'traefik-"public"') in matchers


def test_requests_and_durations_ask_for_the_same_targets() -> None:
    sources = Traefik().sources(QUERY)
    assert sources[REQUESTS].targets == sources[DURATIONS].targets
