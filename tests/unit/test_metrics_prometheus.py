"""The session towards Prometheus, against real HTTP servers on loopback that do not behave."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from modelroute.errors import Invalid, Unavailable
from modelroute.metrics.prometheus import AnswerTooLarge, Prometheus, PrometheusServer, QueryWarning
from modelroute.metrics.scrapes import Sample, Series

SECRET = "hunter2"
GOOD = {
    "status": "success",
    "data": {"resultType": "matrix", "result": [{"metric": {"__name__": "up"}, "values": [[1700000000.123, "1"]]}]},
}

Answer = Callable[[BaseHTTPRequestHandler], None]


class Served:
    """A server that gives one answer to everything, and keeps what it was asked."""

    def __init__(self, url: str, requests: list[tuple[str, str, dict[str, str], str]]) -> None:
        self.url = url
        self.requests = requests

    def prometheus(self, **options: Any) -> Prometheus:
        server = PrometheusServer("default", self.url, scrape_interval_s=1.0, connect_timeout_s=1.0, timeout_s=0.5)
        return Prometheus(replace(server, **options))


@contextmanager
def serving(answer: Answer) -> Iterator[Served]:
    asked: list[tuple[str, str, dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            # A client that has had enough hangs up.
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def saying(body: bytes | Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def chunked(body: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.send_header("connection", "close")
        handler.end_headers()
        for start in range(0, len(body), 50):
            piece = body[start : start + 50]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer


def test_raw_samples_are_asked_for_in_a_body_and_read() -> None:
    with serving(saying(GOOD)) as served:
        found = served.prometheus().samples('up{job=~"a"}[30s]', at=1700000000.5)
    method, path, headers, body = served.requests[0]
    assert found == (Series({"__name__": "up"}, (Sample(1700000000.123, 1.0),)),)
    assert (method, path) == ("POST", "/api/v1/query")
    assert parse_qs(body) == {"query": ['up{job=~"a"}[30s]'], "time": ["1700000000.500"]}
    assert "authorization" not in headers


def test_the_servers_own_clock_is_asked_for_at_no_time_of_ours() -> None:
    said = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[5, "5"]]}]}}
    with serving(saying(said)) as served:
        assert served.prometheus().server_time() == 5.0
    assert parse_qs(served.requests[0][3]) == {"query": ["vector(time())[1s:1s]"]}


@pytest.mark.parametrize("result", [[], [{"metric": {}, "values": []}]])
def test_a_server_that_does_not_say_what_time_it_is_is_unavailable(result: list[object]) -> None:
    said = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    with serving(saying(said)) as served, pytest.raises(Unavailable, match="what time it is"):
        served.prometheus().server_time()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_values_that_are_no_numbers_are_kept_for_the_ledger_to_refuse(value: str) -> None:
    body = json.loads(json.dumps(GOOD).replace('"1"', f'"{value}"'))
    with serving(saying(body)) as served:
        found = served.prometheus().samples("up{}[30s]", at=0)
    assert str(found[0].samples[0].value) == str(float(value))


@pytest.mark.parametrize(
    "answer",
    [
        chunked(json.dumps(GOOD).encode()),
        saying(gzip.compress(json.dumps(GOOD).encode()), headers={"content-encoding": "gzip"}),
    ],
    ids=["chunked", "gzip"],
)
def test_bodies_come_chunked_and_compressed(answer: Answer) -> None:
    with serving(answer) as served:
        assert len(served.prometheus(timeout_s=5.0).samples("up{}[30s]", at=0)) == 1


def error(kind: str, **more: object) -> dict[str, object]:
    return {"status": "error", "errorType": kind, "error": SECRET, **more}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (saying(error("execution"), 422), "answered 422 (execution)"),
        (saying(error("timeout"), 503), "answered 503 (timeout)"),
        (saying(error(SECRET), 500), "answered 500"),
        (saying(SECRET.encode(), 404), "answered 404"),
        (saying(GOOD, 201), "answered 201"),
        (saying(GOOD, 500), "answered 500"),
        (saying(error("execution")), "answered 200, but not with success (execution)"),
        (saying(SECRET.encode()), "answered 200, but not with success"),
        (saying(b"[]"), "answered 200, but not with success"),
        (saying(b"\xff\xfe"), "answered 200, but not with success"),
        (saying({**GOOD, "warnings": [SECRET]}), "answered with warnings"),
        (saying({"status": "success", "data": {"resultType": "vector", "result": []}}), "not raw samples"),
        (saying({"status": "success"}), "not raw samples"),
        (
            saying({"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[1]]}]}}),
            "cannot be read",
        ),
        (saying({"status": "success", "data": {"resultType": "matrix", "result": 7}}), "cannot be read"),
        (saying(b"{", headers={"content-length": "500"}), "could not be reached"),
        (saying(b"not gzip", headers={"content-encoding": "gzip"}), "could not be reached"),
    ],
)
def test_an_answer_that_is_not_plainly_a_success_is_unavailable_and_not_repeated(answer: Answer, message: str) -> None:
    with serving(answer) as served, pytest.raises(Unavailable) as caught:
        served.prometheus().samples("up{}[30s]", at=0)
    assert message in str(caught.value)
    assert str(caught.value).startswith("Prometheus default ")
    assert SECRET not in str(caught.value)
    assert served.url not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(served.requests) == 1, "nothing is retried"


def test_warnings_are_told_from_failures() -> None:
    with serving(saying({**GOOD, "warnings": ["partial"]})) as served, pytest.raises(QueryWarning):
        served.prometheus().samples("up{}[30s]", at=0)


def test_infos_of_prometheus_3_are_no_warnings() -> None:
    with serving(saying({**GOOD, "infos": ["metric might not be a counter"]})) as served:
        assert served.prometheus().samples("up{}[30s]", at=0)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_takes_no_token_along(status: int, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    with serving(saying(GOOD)) as elsewhere:
        there = saying(b"", status, headers={"location": elsewhere.url + "/api/v1/query"})
        with serving(there) as served, pytest.raises(Unavailable, match=f"a redirect \\({status}\\)"):
            served.prometheus(token_file=str(token)).samples("up{}[30s]", at=0)
    assert elsewhere.requests == []


@pytest.mark.parametrize("compressed", [False, True])
def test_a_huge_body_is_cut_off(compressed: bool) -> None:
    body = b" " * 3_000_000
    answer = saying(gzip.compress(body), headers={"content-encoding": "gzip"}) if compressed else saying(body)
    with serving(answer) as served, pytest.raises(AnswerTooLarge, match="more than 1000000 bytes"):
        served.prometheus(timeout_s=5.0, max_body_bytes=1_000_000).samples("up{}[30s]", at=0)


def test_a_server_that_hangs_is_given_up() -> None:
    done = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        done.wait(10)

    with serving(hang) as served:
        with pytest.raises(Unavailable, match="did not answer in time"):
            served.prometheus(timeout_s=0.2).samples("up{}[30s]", at=0)
        done.set()


def test_a_body_that_drips_does_not_outlive_the_deadline() -> None:
    """Each byte comes long before the read timeout, and there is no end of them; only the deadline is passed."""
    done = threading.Event()
    clock = itertools.count(0.0, 100.0)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.01):
            handler.wfile.write(b" ")

    with serving(drip) as served:
        server = PrometheusServer("default", served.url, connect_timeout_s=5.0, timeout_s=60.0)
        with pytest.raises(Unavailable, match="did not answer in time"):
            Prometheus(server, monotonic=lambda: next(clock)).samples("up{}[30s]", at=0)
        done.set()


def test_nobody_there_is_unavailable() -> None:
    with serving(saying(GOOD)) as served:
        prometheus = served.prometheus()
    with pytest.raises(Unavailable, match="could not be reached") as caught:
        prometheus.samples("up{}[30s]", at=0)
    assert served.url not in str(caught.value)


def test_the_token_is_read_anew_for_every_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with serving(saying(GOOD)) as served:
        prometheus = served.prometheus(token_file=str(token))
        for content in ("one\n", "two\n"):
            token.write_text(content)
            prometheus.samples("up{}[30s]", at=0)
    assert [headers["authorization"] for _, _, headers, _ in served.requests] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("content", [None, "", "  \n", "a\nb: c", "é"])
def test_a_token_file_without_a_token_is_unavailable(content: str | None, tmp_path: Path) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content, encoding="utf-8")
    with serving(saying(GOOD)) as served, pytest.raises(Unavailable, match="has a token file"):
        served.prometheus(token_file=str(token)).samples("up{}[30s]", at=0)
    assert served.requests == []


def test_a_ca_file_that_is_not_there_is_unavailable_and_not_passed_over(tmp_path: Path) -> None:
    with serving(saying(GOOD)) as served, pytest.raises(Unavailable, match="has a CA file that is not there"):
        served.prometheus(ca_file=str(tmp_path / "ca.crt")).samples("up{}[30s]", at=0)


def test_the_environment_is_not_asked_for_proxies_or_passwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(saying(GOOD)) as served:
        assert served.prometheus().samples("up{}[30s]", at=0)
    assert "authorization" not in served.requests[0][2]


@pytest.mark.parametrize(
    "url",
    ["prometheus:9090", "ftp://prometheus", "http://", f"http://me:{SECRET}@prometheus", "http://prometheus/?token=x"],
)
def test_a_url_with_anything_but_a_place_in_it_is_invalid(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        PrometheusServer("default", url)
    assert SECRET not in str(caught.value)


def test_a_path_before_the_api_is_kept() -> None:
    with serving(saying(GOOD)) as served:
        server = PrometheusServer("default", served.url + "/prometheus/")
        Prometheus(server).samples("up{}[30s]", at=0)
    assert served.requests[0][1] == "/prometheus/api/v1/query"
