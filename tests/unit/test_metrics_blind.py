"""Where the metrics are blind, it is said and nothing rises: whole ticks, the real sampler, a Prometheus of lists."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.fake_prometheus import FakePrometheus, FakeTraefik, traefik_service
from tests.fakes import NAME, NAMESPACE, STEP, T0, Prometheus, World, in_phase, run_until

from modelroute.analysis.design import Outcomes
from modelroute.controller import looking
from modelroute.controller.tick import Ticker
from modelroute.metrics.prometheus import ClockBehind, PrometheusServer
from modelroute.metrics.reading import RouteQuery
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.scrapes import Series
from modelroute.metrics.traefik import Traefik
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.reasons import Reason

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


class Bucketed(Prometheus):
    """Counts with a histogram: `boundaries` are the gateway's, and `slow` of an arm's answers are above all of them."""

    boundaries: tuple[float, ...] = (2.0, 5.0)
    slow: dict[str, float] = {}  # noqa: RUF012  # set anew in each test

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        return tuple(self._with_histogram(each) for each in await super().read(query))

    def _with_histogram(self, reading: WindowReading) -> WindowReading:
        outcomes = {}
        for key, each in reading.outcomes.items():
            bad = round(each.total * self.slow.get(key[1], 0.01))
            outcomes[key] = Outcomes(each.total, (float(bad),) * len(self.boundaries), float(bad))
        return replace(reading, outcomes=outcomes, boundaries={"slow": self.boundaries})


async def under_way_with_latency() -> tuple[World, Ticker, Bucketed]:
    """In the second of five steps, on a latency objective."""
    world = World()
    bucketed = Bucketed(world)
    bucketed.slow = {}
    ticker = world.ticker()
    ticker = Ticker(replace(ticker.ports, readers={"default": bucketed}), ticker.clock)
    spec: dict[str, Any] = {
        "objectives": [{"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "maxIncrease": "1pp"}],
        "rollout": {"steps": [{**STEP, "progress": progress} for progress in (10, 25, 50, 75, 100)]},
    }
    world.apply(large=100, small=0, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=10, small=90, **spec)
    await run_until(world, ticker, lambda status: status.get("step") == "2/5")
    return world, ticker, bucketed


async def test_buckets_that_go_mid_rollout_make_latency_unknown_and_nothing_is_promoted() -> None:
    world, ticker, bucketed = await under_way_with_latency()
    bucketed.boundaries, bucketed.slow = (2.5, 5.0), {"small": 0.9}
    await run(world, ticker, 600)

    assert world.status["step"] == "2/5"
    assert world.status["phase"] == "Holding"
    available = condition(world, "MetricsAvailable")
    assert (available["status"], available["reason"]) == ("False", "HistogramChanged")
    assert "has 2.5, 5 s now, and this rollout was started with 2, 5 s" in world.status["message"]


@pytest.mark.parametrize("more", [(2.0, 3.0, 5.0), (1.0, 2.0, 5.0, 10.0)])
async def test_buckets_that_come_mid_rollout_hide_no_harm_at_those_that_were_there(more: tuple[float, ...]) -> None:
    world, ticker, bucketed = await under_way_with_latency()
    bucketed.boundaries, bucketed.slow = more, {"small": 0.9}

    await run_until(world, ticker, in_phase("RolledBack"), within_s=120)
    assert world.weights()["large-v1"] == 10_000


class SilentMostly(Prometheus):
    """Its judge speaks in one window of `every` of them."""

    every = 1

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        return tuple(self._heard(each) for each in await super().read(query))

    def _heard(self, reading: WindowReading) -> WindowReading:
        if round(reading.end / 5) % self.every == 0:
            return reading
        outcomes = {key: each for key, each in reading.outcomes.items() if key != ("safety", "small")}
        return replace(reading, outcomes=outcomes, unknown=(Unknown(Reason.JUDGE_SILENT, "silent", "safety", "small"),))


async def test_a_step_is_not_left_on_the_one_window_in_which_a_judge_spoke() -> None:
    world = World(requests=400)
    silent = SilentMostly(world)
    ticker = world.ticker()
    ticker = Ticker(replace(ticker.ports, readers={"default": silent}), ticker.clock)
    step = {"minDuration": "1m", "minRequests": 100}
    spec: dict[str, Any] = {
        "objectives": [
            {"name": "errors", "metric": "ErrorRate", "maxIncrease": "1pp"},
            {"name": "safety", "metric": "SafetyViolationRate", "max": "2%"},
        ],
        "rollout": {"steps": [{**step, "progress": 50}, {**step, "progress": 100}]},
    }
    world.apply(large=100, small=0, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, **spec)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    silent.every = 24
    await run(world, ticker, 300)

    assert world.status["step"] == "1/2", "24 windows are 120 s: two or three of 60 windows were known"
    assert "safety was not known for" in " ".join(world.status["lacking"])

    silent.every = 1
    await run_until(world, world_again(world, silent), in_phase("Stable"), within_s=300)


def world_again(world: World, reader: Prometheus) -> Ticker:
    """A restarted operator: what was known of the step has to stand in the ModelRollout."""
    ticker = world.ticker()
    return Ticker(replace(ticker.ports, readers={"default": reader}), ticker.clock)


async def test_min_requests_are_those_that_every_objective_knows() -> None:
    world = World(requests=20)
    silent = SilentMostly(world)
    ticker = world_again(world, silent)
    step = {"minDuration": "5s", "minRequests": 40}
    spec: dict[str, Any] = {
        "objectives": [
            {"name": "errors", "metric": "ErrorRate", "maxIncrease": "1pp"},
            {"name": "safety", "metric": "SafetyViolationRate", "max": "2%"},
        ],
        "rollout": {"steps": [{**step, "progress": 50}, {**step, "progress": 100}]},
    }
    world.apply(large=100, small=0, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, **spec)
    silent.every = 3
    seen = ""

    def left(status: dict[str, Any]) -> bool:
        nonlocal seen
        seen += " ".join(status.get("lacking") or [])
        return bool(status.get("step") == "2/2")

    await run_until(world, ticker, left)
    assert "safety is known for 20 of 40 requests by small" in seen


class Behind(Prometheus):
    """Prometheus has what is yet to come."""

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        raise ClockBehind("the operator's clock is at least 9 s behind Prometheus's: nothing is counted")


async def test_a_clock_that_is_behind_prometheuss_is_told() -> None:
    world = World()
    world.apply()
    await run(world, world_again(world, Behind(world)), 30)

    assert world.weights() == {"large-v1": 10_000}
    assert condition(world, "MetricsAvailable")["reason"] == "ClockBehind"
    assert "the operator's clock is at least 9 s behind" in world.status["message"]


class Silent(Prometheus):
    """Never answers while `hangs`."""

    hangs = False

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().read(query)


async def test_a_prometheus_that_hangs_keeps_no_tick_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LOOK_DEADLINE_S", 0.05)
    world = World()
    silent = Silent(world)
    ticker = world_again(world, silent)
    world.apply(large=100, small=0)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(rollout={"steps": [{**STEP, "progress": 50, "minDuration": "5m"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, in_phase("Progressing"))
    silent.hangs = True
    await run(world, ticker, 30)

    assert world.status["phase"] == "Holding"
    assert condition(world, "MetricsAvailable")["reason"] == "PrometheusUnavailable"
    world.act("abort")
    await ticker.tick(NAMESPACE, NAME)
    assert world.weights()["large-v1"] == 10_000
