"""The load generator against real servers on loopback, good and bad ones."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from aiohttp import web

from devstack.load import LoadGenerator, parse_arguments
from devstack.load_plan import BadPlan, LoadPlan
from devstack.load_report import Blame, blame
from devstack.loopback import NotLoopback, loopback_url
from devstack.model_answers import Speed
from devstack.model_faults import Faults
from devstack.model_server import ModelServer, ModelSettings, serving
from devstack.request_record import RequestRecord, read_log

FAST = Speed(speed_up=1000)
HACK = Path(__file__).parents[2] / "hack"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def plan(url: str, **fields: Any) -> LoadPlan:
    settings: dict[str, Any] = {"rate": 200, "duration_s": 0.15, "seed": 7, **fields}
    return LoadPlan(url=url, host="chat.example.com", **settings)


async def load(url: str, **fields: object) -> list[RequestRecord]:
    async with LoadGenerator(plan(url, **fields)) as generator:
        await generator.finished()
    assert generator.sent == len(generator.records) > 10
    return generator.records


@asynccontextmanager
async def model(**faults: float | bool) -> AsyncIterator[tuple[ModelServer, str]]:
    settings = ModelSettings(name="small", speed=FAST, faults=Faults().changed(faults))
    async with serving(settings) as served:
        yield served


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[str]:
    """A server of one handler: what a gateway, or a broken arm behind it, might do."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_every_request_is_recorded_with_the_arm_that_answered_it():
    async with model() as (_, url):
        records = await load(url, stream_share=0.5)

    assert {record.arm for record in records} == {"small"}
    assert {record.status for record in records} == {200}
    assert all(record.ok and record.bytes > 0 and not record.error for record in records)
    assert {record.streamed for record in records} == {True, False}
    assert sorted(record.id for record in records) == list(range(1, len(records) + 1))
    assert all(record.scheduled_at <= record.sent_at <= record.answered_at for record in records)


async def test_servers_are_asked_for_the_tokens_that_were_drawn():
    async with model() as (server, url):
        records = await load(url)
        asked = server.metrics.prompt_tokens, server.metrics.generation_tokens

    counted = [next(iter(metric.collect())).samples[0].value for metric in asked]
    assert counted == [sum(r.prompt_tokens for r in records), sum(r.max_tokens for r in records)]


async def test_the_gateway_finds_the_route_by_the_host_header():
    hosts = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        hosts.add(request.headers["Host"])
        assert (await request.json())["model"] == "support"
        return web.Response()

    async with gateway(handler) as url:
        await load(url, stream_share=0)

    assert hosts == {"chat.example.com"}


async def test_arrivals_do_not_wait_for_answers_and_clients_give_up():
    async with model(hang_rate=1) as (_, url):
        records = await load(url, timeout_s=0.5)

    assert max(r.sent_at for r in records) < min(r.answered_at for r in records)
    assert {(r.status, r.arm, r.ok, r.error) for r in records} == {(499, None, False, "gave up after 0.5 s")}
    assert {blame(r) for r in records} == {Blame.UNKNOWN}


@pytest.mark.parametrize(
    ("fault", "status"), [({"fail_rate": 1}, 500), ({"unknown": True}, 404), ({"unsafe_rate": 1}, 200)]
)
async def test_bad_answers_of_a_model_server_are_told_by_its_name(fault, status):
    async with model(**fault) as (_, url):
        records = await load(url)

    assert {(r.status, r.arm, r.bad, blame(r)) for r in records} == {(status, "small", True, Blame.ARM)}


@pytest.mark.parametrize("status", [302, 404, 502, 503])
async def test_an_error_without_an_arms_name_is_the_gateways(status):
    asked = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=status, text="from the gateway", headers={"Location": "/elsewhere"})

    async with gateway(handler) as url:
        records = await load(url)

    assert {(r.status, r.arm, r.error) for r in records} == {(status, None, "from the gateway")}
    assert {blame(r) for r in records} == {Blame.GATEWAY}
    assert asked == len(records)


async def test_a_refused_connection_is_the_gateways():
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        records = await load(f"http://127.0.0.1:{unused.getsockname()[1]}")

    assert {(r.status, r.arm, blame(r)) for r in records} == {(0, None, Blame.GATEWAY)}
    assert all("Connect" in r.error for r in records)


async def test_a_dropped_request_is_not_sent_again():
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with gateway(handler) as url:
        records = await load(url)

    assert {(r.status, r.arm) for r in records} == {(0, None)}
    assert asked == len(records)


@pytest.mark.parametrize("abort", [True, False])
async def test_a_stream_that_breaks_off_is_a_failure_of_the_arm_that_began_it(abort):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"x-served-by": "small", "Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": []}\n\n')
        if abort:
            assert request.transport is not None
            request.transport.abort()
        return response

    async with gateway(handler) as url:
        records = await load(url, stream_share=1)

    assert {(r.status, r.arm, r.ok, blame(r)) for r in records} == {(0, "small", False, Blame.ARM)}


