"""Open-loop load for many hosts at once, as a process: what each gets follows a file that may change meanwhile.

    python -m tests.bench.soak.load --url http://127.0.0.1:20801 --hosts hosts.json --rate 120 --duration 1800 \
        --log failed.jsonl --totals totals.json --seed 7

`hosts` is a JSON object of weights by host. Of requests that were answered there are only sums in `totals`; of those
that no model server answered there is a line in `log`, as the load generator of the stack writes it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import aiohttp

from devstack.load_report import Blame, blame
from devstack.loopback import loopback_url
from devstack.open_files import allow_many_open_files
from devstack.request_record import CONNECTION_ERROR, GAVE_UP, SERVED_BY, UNSAFE_HEADER, RequestRecord
from devstack.scene import SERVED_MODEL

TIMEOUT_S = 8.0
TOKENS = 24
HIGHEST_RATE = 400.0
LONGEST_S = 4 * 3600.0
LOOK_EVERY_S = 0.5
TELL_EVERY_S = 5.0
BODY = json.dumps(
    {"model": SERVED_MODEL, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Where is my order?"}]}
).encode()


@dataclass(slots=True)
class Hosts:
    """The hosts and their weights, read again when the file is another one."""

    file: Path
    names: list[str] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    _seen: int = 0

    def refresh(self) -> None:
        with contextlib.suppress(OSError):
            found = self.file.stat().st_mtime_ns
            if found != self._seen:
                told: dict[str, float] = json.loads(self.file.read_text(encoding="utf-8"))
                self.names, self.weights, self._seen = list(told), list(told.values()), found


class ManyHosts:
    """Sends until `stop`; Poisson arrivals, so that a slow answer delays no other request."""

    def __init__(self, url: str, hosts: Hosts, *, rate: float, log: TextIO, totals: Path, seed: int) -> None:
        self._endpoint = loopback_url(url).with_path("/v1/chat/completions")
        self._hosts, self._rate, self._log, self._totals = hosts, min(rate, HIGHEST_RATE), log, totals
        self._rng = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._latest_s = 0.0
        self._under_way: set[asyncio.Task[None]] = set()
        self.stop = asyncio.Event()

    async def run(self, duration_s: float) -> None:
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            ends = time.monotonic() + duration_s
            due, looked, told = time.monotonic(), 0.0, 0.0
            while due < ends and not self.stop.is_set():
                now = time.monotonic()
                if now - looked > LOOK_EVERY_S:
                    looked = now
                    self._hosts.refresh()
                if now - told > TELL_EVERY_S:
                    told = now
                    self._tell()
                due += self._rng.expovariate(self._rate)
                if due > now:
                    await asyncio.sleep(due - now)
                if self._hosts.names:
                    self._send(session, due)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=TIMEOUT_S + 1)
        self._tell()

    def _send(self, session: aiohttp.ClientSession, due: float) -> None:
        (host,) = self._rng.choices(self._hosts.names, self._hosts.weights)
        self._counts["sent"] += 1
        self._latest_s = max(self._latest_s, time.monotonic() - due)
        task = asyncio.create_task(self._request(session, host, self._counts["sent"]))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _request(self, session: aiohttp.ClientSession, host: str, number: int) -> None:
        headers = {"Host": host, "Content-Type": "application/json"}
        sent_at, status, arm, unsafe, error, size = time.time(), CONNECTION_ERROR, None, False, "", 0
        try:
            async with session.post(self._endpoint, data=BODY, headers=headers, allow_redirects=False) as response:
                status, arm = response.status, response.headers.get(SERVED_BY)
                unsafe = response.headers.get(UNSAFE_HEADER) == "1"
                body = await response.read()
                size = len(body)
                error = "" if response.ok else body[:200].decode(errors="replace")
        except TimeoutError:
            status, error = GAVE_UP, f"gave up after {TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError) as failed:
            status, error = CONNECTION_ERROR, f"{type(failed).__name__}: {failed}"[:200]
        record = RequestRecord(
            number, sent_at, sent_at, time.time(), status, arm, 200 <= status < 300, size, False, unsafe, error=error
        )
        self._count(host, record)

    def _count(self, host: str, record: RequestRecord) -> None:
        whose = blame(record)
        self._counts[f"blame {whose.value}"] += 1
        self._counts[f"arm {record.arm or 'none'}"] += 1
        if whose in {Blame.GATEWAY, Blame.UNKNOWN}:
            self._log.write(json.dumps({"host": host, **json.loads(record.to_json())}) + "\n")

    def _tell(self) -> None:
        part = self._totals.with_suffix(".part")
        part.write_text(json.dumps({**self._counts, "latest_s": round(self._latest_s, 3)}), encoding="utf-8")
        os.replace(part, self._totals)


async def _run(given: argparse.Namespace) -> None:
    with given.log.open("w", encoding="utf-8", buffering=1) as log:
        hosts = Hosts(given.hosts)
        load = ManyHosts(given.url, hosts, rate=given.rate, log=log, totals=given.totals, seed=given.seed)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stop.set)
        await load.run(min(given.duration, LONGEST_S))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--duration", type=float, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--totals", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    allow_many_open_files()
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
