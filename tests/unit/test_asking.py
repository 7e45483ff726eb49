"""One request and many: what is measured, what is an error, and what is never exceeded."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from devstack.model_answers import Speed
from devstack.model_faults import Faults
from devstack.model_server import ModelSettings, serving
from modelroute.compare.domain import Model, RequestPrice, TokenPrice
from modelroute.compare.evaluation.asking import Reply, ask
from modelroute.compare.evaluation.ceiling import Ceiling, CeilingReached, most_cost
from modelroute.compare.evaluation.pool import FAILED_IN_A_ROW, Endpoint, EndpointGone, Request, ask_all

FAST = Speed(speed_up=1000)
BODY = {"model": "support", "messages": [{"role": "user", "content": "where is it"}], "max_tokens": 8, "stream": True}
WITH_USAGE = BODY | {"stream_options": {"include_usage": True}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked(url: str, body: Any = None, *, timeout_s: float = 10, **how: Any) -> Reply:
    async with aiohttp.ClientSession() as session:
        return await ask(session, f"{url}/v1/chat/completions", body or WITH_USAGE, {}, timeout_s=timeout_s, **how)


async def test_an_answer_comes_with_its_times_and_tokens():
    async with serving(ModelSettings(speed=Speed(tokens_per_second=100, overhead_s=0.05, speed_up=1))) as (_, url):
        reply = await asked(url)

    assert reply.error is None
    assert len((reply.text or "").split()) == 8
    assert (reply.input_tokens, reply.output_tokens, reply.finish_reason) == (3, 8, "length")
    assert 0.05 <= (reply.first_token_s or 0) < (reply.latency_s or 0)
    assert (reply.latency_s or 0) >= 0.05 + 7 / 100


async def test_a_server_that_does_not_tell_tokens_leaves_them_unknown():
    async with serving(ModelSettings(speed=FAST)) as (_, url):
        reply = await asked(url, BODY)

    assert (reply.error, reply.input_tokens, reply.output_tokens) == (None, None, None)


async def test_a_server_that_does_not_stream_is_understood_and_has_no_first_token():
    async with serving(ModelSettings(speed=FAST)) as (_, url):
        reply = await asked(url, BODY | {"stream": False})

    assert (reply.error, reply.first_token_s, reply.output_tokens) == (None, None, 8)


def events(*chunks: object) -> bytes:
    return b"".join(b"data: " + (c if isinstance(c, bytes) else json.dumps(c).encode()) + b"\n\n" for c in chunks)


def piece(text: str, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("status", "kind", "body", "error"),
    [
        (500, "application/json", b'{"error": {"message": "boom"}}', "HTTP 500: boom"),
        (502, "text/html", b"<html>bad\n gateway</html>", "HTTP 502: <html>bad gateway</html>"),
        (400, "application/json", b"", "HTTP 400"),
        (200, "application/json", b"{}", "the answer has no choices[0].message.content"),
        (200, "application/json", b"nope", "Expecting value: line 1 column 1 (char 0)"),
        (200, "text/event-stream", events(piece("half")), "the stream broke off before the answer ended"),
        (200, "text/event-stream", events(piece("half"), b"[DONE]"), "the stream broke off before the answer ended"),
        (200, "text/event-stream", events(b"[DONE]"), "the stream broke off before the answer ended"),
        (200, "text/event-stream", events({"error": {"message": "overloaded"}}), "the stream says: overloaded"),
        (200, "text/event-stream", events(b"[1]"), "a piece of the stream is not a JSON object"),
        (200, "text/event-stream", events(b"{"), "Expecting property name"),
    ],
)
async def test_what_is_no_answer_is_an_error_in_words(status, kind, body, error):
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, content_type=kind, body=body)

    async with answering(handler) as url:
        reply = await asked(url)

    assert (reply.error or "").startswith(error)
    assert reply.text is None


@pytest.mark.parametrize("end", [events(piece("", "stop")), events(piece("", "length"), b"[DONE]")])
async def test_a_stream_ends_with_a_reason_and_perhaps_with_done(end):
    async def handler(_: web.Request) -> web.Response:
        body = b": a comment\n\n" + events({"choices": []}, piece("he"), piece("llo")) + end
        return web.Response(content_type="text/event-stream", body=body)

    async with answering(handler) as url:
        reply = await asked(url)

    assert (reply.text, reply.error) == ("hello", None)


async def test_a_long_chunk_of_a_stream_is_read_whole():
    long = "word " * 100_000
    got: list[Reply] = []

    async def handler(_: web.Request) -> web.Response:
        return web.Response(content_type="text/event-stream", body=events(piece(long, "stop")))

    async with answering(handler) as url:
        await gather(url, got, count=1)

    assert got[0].text == long


async def test_a_server_that_hangs_is_a_timeout():
    async with serving(ModelSettings(faults=Faults(hang_rate=1))) as (_, url):
        reply = await asked(url, timeout_s=0.2)

    assert reply.error == "timeout after 0.2 s"


async def test_a_port_where_nobody_listens_cannot_be_reached():
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with answering(handler) as url:
        pass

    reply = await asked(url)

    assert reply.unreachable
    assert (reply.error or "").startswith("cannot be reached: ")


async def test_told_to_come_back_later_it_does_and_times_the_last_try_only():
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    tries = iter([(429, {"Retry-After": "7"}), (503, {}), (200, {})])

    async def handler(_: web.Request) -> web.Response:
        status, headers = next(tries)
        body = events(piece("here", "stop")) if status == 200 else b"{}"
        return web.Response(status=status, headers=headers, content_type="text/event-stream", body=body)

    async with answering(handler) as url:
        reply = await asked(url, sleep=sleep)

    assert (reply.text, waited) == ("here", [7.0, 2.0])


@pytest.mark.parametrize(
    ("refusal", "sent"),
    [
        ("'max_tokens' is not supported here. Use 'max_completion_tokens' instead.", {"max_completion_tokens": 8}),
        ("stream_options is unknown", {"max_tokens": 8}),
    ],
)
async def test_a_parameter_that_the_server_wants_otherwise_is_put_otherwise(refusal, sent):
    seen: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(await request.json())
        if len(seen) == 1:
            return web.json_response({"error": {"message": f"Unsupported parameter: {refusal}"}}, status=400)
        return web.Response(content_type="text/event-stream", body=events(piece("here", "stop")))

    async with answering(handler) as url:
        reply = await asked(url)

    assert (reply.text, len(seen)) == ("here", 2)
    assert {name: seen[1][name] for name in seen[1] if name.startswith("max")} == sent
    assert ("stream_options" in seen[1]) == ("stream_options" not in refusal)


async def test_a_request_that_is_refused_for_good_is_sent_once():
    seen: list[int] = []

    async def handler(_: web.Request) -> web.Response:
        seen.append(1)
        return web.json_response({"error": {"message": "messages are too long"}}, status=400)

    async with answering(handler) as url:
        reply = await asked(url)

    assert (reply.error, len(seen)) == ("HTTP 400: messages are too long", 1)


PRICED = Model("m", "support", "http://here/v1", price=TokenPrice(Decimal(1_000_000), Decimal(1_000_000)))


async def gather(
    url: str,
    got: list[Reply],
    *,
    count: int = 40,
    model: Model = PRICED,
    ceiling: Ceiling | None = None,
    at_once: int = 8,
) -> None:
    async def keep(_: int, reply: Reply, cost: Decimal | None) -> None:
        got.append(reply)

    endpoint = Endpoint(f"{url}/v1/chat/completions", {}, 10, at_once)
    await ask_all(endpoint, model, [Request(WITH_USAGE, 20, 8)] * count, ceiling or Ceiling(None), keep)


async def test_no_more_requests_are_under_way_than_allowed():
    now = most = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return web.json_response({"choices": [{"message": {"content": "x"}}]})

    got: list[Reply] = []
    async with answering(handler) as url:
        await gather(url, got, at_once=3)

    assert (len(got), most) == (40, 3)


async def test_the_ceiling_is_never_passed_and_what_was_paid_for_is_kept():
    got: list[Reply] = []
    ceiling = Ceiling(Decimal(300), spent=Decimal(50))
    async with serving(ModelSettings(speed=FAST)) as (_, url):
        with pytest.raises(CeilingReached, match="is left of the ceiling of 300"):
            await gather(url, got, ceiling=ceiling)

    # Each costs 3 + 8; the most that one could cost is 20 + 64 + 8 = 92.
    assert ceiling.spent == 50 + 11 * len(got) <= 300
    assert ceiling.spent > 300 - 92 - 11


async def test_an_answer_without_token_counts_is_taken_to_cost_the_most():
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"content": "x"}}]})

    ceiling = Ceiling(Decimal(1000))
    got: list[Reply] = []
    async with answering(handler) as url:
        await gather(url, got, count=2, ceiling=ceiling)

    assert ceiling.spent == 2 * 92


def test_the_most_that_a_request_can_cost():
    assert most_cost(None, prompt_bytes=10, max_tokens=10) == 0
    assert most_cost(RequestPrice(Decimal("0.5")), prompt_bytes=10, max_tokens=10) == Decimal("0.5")
    assert most_cost(TokenPrice(Decimal(1_000_000), Decimal(0)), prompt_bytes=10, max_tokens=10) == 74


async def test_an_endpoint_that_answers_nothing_any_more_is_given_up():
    got: list[Reply] = []
    async with serving(ModelSettings(faults=Faults(fail_rate=1))) as (_, url):
        with pytest.raises(
            EndpointGone, match=r"m at http://here/v1 answered none of the last \d+ requests \(the last: HTTP 500"
        ):
            await gather(url, got, count=100, at_once=1)

    assert len(got) == FAILED_IN_A_ROW


@pytest.mark.parametrize(("status", "hint"), [(401, "check apiKeyEnv"), (404, "check endpoint and servedName")])
async def test_a_misconfigured_endpoint_is_given_up_at_once(status, hint):
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=status)

    got: list[Reply] = []
    async with answering(handler) as url:
        with pytest.raises(EndpointGone, match=f"HTTP {status}: no; {hint}"):
            await gather(url, got, at_once=1)

    assert len(got) == 1


async def test_now_and_then_an_error_does_not_stop_it():
    got: list[Reply] = []
    async with serving(ModelSettings(speed=FAST, faults=Faults(fail_rate=0.3), seed=3)) as (_, url):
        await gather(url, got, count=60)

    assert 5 < sum(reply.error is not None for reply in got) < 35
