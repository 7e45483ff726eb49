"""Scrapes that are missed, a target that is gone, gateways that come and go: by a real Prometheus, of the real gateway.

docs/faults.md tells what each fault looks like to people.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NAME
from tests.integration.gateway_site import (
    Seen,
    Site,
    backend,
    from_now,
    gateway_site,
    send,
    totals,
    windows_until_now,
)
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.integration.scraping import Scraper, relay, scraper

from devstack.http import answers
from devstack.process import Process
from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.controller.settings import PrometheusSettings
from modelroute.controller.tick import Ticker
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.reading import WindowReading
from modelroute.metrics.sampler import Sampler
from modelroute.rollout.reasons import Reason

Json = dict[str, Any]
ARMS = ("large", "small")


@pytest.fixture
def site(stack: Stack, namespace: str) -> Iterator[Site]:
    with gateway_site(stack, namespace) as made:
        yield made


@contextmanager
def sampling(url: str, *, scrape_s: float) -> Iterator[Sampler]:
    with ThreadPoolExecutor(2) as executor:
        yield Sampler(PrometheusServer("default", url, scrape_interval_s=scrape_s), executor)


def reasons(windows: Sequence[WindowReading]) -> set[Reason]:
    return {each.reason for window in windows for each in window.unknown}


def answered(seen: Seen, arm: str) -> int:
    return sum(n for (who, _), n in seen.items() if who == arm)


async def test_what_is_counted_while_scrapes_are_missed_comes_with_the_next_one(
    stack: Stack, site: Site, tmp_path: Path
) -> None:
    """Two scrapes of a window each: their windows are a gap, and the deltas afterwards span it."""
    scrape_s = 2.0
    with (
        relay(stack) as target,
        scraper(stack, tmp_path, interval_s=scrape_s) as made,
        sampling(made.url, scrape_s=scrape_s) as sampler,
    ):
        made.watch(target.address)
        asked = replace(site.query, objectives=site.query.objectives[:1], window_s=scrape_s)
        query = await from_now(sampler, asked, scrape_s=scrape_s)
        already = site.seen.copy()
        await asyncio.to_thread(site.send, ["/200"] * 10)
        target.miss(2)
        await asyncio.to_thread(wait_until, lambda: target.missed, what="a scrape is missed")
        await asyncio.to_thread(site.send, ["/200"] * 20 + ["/503"] * 4)
        await asyncio.to_thread(wait_until, lambda: target.missed == 2, what="both are missed")
        await asyncio.to_thread(site.send, ["/200"] * 10)
        windows = await windows_until_now(sampler, query, scrape_s=scrape_s)
        again = await windows_until_now(sampler, replace(query, until=windows[-1].end), scrape_s=scrape_s)

    assert reasons(windows) == {Reason.SCRAPE_GAP}
    assert windows[-1].unknown == (), "and on it goes"
    seen = site.seen - already
    for arm in ARMS:
        assert totals(windows, "errors", arm) == (answered(seen, arm), seen[arm, "/503"], seen[arm, "/503"])
    assert again[: len(windows)] == windows, "read once more, after a crash say, it is the same"


async def test_a_target_that_is_gone_is_stale_data_and_nothing_of_it_is_counted_twice_once_it_is_back(
    stack: Stack, site: Site, tmp_path: Path
) -> None:
    with (
        relay(stack) as target,
        scraper(stack, tmp_path, interval_s=1.0) as made,
        sampling(made.url, scrape_s=1.0) as sampler,
    ):
        made.watch(target.address)
        query = await from_now(sampler, replace(site.query, objectives=site.query.objectives[:1]))
        already = site.seen.copy()
        target.is_gone = True
        await asyncio.to_thread(site.send, ["/200"] * 30)
        gone: list[WindowReading] = []
        while Reason.STALE_DATA not in reasons(gone):
            gone += await windows_until_now(sampler, replace(query, since=gone[-1].end if gone else query.since))
        assert totals(gone, "errors", "large")[0] == 0, "what nobody has read is not known, and no zero"
        target.is_gone = False
        query = replace(query, since=gone[-1].end)
        later = await from_now(sampler, query)
        between = await windows_until_now(sampler, replace(query, until=later.since))
        seen = await asyncio.to_thread(site.send, ["/200"] * 20)
        back = await windows_until_now(sampler, later)

    for arm in ARMS:
        assert totals(back, "errors", arm)[0] == answered(seen, arm), reasons(back)
        once = answered(site.seen - already, arm)
        assert totals([*gone, *between, *back], "errors", arm)[0] <= once, "what was missed is counted once, or never"


@dataclass
class Traffic:
    """Requests one after the other, to each of `urls` in turn; none of them may be the gateway's own failure."""

    host: str
    urls: list[str]
    seen: Seen = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def once(self, turn: int) -> None:
        with self._lock:
            if self.urls:
                self.seen += send(self.urls[turn % len(self.urls)], self.host, ["/200"])

    def leave(self, url: str) -> None:
        """No request goes there from now on, and none is under way."""
        with self._lock:
            self.urls.remove(url)


@contextmanager
def traffic(host: str, *urls: str) -> Iterator[Traffic]:
    """About 50 requests a second until the end."""
    made, ended = Traffic(host, list(urls)), threading.Event()

    def go_on() -> None:
        for turn in itertools.count():
            if ended.wait(0.02):
                return
            made.once(turn)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Replica:
    """One more process of the stack's gateway, on an address of its own."""

    url: str
    metrics: str
    process: Process


