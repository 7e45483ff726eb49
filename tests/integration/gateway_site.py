"""One route with two arms behind the gateway, a client that counts, and the windows that a sampler makes of it."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.metrics.reading import ArmQuery, Metric, ObjectiveQuery, RouteQuery, WindowReading
from modelroute.metrics.sampler import Sampler

WINDOW_S = 5.0
BORN = time.time()
Seen = Counter[tuple[str, str]]
"""How often which arm answered which path; an arm without a name is the gateway itself."""


@dataclass
class Backend:
    """Nothing but faults: /CODE answers with the code, /slow takes 0.6 s. Its judge says what it is told to."""

    address: str
    verdicts: Counter[str] = field(default_factory=Counter)
    counters: dict[str, int] = field(default_factory=dict)
    """Of the application's own, by name with labels."""


@contextmanager
def backend(ip: str, name: str) -> Iterator[Backend]:
    made = Backend(f"{ip}:8000")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = b"ok"
            if self.path == "/metrics":
                lines = [f"process_start_time_seconds {BORN}"]
                lines += [f'modelroute_judge_total{{verdict="{key}"}} {n}' for key, n in sorted(made.verdicts.items())]
                lines += [f"{name} {n}" for name, n in sorted(made.counters.items())]
                content = ("\n".join(lines) + "\n").encode()
            elif self.path == "/slow":
                time.sleep(0.6)  # a slow answer: its duration is what the gateway is to measure
            self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(content)))
            self.send_header("x-arm", name)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((ip, 8000), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(url: str, host: str, paths: Sequence[str]) -> Seen:
    """One request each to the gateway at `url`."""
    seen: Seen = Counter()
    for path in paths:
        request = urllib.request.Request(url + path, headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                headers = answer.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
            error.close()
        seen[headers.get("x-arm", ""), path] += 1
    return seen


@dataclass
class Site:
    """One route with two arms of its own on the stack."""

    stack: Stack
    namespace: str
    large: Backend
    small: Backend
    query: RouteQuery
    seen: Seen = field(default_factory=Counter)

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    def send(self, paths: Sequence[str]) -> Seen:
        return self.send_to(self.stack.gateway_url, paths)

    def send_to(self, url: str, paths: Sequence[str]) -> Seen:
        """The same to another process of the gateway."""
        seen = send(url, self.host, paths)
        self.seen += seen
        return seen

    def apply_route(self, *services: str, weights: Sequence[int] = (), name: str = "", path: str = "/") -> None:
        """The site's route, or one of that `name`; `weights` of the `services`, else alike."""
        weighed = zip(services, weights or (1,) * len(services), strict=True)
        refs = [{"name": service, "port": 8000, "weight": weight} for service, weight in weighed]
        route: dict[str, Any] = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name or self.query.route, "namespace": self.namespace},
            "spec": {
                "parentRefs": [{"name": "inference"}],
                "hostnames": [self.host],
                "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": refs}],
            },
        }
        self.stack.apply(route)


@contextmanager
def gateway_site(
    stack: Stack, namespace: str, *, route: str = "support.chat", services: tuple[str, str] = ("large--llm", "small")
) -> Iterator[Site]:
    """Both arms answer through the gateway when it is entered; their judges are scraped."""
    stack.create_gateway(namespace, hostname=f"{namespace}.example.com")
    large_ip, small_ip = (stack.create_service(namespace, service) for service in services)
    names = ("large", "small")
    arms = tuple(ArmQuery(name, namespace, service, 8000) for name, service in zip(names, services, strict=True))
    objectives = (
        ObjectiveQuery("errors", Metric.ERROR_RATE),
        ObjectiveQuery("slow", Metric.LATENCY_ABOVE, threshold_s=0.4),
        ObjectiveQuery("safety", Metric.SAFETY_VIOLATION_RATE, min_coverage=0.5),
    )
    since = time.time() // WINDOW_S * WINDOW_S
    query = RouteQuery(namespace, route, 0, arms, objectives, since, math.inf, WINDOW_S)
    with backend(large_ip, "large") as large, backend(small_ip, "small") as small:
        made = Site(stack, namespace, large, small, query)
        made.apply_route(*services)
        for service, each in zip(services, (large, small), strict=True):
            stack.add_scrape_target(each.address, namespace=namespace, service=service)
        wait_until(lambda: made.send(["/warm-up"])["", "/warm-up"] == 0, what="the route is programmed")
        yield made
        for each in (large, small):
            stack.remove_scrape_target(each.address)


async def windows_until_now(sampler: Sampler, query: RouteQuery, *, scrape_s: float = 1.0) -> list[WindowReading]:
    """All windows from `since` to the one with the next scrape: what was counted before the call is in them."""
    windows = math.ceil((time.time() + 1.5 * scrape_s - query.since) / query.window_s)
    last = query.since + windows * query.window_s
    found: list[WindowReading] = []
    async with asyncio.timeout(120):
        # Half a window is none: sums of floats may miss the end by a hair.
        while last - query.since > query.window_s / 2:
            read = await sampler.read(replace(query, until=last))
            found += read
            query = replace(query, since=read[-1].end if read else query.since)
            await asyncio.sleep(0 if read else 0.3)
    return found


async def from_now(sampler: Sampler, query: RouteQuery, *, scrape_s: float = 1.0) -> RouteQuery:
    """The query from the first cut on after which the gateway is known to be scraped, and all before it is counted."""
    while True:
        windows = await windows_until_now(sampler, query, scrape_s=scrape_s)
        query = replace(query, since=windows[-1].end)
        if windows[-1].completions:
            return query


def totals(windows: Sequence[WindowReading], objective: str, arm: str) -> tuple[float, float, float]:
    """Requests, bad ones as compared (at the first boundary) and absolutely, over all windows that are known."""
    known = [window.outcomes[objective, arm] for window in windows if (objective, arm) in window.outcomes]
    return sum(one.total for one in known), sum(one.compared[0] for one in known), sum(one.absolute for one in known)
