"""Whatever comes of asking Prometheus that is no evidence, a rollout holds where it is; and goes on once there is some.

API server, gateway, traffic and Prometheus are real; a relay does things to the answers on their way to the operator.
docs/faults.md tells what each fault looks like to people.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.fakes import STEP
from tests.integration.gateway_site import backend
from tests.integration.live_metrics import condition, metrics, reading, ticks_until, traffic
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.integration.prometheus_relay import Answer, Json, Relay, as_it_is, prometheus_relay, send

from devstack.stack import Stack
from modelroute.controller.tick import Ticker

CAP_BYTES, TIMEOUT_S = 1_000_000, 1.0
WINDOW_S = 2.0
"""Less than a user may ask for, so that a dozen faults take a minute."""
AT_STEP_1 = {"large-v1": 8_000, "small-v1": 2_000}


@dataclass(frozen=True)
class Fault:
    """What becomes of an answer (None: nobody is there to connect to), and what is said of it."""

    answer: Answer | None
    reason: str
    words: str


def said(content: Json, status: int = 200) -> Answer:
    return lambda handler, _said: send(handler, json.dumps(content).encode(), status)


def slow(handler: BaseHTTPRequestHandler, said: Json) -> None:
    time.sleep(2 * TIMEOUT_S)  # a real socket knows no fake clock
    as_it_is(handler, said)


class Endless:
    """A body that does not end; `most` is how much of it was taken off our hands at most."""

    def __init__(self) -> None:
        self.most = 0

    def __call__(self, handler: BaseHTTPRequestHandler, _said: Json) -> None:
        handler.send_response(200)
        handler.end_headers()
        sent = 0
        while sent < 2**30:
            handler.wfile.write(b" " * 65_536)
            sent += 65_536
            self.most = max(self.most, sent)


def warned(handler: BaseHTTPRequestHandler, said: Json) -> None:
    as_it_is(handler, {**said, "warnings": ["some blocks are missing"]})


def series(change: Callable[[Json], list[Json]]) -> Answer:
    """Each series of an answer is the ones that `change` makes of it."""

    def answer(handler: BaseHTTPRequestHandler, said: Json) -> None:
        found = [made for each in said["data"]["result"] for made in change(each)]
        as_it_is(handler, {**said, "data": {**said["data"], "result": found}})

    return answer


def counting(value: str) -> Answer:
    """The requests of one arm have that value at every scrape; all the rest is as well as ever."""

    def changed(each: Json) -> list[Json]:
        name, service = each["metric"]["__name__"], each["metric"].get("service", "")
        if name != "traefik_service_requests_total" or "small-v1" not in service:
            return [each]
        return [{**each, "values": [[t, value] for t, _ in each["values"]]}]

    return series(changed)


def twice(each: Json) -> list[Json]:
    return [each, {**each, "metric": {**each["metric"], "job": "traefik-again"}}]


endless = Endless()
UNAVAILABLE = "PrometheusUnavailable"
FAULTS: Mapping[str, Fault] = {
    "it refuses connections": Fault(None, UNAVAILABLE, "could not be reached"),
    "it is slow": Fault(slow, UNAVAILABLE, "did not answer in time"),
    "a body of 1 GB": Fault(endless, UNAVAILABLE, "answered with more than 1000000 bytes"),
    "503": Fault(said({"status": "error", "errorType": "unavailable"}, 503), UNAVAILABLE, "answered 503 (unavailable)"),
    "200 with an error": Fault(
        said({"status": "error", "errorType": "execution", "error": "boom"}), UNAVAILABLE, "(execution)"
    ),
    "200 and no JSON": Fault(
        lambda handler, _said: send(handler, b"<html>login</html>"), UNAVAILABLE, "200, but not with success"
    ),
    "another type of answer": Fault(
        said({"status": "success", "data": {"resultType": "vector", "result": []}}), UNAVAILABLE, "not raw samples"
    ),
    "samples that are none": Fault(
        series(lambda each: [{**each, "values": [["x", "y"]]}]), UNAVAILABLE, "cannot be read"
    ),
    "warnings": Fault(warned, "QueryWarning", "answered with warnings"),
    "nothing": Fault(series(lambda _each: []), "NoData", "is it a target"),
    "NaN": Fault(counting("NaN"), "NotANumber", ""),
    "+Inf": Fault(counting("+Inf"), "NotANumber", ""),
    "-Inf": Fault(counting("-Inf"), "NotANumber", ""),
    "several series of one process": Fault(series(twice), "AmbiguousSeries", "scraped twice"),
}


def at_the_gate(status: Json) -> bool:
    """All that the step asks for is there, in the last window too: it waits for a person and for nothing else."""
    return bool(status["phase"] == "AwaitingApproval" and metrics(status)["reason"] == "EvidenceCurrent")


@dataclass
class Clock:
    """The operator's, ahead of all others by `off_s`."""

    off_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.off_s


