"""A relay between the operator and a Prometheus: it passes answers on, or does to them what it is told."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Answer = Callable[[BaseHTTPRequestHandler, Json], None]
"""How a question is answered, given what the Prometheus answered."""


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def as_it_is(handler: BaseHTTPRequestHandler, said: Json) -> None:
    send(handler, json.dumps(said).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class Relay:
    """Answers as `answer` says, at an address that stays the same; refuses connections while it is `down`.

    Only what is asked of scraped series: the server's own time is answered as it is, as by a Prometheus whose storage
    is at fault.
    """

    def __init__(self, upstream: str) -> None:
        self.answer: Answer = as_it_is
        self._upstream = upstream
        self._address = "127.0.0.1", 0
        self._begin()

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    @contextmanager
    def down(self) -> Iterator[None]:
        self.end()
        try:
            yield
        finally:
            self._begin()

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _begin(self) -> None:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = urllib.parse.parse_qs(body.decode())["query"][0]
                with urllib.request.urlopen(relay._upstream + self.path, body, timeout=10) as answer:
                    said = json.load(answer)
                try:
                    (as_it_is if "time()" in query else relay.answer)(self, said)
                except OSError:
                    # Whoever asked has had enough.
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what it answers is the test's."""

        self._server = _Server(self._address, Handler)
        self._address = "127.0.0.1", self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()


@contextmanager
def prometheus_relay(upstream: str) -> Iterator[Relay]:
    """In front of the Prometheus at `upstream`, passing on, until the end."""
    made = Relay(upstream)
    try:
        yield made
    finally:
        made.end()
