"""One request to a chat API: sent as a stream, so that the first token can be timed, and timed on a monotonic clock."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from modelroute.compare.suites.likeliest import Token, told_tokens

RETRIED: Final = frozenset({429, 503})
"""Statuses that say "later": these are asked again, and only the last try is timed."""
TRIES: Final = 3
LONGEST_WAIT_S: Final = 30.0
MISCONFIGURED: Final = frozenset({401, 403, 404})
FEWER_LOGPROBS: Final = 5
"""Alternatives at a token that servers allow which do not allow as many as the API does."""
_MOST_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Seconds; `error` None where an answer came, `unreachable` where nobody listened at all; `tokens`
    where log-probabilities were asked for and told.
    """

    text: str | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str | None = None
    error: str | None = None
    unreachable: bool = False
    status: int | None = None
    tokens: tuple[Token, ...] = ()


@dataclass(slots=True)
class _Heard:
    """A stream, as far as it was read."""

    parts: list[str] = field(default_factory=list)
    first_at: float | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)


class BadAnswer(Exception):
    """The answer is not what the API promises; the message is for people."""


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    payload: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Reply:
    """Ask once, and again at most twice where the server says "later", or names a parameter that it wants otherwise.

    Never raises for what the server does.
    """
    for tried in range(1, TRIES + 1):
        reply, wait_s = await _ask_once(session, url, payload, headers, timeout_s)
        if tried == TRIES:
            break
        if reply.status == 400 and (other := _put_otherwise(payload, reply.error or "")) is not None:
            payload = other
            continue
        if wait_s is None:
            break
        await sleep(min(wait_s if wait_s > 0 else 2.0 ** (tried - 1), LONGEST_WAIT_S))
    return reply


def _put_otherwise(payload: Mapping[str, Any], refusal: str) -> dict[str, Any] | None:
    """The request without what the server has just refused; None where there is nothing to change. Servers agree on
    the API but for these: newer models of OpenAI's take max_completion_tokens and no temperature, some servers no seed
    and no usage in a stream.
    """
    if "max_completion_tokens" in refusal and "max_tokens" in payload:
        rest = {name: value for name, value in payload.items() if name != "max_tokens"}
        return {**rest, "max_completion_tokens": payload["max_tokens"]}
    if payload.get("top_logprobs", 0) > FEWER_LOGPROBS and "top_logprobs" in refusal:
        return {**payload, "top_logprobs": FEWER_LOGPROBS}
    for name in ("stream_options", "temperature", "seed"):
        if name in payload and re.search(rf"\b{name}\b", refusal):
            return {key: value for key, value in payload.items() if key != name}
    return None


async def _ask_once(
    session: aiohttp.ClientSession, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout_s: float
) -> tuple[Reply, float | None]:
    """(reply, seconds to wait before asking again); None: do not; 0: the server did not say how long."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s), session.post(url, json=payload, headers=headers) as response:
            if response.status >= 400:
                said = f"HTTP {response.status}{_message(await response.text())}"
                later = _retry_after(response.headers) if response.status in RETRIED else None
                return Reply(error=said, status=response.status), later
            heard = await _hear(response)
            ended = time.perf_counter()
    except TimeoutError:
        return Reply(error=f"timeout after {timeout_s:g} s"), None
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error.strerror or str(error.os_error)
        return Reply(error=f"cannot be reached: {reason}", unreachable=True), None
    except aiohttp.ServerDisconnectedError:
        return Reply(error="the server closed the connection", unreachable=True), None
    except (aiohttp.ClientError, ValueError, BadAnswer) as error:
        return Reply(error=_short(str(error) or type(error).__name__)), None
    usage = heard.usage
    return Reply(
        text="".join(heard.parts),
        latency_s=ended - began,
        first_token_s=None if heard.first_at is None else heard.first_at - began,
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        finish_reason=heard.finish_reason,
        status=response.status,
        tokens=tuple(heard.tokens),
    ), None


async def _hear(response: aiohttp.ClientResponse) -> _Heard:
    """Read a stream of events, or, from a server that does not stream, a whole answer."""
    heard = _Heard()
    if response.content_type != "text/event-stream":
        _whole(await response.json(content_type=None), heard)
        return heard
    async for data in _events(response.content):
        if data == "[DONE]":
            break
        _chunk(json.loads(data), heard)
    if heard.finish_reason is None:
        # [DONE] alone is no end: llama-cpp-python sends it when another request interrupts this one.
        raise BadAnswer("the stream broke off before the answer ended (it gave no finish_reason)")
    return heard


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    async for line in content:
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if name == "data" and value.strip():
            yield value.strip()


def _chunk(chunk: Any, heard: _Heard) -> None:
    if not isinstance(chunk, dict):
        raise BadAnswer("a piece of the stream is not a JSON object")
    if chunk.get("error"):
        raise BadAnswer(f"the stream says{_message(json.dumps(chunk))}")
    heard.usage = chunk.get("usage") or heard.usage
    for choice in (chunk.get("choices") or [])[:1]:
        if text := (choice.get("delta") or {}).get("content"):
            heard.first_at = heard.first_at or time.perf_counter()
            heard.parts.append(text)
        heard.tokens += told_tokens(choice.get("logprobs"))
        heard.finish_reason = choice.get("finish_reason") or heard.finish_reason


def _whole(body: Any, heard: _Heard) -> None:
    try:
        choice = body["choices"][0]
        heard.parts.append(choice["message"]["content"] or "")
    except (KeyError, IndexError, TypeError) as error:
        raise BadAnswer("the answer has no choices[0].message.content") from error
    heard.tokens += told_tokens(choice.get("logprobs"))
    heard.finish_reason = choice.get("finish_reason")
    heard.usage = body.get("usage") or {}


def _message(body: str) -> str:
    """`: what the server said`, shortened; empty if it said nothing."""
    try:
        told = json.loads(body)
        error = told.get("error", told) if isinstance(told, dict) else told
        text = str(error.get("message") or error) if isinstance(error, dict) else str(error)
    except ValueError:
        text = body
    return f": {_short(text)}" if text.strip() else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(float(headers.get("Retry-After", "0")), 0.0)
    except ValueError:  # a date: rare, and the clocks may differ
        return 0.0


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
