"""The one way to the API server, where the server does not behave: every answer, and none, is an error of our tree."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from modelroute.cli.explain_input import from_cluster
from modelroute.cluster import credentials
from modelroute.cluster.backends import Backends
from modelroute.cluster.client import ENDPOINT_SLICES, HTTP_ROUTES, MODEL_ROUTES, SERVICES, Json, Kind, Objects
from modelroute.cluster.reader import open_reader
from modelroute.errors import Conflict, Invalid, ModelRouteError, Unavailable
from modelroute.rollout.split import Backend

SOON_S = 0.3
SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpkGIVvQTAhPdsgc2
7xsjXfRVDreov6dFLtSVfszwxRShRANCAATsI5/Wx3pnQc2nS2A0VCg6mMdK9O1X
EyDpnCCurQVWZmM84dllCQRBkKJqRtgkSckRUC4Jl+fgQor3hMO0D1th
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUGwZyoVNKCzaK9JKtS1JeB3818eIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyODEwNDI0MloYDzIxMjYxMTA0
MTA0MjQyWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATsI5/Wx3pnQc2nS2A0VCg6mMdK9O1XEyDpnCCurQVWZmM84dllCQRB
kKJqRtgkSckRUC4Jl+fgQor3hMO0D1tho2QwYjAdBgNVHQ4EFgQUtyAivtq4BoUS
uPytg3u6m7KIacgwHwYDVR0jBBgwFoAUtyAivtq4BoUSuPytg3u6m7KIacgwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
ICfADW2eOj/aaADIA2wLiBWCnXcFJC94YchYYNZ4fnROAiB8NJ7qJVJ0QyA3yua6
X74r7rFuUnkk0IU2ZEzZxFljVA==
-----END CERTIFICATE-----
"""
"""A key and its certificate for 127.0.0.1, which guard nothing; nobody else signed it."""


