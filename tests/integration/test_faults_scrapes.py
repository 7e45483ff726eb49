"""Scrapes that are missed, a target that is gone, gateways that come and go: by a real Prometheus, of the real gateway.

docs/faults.md tells what each fault looks like to people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from tests.integration.gateway_site import (
    Seen,
    Site,
    backend,
    from_now,
    gateway_site,
    totals,
    windows_until_now,
)
from tests.integration.live_metrics import metrics, reading, sampling, ticks_until, traffic
from tests.integration.live_world import in_phase, live_world
from tests.integration.scraping import Scraper, relay, scraper

from devstack.http import answers
from devstack.process import Process
from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.metrics.reading import WindowReading
from modelroute.rollout.reasons import Reason

ARMS = ("large", "small")


@pytest.fixture
def site(stack: Stack, namespace: str) -> Iterator[Site]:
    with gateway_site(stack, namespace) as made:
        yield made


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


async def test_a_rollout_holds_while_its_gateway_is_not_scraped_and_ends_once_it_is(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    with (
        live_world(stack, namespace, tmp_path) as live,
        backend(live.address("large-v1"), "large"),
        backend(live.address("small-v1"), "small"),
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
