"""A proxy on loopback in front of an API server: it notes what is asked, as RBAC would name it, and injects faults."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "host"}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One line of a role: `resource` with its subresource, as in modelroutes/status."""

    group: str
    resource: str
    verb: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer this instead of asking the API server."""

    status: int
    message: str = "injected"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the request and say nothing, for at most that long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Delay:
    """Let the API server do it, after that long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let the API server do it, and cut the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Answer what the same path was answered first: a stale read."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Answer a watch as the API server does where it has forgotten that resourceVersion: with an event."""


Fault = Refuse | Hang | Delay | LoseAnswer | Replay | Gone
Choose = Callable[[Right], Fault | None]


@dataclass(slots=True)
class Recording:
    """What was asked for, and what of it was refused for want of rights. `choose` names the fault of a request."""

    url: str = ""
    used: set[Right] = field(default_factory=set)
    asked: list[Right] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answered: list[tuple[Right, int]] = field(default_factory=list)
    """What the API server answered, with its HTTP status, in the order of the answers."""
    choose: Choose = lambda _right: None
    first: dict[str, bytes] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)


def right_for(method: str, target: str) -> Right | None:
    """The right that a request needs; None for discovery, which every ServiceAccount may do."""
    url = urllib.parse.urlsplit(target)
    parts = url.path.strip("/").split("/")
    if parts[0] == "api":
        group, rest = "", parts[2:]
    elif parts[0] == "apis":
        group, rest = (parts[1] if len(parts) > 1 else ""), parts[3:]
    else:
        return None
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if not rest:
        return None
    resource, name, subresource = (*rest, "", "")[:3]
    watching = urllib.parse.parse_qs(url.query).get("watch") in (["true"], ["1"])
    reading = "get" if name else "watch" if watching else "list"
    verb = reading if method == "GET" else _VERBS[method]
    return Right(group, f"{resource}/{subresource}" if subresource else resource, verb)


def _status(fault: Refuse) -> bytes:
    said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": fault.message, "code": fault.status}
    return json.dumps(said).encode()


@contextlib.contextmanager
def recording(server: str, ca: Path) -> Iterator[Recording]:
    """Forwards to the API server at `server`, streams included, what `Recording.choose` lets through, until the end."""
    upstream = urllib.parse.urlsplit(server)
    context = ssl.create_default_context(cafile=str(ca))
    made = Recording()
    open_connections: set[http.client.HTTPSConnection] = set()

    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            right = right_for(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = None
            if right is not None:
                made.used.add(right)
                made.asked.append(right)
                fault = made.choose(right)
            match fault:
                case Refuse():
                    return self._answer(fault.status, _status(fault), fault.headers)
                case Gone():
                    told = {"type": "ERROR", "object": json.loads(_status(Refuse(410, "too old resource version")))}
                    return self._answer(200, json.dumps(told).encode() + b"\n")
                case Hang():
                    made.ended.wait(fault.seconds)
                    self.close_connection = True
                    return None
                case Delay():
                    made.ended.wait(fault.seconds)
                    return self._ask(body, loses=False)
                case Replay() if self.path in made.first:
                    return self._answer(200, made.first[self.path])
                case _:
                    return self._ask(body, loses=isinstance(fault, LoseAnswer))

        def _ask(self, body: bytes, *, loses: bool) -> None:
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
            connection = http.client.HTTPSConnection(
                str(upstream.hostname), upstream.port, context=context, timeout=400
            )
            open_connections.add(connection)
            try:
                connection.request(self.command, self.path, body, headers)
                with connection.getresponse() as answer:
                    if (right := right_for(self.command, self.path)) is not None:
                        made.answered.append((right, answer.status))
                    if answer.status == 403:
                        made.refused.add(f"{self.command} {self.path}")
                    if loses:
                        answer.read()
                        self.close_connection = True
                    else:
                        self._pass_on(answer)
            except (OSError, ValueError, http.client.HTTPException):
                # One of the two went away, as watches do.
                self.close_connection = True
            finally:
                open_connections.discard(connection)
                connection.close()

        def _answer(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
            self.send_response(status)
            for key, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def _pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in _HOP_BY_HOP:
                    self.send_header(key, value)
            self.end_headers()
            said = b""
            while chunk := answer.read1(65_536):
                if "watch=" not in self.path:
                    said += chunk
                self.wfile.write(chunk)
                self.wfile.flush()
            if self.command == "GET" and answer.status == 200:
                made.first.setdefault(self.path, said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the recording is the log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as http_server:
        made.url = f"http://127.0.0.1:{http_server.server_address[1]}"
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            made.ended.set()
            http_server.shutdown()
            thread.join()
            for connection in tuple(open_connections):
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(2)


def kubeconfig_through(url: str, of: Path, to: Path) -> Path:
    """The kubeconfig `of` with another server, written to `to`."""
    config = json.loads(of.read_text(encoding="utf-8"))
    for cluster in config["clusters"]:
        cluster["cluster"] = {"server": url}
    to.write_text(json.dumps(config), encoding="utf-8")
    return to