def objects_at(tmp_path: Path, url: str, **how: Any) -> Objects:
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig.write_text(json.dumps(content), encoding="utf-8")
    return Objects(credentials.configuration(str(kubeconfig)), workers=4, **how)


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """An HTTP server on loopback that answers everything in the same way; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest has its own words."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http{'' if tls is None else 's'}://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            thread.join()


def answering(status: int, body: str, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body.encode())))
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def said(message: str) -> str:
    return json.dumps({"kind": "Status", "message": message})


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, said("the body is wrong"), Invalid),
        (401, said("Unauthorized"), Unavailable),
        (403, said("modelroutes is forbidden"), Unavailable),
        (409, said("the object has been modified"), Conflict),
        (422, said("spec.models: too long"), Invalid),
        (429, said("too many requests"), Unavailable),
        (500, said("etcd is slow"), Unavailable),
        (503, "<html>a proxy's own words</html>", Unavailable),
        (200, "<html>not the API server</html>", Unavailable),
        (200, "", Unavailable),
    ],
)
async def test_every_answer_is_the_error_that_says_what_can_be_done(
    tmp_path: Path, status: int, body: str, error: type[ModelRouteError]
) -> None:
    with server(answering(status, body)) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(error) as caught:
            await objects.replace_status(MODEL_ROUTES, "chat", "support", {})
        objects.close()

    assert type(caught.value) is error
    path = "PUT /apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes/support/status"
    assert str(caught.value).startswith(f"{path}: {status}: ")
    if body.startswith("{"):
        assert json.loads(body)["message"] in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, 0.0), ({"Retry-After": "7"}, 7.0), ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0)],
    ids=["nothing", "seconds", "a date"],
)
async def test_what_the_api_server_says_of_when_to_come_again_is_kept(
    tmp_path: Path, headers: dict[str, str], expected: float
) -> None:
    with server(answering(429, said("too many requests"), **headers)) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(Unavailable) as caught:
            await objects.get(MODEL_ROUTES, "chat", "support")
        objects.close()

    assert caught.value.retry_after_s == expected


async def test_what_is_not_there_is_none_and_a_delete_of_it_no_error(tmp_path: Path) -> None:
    with server(answering(404, said("not found"))) as url:
        objects = objects_at(tmp_path, url)

        assert await objects.get(MODEL_ROUTES, "chat", "support") is None
        await objects.delete(MODEL_ROUTES, "chat", "support", uid="u")
        with pytest.raises(Unavailable):
            await objects.list(MODEL_ROUTES, "chat", labels="a=b")
        objects.close()


async def test_a_long_message_of_the_api_server_is_cut(tmp_path: Path) -> None:
    with server(answering(422, said("no " * 5_000))) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(Invalid) as caught:
            await objects.create(MODEL_ROUTES, "chat", {})
        objects.close()

    assert len(str(caught.value)) < 600


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering(302, "{}", Location="/stolen")(request)

    with server(elsewhere) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(Unavailable):
            await objects.get(MODEL_ROUTES, "chat", "support")
        objects.close()

    assert asked == ["/apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes/support"]


async def test_what_keeps_a_call_from_its_answer_is_named_with_the_host_and_without_a_secret(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with server(answering(200, "{}")) as url:
        plain = url.removeprefix("http://")
        for address, where, reason in (
            (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", "connection refused"),
            (f"http://me:secret@127.0.0.1:{port}", f"127.0.0.1:{port}", "connection refused"),
            ("http://nowhere.invalid:6443", "nowhere.invalid:6443", "the name cannot be resolved"),
            (f"https://{plain}", plain, "no TLS connection"),
        ):
            objects = objects_at(tmp_path, address)
            with pytest.raises(Unavailable) as caught:
                await objects.get(MODEL_ROUTES, "chat", "support")
            objects.close()

            call = "GET /apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes/support"
            assert str(caught.value).startswith(f"the API server at {where} did not answer {call}: {reason}")
            assert "secret" not in str(caught.value)


async def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "tls.pem").write_text(SELF_SIGNED)
    context.load_cert_chain(tmp_path / "tls.pem")
    with server(answering(200, "{}"), tls=context) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(Unavailable, match=r"its certificate is not trusted \(self-signed certificate\)$"):
            await objects.get(MODEL_ROUTES, "chat", "support")
        objects.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda objects: objects.get(MODEL_ROUTES, "chat", "support"),
        lambda objects: objects.list(MODEL_ROUTES, "chat", labels="a=b"),
        lambda objects: objects.create(MODEL_ROUTES, "chat", {}),
        lambda objects: objects.replace_status(MODEL_ROUTES, "chat", "support", {}),
        lambda objects: objects.apply(HTTP_ROUTES, "chat", "support", {}),
        lambda objects: objects.delete(MODEL_ROUTES, "chat", "support", uid="u"),
    ],
    ids=["get", "list", "create", "replace_status", "apply", "delete"],
)
async def test_no_call_waits_longer_than_its_timeout_for_a_server_that_hangs(
    tmp_path: Path, call: Callable[[Objects], Awaitable[object]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        objects = objects_at(tmp_path, f"http://127.0.0.1:{hanging.getsockname()[1]}", timeout_s=SOON_S)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer"):
            await call(objects)
        objects.close()

    assert SOON_S <= time.monotonic() - began < 10 * SOON_S


async def test_a_server_that_hangs_up_is_unavailable_and_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def hang_up(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.connection.shutdown(socket.SHUT_RDWR)
        request.close_connection = True

    with server(hang_up) as url:
        objects = objects_at(tmp_path, url)
        with pytest.raises(Unavailable):
            await objects.create(MODEL_ROUTES, "chat", {})
        objects.close()

    assert len(asked) == 1, "a write is never repeated behind the caller's back"


async def test_the_token_of_the_kubeconfig_goes_with_every_call(tmp_path: Path) -> None:
    tokens: list[str | None] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        tokens.append(request.headers.get("Authorization"))
        answering(200, '{"items": []}')(request)

    with server(note) as url:
        objects = objects_at(tmp_path, url)
        await objects.list(MODEL_ROUTES, "chat", labels="a=b")
        objects.close()

    assert tokens == ["Bearer secret"]


# Backends.


class Services(Objects):
    """One Service and its EndpointSlices, in memory."""

    def __init__(self, service: Json | None, *slices: Json) -> None:
        self._service, self._slices = service, list(slices)

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        assert kind == SERVICES
        return self._service

    async def list(self, kind: Kind, namespace: str, *, labels: str) -> list[Json]:
        assert (kind, labels) == (ENDPOINT_SLICES, "kubernetes.io/service-name=llama-8b")
        return self._slices


SERVICE: Json = {"spec": {"ports": [{"port": 8000}, {"port": 9000}], "selector": {"app": "llama"}}}
READY: Json = {"endpoints": [{"conditions": {"ready": False}}, {"conditions": {"ready": True}}]}


@pytest.mark.parametrize(
    ("services", "says"),
    [
        (Services(SERVICE, READY), None),
        (Services(SERVICE, {"endpoints": [{}]}), None),
        (Services({"spec": {"ports": [{"port": 8000}]}}), None),
        (Services(None), "spec.x: Service llama-8b in namespace chat does not exist: create it, or correct the name"),
        (Services({"spec": {}}), "has no port 8000 (it has: none)"),
        (Services({"spec": {"ports": [{"port": 80}, {"port": 90}]}}), "has no port 8000 (it has: 80, 90)"),
        (Services(SERVICE), "has no ready endpoint"),
        (Services(SERVICE, {"endpoints": None}), "has no ready endpoint"),
        (Services(SERVICE, {"endpoints": [{"conditions": {"ready": False}}]}), "has no ready endpoint"),
    ],
    ids=[
        "ready",
        "unset means ready",
        "endpoints of somebody else's",
        "no Service",
        "no ports",
        "other ports",
        "no slices",
        "an empty slice",
        "not ready",
    ],
)
async def test_a_backend_has_no_problem_or_one_that_says_what_to_do(services: Services, says: str | None) -> None:
    problem = await Backends(services).problem_with(Backend("chat", "llama-8b", 8000), field="spec.x")

    if says is None:
        assert problem is None
    else:
        assert problem is not None
        assert says in problem.message


async def test_what_may_not_be_written_any_more_is_not_sent_and_what_is_read_is(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.command)
        answering(200, '{"items": []}')(request)

    with server(note) as url:
        objects = objects_at(tmp_path, url, may_write=lambda: False)
        await objects.list(MODEL_ROUTES, "chat", labels="a=b")
        for write in (objects.create(MODEL_ROUTES, "chat", {}), objects.json_patch(MODEL_ROUTES, "chat", "x", [])):
            with pytest.raises(Unavailable, match="does not lead any more"):
                await write
        objects.close()

    assert asked == ["GET"]


async def test_a_json_patch_reaches_the_server_as_one(tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], body))
            answering(200, '{"kind": "ModelRoute"}')(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest has its own words."""

    operations: list[Json] = [{"op": "test", "path": "/spec", "value": {}}]
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        objects = objects_at(tmp_path, f"http://127.0.0.1:{http.server_address[1]}")
        try:
            await objects.json_patch(MODEL_ROUTES, "chat", "support", operations)
        finally:
            objects.close()
            http.shutdown()
            thread.join()

    ((content_type, body),) = got
    assert content_type == "application/json-patch+json"
    assert json.loads(body) == operations