@dataclass
class Site:
    live: LiveWorld
    relay: Relay
    ticker: Ticker
    clock: Clock
    small: ExitStack
    """Closing it takes the candidate away."""

    async def until(self, holds: Callable[[Json], bool]) -> Json:
        return await ticks_until(self.live, self.ticker, holds, within_s=60.0)


@asynccontextmanager
async def waiting_at_the_gate(stack: Stack, namespace: str, directory: Path) -> AsyncIterator[Site]:
    """A rollout with all that its first step asks for but a person's approval."""
    steps, clock = [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}], Clock()
    with (
        live_world(stack, namespace, directory) as live,
        backend(live.address("large-v1"), "large"),
        ExitStack() as small,
        prometheus_relay(stack.prometheus_url) as relay,
        reading(
            live,
            relay.url,
            window_s=WINDOW_S,
            clock=clock,
            max_body_bytes=CAP_BYTES,
            connect_timeout_s=TIMEOUT_S,
            timeout_s=TIMEOUT_S,
        ) as ticker,
        traffic(f"{namespace}.example.com", stack.gateway_url),
    ):
        small.enter_context(backend(live.address("small-v1"), "small"))
        made = Site(live, relay, ticker, clock, small)
        live.apply(small=0)
        await made.until(in_phase("Stable"))
        live.apply(small=40, rollout={"steps": steps})
        await made.until(at_the_gate)
        yield made


def is_told(reason: str, status: Json) -> bool:
    return bool(metrics(status)["reason"] == reason)


async def test_what_is_no_evidence_holds_the_step_and_is_named_and_the_rollout_goes_on_after_it(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    """One after the other, between looks in which all is well; the last one while nothing else is in the way."""
    async with waiting_at_the_gate(stack, namespace, tmp_path) as site:
        for what, fault in FAULTS.items():
            site.relay.answer = fault.answer or as_it_is
            with nullcontext() if fault.answer else site.relay.down():
                status = await site.until(partial(is_told, fault.reason))
                assert metrics(status)["status"] == "False", what
                assert fault.words in metrics(status)["message"], what
                assert (status["phase"], condition(status, "Ready")["reason"]) == ("Holding", fault.reason), what
                assert site.live.weights() == AT_STEP_1, what
            if what != list(FAULTS)[-1]:
                site.relay.answer = as_it_is
                await site.until(at_the_gate)
                assert site.live.weights() == AT_STEP_1, what
        assert 0 < endless.most < 16 * CAP_BYTES, "it read on and on"

        site.live.say("approve")
        await site.until(lambda status: "a person's approval" not in str(status["lacking"]))
        for _ in range(3):
            await asyncio.sleep(WINDOW_S)  # a window of the real Prometheus, whose clock is real
            await site.ticker.tick(namespace, site.live.route)
        assert (site.live.weights(), site.live.status["step"]) == (AT_STEP_1, "1/2")
        site.relay.answer = as_it_is
        await site.until(in_phase("Stable", attempt=1))
        assert site.live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
        ends = [window["end"] for window in site.live.rollouts()[-1]["status"]["windows"]]
        assert ends == sorted(set(ends)), "each window once, in order"


async def test_an_operators_clock_that_is_an_hour_ahead_holds_the_step_and_takes_no_window_before_its_time(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    async with waiting_at_the_gate(stack, namespace, tmp_path) as site:
        site.live.say("approve")
        site.clock.off_s = 3600.0
        status = await site.until(lambda status: "ahead of Prometheus's" in status["message"])
        for _ in range(30):
            await site.ticker.tick(namespace, site.live.route)
        assert (condition(status, "Ready")["reason"], site.live.weights()) == ("LateData", AT_STEP_1)
        site.clock.off_s = 0.0
        site.small.close()
        await site.until(in_phase("RollingBack"))
        assert site.live.small == 0
