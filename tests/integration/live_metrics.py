"""Whole ticks with nothing made up: API server, gateway, traffic and Prometheus are real, and so is the time."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes import NAME
from tests.integration.gateway_site import Seen, send
from tests.integration.live_world import LiveWorld

from modelroute.controller.settings import AnalysisSettings, PrometheusSettings
from modelroute.controller.tick import Ticker
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.sampler import Sampler

Json = dict[str, Any]


@dataclass
class Traffic:
    """Requests one after the other, to each of `urls` in turn; `failed_at`: when (unix seconds) no backend answered."""

    host: str
    urls: list[str]
    seen: Seen = field(default_factory=Counter)
    failed_at: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def once(self, turn: int) -> None:
        with self._lock:
            if self.urls:
                found = send(self.urls[turn % len(self.urls)], self.host, ["/200"])
                self.seen += found
                self.failed_at += [time.time() for arm, _ in found if not arm]

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


@contextmanager
def sampling(url: str, *, scrape_s: float, clock: Callable[[], float] = time.time, **limits: Any) -> Iterator[Sampler]:
    """A sampler of the Prometheus at `url`; `limits` are those of a `PrometheusServer`."""
    server = PrometheusServer("default", url, scrape_interval_s=scrape_s)
    with ThreadPoolExecutor(2) as executor:
        yield Sampler(replace(server, **limits), executor, clock=clock)


@contextmanager
def reading(
    live: LiveWorld,
    url: str,
    *,
    window_s: float = 5.0,
    clock: Callable[[], float] = time.time,
    **limits: Any,
) -> Iterator[Ticker]:
    """An operator whose evidence comes from the Prometheus at `url`, by the wall clock or another."""
    ports = live.ticker().ports
    server = PrometheusSettings.model_validate({"url": url, "scrapeInterval": "1s"})
    # Not validated: a user may have no windows below 5 s.
    analysis = AnalysisSettings.model_construct(window_s=window_s, settle_min_s=5.0, overdispersion=1.0)
    settings = ports.settings.model_copy(update={"prometheus": {"default": server}, "analysis": analysis})
    with sampling(url, scrape_s=1.0, clock=clock, **limits) as sampler:
        yield Ticker(replace(ports, readers={"default": sampler}, settings=settings), clock)


async def ticks_until(
    live: LiveWorld, ticker: Ticker, holds: Callable[[Json], bool], *, within_s: float = 120.0
) -> Json:
    """Look as often as the ticks ask for, until the status `holds`; the status then."""
    status: Json = {}
    try:
        async with asyncio.timeout(within_s):
            while True:
                delay = await ticker.tick(live.namespace, NAME)
                if holds(status := live.status):
                    return status
                assert delay is not None, "the ModelRoute is gone"
                await asyncio.sleep(min(delay, 0.5))
    except TimeoutError:
        raise AssertionError(f"never; last: {status.get('message')}; {metrics(status)}") from None


def metrics(status: Json) -> Json:
    """The condition that says whether there are any to go by."""
    return condition(status, "MetricsAvailable")


def condition(status: Json, kind: str) -> Json:
    nothing = {"reason": "", "message": ""}
    return next((each for each in status.get("conditions") or () if each["type"] == kind), nothing)
