"""Where the metrics are blind, it is said and nothing rises: whole ticks, the real sampler, a Prometheus of lists."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.fake_prometheus import FakePrometheus, FakeTraefik, traefik_service
from tests.fakes import NAME, NAMESPACE, T0, World, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.metrics.ledger import Series
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.traefik import Traefik

SERVER = PrometheusServer("default", "http://127.0.0.1:9", scrape_interval_s=1.0)
TIMES = [T0 - 200.5 + second for second in range(1200)]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def gateway(**labels: str) -> FakeTraefik:
    """A Traefik through which both arms get requests all the time, whatever the weights."""
    traefik = FakeTraefik(TIMES, started=T0 - 86_400, **labels)
    for index, backend in enumerate(("large-v1", "small-v1")):
        traefik.requests(
            traefik_service(backend, index=index, route=NAME), "200", [60.0 * place for place in range(len(TIMES))]
        )
    return traefik


def relabelled(series: Series) -> Series:
    """As Prometheus keeps a target's own `service` label where the scraped one is not honoured."""
    labels = dict(series.labels)
    if "service" in labels:
        labels["exported_service"] = labels.pop("service")
    return Series({**labels, "service": "traefik-metrics"}, series.samples)


def operator_of(world: World, executor: ThreadPoolExecutor, *held: Series, preset: Traefik | None = None) -> Ticker:
    """An operator of that world that reads these series."""
    ticker, store = world.ticker(), FakePrometheus(*held)
    sampler = Sampler(SERVER, executor, store=store, preset=preset, clock=lambda: world.now, batch_wait_s=0.0)
    return Ticker(replace(ticker.ports, readers={"default": sampler}), ticker.clock)


async def run(world: World, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        delay = await ticker.tick(NAMESPACE, NAME)
        assert delay is not None
        world.now += min(delay, max(end - world.now, 0.05))


def condition(world: World, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in world.status["conditions"] if each["type"] == kind)
    return found


async def test_a_gateway_whose_labels_were_renamed_by_the_scrape_starts_no_rollout_and_says_what_to_do(
    executor: ThreadPoolExecutor,
) -> None:
    world = World()
    renamed = [relabelled(each) for each in gateway().series]
    blind = operator_of(world, executor, *renamed)
    world.apply()
    await run(world, blind, 300)

    assert world.weights() == {"large-v1": 10_000}
    assert world.rollouts() == []
    assert world.status["phase"] == "Holding"
    assert "no request of this route was counted in 1m40s" in world.status["message"]
    assert "honorLabels" in world.status["message"]
    available = condition(world, "MetricsAvailable")
    assert (available["status"], available["reason"]) == ("False", "NoData")

    seeing = operator_of(world, executor, *renamed, preset=Traefik(service_label="exported_service"))
    await run_until(world, seeing, in_phase("Progressing"), within_s=30)


async def test_a_route_without_traffic_waits_for_it_and_starts_by_itself_once_it_comes() -> None:
    world = World(requests=0)
    world.apply()
    ticker = world.ticker()
    await run(world, ticker, 120)

    assert world.weights() == {"large-v1": 10_000}
    assert (world.status["phase"], world.status["lacking"][0][:34]) == ("Holding", "no request of this route was count")
    assert condition(world, "Stalled")["status"] == "False"

    world.requests = 600
    await run_until(world, ticker, in_phase("Progressing"), within_s=30)


async def test_a_request_some_windows_ago_is_traffic(executor: ThreadPoolExecutor) -> None:
    world = World()
    traefik = FakeTraefik(TIMES, started=T0 - 86_400)
    last = TIMES.index(T0 - 60.5)
    seen = [1.0 * min(place, last) for place in range(len(TIMES))]
    traefik.requests(traefik_service("large-v1", index=0, route=NAME), "200", seen)
    world.apply()

    await run_until(world, operator_of(world, executor, *traefik.series), in_phase("Progressing"), within_s=20)


async def test_a_route_at_rest_is_stable_without_traffic_and_nothing_is_wrong_with_its_metrics() -> None:
    world = World(requests=0)
    world.apply(large=100, small=0)
    await run_until(world, world.ticker(), in_phase("Stable"))

    assert condition(world, "MetricsAvailable")["status"] == "True"