async def test_iterating_yields_every_record_once_and_ends():
    async with model() as (_, url), LoadGenerator(plan(url)) as generator:
        seen = [record async for record in generator]

    assert seen == generator.records
    assert len(seen) == generator.sent


async def test_the_log_can_be_followed_while_the_load_runs(tmp_path):
    log = tmp_path / "requests.jsonl"
    seen: list[RequestRecord] = []

    def check(record: RequestRecord) -> None:
        seen.append(record)
        assert list(read_log(log)) == seen

    async with model() as (_, url), LoadGenerator(plan(url), log=log, on_record=check) as generator:
        await generator.finished()

    assert seen == generator.records
    assert set(json.loads(log.read_text().splitlines()[0])) >= {"id", "sent_at", "status", "arm", "ok"}


async def test_the_end_of_the_block_stops_sending_and_waits_for_answers():
    async with model() as (_, url):
        async with LoadGenerator(plan(url, rate=100, duration_s=60)) as generator:
            async for _ in generator:
                break

        assert all(record.ok for record in generator.records)
        assert generator.sent == len(generator.records) < 100


async def test_what_is_unanswered_at_the_end_is_recorded_as_given_up():
    twenty = asyncio.Barrier(21)

    async def handler(_: web.Request) -> web.StreamResponse:
        await twenty.wait()
        await asyncio.Event().wait()
        return web.Response()

    async with gateway(handler) as url:
        async with LoadGenerator(plan(url, duration_s=60), grace_s=0) as generator, asyncio.timeout(10):
            await twenty.wait()

        assert generator.sent == len(generator.records) >= 20
        assert {(r.status, r.error) for r in generator.records} == {(499, "the load ended before the answer")}


async def test_the_same_seed_sends_the_same_requests():
    async with model() as (_, url):
        runs = [await load(url) for _ in range(2)]

    first, second = (
        {(r.id, r.prompt_tokens, r.max_tokens, r.streamed) for r in records if r.id <= 10} for records in runs
    )
    assert first == second


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:80",
        "http://192.0.2.7:8080",
        "http://0.0.0.0:8080",
        "http://[::ffff:127.0.0.1]:8080",
        "http://[fe80::1]:8080",
        "https://127.0.0.1:8443",
        "127.0.0.1:8080",
        "http://",
        "http://127.0.0.1:port",
    ],
)
def test_load_for_anything_but_loopback_is_refused(url):
    with pytest.raises(NotLoopback):
        plan(url)


def test_a_name_that_resolves_to_another_machine_is_refused(monkeypatch):
    answers = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("192.0.2.7", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answers)

    with pytest.raises(NotLoopback, match=r"gateway.test is 192.0.2.7, and load is sent to loopback only\."):
        loopback_url("http://gateway.test:80")


def test_a_loopback_name_is_resolved_once_and_for_all():
    assert loopback_url("http://localhost:8080").host in ("127.0.0.1", "::1")
    assert str(loopback_url("http://127.8.0.20:8000")) == "http://127.8.0.20:8000"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"rate": 0}, "rate must be above 0 and at most 200, not 0"),
        ({"rate": 201}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"duration_s": 3601}, "duration"),
        ({"timeout_s": 31}, "timeout"),
        ({"rate": 200, "duration_s": 3600}, "more than 200,000 requests"),
        ({"stream_share": 1.1}, "streams"),
    ],
)
def test_a_plan_beyond_the_bounds_is_refused(fields, named):
    with pytest.raises(BadPlan, match=named):
        plan("http://127.0.0.1:1", **fields)


def test_the_command_line_refuses_with_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^192\.0\.2\.7 is 192\.0\.2\.7, and load is sent to loopback only\.$"):
        parse_arguments(["--url", "http://192.0.2.7:80", "--host", "x", "--log", str(tmp_path / "log")])


async def test_sigterm_stops_the_load_and_loses_no_record(tmp_path):
    log = tmp_path / "requests.jsonl"
    asked = 0
    enough = asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 5:
            enough.set()
        return web.Response()

    async with gateway(handler) as url:
        arguments = ["--url", url, "--host", "x", "--rate", "100", "--duration", "60", "--log", str(log)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "devstack.load", *arguments),
            env={"PYTHONPATH": str(HACK)},
            stdout=-1,
            stderr=-1,
        )
        try:
            async with asyncio.timeout(30):
                await enough.wait()
                process.send_signal(signal.SIGTERM)
                summary, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert (process.returncode, errors) == (0, b"")
    assert len(list(read_log(log))) == asked
    assert summary.startswith(f"{asked} requests\n".encode())
