"""Telling people outside: a queue and a task for every receiver, so that none waits for another, and no tick for any.

    offer() ── full: the oldest gives way ──→ queue ──→ post ──→ sent
                                                ↑        │ no answer, 408, 429, 5xx: again later, a few times
                                                └────────┘ any other answer: failed, at once

An address is a secret, and so is whatever an exception of the HTTP client says: neither gets into a log.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential

from modelroute import __version__
from modelroute.controller import families
from modelroute.controller.notices import Notice, encoded
from modelroute.controller.notification_settings import NotificationSettings
from modelroute.controller.observe import Seen
from modelroute.controller.telemetry import Telemetry
from modelroute.errors import Invalid, ModelRouteError, Unavailable
from modelroute.rollout.decision import Announcement

log = logging.getLogger(__name__)

AGAIN: Final = frozenset({408, 425, 429})
WAIT_MAX_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before the second attempt, doubled for each further one; seconds."""

    first_s: float = 1.0
    most_s: float = WAIT_MAX_S


class _Later(Unavailable):
    """The receiver said when to come back, in seconds; 0 where it did not say."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class Notifier:
    """Takes along what happened, for each receiver that asked to hear of it."""

    def __init__(
        self, receivers: Iterable[NotificationSettings], telemetry: Telemetry, *, patience: Patience | None = None
    ) -> None:
        self._couriers = tuple(Courier(each, telemetry, patience or Patience()) for each in receivers)
        self._tasks: list[asyncio.Task[None]] = []

    def offer(self, seen: Seen, said: Announcement, *, stalled: bool, now: float) -> None:
        """Queue it for whoever wants it. Never waits; nothing that fails here is worth a tick."""
        try:
            about = seen.route.metadata
            notice = Notice(str(uuid4()), now, about.namespace, about.name, about.uid, about.generation, said, stalled)
            for courier in self._couriers:
                courier.put(notice)
        except Exception:
            log.exception("%s: nobody could be notified", seen.key)

    def start(self) -> None:
        """Begin to send, in tasks of the running event loop."""
        self._tasks = [asyncio.create_task(each.run(), name=f"notifications {each.name}") for each in self._couriers]

    async def stop(self, *, within_s: float = 3.0) -> None:
        """Send what waits, for at most `within_s`; what is left then is lost, and said to be."""
        waiting = [asyncio.create_task(each.idle()) for each in self._couriers]
        if waiting:
            await asyncio.wait(waiting, timeout=within_s)
        for courier in self._couriers:
            if courier.waiting:
                log.warning("notifications.%s: %d are lost with the end of the operator", courier.name, courier.waiting)
        for task in (*waiting, *self._tasks):
            task.cancel()
        await asyncio.gather(*waiting, *self._tasks, return_exceptions=True)


class Courier:
    """One receiver: its queue, and the way to it."""

    def __init__(self, settings: NotificationSettings, telemetry: Telemetry, patience: Patience) -> None:
        self.name = settings.name
        self._settings = settings
        self._telemetry = telemetry
        self._patience = patience
        self._queue: deque[Notice] = deque()
        self._sending = 0
        self._some, self._none = asyncio.Event(), asyncio.Event()
        self._none.set()
        telemetry.gauge(families.NOTIFICATIONS_QUEUED, self.name).set_function(lambda: float(self.waiting))
        for outcome in ("sent", "failed", "dropped"):
            telemetry.counter(families.NOTIFICATIONS, self.name, outcome)

    @property
    def waiting(self) -> int:
        """How many are not sent yet, the one that is being sent included."""
        return len(self._queue) + self._sending

    def put(self, notice: Notice) -> None:
        """Queue `notice` if it is asked for; where the queue is full, the oldest gives way."""
        if notice.topics.isdisjoint(self._settings.when):
            return
        if len(self._queue) >= self._settings.queue:
            self._queue.popleft()
            self._count("dropped")
        self._queue.append(notice)
        self._some.set()
        self._none.clear()

    async def idle(self) -> None:
        """Until nothing waits any more."""
        await self._none.wait()

    async def run(self) -> None:
        """Send one after the other, until cancelled."""
        while True:
            await self._some.wait()
            while self._queue:
                notice = self._queue.popleft()
                self._sending = 1
                await self._deliver(notice)
                self._sending = 0
            self._some.clear()
            self._none.set()

    async def _deliver(self, notice: Notice) -> None:
        outcome = "failed"
        try:
            async for attempt in self._attempts():
                with attempt:
                    await self._post(notice)
            outcome = "sent"
        except ModelRouteError as error:
            self._complain(notice, str(error))
        except Exception as error:  # noqa: BLE001 - its words may hold the address, so the log gets its type alone
            self._complain(notice, type(error).__name__)
        self._count(outcome)

    def _attempts(self) -> AsyncRetrying:
        growing = wait_exponential(multiplier=self._patience.first_s, max=self._patience.most_s)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            asked_s = error.after_s if isinstance(error, _Later) else 0.0
            return max(growing(state), min(asked_s, self._patience.most_s))

        return AsyncRetrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=wait,
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )

    async def _post(self, notice: Notice) -> None:
        """One attempt. Raises Unavailable where another one may do better, else Invalid; no word of the address."""
        body, content_type = encoded(notice, self._settings.type)
        url, headers = await asyncio.to_thread(self._address)
        headers["Content-Type"] = content_type
        try:
            # A session for each: they are few and far between, and a kept connection would mostly be a dead one.
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                    connector=aiohttp.TCPConnector(ssl=self._trusted()),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                ) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError:
            raise Unavailable(f"no answer within {self._settings.timeout_s:g} s") from None
        except aiohttp.InvalidURL:
            raise Invalid("what urlFrom names is no address") from None
        except (aiohttp.ClientSSLError, ssl.SSLError):
            raise Unavailable("its certificate is not trusted, or it speaks no TLS") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"it could not be reached ({type(error).__name__})") from None
        _check(status, after)

    def _address(self) -> tuple[str, dict[str, str]]:
        """The URL and the headers, from where the configuration says that they are."""
        settings = self._settings
        url = settings.url_from.read()
        if not url.startswith(("https://", "http://")):
            raise Invalid("what urlFrom names does not begin with https:// or http://")
        headers = {"User-Agent": f"modelroute/{__version__}"}
        if settings.token_from is not None:
            headers["Authorization"] = f"Bearer {settings.token_from.read()}"
        return url, headers

    def _trusted(self) -> ssl.SSLContext | bool:
        if self._settings.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except (OSError, ssl.SSLError):
            raise Unavailable(f"the CA file {self._settings.ca_file} cannot be read") from None

    def _complain(self, notice: Notice, why: str) -> None:
        log.warning(
            "notifications.%s: %s of %s/%s was not sent: %s",
            self.name, notice.said.reason, notice.namespace, notice.name, why,
        )  # fmt: skip

    def _count(self, outcome: str) -> None:
        self._telemetry.counter(families.NOTIFICATIONS, self.name, outcome).inc()


def _check(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    if status in AGAIN or status >= 500:
        raise _Later(f"it answered {status}", float(retry_after) if retry_after.isdecimal() else 0.0)
    if 300 <= status < 400:
        raise Invalid(f"it answered with a redirect ({status}), which is not followed")
    raise Invalid(f"it answered {status}")
