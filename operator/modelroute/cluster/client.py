"""The one way to the API server: every call with a timeout, in our own thread pool, with errors of our own tree."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from modelroute.errors import Conflict, Invalid, Unavailable

Json = dict[str, Any]
Configuration = client.Configuration

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
FIELD_MANAGER = "modelroute"
NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
MESSAGE_LIMIT = 400


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource as the REST path names it."""

    group: str
    version: str
    plural: str


MODEL_ROUTES = Kind("modelroute.dev", "v1alpha1", "modelroutes")
MODEL_ROLLOUTS = Kind("modelroute.dev", "v1alpha1", "modelrollouts")
HTTP_ROUTES = Kind("gateway.networking.k8s.io", "v1", "httproutes")
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "endpointslices")
EVENTS = Kind("", "v1", "events")
SERVICES = Kind("", "v1", "services")
NAMESPACES = Kind("", "v1", "namespaces")
REFERENCE_GRANTS = tuple(Kind("gateway.networking.k8s.io", version, "referencegrants") for version in ("v1beta1", "v1"))
"""Each version that serves them: an older Gateway API does not know v1, a later one may not know v1beta1 any more."""
LEASES = Kind("coordination.k8s.io", "v1", "leases")


class Objects:
    """Objects of any kind, as the JSON that the API server speaks.

    Raises `Unavailable` (no answer, 403, 429, 5xx), `Conflict` (409) or `Invalid` (400, 422); 404 is None where the
    question is whether something exists.
    """

    def __init__(
        self,
        into: client.Configuration,
        *,
        workers: int = 16,
        timeout_s: float = READ_TIMEOUT_S,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """`timeout_s`: how long an answer is waited for. `may_write` is asked right before each call that changes
        something is sent, in the thread that sends it.
        """
        into.connection_pool_maxsize = workers
        self._may_write = may_write
        # Of the URL no more than that: it may have a password in it.
        url = urllib3.util.parse_url(into.host)
        self._address = f"{url.host}:{url.port}" if url.port else str(url.host)
        self._timeouts = min(CONNECT_TIMEOUT_S, timeout_s), timeout_s
        self._api = client.ApiClient(into)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="api")

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        try:
            return await self._call("GET", path_of(kind, namespace, name))
        except NotFound:
            return None

    async def list(self, kind: Kind, namespace: str, *, labels: str) -> list[Json]:
        answer = await self._call("GET", path_of(kind, namespace), query={"labelSelector": labels})
        items: list[Json] = answer.get("items") or []
        return items

    async def names(self, kind: Kind, namespace: str = "") -> Sequence[tuple[str, str]]:
        """Namespace and name of every object, in all namespaces where `namespace` is empty; no more of them is read."""
        found = []
        query = {"limit": "500"}
        while True:
            answer = await self._call("GET", path_of(kind, namespace), query=query, accept=NAMES_ONLY)
            # Of metadata alone an empty list is null.
            items = answer.get("items") or []
            found += [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in items]
            more = (answer.get("metadata") or {}).get("continue")
            if not more:
                return found
            query = {**query, "continue": more}

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        return await self._call("POST", path_of(kind, namespace), body=body)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        """`body` is the whole object with the resourceVersion that was read: a newer one is a `Conflict`."""
        return await self._call("PUT", path_of(kind, namespace, name), body=body)

    async def replace_status(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        """`body` is the whole object with the resourceVersion that was read: a newer one is a `Conflict`."""
        return await self._call("PUT", path_of(kind, namespace, name) + "/status", body=body)

    async def apply(self, kind: Kind, namespace: str, name: str, body: Json) -> Json:
        """Server-side apply as our field manager, taking back what others changed of what is ours."""
        return await self._call(
            "PATCH",
            path_of(kind, namespace, name),
            query={"force": "true"},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    async def json_patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Json]) -> Json:
        """A JSON Patch (RFC 6902); one whose `test` fails is `Invalid` and changes nothing."""
        return await self._call(
            "PATCH", path_of(kind, namespace, name), body=list(operations), content_type="application/json-patch+json"
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """Delete the object with that UID, if its resourceVersion is still `version`; one that is gone is no error."""
        preconditions = {"uid": uid} if version is None else {"uid": uid, "resourceVersion": version}
        try:
            await self._call("DELETE", path_of(kind, namespace, name), body={"preconditions": preconditions})
        except NotFound:
            return

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | Sequence[Json] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        def send() -> Json:
            return self.send(method, path, query=query, body=body, content_type=content_type, accept=accept)

        return await _in_pool(self._pool, send)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | Sequence[Json] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout_s: float | None = None,
    ) -> Json:
        """One call, in the caller's own thread; errors as above. `timeout_s` of silence is too long, by default 10."""
        call = f"{method} {path}"
        if method in {"POST", "PUT", "PATCH"}:
            # Who it was in managedFields, also where nothing is applied: the client library's name says nothing.
            query = {"fieldManager": FIELD_MANAGER, **(query or {})}
        request = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            # As it is: the client makes JSON of it, and would send a JSON Patch that is text already as a merge patch.
            body=body if isinstance(body, dict) or body is None else list(body),
            auth_settings=["BearerToken"],
        )
        if method != "GET" and not self._may_write():
            raise Unavailable(f"{call} is not sent: this operator does not lead any more")
        try:
            connect_s, read_s = self._timeouts
            answer = self._api.call_api(*request, _request_timeout=(connect_s, timeout_s or read_s))
            raw = answer.read()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            message = f"the API server at {self._address} did not answer {call}: {reason_of(error)}"
            raise Unavailable(message) from error
        return _parsed(answer.status, raw, call, retry_after=answer.getheader("Retry-After") or "")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class NotFound(Unavailable):
    """404: the object, its namespace or its kind is not there."""


def reason_of(error: BaseException) -> str:
    """What kept a call from its answer, in words: the innermost of the errors that were wrapped into each other."""
    while (inner := _inner(error)) is not None:
        error = inner
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"the name cannot be resolved ({error.strerror})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"no TLS connection ({error.reason or error})"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            return "not in time"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT]


def _inner(error: BaseException) -> BaseException | None:
    wrapped = (getattr(error, "reason", None), error.__cause__, *error.args)
    return next((each for each in wrapped if isinstance(each, BaseException)), None)


def _parsed(status: int, raw: bytes, call: str, *, retry_after: str) -> Json:
    """The object of a 2xx answer; else the error of our tree that says what can be done about it."""
    try:
        answer: Json = json.loads(raw)
    except ValueError:
        answer = {}
    if 200 <= status < 300 and answer:
        return answer
    said = str(answer.get("message", "")).strip()[:MESSAGE_LIMIT] or "no message"
    message = f"{call}: {status}: {said}"
    match status:
        case 404:
            raise NotFound(message)
        case 409:
            raise Conflict(message)
        case 400 | 422:
            raise Invalid(message)
        case _:
            # The API server gives seconds; a date would be a proxy's.
            raise Unavailable(message, retry_after_s=float(retry_after) if retry_after.isdecimal() else 0.0)


async def _in_pool(pool: ThreadPoolExecutor, send: Callable[[], Json]) -> Json:
    return await asyncio.get_running_loop().run_in_executor(pool, send)


def path_of(kind: Kind, namespace: str, name: str = "") -> str:
    """The REST path of an object, or of all of its kind; an empty `namespace` means every one."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{where}/{kind.plural}" + (f"/{name}" if name else "")
