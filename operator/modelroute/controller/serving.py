"""The operator's own HTTP endpoints: metrics for Prometheus, and two answers for the kubelet.

In threads of their own: an event loop that hangs must not keep the kubelet from hearing of it.
"""

from __future__ import annotations

import gzip
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from modelroute.errors import Invalid

log = logging.getLogger(__name__)

CONNECTION_TIMEOUT_S = 10.0
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    body: bytes
    status: int = 200
    content_type: str = PLAIN


Page = Callable[[str], Answer]
"""From the request's Accept header to the answer."""


def metrics_page(registry: CollectorRegistry) -> Page:
    """All that `registry` collects, in the format that is asked for."""

    def page(accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(encode(registry), content_type=content_type)

    return page


def health_page(problem: Callable[[], str], remark: Callable[[], str] = str) -> Page:
    """200 while `problem` finds none, else 503 with its sentence; `remark` is only told."""

    def page(_accept: str) -> Answer:
        if found := problem():
            return Answer(f"{found}\n".encode(), status=503)
        noted = remark()
        return Answer(f"{f'ok, but {noted}' if noted else 'ok'}\n".encode(), status=200)

    return page


@contextmanager
def serving(host: str, port: int, pages: Mapping[str, Page], *, field: str) -> Iterator[int]:
    """Serve `pages` by path while the block runs; the port that was taken (`port` 0: any that is free).

    An empty `host` means every address of the machine. Raises Invalid, naming `field`, where nobody can listen there.
    """
    try:
        server = _Server(host, port, pages)
    except OSError as error:
        where = f"{host or 'any address'}, port {port}"
        message = f"nobody can listen on {where} ({error.strerror or error}): choose another port, or 0 for none"
        raise Invalid(message, field=field) from error
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=f"http {port}", daemon=True
    )
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    """Not http.server's own, which asks the resolver for the machine's name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._every = not host and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if self._every or ":" in host else socket.AF_INET
        super().__init__(("::" if self._every else host, port), _Handler)

    def server_bind(self) -> None:
        if self._every:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that hung up is no traceback's worth."""
        log.debug("%s: the connection ended early", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = CONNECTION_TIMEOUT_S
    server: _Server
    server_version = "modelroute"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        answer = self._asked()
        body, zipped = answer.body, "gzip" in self.headers.get("Accept-Encoding", "") and len(answer.body) > 1024
        if zipped:
            body = gzip.compress(body, compresslevel=3)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _asked(self) -> Answer:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            return Answer(b"not found\n", 404)
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            # Whoever asks hears of it by the status; a connection that just ends would look like the network's fault.
            log.exception("%s could not be answered", self.path)
            return Answer(b"see the operator's log\n", 500)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)
