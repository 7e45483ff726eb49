"""The tests' own proxy names a request as RBAC would."""

from __future__ import annotations

import pytest
from tests.recording_proxy import Right, right_for

ROUTES = "/apis/modelroute.dev/v1alpha1/namespaces/chat/modelroutes"


@pytest.mark.parametrize(
    ("method", "target", "right"),
    [
        ("GET", ROUTES, Right("modelroute.dev", "modelroutes", "list")),
        ("GET", f"{ROUTES}?watch=true&resourceVersion=7", Right("modelroute.dev", "modelroutes", "watch")),
        ("GET", f"{ROUTES}?watch=false", Right("modelroute.dev", "modelroutes", "list")),
        ("GET", "/apis/modelroute.dev/v1alpha1/modelroutes", Right("modelroute.dev", "modelroutes", "list")),
        ("GET", f"{ROUTES}/support", Right("modelroute.dev", "modelroutes", "get")),
        ("PUT", f"{ROUTES}/support/status", Right("modelroute.dev", "modelroutes/status", "update")),
        ("PATCH", f"{ROUTES}/support?force=true", Right("modelroute.dev", "modelroutes", "patch")),
        ("POST", ROUTES, Right("modelroute.dev", "modelroutes", "create")),
        ("DELETE", f"{ROUTES}/support", Right("modelroute.dev", "modelroutes", "delete")),
        ("GET", "/api/v1/namespaces/chat/services/llama", Right("", "services", "get")),
        ("GET", "/api/v1/namespaces", Right("", "namespaces", "list")),
        ("GET", "/api/v1/namespaces/chat", Right("", "namespaces", "get")),
        ("GET", "/api", None),
        ("GET", "/apis", None),
        ("GET", "/apis/modelroute.dev/v1alpha1", None),
        ("GET", "/version", None),
    ],
)
def test_a_request_needs_the_right_that_rbac_would_ask_for(method: str, target: str, right: Right | None) -> None:
    assert right_for(method, target) == right
