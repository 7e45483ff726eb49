"""A Prometheus of a test's own beside the stack's, and what may come between it and what it scrapes."""

from __future__ import annotations

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from controlplane import programs
from devstack.http import answers
from devstack.prometheus import Targets
from devstack.stack import Stack
from devstack.waiting import wait_until


@dataclass(frozen=True)
class Scraper:
    """A Prometheus that scrapes `targets`, and nothing else."""

    url: str
    targets: Targets

    def watch(self, address: str) -> None:
        """Have `address` scraped; returns when it is on the list, whether anything answers there or not."""
        self.targets.add(address, {})
        wait_until(lambda: f"http://{address}/metrics" in self._active(), what=f"{address} is a target", timeout_s=60)

    def has_scraped(self, address: str) -> bool:
        query = urllib.parse.urlencode({"query": f'up{{instance="{address}"}} == 1'})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=10) as answer:
            return bool(json.load(answer)["data"]["result"])

    def _active(self) -> set[str]:
        with urllib.request.urlopen(f"{self.url}/api/v1/targets?state=active", timeout=10) as answer:
            return {each["scrapeUrl"] for each in json.load(answer)["data"]["activeTargets"]}


@contextmanager
def scraper(stack: Stack, where: Path, *, interval_s: float) -> Iterator[Scraper]:
    """A Prometheus of its own, ready, with nothing to scrape yet; its files are in `where`."""
    interval, port = f"{interval_s:g}s", stack.free_port()
    targets = Targets(where / "targets.json")
    jobs = [{"job_name": "traefik", "file_sd_configs": [{"files": [str(targets.file)]}]}]
    config = {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": jobs}
    file = where / "prometheus.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    argv: list[str | Path] = [
        programs.locate_all(say=lambda _line: None)["prometheus"],
        f"--config.file={file}",
        f"--storage.tsdb.path={where / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = stack.spawn(f"prometheus-{port}", argv)
    try:
        made = Scraper(f"http://127.0.0.1:{port}", targets)
        wait_until(partial(answers, f"{made.url}/-/ready"), what="it is ready", timeout_s=60)
        yield made
    finally:
        process.stop()


@dataclass
class Relay:
    """The gateway's /metrics under an address of its own. What it is told to miss gets no answer, as from a process
    that is stopped, while the gateway itself goes on.
    """

    address: str
    is_gone: bool = False
    """Misses every scrape for as long as this is set."""
    missed: int = 0
    _to_miss: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def miss(self, scrapes: int) -> None:
        """The next ones, as many as that."""
        with self._lock:
            self._to_miss += scrapes

    def misses_this(self) -> bool:
        with self._lock:
            if not self.is_gone and not self._to_miss:
                return False
            self._to_miss = max(0, self._to_miss - 1)
            self.missed += 1
            return True


@contextmanager
def relay(stack: Stack) -> Iterator[Relay]:
    """Whoever scrapes it scrapes the stack's gateway."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if made.misses_this():
                ended.wait(30.0)
                self.close_connection = True
                return
            url = f"http://127.0.0.1:{stack.traefik.metrics_port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                content = answer.read()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what is missed is the test's."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        made = Relay(f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            ended.set()
            server.shutdown()
            thread.join()