@pytest.mark.parametrize(
    "body", ['{"items": null, "metadata": {}}', '{"items": [], "metadata": {}}', '{"metadata": {}}']
)
async def test_a_list_of_nothing_is_empty_however_it_is_written(tmp_path: Path, body: str) -> None:
    """The API server says null where only metadata was asked for."""
    with server(answering(200, body)) as url:
        objects = objects_at(tmp_path, url)
        try:
            assert await objects.names(MODEL_ROUTES) == []
            assert await objects.list(MODEL_ROUTES, "chat", labels="") == []
        finally:
            objects.close()


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process in a pod finds, without any kubeconfig."""
    for constant, content in (("SERVICE_TOKEN_FILENAME", "of-the-pod\n"), ("SERVICE_CERT_FILENAME", "a certificate")):
        place = tmp_path / constant
        place.write_text(content)
        monkeypatch.setattr(incluster_config, constant, str(place))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("pod")
def test_the_token_for_others_is_the_bare_one_in_a_pod_and_with_a_kubeconfig(tmp_path: Path) -> None:
    """Whoever else uses it writes its own "Bearer" before it: kopf does."""
    objects_at(tmp_path, "https://127.0.0.1:1").close()

    assert credentials.connection().token == "of-the-pod"
    assert credentials.connection().server == "https://127.0.0.1:6443"
    assert credentials.connection(str(tmp_path / "kubeconfig")).token == "secret"


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize("where", ["$KUBECONFIG", "~/.kube/config"])
def test_in_a_pod_a_person_acts_on_the_cluster_of_their_kubeconfig_and_the_operator_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A job of one cluster, with a kubeconfig for another: its verbs landed in the one that it ran in."""
    asked: list[str] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.command)
        answering(200, '{"items": []}')(request)

    with server(note) as url:
        objects_at(tmp_path, url).close()
        if where == "$KUBECONFIG":
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        else:
            (tmp_path / "home" / ".kube").mkdir(parents=True)
            (tmp_path / "kubeconfig").rename(tmp_path / "home" / ".kube" / "config")
        open_reader().annotate("chat", "support", "modelroute.dev/action", "abort@1a.1", version="1")
        asyncio.run(from_cluster("support", namespace=None, kubeconfig=None, context=None, attempt=None))

    assert asked[0] == "PATCH"
    assert set(asked[1:]) == {"GET"}
    assert credentials.configuration().host == "https://127.0.0.1:6443", "the operator's own order"


@pytest.mark.usefixtures("pod")
def test_in_a_pod_without_a_kubeconfig_a_person_acts_as_the_pod() -> None:
    assert credentials.of_a_person(None) is None
    assert credentials.configuration(credentials.of_a_person(None)).host == "https://127.0.0.1:6443"
