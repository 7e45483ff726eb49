"""A route as its owner keeps it in Git, with a rule that a ModelRoute may adopt."""

from __future__ import annotations

from typing import Any

from devstack.scene import MODEL_PORT, Scene

Json = dict[str, Any]


def own_route(scene: Scene, *, adopted_by: str) -> Json:
    """Two rules: one of nobody's business, and `chat`, which lists both models and gives all to the large one."""
    timeouts = {"request": "20s"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "own", "annotations": {"modelroute.dev/adopt": adopted_by, "team": "chat"}},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "hostnames": [scene.host],
            "rules": [
                {
                    "name": "health",
                    "matches": [{"path": {"type": "Exact", "value": "/health"}}],
                    "backendRefs": [{"name": "large-v1", "port": MODEL_PORT}],
                },
                {
                    "name": "chat",
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "timeouts": timeouts,
                    "backendRefs": [
                        {"name": "large-v1", "port": MODEL_PORT, "weight": 1},
                        {"name": "small-v1", "port": MODEL_PORT, "weight": 0},
                    ],
                },
            ],
        },
    }
