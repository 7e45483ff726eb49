"""Open-loop load for the local stack: requests are sent when due, whether or not others were answered.

    python -m devstack.load --url http://127.0.0.1:8080 --host chat.example.com --model support \
        --rate 60 --duration 300 --log requests.jsonl --seed 7

A closed loop, where a client waits for one answer before it asks again, slows down with the servers and
so hides what their users would feel. Clients give up after a while, never retry, follow no redirects and
use as many connections as they need. Loopback only, and bounded in rate, time and number.

In a program:

    async with LoadGenerator(plan, log=path) as load:
        async for record in load:        # as they end; or on_record=..., or load.records at any time
            ...
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import aiohttp
from yarl import URL

from devstack.arrivals import MOST_PROMPT_TOKENS, Arrival, arrivals
from devstack.load_plan import MOST_REQUESTS, BadPlan, LoadPlan
from devstack.load_report import report_lines, summarise
from devstack.loopback import NotLoopback, loopback_url
from devstack.open_files import allow_many_open_files
from devstack.request_record import CONNECTION_ERROR, GAVE_UP, SERVED_BY, UNSAFE_HEADER, RequestRecord

LONGEST_ERROR = 200
PROMPT = b"word " * MOST_PROMPT_TOKENS
END_OF_STREAM = b"data: [DONE]"


class LoadGenerator:
    """Sends a plan's requests while its block runs; at the block's end sends no more and waits for the rest.

    Iterating yields every record once, as requests end, and finishes when the last one has. Of all that was
    sent there is a record: what is still unanswered `grace_s` seconds after the stop counts as given up.
    """

    def __init__(
        self,
        plan: LoadPlan,
        *,
        log: Path | None = None,
        on_record: Callable[[RequestRecord], None] | None = None,
        grace_s: float | None = None,
    ) -> None:
        self.plan = plan
        self.records: list[RequestRecord] = []
        self.sent = 0
        self._log_path = log
        self._log: TextIO | None = None
        self._on_record = on_record
        self._grace_s = plan.timeout_s + 1 if grace_s is None else grace_s
        self._endpoint = loopback_url(plan.url).with_path("/v1/chat/completions")
        self._chooser = random.Random(plan.seed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._more = asyncio.Event()
        self._finished = False

    async def __aenter__(self) -> Self:
        allow_many_open_files()
        if self._log_path is not None:
            # A line is flushed when it is whole, so that the log can be followed.
            self._log = self._log_path.open("w", encoding="utf-8", buffering=1)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self.plan.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await self._running

    def stop(self) -> None:
        """Send no more; outstanding requests still get their answers."""
        self._stop.set()

    async def finished(self) -> None:
        """Wait until everything of the plan was sent (or the load was stopped) and has ended."""
        await asyncio.shield(self._running)

    async def __aiter__(self) -> AsyncIterator[RequestRecord]:
        seen = 0
        while seen < len(self.records) or not self._finished:
            if seen == len(self.records):
                self._more.clear()
                await self._more.wait()
                continue
            seen += 1
            yield self.records[seen - 1]

    async def _run(self) -> None:
        try:
            await self._send_all()
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=self._grace_s)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
        finally:
            await self._session.close()
            if self._log is not None:
                self._log.close()
            self._finished = True
            self._more.set()

    async def _send_all(self) -> None:
        plan = self.plan
        started, started_at = time.monotonic(), time.time()
        for arrival in arrivals(rate=plan.rate, duration_s=plan.duration_s, seed=plan.seed):
            delay = started + arrival.offset_s - time.monotonic()
            if delay > 0 and await self._stopped_within(delay):
                return
            if self._stop.is_set() or self.sent >= MOST_REQUESTS:
                return
            self.sent += 1
            streamed = self._chooser.random() < plan.stream_share
            due = started_at + arrival.offset_s
            task = asyncio.create_task(self._request(self.sent, due, arrival, streamed=streamed))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await self._stopped_within(started + plan.duration_s - time.monotonic())

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    async def _request(self, number: int, due: float, arrival: Arrival, *, streamed: bool) -> None:
        exchange = _Exchange()
        sent_at, sent = time.time(), time.monotonic()
        stopped = False
        try:
            await exchange.run(self._session, self._endpoint, self._headers(number), self._body(arrival, streamed))
        except TimeoutError:
            exchange.failed(GAVE_UP, f"gave up after {self.plan.timeout_s:g} s")
        except asyncio.CancelledError:
            stopped = True
            exchange.failed(GAVE_UP, "the load ended before the answer")
        except (aiohttp.ClientError, OSError) as error:  # refused, reset, or broken off in the middle
            exchange.failed(CONNECTION_ERROR, f"{type(error).__name__}: {error}")
        if streamed and 200 <= exchange.status < 300 and not exchange.tail.rstrip().endswith(END_OF_STREAM):
            exchange.failed(CONNECTION_ERROR, "the stream ended without [DONE]")
        self._record(
            RequestRecord(
                id=number,
                scheduled_at=due,
                sent_at=sent_at,
                answered_at=sent_at + time.monotonic() - sent,
                status=exchange.status,
                arm=exchange.arm,
                ok=200 <= exchange.status < 300,
                bytes=exchange.received,
                streamed=streamed,
                unsafe=exchange.unsafe,
                prompt_tokens=arrival.prompt_tokens,
                max_tokens=arrival.generated_tokens,
                error=exchange.error[:LONGEST_ERROR],
            )
        )
        if stopped:
            raise asyncio.CancelledError

    def _record(self, record: RequestRecord) -> None:
        self.records.append(record)
        if self._log is not None:
            self._log.write(record.to_json() + "\n")
        self._more.set()
        if self._on_record is not None:
            self._on_record(record)

    def _headers(self, number: int) -> dict[str, str]:
        return {
            "Host": self.plan.host,
            "Content-Type": "application/json",
            "x-request-id": f"load-{self.plan.seed}-{number}",
        }

    def _body(self, arrival: Arrival, streamed: bool) -> bytes:
        # Put together from bytes that are ready: a prompt may be 70 kB, and words are what the servers count.
        return b'{"model":%s,"max_tokens":%d,"stream":%s,"messages":[{"role":"user","content":"%s"}]}' % (
            json.dumps(self.plan.model).encode(),
            arrival.generated_tokens,
            b"true" if streamed else b"false",
            PROMPT[: 5 * arrival.prompt_tokens - 1],
        )


@dataclass(slots=True)
class _Exchange:
    """What came back so far; it stays known when the rest does not come."""

    status: int = CONNECTION_ERROR
    arm: str | None = None
    unsafe: bool = False
    received: int = 0
    tail: bytes = b""
    error: str = ""

    async def run(self, session: aiohttp.ClientSession, endpoint: URL, headers: dict[str, str], body: bytes) -> None:
        async with session.post(endpoint, data=body, headers=headers, allow_redirects=False) as response:
            self.status = response.status
            self.arm = response.headers.get(SERVED_BY)
            self.unsafe = response.headers.get(UNSAFE_HEADER) == "1"
            async for piece in response.content.iter_any():
                self.received += len(piece)
                self.tail = (self.tail + piece)[-LONGEST_ERROR:]
            if not 200 <= self.status < 300:
                self.error = self.tail.decode(errors="replace").strip()

    def failed(self, status: int, error: str) -> None:
        self.status = status
        self.error = error


async def _run(plan: LoadPlan, log: Path) -> list[RequestRecord]:
    async with LoadGenerator(plan, log=log) as load:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stop)
        await load.finished()
    return load.records


def parse_arguments(arguments: list[str] | None = None) -> tuple[LoadPlan, Path]:
    """(plan, log file) from the command line; leaves with one sentence if the plan is refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="the gateway, http://127.0.0.1:PORT")
    parser.add_argument("--host", required=True, help="the Host header, such as chat.example.com")
    parser.add_argument("--model", default="support", help="the model name to ask for (default support)")
    parser.add_argument("--rate", type=float, default=60, help="requests a second on average (default 60)")
    parser.add_argument("--duration", type=float, default=300, help="seconds (default 300)")
    parser.add_argument("--timeout", type=float, default=10, help="seconds until clients give up (default 10)")
    parser.add_argument("--stream-share", type=float, default=0.3, help="of requests, streaming (default 0.3)")
    parser.add_argument("--log", type=Path, required=True, help="where each request gets its JSON line")
    parser.add_argument("--seed", type=int, default=0, help="for all that is drawn (default 0)")
    given = parser.parse_args(arguments)
    try:
        plan = LoadPlan(
            url=given.url,
            host=given.host,
            model=given.model,
            rate=given.rate,
            duration_s=given.duration,
            timeout_s=given.timeout,
            stream_share=given.stream_share,
            seed=given.seed,
        )
    except (BadPlan, NotLoopback) as refused:
        sys.exit(str(refused))
    return plan, given.log


def main() -> None:
    plan, log = parse_arguments()
    try:
        records = asyncio.run(_run(plan, log))
    except OSError as failed:
        sys.exit(f"the log {log} cannot be written: {failed.strerror or failed}")
    for line in report_lines(summarise(records)):
        print(line)


if __name__ == "__main__":
    main()
