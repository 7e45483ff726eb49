"""The wire to one Prometheus: prometheus-api-client over a session that trusts nobody.

The client alone has no timeout, retries, follows redirects, and drops `status` and `warnings`. So it gets a
session of ours: every request has a deadline and a bounded body, a redirect is refused, and an answer that is
not plainly a success is an error. Messages name the server and the kind of failure, never an address, a
credential or a body.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

from modelroute.errors import Invalid, Unavailable
from modelroute.metrics.scrapes import Sample, Series

_CHUNK_BYTES = 64 * 1024
# As raw samples, like all that is asked; evaluated at no given time, so by the server's clock.
_OWN_TIME = "vector(time())[1s:1s]"
# What Prometheus says of an error in one word; anything else in a body is not repeated.
_ERROR_TYPES = frozenset(
    {"bad_data", "timeout", "canceled", "execution", "internal", "unavailable", "not_found", "not_acceptable"}
)


@dataclass(frozen=True, slots=True)
class PrometheusServer:
    """A Prometheus that the operator's configuration names.

    `scrape_interval_s` is that of the targets read; `timeout_s` bounds one query as a whole. `token_file` and
    `ca_file` are read again for every request and connection, so that they may be rotated. `matchers` are labels of
    all series that are read there, by name.
    """

    name: str
    url: str
    scrape_interval_s: float = 15.0
    connect_timeout_s: float = 3.0
    timeout_s: float = 15.0
    max_body_bytes: int = 32 * 1024 * 1024
    ca_file: str | None = None
    token_file: str | None = None
    matchers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"Prometheus {self.name}: url must be http:// or https://", field="prometheus.url")
        if parts.username or parts.password or parts.query or parts.fragment:
            message = f"Prometheus {self.name}: no credentials, query or fragment in a url"
            raise Invalid(message, field="prometheus.url")
        if not self.scrape_interval_s > 0:
            message = f"Prometheus {self.name}: the scrape interval must be above 0"
            raise Invalid(message, field="prometheus.scrapeInterval")


class Unreachable(Unavailable):
    """The server did not answer at all, or not in time: whoever asks it next had better not come in a crowd."""


class QueryWarning(Unavailable):
    """Prometheus answered with warnings: parts of the data may be missing, so nothing is known."""


class ClockBehind(Unavailable):
    """Prometheus has what is yet to come by the operator's clock: by that, nobody can say when anything was."""


class AnswerTooLarge(Unavailable):
    """The body was above the cap: ask for less at once."""


class Prometheus:
    """Raw samples from one server. Synchronous, for a thread pool; safe to share between threads."""

    def __init__(self, server: PrometheusServer, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._session = GuardedSession(server, monotonic=monotonic)
        self._client = PrometheusConnect(server.url.rstrip("/"), session=self._session, retry=Retry(0), method="POST")

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        """The raw samples that a range selector (`metric{…}[30s]`) selects at `at`, unix seconds.

        Raises Unavailable where there is no answer to rely on; QueryWarning and AnswerTooLarge are among
        them.
        """
        return self._asked(expression, {"time": f"{at:.3f}"})

    def server_time(self) -> float:
        """What the server's own clock says, in whole unix seconds. Raises Unavailable."""
        found = self._asked(_OWN_TIME, {})
        if not found or not found[-1].samples:
            raise Unavailable(f"Prometheus {self._server.name} does not say what time it is")
        return found[-1].samples[-1].value

    def _asked(self, expression: str, params: dict[str, str]) -> tuple[Series, ...]:
        try:
            result = self._client.custom_query(expression, params=params)
        except PrometheusApiClientException:
            raise Unavailable(f"Prometheus {self._server.name} did not answer with success") from None
        try:
            return tuple(_series(item) for item in result)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unavailable(f"Prometheus {self._server.name} gave an answer that cannot be read") from None

    def close(self) -> None:
        self._session.close()


class GuardedSession(requests.Session):
    """A session whose every answer came from the server itself, in time, in bounds, and says success."""

    def __init__(self, server: PrometheusServer, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._server = server
        self._monotonic = monotonic
        # A proxy, a .netrc or a CA bundle from the environment is not what the configuration says.
        self.trust_env = False
        self.verify = server.ca_file or True

    def request(  # type: ignore[override]  # the keywords that requests names one by one pass through as options
        self, method: str | bytes, url: str | bytes, **options: Any
    ) -> requests.Response:
        """As in `requests`, but within our bounds; the parameters of a POST go in its body."""
        if str(method).upper() == "POST" and not options.get("data"):
            options["data"] = options.pop("params", None)
        options["timeout"] = (self._server.connect_timeout_s, self._server.timeout_s)
        options["allow_redirects"] = False
        options["stream"] = True
        options["headers"] = {**(options.get("headers") or {}), **self._authorization()}
        if self._server.ca_file is not None and not Path(self._server.ca_file).exists():
            raise self._unavailable("has a CA file that is not there")
        deadline = self._monotonic() + self._server.connect_timeout_s + self._server.timeout_s
        try:
            with super().request(method, url, **options) as response:
                # The client reads the body once more from what is set here.
                response._content = self._body(response, deadline)
        except requests.exceptions.SSLError:
            raise self._unavailable("has a certificate that is not trusted") from None
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            raise self._unreachable("did not answer in time") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            raise self._unreachable("could not be reached") from None
        self._check(response)
        return response

    def _authorization(self) -> dict[str, str]:
        if self._server.token_file is None:
            return {}
        try:
            token = Path(self._server.token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            raise self._unavailable("has a token file that cannot be read") from None
        if not token.isprintable() or not token:
            raise self._unavailable("has a token file without a token")
        return {"Authorization": f"Bearer {token}"}

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        most, body = self._server.max_body_bytes, bytearray()
        # One read of the socket at a time: waiting for a full chunk would start the timeout anew with every
        # byte that drips in, and the deadline would never be looked at.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > most:
                raise AnswerTooLarge(f"Prometheus {self._server.name} answered with more than {most} bytes")
            if self._monotonic() > deadline:
                raise self._unreachable("did not answer in time")
        return bytes(body)

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if 300 <= status < 400:
            raise self._unavailable(f"answered with a redirect ({status}), which is not followed")
        try:
            answer = json.loads(response.content)
        except ValueError:
            answer = None
        said = answer if isinstance(answer, dict) else {}
        kind = said.get("errorType")
        word = f" ({kind})" if isinstance(kind, str) and kind in _ERROR_TYPES else ""
        if status != 200:
            raise self._unavailable(f"answered {status}{word}")
        if said.get("status") != "success":
            raise self._unavailable(f"answered 200, but not with success{word}")
        if said.get("warnings"):
            raise QueryWarning(f"Prometheus {self._server.name} answered with warnings")
        data = said.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "matrix" or "result" not in data:
            raise self._unavailable("gave an answer that is not raw samples")

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"Prometheus {self._server.name} {what}")

    def _unreachable(self, what: str) -> Unreachable:
        return Unreachable(f"Prometheus {self._server.name} {what}")


def _series(item: dict[str, Any]) -> Series:
    labels = {str(key): str(value) for key, value in item["metric"].items()}
    # Native histograms come as `histograms`; nothing here asks for them.
    samples = tuple(Sample(float(t), float(value)) for t, value in item.get("values", ()))
    return Series(labels, samples)
