"""The few HTTP calls that the stack itself makes: readiness probes and requests to its API server."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TIMEOUT_S = 10.0
# A proxy of the user's environment has no business on loopback.
_NO_PROXY = urllib.request.ProxyHandler({})


class HttpError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, body: str) -> None:
        self.status = status
        super().__init__(f"HTTP {status}: {body[:500]}")


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    ca: Path | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """The body of a 2xx answer; HttpError for any other answer, OSError where there is none."""
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}), data=body)
    handlers: list[urllib.request.BaseHandler] = [_NO_PROXY]
    if ca is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca))))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(error.code, error.read().decode(errors="replace")) from error
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error


def answers(url: str, *, headers: Mapping[str, str] | None = None, ca: Path | None = None) -> bool:
    """Whether a GET is answered with 2xx within two seconds."""
    try:
        fetch(url, headers=headers, ca=ca, timeout_s=2.0)
    except (HttpError, OSError):
        return False
    return True


class Api:
    """The API server, with the rights of one bearer token."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        self.url, self.token, self.ca = url, token, ca

    def call(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Any:
        answer = fetch(
            self.url + path,
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
            body=None if body is None else json.dumps(body).encode(),
            ca=self.ca,
            timeout_s=30.0,
        )
        return json.loads(answer)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def exists(self, path: str) -> bool:
        try:
            self.get(path)
        except (HttpError, OSError):
            return False
        return True
