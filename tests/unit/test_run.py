"""The operator as a process, before it has anything to do."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

MAIN = "modelroute.cli.main"
NAMED_BY = ("LOGNAME", "USER", "LNAME", "USERNAME", "POD_ID")
NAMELESS = """
import pwd

def nobody(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = nobody
from modelroute.cli.main import main
main()
"""


Json = dict[str, Any]


@contextmanager
def api_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    """One on loopback that answers every read with `answer`; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def start(to: Path, port: int, settings: Json, *program: str, **how: Any) -> subprocess.Popen[str]:
    """The operator with `settings` and the API server at `port`, its files in the folder `to`."""
    config, kubeconfig = to / "operator.yaml", to / "kubeconfig"
    config.write_text(yaml.safe_dump(settings))
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "a", "user": {"token": "of nobody"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    return subprocess.Popen(
        [sys.executable, *program, "operator", f"--config={config}", f"--kubeconfig={kubeconfig}"],
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def ended(operator: subprocess.Popen[str]) -> str:
    """What it said until it ended, because it was asked to."""
    try:
        operator.send_signal(signal.SIGTERM)
        return operator.communicate(timeout=30)[1]
    finally:
        operator.kill()


def test_it_starts_as_a_user_who_has_no_name(tmp_path: Path) -> None:
    """So it is in the image: its user is a number, without a line in /etc/passwd."""
    asked = threading.Event()

    def unavailable(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        request.send_error(503)

    settings = {"telemetry": {"metrics": {"port": 0}, "health": {"port": 0}}}
    nameless = {name: value for name, value in os.environ.items() if name not in NAMED_BY}
    with api_server(unavailable) as port:
        operator = start(tmp_path, port, settings, "-c", NAMELESS, env=nameless)
        came = asked.wait(60)
        said = ended(operator)

    assert came, said
    assert operator.returncode == 0, said


def test_one_that_may_not_have_its_lease_is_not_ready_and_one_that_stands_by_is(tmp_path: Path) -> None:
    """Bound to a role of somebody's own that forgot the Lease, it did nothing, and all looked well."""
    forbidden: Json = {"kind": "Status", "message": "leases is forbidden"}
    answers: list[tuple[int, Json]] = [(403, forbidden)]
    held: Json = {
        "metadata": {"resourceVersion": "1"},
        "spec": {"holderIdentity": "another", "leaseDurationSeconds": 60},
    }

    def answer(request: BaseHTTPRequestHandler) -> None:
        status, body = answers[-1]
        said = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(said)))
        request.end_headers()
        request.wfile.write(said)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = taken.getsockname()[1]
    at: Json = {"host": "127.0.0.1", "port": own}
    lease: Json = {"enabled": True, "namespace": "system", "renewDeadline": 2, "retryPeriod": 0.5}
    with api_server(answer) as port:
        operator = start(
            tmp_path, port, {"telemetry": {"metrics": at, "health": at}, "leaderElection": lease}, "-m", MAIN
        )
        try:
            refused = until(f"http://127.0.0.1:{own}/readyz", "forbidden")
            answers.append((200, held))
            stands_by = until(f"http://127.0.0.1:{own}/readyz", "ok")
            _, metrics = read(f"http://127.0.0.1:{own}/metrics")
        finally:
            ended(operator)

    assert refused[0] == 503
    assert refused[1].startswith("the Lease system/modelroute could not be had yet: GET ")
    assert stands_by == (200, "ok\n")
    assert re.search(r"^modelroute_leading 0\.0$", metrics, re.MULTILINE)


def read(url: str) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def until(url: str, word: str) -> tuple[int, str]:
    """What `url` answers once `word` is in it, or after 60 s."""
    end = time.monotonic() + 60
    while word not in (found := read(url))[1] and time.monotonic() < end:
        time.sleep(0.1)  # another process begins and is asked over HTTP, by no clock of ours
    return found
