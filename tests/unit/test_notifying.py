"""Notifications, to a real HTTP server: what arrives, what is tried again, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.controller.notices import Notice, Receiver, encoded
from modelroute.controller.notification_settings import DEFAULT_TOPICS, NotificationSettings
from modelroute.controller.notifying import Courier, Notifier, Patience
from modelroute.controller.settings import read_settings
from modelroute.controller.telemetry import Telemetry
from modelroute.errors import Invalid
from modelroute.rollout.decision import Announcement
from modelroute.rollout.reasons import Reason

HASTE = Patience(first_s=0.01, most_s=0.05)
SECRET_PATH = "/services/T000/B000/s3cr3t"
Answer = Callable[[int], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Receiving:
    """A server that notes what it gets; `answer` gets the number of the request, from 0."""

    url: str = ""
    answer: Answer | None = None
    requests: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        number = len(self.requests)
        self.requests.append((dict(request.headers), await request.json()))
        self.arrived.set()
        return await self.answer(number) if self.answer is not None else web.Response(text="ok")

    @property
    def bodies(self) -> list[Any]:
        return [body for _, body in self.requests]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiving]:
    there = Receiving()
    application = web.Application()
    application.router.add_post(SECRET_PATH, there.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    there.url = f"http://{host}:{port}{SECRET_PATH}"
    try:
        yield there
    finally:
        await runner.cleanup()


def settings(monkeypatch: pytest.MonkeyPatch, url: str, **more: Any) -> NotificationSettings:
    monkeypatch.setenv("OPS_URL", url)
    content = {"name": "ops", "type": "Slack", "urlFrom": {"env": "OPS_URL"}, **more}
    return NotificationSettings.model_validate(content)


def notice(reason: Reason = Reason.ROLLED_BACK, message: str = "small is worse", *, stalled: bool = False) -> Notice:
    said = Announcement(reason, message, warning=True)
    return Notice("id-1", 1_767_355_200.25, "chat", "support", "uid-1", 3, said, stalled)


@asynccontextmanager
async def sending(to: NotificationSettings, telemetry: Telemetry) -> AsyncIterator[Courier]:
    courier = Courier(to, telemetry, HASTE)
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def delivered(to: NotificationSettings, *notices: Notice) -> dict[str, float]:
    """Send and wait until all is sent or given up; how many of each outcome."""
    telemetry = Telemetry()
    async with sending(to, telemetry) as courier:
        for each in notices:
            courier.put(each)
        await asyncio.wait_for(courier.idle(), 10)
    return outcomes(telemetry)


def outcomes(telemetry: Telemetry) -> dict[str, float]:
    read = telemetry.registry.get_sample_value
    found = {
        outcome: read("modelroute_notifications_total", {"target": "ops", "outcome": outcome}) or 0.0
        for outcome in ("sent", "failed", "dropped")
    }
    return {outcome: count for outcome, count in found.items() if count}


def answering(*statuses: int, **headers: str) -> Answer:
    """Each status once, the last for good."""

    async def answer(number: int) -> web.StreamResponse:
        return web.Response(status=statuses[min(number, len(statuses) - 1)], headers=headers)

    return answer


# What arrives.


async def test_a_chat_gets_one_line_of_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as there:
        assert await delivered(settings(monkeypatch, there.url), notice()) == {"sent": 1}

    ((headers, body),) = there.requests
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("modelroute/")
    assert body == {"text": ":warning: *chat/support*: RolledBack: small is worse"}


async def test_a_cloud_event_is_one_of_version_1_in_structured_mode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0k3n\n")
    async with receiving() as there:
        to = settings(monkeypatch, there.url, type="CloudEvents", tokenFrom={"file": str(tmp_path / "token")})
        await delivered(to, notice(stalled=True))

    ((headers, body),) = there.requests
    assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["Authorization"] == "Bearer t0k3n"
    assert body == {
        "specversion": "1.0",
        "id": "id-1",
        "source": "/apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes",
        "type": "modelroute.dev.RolledBack",
        "subject": "support",
        "time": "2026-01-02T12:00:00.250Z",
        "datacontenttype": "application/json",
        "data": {
            "namespace": "chat",
            "name": "support",
            "uid": "uid-1",
            "generation": 3,
            "reason": "RolledBack",
            "message": "small is worse",
            "warning": True,
            "stalled": True,
        },
    }


def test_what_slack_reads_as_markup_stays_text() -> None:
    body, _ = encoded(notice(message="<!channel> & <https://evil.example|click>"), Receiver.SLACK)

    assert json.loads(body)["text"].endswith("RolledBack: &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;")


def test_a_long_message_is_cut() -> None:
    body, _ = encoded(notice(message="x" * 10_000), Receiver.SLACK)

    assert len(json.loads(body)["text"]) == 3000


@pytest.mark.parametrize(
    ("when", "reason", "stalled", "sent"),
    [
        (["RolledBack"], Reason.ROLLED_BACK, False, True),
        (["RolledBack"], Reason.STEP_PASSED, False, False),
        (["Stalled"], Reason.ROUTE_CONTENDED, True, True),
        (["Stalled"], Reason.ROUTE_CONTENDED, False, False),
        (list(DEFAULT_TOPICS), Reason.AWAITING_APPROVAL, False, True),
    ],
)
async def test_only_what_is_asked_for_is_sent(
    monkeypatch: pytest.MonkeyPatch, when: list[str], reason: Reason, stalled: bool, sent: bool
) -> None:
    async with receiving() as there:
        await delivered(settings(monkeypatch, there.url, when=when), notice(reason, stalled=stalled))

    assert bool(there.requests) is sent


# What is tried again.


@pytest.mark.parametrize(
    ("statuses", "outcome", "requests"),
    [
        ((500, 503, 200), "sent", 3),
        ((429, 204), "sent", 2),
        ((408, 200), "sent", 2),
        ((500,), "failed", 6),
        ((400,), "failed", 1),
        ((404,), "failed", 1),
    ],
    ids=["until it works", "later, when asked to", "slow", "six times", "its fault, not time's", "a revoked address"],
)
async def test_what_may_pass_is_tried_again_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], outcome: str, requests: int
) -> None:
    async with receiving() as there:
        there.answer = answering(*statuses)
        assert await delivered(settings(monkeypatch, there.url), notice()) == {outcome: 1}

    assert len(there.requests) == requests
    assert len({json.dumps(body) for body in there.bodies}) == 1


async def test_a_server_that_hangs_costs_its_timeout_and_the_next_notice_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang_once(number: int) -> web.StreamResponse:
        await asyncio.sleep(5 if number == 0 else 0)
        return web.Response()

    async with receiving() as there:
        there.answer = hang_once
        to = settings(monkeypatch, there.url, timeout="200ms", attempts=1)
        assert await delivered(to, notice(), notice(Reason.PROMOTED)) == {"failed": 1, "sent": 1}

    assert "notifications.ops: RolledBack of chat/support was not sent: no answer within 0.2 s" in caplog.text


async def test_a_server_that_drips_its_headers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        to = settings(monkeypatch, f"http://{host}:{port}/", timeout="300ms", attempts=1)
        assert await delivered(to, notice()) == {"failed": 1}


async def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as elsewhere, receiving() as there:
        there.answer = answering(307, Location=elsewhere.url)
        assert await delivered(settings(monkeypatch, there.url), notice()) == {"failed": 1}

    assert elsewhere.requests == []
    assert "it answered with a redirect (307), which is not followed" in caplog.text


async def test_a_receiver_that_says_when_to_come_back_is_asked_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []

    async def note(number: int) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return web.Response(status=429 if number == 0 else 200, headers={"Retry-After": "1"})

    async with receiving() as there:
        there.answer = note
        telemetry = Telemetry()
        courier = Courier(settings(monkeypatch, there.url), telemetry, Patience(first_s=0.01, most_s=2.0))
        task = asyncio.create_task(courier.run())
        courier.put(notice())
        await asyncio.wait_for(courier.idle(), 5)
        task.cancel()

    assert times[1] - times[0] >= 1.0


# What must never get out.


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1" + SECRET_PATH,
        "ftp://127.0.0.1" + SECRET_PATH,
        "http://[" + SECRET_PATH,
        "https://127.0.0.1:{port}" + SECRET_PATH,
        "http://nowhere.invalid" + SECRET_PATH,
        "http://127.0.0.1:99999" + SECRET_PATH,
    ],
    ids=["nobody listens", "another scheme", "no address", "no TLS there", "no such name", "no such port"],
)
async def test_no_failure_tells_the_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    async with receiving() as there:
        port = there.url.split(":")[2].partition("/")[0]
        to = settings(monkeypatch, url.replace("{port}", port), attempts=2)
        with caplog.at_level(logging.DEBUG):
            assert await delivered(to, notice()) == {"failed": 1}

    assert "notifications.ops: RolledBack of chat/support was not sent: " in caplog.text
    # What the receiver itself logs is the test's.
    told = [each.getMessage() for each in caplog.records if each.name not in {"aiohttp.access", "aiohttp.server"}]
    for part in ("s3cr3t", "services", "nowhere", "127.0.0.1"):
        assert not [line for line in told if part in line]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"", "is empty or not set"), (b"http://a\nhttp://b", "more than one line")],
)
async def test_a_secret_that_cannot_be_read_is_told_by_where_it_should_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None, says: str
) -> None:
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)
    to = NotificationSettings.model_validate(
        {"name": "ops", "type": "Slack", "urlFrom": {"file": str(path)}, "attempts": 1}
    )

    assert await delivered(to, notice()) == {"failed": 1}

    assert f"the file {path}" in caplog.text
    assert says in caplog.text


async def test_a_secret_that_is_rotated_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "url"
    async with receiving() as old, receiving() as new:
        to = NotificationSettings.model_validate({"name": "ops", "type": "Slack", "urlFrom": {"file": str(path)}})
        path.write_text(old.url)
        await delivered(to, notice())
        path.write_text(new.url)
        await delivered(to, notice())

    assert (len(old.requests), len(new.requests)) == (1, 1)


# That nobody waits for them.


async def test_a_full_queue_drops_the_oldest_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    async def wait(_number: int) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    telemetry = Telemetry()
    async with receiving() as there:
        there.answer = wait
        async with sending(settings(monkeypatch, there.url, queue=2), telemetry) as courier:
            courier.put(notice(message="first"))
            await asyncio.wait_for(there.arrived.wait(), 5)
            for message in ("second", "third", "fourth"):
                courier.put(notice(message=message))
            queued = telemetry.registry.get_sample_value("modelroute_notifications_queued", {"target": "ops"})
            release.set()
            await asyncio.wait_for(courier.idle(), 5)

    assert queued == 3  # one under way, two that wait
    assert outcomes(telemetry) == {"sent": 3, "dropped": 1}
    assert [body["text"].rsplit(" ", 1)[1] for body in there.bodies] == ["first", "third", "fourth"]


async def rollback(notifier: Notifier) -> World:
    """A rollout that goes back, told to `notifier`."""
    world = World()
    ticker = world.ticker()
    ticker = replace(ticker, ports=replace(ticker.ports, messenger=notifier))
    world.apply(large=100, small=0)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "3m"}, {**STEP, "progress": 100}]})
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RolledBack"))
    await ticker.tick(NAMESPACE, NAME)
    return world


async def test_a_rollback_is_told_once_to_each_that_asked_and_not_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as there:
        ops = settings(monkeypatch, there.url)
        events = settings(monkeypatch, there.url, name="events", type="CloudEvents", when=["Stalled"])
        notifier = Notifier((ops, events), Telemetry(), patience=HASTE)
        notifier.start()
        await rollback(notifier)
        await notifier.stop()

    texts = [body["text"] for body in there.bodies if "text" in body]
    told = [body["data"] for body in there.bodies if "data" in body]
    assert [text.split(": ")[1:3] for text in texts] == [["*chat/support*", "RolledBack"]]
    assert [(each["reason"], each["stalled"]) for each in told] == [("RolledBack", True)]


async def test_a_rollout_does_not_wait_for_a_receiver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_number: int) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with receiving() as there:
        there.answer = hang
        all_of_it = [reason.value for reason in Reason]
        notifier = Notifier((settings(monkeypatch, there.url, when=all_of_it, queue=1),), Telemetry(), patience=HASTE)
        notifier.start()

        world = await asyncio.wait_for(rollback(notifier), 20)

        before = asyncio.get_running_loop().time()
        await notifier.stop(within_s=0.1)
        assert asyncio.get_running_loop().time() - before < 1.0
    assert world.weights() == {"large-v1": 10_000, "small-v1": 0}


async def test_what_is_lost_with_the_end_of_the_operator_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier((settings(monkeypatch, "http://127.0.0.1:1/"),), Telemetry(), patience=Patience(30, 30))
    notifier.start()
    await rollback(notifier)

    await notifier.stop(within_s=0.05)

    assert "notifications.ops: 1 are lost with the end of the operator" in caplog.text


# The configuration.


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("{name: a, type: Slack}", "notifications.0.urlFrom", "Field required"),
        ("{name: a, type: Slack, url: 'https://x'}", "notifications.0", ""),
        ("{name: a, type: Slack, urlFrom: {}}", "notifications.0.urlFrom", "name either a file or an env"),
        ("{name: a, type: Slack, urlFrom: {file: /a, env: B}}", "notifications.0.urlFrom", "either a file or an env"),
        ("{name: a, type: Teams, urlFrom: {env: A}}", "notifications.0.type", "'Slack' or 'CloudEvents'"),
        (
            "{name: a, type: Slack, urlFrom: {env: A}, when: [Exploded]}",
            "notifications.0.when",
            "Exploded: no reason of",
        ),
        ("{name: a, type: Slack, urlFrom: {env: A}, timeout: 5m}", "notifications.0.timeout", "less than or equal"),
        (
            "{name: a, type: Slack, urlFrom: {env: A}}, {name: a, type: Slack, urlFrom: {env: B}}",
            "notifications",
            "the name a is given twice",
        ),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, field: str, says: str) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(f"notifications: [{text}]")

    with pytest.raises(Invalid) as caught:
        read_settings(path)

    assert str(caught.value).startswith(f"{path}: {field}")
    assert says in str(caught.value)


def test_the_example_of_the_docs_is_a_configuration_and_its_table_names_every_field(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
    path = tmp_path / "operator.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0])

    ops, audit = read_settings(path).notifications

    assert (ops.type, ops.when) == (Receiver.SLACK, DEFAULT_TOPICS)
    assert (audit.type, audit.timeout_s) == (Receiver.CLOUD_EVENTS, 5.0)
    fields = {each.alias or name for name, each in NotificationSettings.model_fields.items()}
    assert fields == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
