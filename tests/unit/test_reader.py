"""The API server as the plugin asks it: which calls, how many, and what becomes of the answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from modelroute.cluster.client import Json
from modelroute.cluster.reader import Reader, open_reader
from modelroute.errors import Conflict, Unavailable

Asked = tuple[str, str, dict[str, str], str]
"""Method, path, query, and the header Accept or Content-Type."""


@contextmanager
def reading(tmp_path: Path, answer: Callable[[Asked], tuple[int, Json]]) -> Iterator[tuple[Reader, list[Asked]]]:
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            where = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(where.query).items()}
            kind = self.headers["Content-Type"] if body else self.headers["Accept"]
            asked.append((self.command, where.path, query, f"{kind} {body.decode()}".strip()))
            status, found = answer(asked[-1])
            raw = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest has its own words."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield open_reader(kubeconfig(tmp_path, f"http://127.0.0.1:{http.server_address[1]}")), asked
        finally:
            http.shutdown()
            thread.join()


def kubeconfig(tmp_path: Path, url: str) -> str:
    file = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "chat"}},
            {"name": "bare", "context": {"cluster": "c", "user": "u"}},
        ],
        "current-context": "here",
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return str(file)


ROUTES = "/apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes"


@pytest.mark.parametrize(("context", "namespace"), [(None, "chat"), ("here", "chat"), ("bare", "default")])
def test_the_namespace_is_the_contexts(tmp_path: Path, context: str | None, namespace: str) -> None:
    assert open_reader(kubeconfig(tmp_path, "http://127.0.0.1:9"), context).namespace == namespace


def test_a_table_is_asked_for_without_the_objects_and_page_by_page(tmp_path: Path) -> None:
    def answer(asked: Asked) -> tuple[int, Json]:
        more = {} if asked[2].get("continue") else {"continue": "next"}
        return 200, {"metadata": more, "columnDefinitions": [{"name": "Name"}], "rows": [{"cells": [str(len(more))]}]}

    with reading(tmp_path, answer) as (reader, asked):
        table = reader.table("chat")

    assert [row["cells"] for row in table["rows"]] == [["1"], ["0"]]
    assert [path for _, path, _, _ in asked] == [ROUTES, ROUTES]
    assert [query for _, _, query, _ in asked] == [
        {"includeObject": "None", "limit": "500", "resourceVersion": "0"},
        {"includeObject": "None", "limit": "500", "continue": "next"},
    ]
    assert asked[0][3].startswith("application/json;as=Table;")


def test_all_namespaces_are_one_call_with_the_metadata_that_names_them(tmp_path: Path) -> None:
    with reading(tmp_path, lambda _: (200, {"metadata": {}, "rows": []})) as (reader, asked):
        reader.table("")

    ((_, path, query, _),) = asked
    assert path == "/apis/modelroute.dev/v1alpha1/modelroutes"
    assert query["includeObject"] == "Metadata"


def test_a_shell_is_told_the_attempts_and_the_namespaces_without_the_objects(tmp_path: Path) -> None:
    found = {"metadata": {}, "rows": [], "items": [{"metadata": {"name": "chat"}}]}
    with reading(tmp_path, lambda _: (200, found)) as (reader, asked):
        reader.rollout_table("chat")
        assert reader.namespaces() == ["chat"]

    assert [path for _, path, _, _ in asked] == [ROUTES.replace("modelroutes", "modelrollouts"), "/api/v1/namespaces"]
    assert [query["resourceVersion"] for _, _, query, _ in asked] == ["0", "0"]
    assert "as=Table" in asked[0][3]
    assert "as=PartialObjectMetadataList" in asked[1][3]


def test_an_annotation_is_written_with_the_version_that_was_read(tmp_path: Path) -> None:
    with reading(tmp_path, lambda _: (200, {"kind": "ModelRoute"})) as (reader, asked):
        reader.annotate("chat", "support", "modelroute.dev/action", "pause@1a.2", version="41")

    ((method, path, _, body),) = asked
    assert (method, path) == ("PATCH", f"{ROUTES}/support")
    kind, _, sent = body.partition(" ")
    assert kind == "application/merge-patch+json"
    assert json.loads(sent) == {
        "metadata": {"resourceVersion": "41", "annotations": {"modelroute.dev/action": "pause@1a.2"}}
    }


def test_an_object_that_changed_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    with (
        reading(tmp_path, lambda _: (409, {"message": "the object has been modified"})) as (reader, _),
        pytest.raises(Conflict, match="has been modified"),
    ):
        reader.annotate("chat", "support", "modelroute.dev/action", "pause@1a.2", version="41")


def test_a_route_that_is_not_there_is_none_and_a_missing_crd_is_said(tmp_path: Path) -> None:
    said = {"support": "the server could not find the requested resource", "other": 'modelroutes "other" not found'}
    with reading(tmp_path, lambda asked: (404, {"message": said[asked[1].rpartition("/")[2]]})) as (reader, _):
        assert reader.route("chat", "other") is None
        with pytest.raises(Unavailable, match="could not find the requested resource"):
            reader.route("chat", "support")


def test_events_and_attempts_are_those_of_one_route(tmp_path: Path) -> None:
    with reading(tmp_path, lambda _: (200, {"items": [{"kind": "X"}]})) as (reader, asked):
        assert reader.events("chat", "support", "uid-1") == [{"kind": "X"}]
        assert reader.rollouts("chat", "support") == [{"kind": "X"}]

    assert asked[0][2]["fieldSelector"] == (
        "involvedObject.kind=ModelRoute,involvedObject.name=support,involvedObject.uid=uid-1"
    )
    assert asked[1][2]["labelSelector"] == "modelroute.dev/route=support"
