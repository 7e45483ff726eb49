"""Whatever a Prometheus answers that is no evidence, a rollout holds where it is; and goes on once it is answered.

A server on loopback gives the answers over HTTP; sampler, client and ticks are the operator's own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.fakes import NAMESPACE, STEP, World, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.sampler import Sampler

Json = dict[str, Any]
Answer = Callable[[BaseHTTPRequestHandler], None]
CAP_BYTES = 1_000_000


def _send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def said(content: Mapping[str, Any], status: int = 200) -> Answer:
    return lambda handler: _send(handler, json.dumps(content).encode(), status)


def matrix(*values: str, more: Mapping[str, Any] | None = None, series: int = 1) -> Answer:
    """Series of the right names, scraped just now as far as the reader's clock goes, with these values."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        now = time.time()
        each = [[now - len(values) + index, value] for index, value in enumerate(values)]
        labels = {"__name__": "process_start_time_seconds", "job": "traefik"}
        result: list[dict[str, Any]] = [
            {"metric": {**labels, "instance": f"i{number}"}, "values": each} for number in range(series)
        ]
        data = {"resultType": "matrix", "result": result if values else []}
        said({"status": "success", "data": data, **(more or {})})(handler)

    return answer


def gigabyte(handler: BaseHTTPRequestHandler) -> None:
    """Says that a gigabyte comes, and sends until it is hung up on."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(2**30 // 65_536):
        handler.wfile.write(b" " * 65_536)
        handler.server.sent += 65_536  # type: ignore[attr-defined]  # the server below counts


def slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.0)  # slower than the client waits; a real socket knows no fake clock
    matrix("1")(handler)


ANSWERS: dict[str, Answer] = {
    "it is slow": slow,
    "a body of 1 GB": gigabyte,
    "503": said({"status": "error", "errorType": "unavailable"}, 503),
    "200 with an error": said({"status": "error", "errorType": "execution", "error": "boom"}),
    "200 and no JSON": lambda handler: _send(handler, b"<html>login</html>"),
    "warnings": matrix("1", "2", more={"warnings": ["some blocks are missing"]}),
    "nothing": matrix(),
    "NaN": matrix("NaN", "NaN", "NaN"),
    "+Inf": matrix("+Inf", "+Inf"),
    "-Inf": matrix("-Inf", "-Inf"),
    "several series": matrix("1", "2", series=3),
    "another type of answer": said({"status": "success", "data": {"resultType": "vector", "result": []}}),
    "samples that are none": said(
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [["x", "y"]]}]}}
    ),
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    sent = 0


@dataclass(slots=True)
class Served:
    url: str
    server: Server = field(repr=False)


@contextmanager
def serving(answer: Answer) -> Iterator[Served]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what it answers is the test's."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{server.server_address[1]}", server)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def reading_from(world: World, url: str) -> Iterator[Ticker]:
    """An operator of that world with the real sampler towards `url`."""
    server = PrometheusServer(
        "default", url, scrape_interval_s=1.0, connect_timeout_s=0.3, timeout_s=0.3, max_body_bytes=CAP_BYTES
    )
    ticker = world.ticker()
    with ThreadPoolExecutor(4) as executor:
        sampler = Sampler(server, executor, clock=lambda: world.now, batch_wait_s=0.0)
        yield Ticker(replace(ticker.ports, readers={"default": sampler}), ticker.clock)


async def held(world: World, ticker: Ticker) -> None:
    for _ in range(5):
        delay = await ticker.tick(NAMESPACE, "support")
        assert delay is not None
        world.now += delay


async def in_the_first_step(world: World) -> None:
    world.apply(large=100, small=0)
    await run_until(world, world.ticker(), in_phase("Stable"))
    steps = [{**STEP, "progress": 50}, {**STEP, "progress": 100}]
    world.apply(large=60, small=40, rollout={"steps": steps})
    await run_until(world, world.ticker(), lambda status: status.get("step") == "1/2")


@pytest.mark.parametrize("what", ANSWERS)
async def test_an_answer_that_is_no_evidence_holds_the_step_and_is_named(what: str) -> None:
    world = World()
    await in_the_first_step(world)
    with serving(ANSWERS[what]) as served:
        with reading_from(world, served.url) as ticker:
            await held(world, ticker)
        assert served.server.sent < 100 * CAP_BYTES, "it read on and on"
    told = {each["type"]: each for each in world.status["conditions"]}["MetricsAvailable"]

    assert world.weights()["small-v1"] == 2_000
    assert told["status"] != "True", told
    await run_until(world, world.ticker(), in_phase("Stable", attempt=1))
    assert world.weights()["small-v1"] == 4_000


async def test_a_prometheus_that_is_down_holds_the_step_and_is_named() -> None:
    world = World()
    await in_the_first_step(world)
    with serving(matrix()) as served:
        url = served.url
    with reading_from(world, url) as ticker:
        await held(world, ticker)

    told = {each["type"]: each for each in world.status["conditions"]}["MetricsAvailable"]
    assert world.weights()["small-v1"] == 2_000
    assert told["reason"] == "PrometheusUnavailable"
