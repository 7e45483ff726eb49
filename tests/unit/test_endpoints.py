"""The operator's own HTTP endpoints, over real sockets on loopback."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from modelroute.controller.endpoints import endpoints
from modelroute.controller.serving import Answer, health_page, metrics_page, serving
from modelroute.controller.settings import Settings, TelemetrySettings
from modelroute.controller.telemetry import Telemetry
from modelroute.errors import Invalid

HOST = "127.0.0.1"


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Operator:
    """What the endpoints ask, as a test wants it answered."""

    def __init__(self) -> None:
        self.problem, self.unreadiness = "", "not yet"


@contextmanager
def running(settings: TelemetrySettings, operator: Operator) -> Iterator[None]:
    with endpoints(settings, Telemetry(), lambda: operator.problem, lambda: operator.unreadiness):
        yield


def at(metrics: int, health: int) -> TelemetrySettings:
    return TelemetrySettings.model_validate(
        {"metrics": {"host": HOST, "port": metrics}, "health": {"host": HOST, "port": health}}
    )


def test_metrics_health_and_readiness_are_answered_where_the_settings_say() -> None:
    metrics, health, operator = free_port(), free_port(), Operator()
    with running(at(metrics, health), operator):
        status, body, headers = get(metrics, "/metrics")
        assert (status, b"modelroute_build_info" in body) == (200, True)
        assert headers["Content-Type"].startswith("text/plain")
        assert get(health, "/healthz")[:2] == (200, b"ok\n")
        assert get(health, "/readyz")[:2] == (503, b"not yet\n")
        operator.unreadiness = ""
        assert get(health, "/readyz")[:2] == (200, b"ok\n")
        operator.problem = "1 of 1 ModelRoutes are overdue: chat/support"
        assert get(health, "/healthz")[:2] == (503, b"1 of 1 ModelRoutes are overdue: chat/support\n")
        assert get(metrics, "/healthz")[0] == 404
        assert get(health, "/metrics")[0] == 404


def test_one_address_may_answer_all_of_it() -> None:
    port = free_port()
    with running(at(port, port), Operator()):
        assert [get(port, path)[0] for path in ("/metrics", "/healthz", "/readyz", "/")] == [200, 200, 503, 404]


def test_port_0_switches_an_endpoint_off() -> None:
    port = free_port()
    with running(at(0, port), Operator()):
        assert get(port, "/healthz")[0] == 200
    with running(at(0, 0), Operator()), pytest.raises(ConnectionRefusedError):
        get(port, "/healthz")


def test_a_port_that_is_taken_is_told_with_the_setting_to_change() -> None:
    with (
        socket.create_server((HOST, 0)) as other,
        pytest.raises(Invalid) as caught,
        running(at(other.getsockname()[1], 0), Operator()),
    ):
        pass

    assert str(caught.value).startswith("telemetry.metrics.port: nobody can listen on 127.0.0.1, port ")
    assert str(caught.value).endswith("(Address already in use): choose another port, or 0 for none")


def test_the_documented_ports_are_the_defaults() -> None:
    settings = Settings().telemetry

    assert (settings.metrics.port, settings.health.port) == (8080, 8081)
    assert (settings.metrics.host, settings.health.host) == ("", "")


def test_without_a_host_it_is_reached_on_every_address() -> None:
    with serving("", 0, {"/": lambda _: Answer(b"here\n")}, field="x") as port:
        assert get(port, "/")[:2] == (200, b"here\n")


def test_a_scraper_gets_the_format_and_the_compression_that_it_asks_for() -> None:
    pages = {"/metrics": metrics_page(Telemetry().registry)}
    with serving(HOST, 0, pages, field="x") as port:
        status, body, headers = get(
            port, "/metrics?x=1", Accept="application/openmetrics-text; version=1.0.0", Accept_Encoding="gzip"
        )

    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert headers["Content-Encoding"] == "gzip"
    assert body[:2] == b"\x1f\x8b"
    assert int(headers["Content-Length"]) == len(body)


def test_head_answers_without_a_body() -> None:
    with serving(HOST, 0, {"/healthz": health_page(lambda: "")}, field="x") as port:
        assert get(port, "/healthz", method="HEAD")[:2] == (200, b"")


def test_a_client_that_says_nothing_keeps_nobody_else_waiting() -> None:
    with (
        serving(HOST, 0, {"/healthz": health_page(lambda: "")}, field="x") as port,
        socket.create_connection((HOST, port)),
    ):
        assert get(port, "/healthz")[0] == 200


def test_a_page_that_fails_is_an_error_and_not_a_silence(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_accept: str) -> Answer:
        raise ValueError("nobody foresaw this")

    with serving(HOST, 0, {"/metrics": broken}, field="x") as port:
        assert get(port, "/metrics")[:2] == (500, b"see the operator's log\n")

    assert "/metrics could not be answered" in caplog.text
