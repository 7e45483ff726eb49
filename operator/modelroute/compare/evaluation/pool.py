"""Asks many questions at once, but never more than allowed, and gives up on an endpoint that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import aiohttp

from modelroute.compare.domain import Model, Price
from modelroute.compare.evaluation.asking import MISCONFIGURED, Reply, ask
from modelroute.compare.evaluation.ceiling import Ceiling, CeilingReached, most_cost
from modelroute.errors import ModelRouteError, Unavailable

FAILED_IN_A_ROW: Final = 20
"""After so many requests without one answer in between, going on only costs time."""


class EndpointGone(Unavailable):
    """The endpoint does not answer any more, or never will as it is configured."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; `prompt_bytes` and `max_tokens` bound its cost."""

    payload: Mapping[str, Any]
    prompt_bytes: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, as whom, how patiently, and how many at once."""

    url: str
    headers: Mapping[str, str]
    timeout_s: float
    concurrency: int


async def ask_all(
    endpoint: Endpoint,
    model: Model,
    requests: Sequence[Request],
    ceiling: Ceiling,
    got: Callable[[int, Reply, Decimal | None], Awaitable[None]],
) -> None:
    """Call `got` with a request's index, its reply and its cost (None: no price), as they come.

    Raises EndpointGone and CeilingReached, after the requests under way have been handed over.
    """
    waiting = iter(enumerate(requests))
    failed = 0
    stopped: ModelRouteError | None = None

    async def work() -> None:
        nonlocal failed, stopped
        for index, request in waiting:
            most = most_cost(model.price, prompt_bytes=request.prompt_bytes, max_tokens=request.max_tokens)
            try:
                await ceiling.reserve(most)
            except CeilingReached as reached:
                stopped = stopped or reached
                return
            spent = most  # if this is cancelled, nobody knows what it will have cost
            try:
                reply = await ask(
                    session, endpoint.url, request.payload, endpoint.headers, timeout_s=endpoint.timeout_s
                )
                cost = cost_of(reply, model.price, most)
                spent = cost or Decimal(0)
            finally:
                ceiling.settle(most, spent)
            await got(index, reply, cost)
            failed = failed + 1 if reply.error else 0
            stopped = stopped or _gone(model, reply, failed)
            if stopped:
                return

    limits = aiohttp.TCPConnector(limit=endpoint.concurrency)
    # A line of a stream is a whole chunk of JSON; aiohttp refuses lines longer than its buffer.
    async with (
        aiohttp.ClientSession(
            connector=limits, read_bufsize=2**20, timeout=aiohttp.ClientTimeout(total=None)
        ) as session,
        asyncio.TaskGroup() as workers,
    ):
        for _ in range(min(endpoint.concurrency, len(requests))):
            workers.create_task(work())
    if stopped:
        raise stopped


def cost_of(reply: Reply, price: Price | None, most: Decimal) -> Decimal | None:
    """What a reply cost, None without a price. A failed request is taken to cost nothing, and one whose tokens the
    server does not tell to cost the most that it can.
    """
    if price is None:
        return None
    if reply.error is not None:
        return Decimal(0)
    cost = price.of(reply.input_tokens, reply.output_tokens)
    return most if cost is None else cost


def _gone(model: Model, reply: Reply, failed: int) -> EndpointGone | None:
    if reply.status in MISCONFIGURED:
        hint = "check endpoint and servedName" if reply.status == 404 else "check apiKeyEnv"
        return EndpointGone(f"{model.name} at {model.endpoint}: {reply.error}; {hint}")
    if failed >= FAILED_IN_A_ROW:
        last = f"the last: {reply.error}"
        return EndpointGone(f"{model.name} at {model.endpoint} answered none of the last {failed} requests ({last})")
    return None
