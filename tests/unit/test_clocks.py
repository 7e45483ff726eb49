"""The operator's clock is wrong for a while, and its alone: whole ticks, the real sampler, a Prometheus of lists."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from tests.fake_prometheus import FakePrometheus, FakeTraefik, traefik_service
from tests.fakes import NAME, NAMESPACE, STEP, T0, World, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.scrapes import Sample, Series

SERVER = PrometheusServer("default", "http://127.0.0.1:9", scrape_interval_s=1.0)
HOUR_S = 3600.0
TIMES = [T0 - 200.5 + second for second in range(1200)]
STEPS = {"steps": [{**STEP, "progress": 50, "minDuration": "10m"}, {"progress": 100}]}


@dataclass(slots=True)
class Site:
    """What is true, in `world`; an operator whose clock is off by `off_s`; and a Prometheus whose clock is right."""

    world: World
    ticker: Ticker
    off_s: float = 0.0

    @property
    def reason(self) -> str:
        return next(str(each["reason"]) for each in self.world.status["conditions"] if each["type"] == "Ready")

    async def run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            delay = await self.ticker.tick(NAMESPACE, NAME)
            assert delay is not None
            self.world.now += min(delay, max(end - self.world.now, 0.05))


class UpToNow(FakePrometheus):
    """Has been scraped up to now, and no further."""

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        found = [(each.labels, self._seen(each)) for each in super().samples(expression, at)]
        return tuple(Series(labels, samples) for labels, samples in found if samples)

    def _seen(self, each: Series) -> tuple[Sample, ...]:
        return tuple(sample for sample in each.samples if sample.t <= self.server_time())


def traffic(*, fails_from: float, gone_from: float = T0 + HOUR_S) -> FakeTraefik:
    """60 requests a second, a fifth of them to small, all of which fail from then on; scraped until it is gone."""
    times = [t for t in TIMES if t < gone_from]
    traefik, well = FakeTraefik(times), [min(t, fails_from) - TIMES[0] for t in times]
    bad = [t - TIMES[0] - good for t, good in zip(times, well, strict=True)]
    small = traefik_service("small-v1", index=1, route=NAME)
    traefik.requests(traefik_service("large-v1", index=0, route=NAME), "200", [48.0 * (t - TIMES[0]) for t in times])
    return traefik.requests(small, "200", [12.0 * n for n in well]).requests(small, "500", [12.0 * n for n in bad])


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def in_the_first_step(executor: ThreadPoolExecutor, traefik: FakeTraefik) -> Site:
    world, store = World(), UpToNow(*traefik.series)
    store.server_time = lambda: world.now
    made = Site(world, world.ticker())

    def clock() -> float:
        return world.now + made.off_s

    sampler = Sampler(SERVER, executor, store=store, clock=clock, batch_wait_s=0.0)
    made.ticker = Ticker(replace(made.ticker.ports, readers={"default": sampler}), clock)
    world.apply(large=100, small=0)
    await made.run(20)
    world.apply(rollout=STEPS)
    await run_until(world, made.ticker, lambda status: status.get("step") == "1/2")
    await made.run(60)
    return made


@pytest.mark.parametrize(("off_s", "told"), [(HOUR_S, "LateData"), (-HOUR_S, "ClockBehind")], ids=["ahead", "behind"])
@pytest.mark.parametrize("for_s", [1.0, 30.0])
async def test_an_operators_clock_that_was_wrong_for_a_moment_neither_promotes_nor_hides_harm_afterwards(
    executor: ThreadPoolExecutor, off_s: float, told: str, for_s: float
) -> None:
    """The jump is longer than the step has to last, and much happens within it: many looks a second."""
    site = await in_the_first_step(executor, traffic(fails_from=T0 + 150))
    site.off_s = off_s
    for _ in range(30):
        await site.run(for_s / 30)
        assert site.world.weights()["small-v1"] == 2_000
    assert site.reason == told
    site.off_s = 0.0
    await site.run(T0 + 150 - site.world.now)
    assert (site.world.weights()["small-v1"], site.reason) == (2_000, "CollectingEvidence")
    await run_until(site.world, site.ticker, in_phase("RollingBack"), within_s=20)
    assert site.world.weights()["small-v1"] == 0


async def test_harm_is_seen_and_nothing_rises_while_the_operators_clock_is_an_hour_ahead(
    executor: ThreadPoolExecutor,
) -> None:
    site = await in_the_first_step(executor, traffic(fails_from=T0 + 200))
    site.off_s = HOUR_S
    await site.run(T0 + 200 - site.world.now)
    assert site.world.weights()["small-v1"] == 2_000
    assert "is it ahead of Prometheus's?" in site.world.status["message"]
    await run_until(site.world, site.ticker, in_phase("RollingBack"), within_s=20)
    assert site.world.weights()["small-v1"] == 0


async def test_a_target_that_is_gone_is_no_data_before_long_by_a_clock_that_is_right(
    executor: ThreadPoolExecutor,
) -> None:
    site = await in_the_first_step(executor, traffic(fails_from=T0 + HOUR_S, gone_from=T0 + 150))
    await site.run(T0 + 200 - site.world.now)

    told = next(each for each in site.world.status["conditions"] if each["type"] == "MetricsAvailable")
    assert (told["status"], told["reason"]) == ("False", "NoData")