def start_replica(stack: Stack, site: Site, scrapes: Scraper) -> Replica:
    """Returns when it has been scraped and answers for the route."""
    ip, ports = stack.free_service_ip(), (stack.traefik.port, stack.traefik.metrics_port)
    argv = stack.traefik.process.argv
    for port in ports:
        argv = [each.replace(f"127.0.0.1:{port}", f"{ip}:{port}") for each in argv]
    url, metrics = (f"{ip}:{port}" for port in ports)
    scrapes.watch(metrics)
    made = Replica(f"http://{url}", metrics, stack.spawn(f"traefik-{ip}", argv))
    wait_until(partial(answers, f"http://{metrics}/ping"), what=f"{made} answers", timeout_s=60)
    wait_until(lambda: scrapes.has_scraped(metrics), what=f"{made} is scraped", timeout_s=60)
    wait_until(lambda: ("", "/") not in site.send_to(made.url, ["/"]), what=f"{made} has the route", timeout_s=60)
    return made


async def test_no_request_is_lost_or_counted_twice_while_gateways_come_and_go_one_by_one(
    stack: Stack, site: Site, tmp_path: Path
) -> None:
    """A rolling update of two replicas under traffic: a new one comes first, an old one is scraped before it ends."""
    with scraper(stack, tmp_path, interval_s=1.0) as made, sampling(made.url, scrape_s=1.0) as sampler:
        replicas = [await asyncio.to_thread(start_replica, stack, site, made) for _ in range(2)]
        query = await from_now(sampler, replace(site.query, objectives=site.query.objectives[:1]))
        already = site.seen.copy()
        with traffic(site.host, *(each.url for each in replicas)) as sent:
            for old in tuple(replicas):
                new = await asyncio.to_thread(start_replica, stack, site, made)
                sent.urls.append(new.url)
                await windows_until_now(sampler, query)
                sent.leave(old.url)
                await windows_until_now(sampler, query)  # what it answered is scraped
                await asyncio.to_thread(old.process.stop)
                made.targets.remove(old.metrics)
                replicas = [*replicas[1:], new]
                await windows_until_now(sampler, query)
        windows = await windows_until_now(sampler, query)
        for each in replicas:
            await asyncio.to_thread(each.process.stop)

    seen = sent.seen + (site.seen - already)
    assert answered(sent.seen, "") == 0
    for arm in ARMS:
        assert sum(window.completions.get(arm, 0) for window in windows) == answered(seen, arm), reasons(windows)


# Whole ticks: API server, gateway and Prometheus are real, and so is the time.


@contextmanager
def reading(live: LiveWorld, url: str) -> Iterator[Ticker]:
    """An operator whose evidence comes from the Prometheus at `url`, by the wall clock."""
    ports = live.ticker().ports
    server = PrometheusSettings.model_validate({"url": url, "scrapeInterval": "1s"})
    with sampling(url, scrape_s=1.0) as sampler:
        settings = ports.settings.model_copy(update={"prometheus": {"default": server}})
        yield Ticker(replace(ports, readers={"default": sampler}, settings=settings), time.time)


async def ticks_until(
    live: LiveWorld, ticker: Ticker, holds: Callable[[Json], bool], *, within_s: float = 120.0
) -> Json:
    """Look as often as the ticks ask for, until the status `holds`; the status then."""
    async with asyncio.timeout(within_s):
        while True:
            delay = await ticker.tick(live.namespace, NAME)
            if holds(status := live.status):
                return status
            assert delay is not None, "the ModelRoute is gone"
            await asyncio.sleep(min(delay, 0.5))


def metrics(status: Json) -> Json:
    """The condition that says whether there are any to go by."""
    return next(each for each in status["conditions"] if each["type"] == "MetricsAvailable")


async def test_a_rollout_holds_while_its_gateway_is_not_scraped_and_ends_once_it_is(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    with (
        live_world(stack, namespace, tmp_path) as live,
        backend(address(live, "large-v1"), "large"),
        backend(address(live, "small-v1"), "small"),
        relay(stack) as target,
        scraper(stack, tmp_path, interval_s=1.0) as made,
        reading(live, made.url) as ticker,
        traffic(f"{namespace}.example.com", stack.gateway_url),
    ):
        made.watch(target.address)
        live.apply(small=0)
        await ticks_until(live, ticker, in_phase("Stable"))
        live.apply(small=40)
        await ticks_until(live, ticker, lambda status: status.get("step") == "1/2")
        target.is_gone = True
        status = await ticks_until(live, ticker, lambda status: metrics(status)["reason"] == "StaleData")
        assert metrics(status)["status"] == "False"
        status = await ticks_until(live, ticker, lambda status: metrics(status)["reason"] == "NoData")
        assert "is it a target, scraped every 1 s?" in metrics(status)["message"], (
            "once its last scrape is out of sight"
        )
        assert (live.small, status["step"]) == (2_000, "1/2")
        target.is_gone = False
        await ticks_until(live, ticker, in_phase("Stable", attempt=1))

        assert live.small == 4_000
        (rollout,) = live.rollouts()
        ends = [window["end"] for window in rollout["status"]["windows"]]
        assert ends == sorted(set(ends)), "each window once, in order"


def address(live: LiveWorld, service: str) -> str:
    """The address that a Service has."""
    found = live.stack.kubectl("get", "service", service, "-n", live.namespace, "-o", "jsonpath={.spec.clusterIP}")
    return found.strip()
