"""What the demo applies, and in which words it says so."""

from __future__ import annotations

from typing import Any

ROUTE = "support-chat"
LARGE, SMALL, BROKEN = "llama-70b", "llama-8b", "llama-8b-v2"
RATE = 60.0
FAIL_RATE = 0.3
LOAD_S = 330.0

STEPS = [
    {"progress": 25, "minDuration": "12s", "minRequests": 50},
    {"progress": 50, "minDuration": "12s", "minRequests": 100},
    {"progress": 75, "minDuration": "12s", "minRequests": 100},
    {"progress": 100, "minDuration": "12s", "minRequests": 100},
]


def manifest(host: str, *, weights: tuple[int, int], small: str = SMALL) -> dict[str, Any]:
    """The ModelRoute with the weights of (large, small); the small model is served by the Service `small`."""
    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "metadata": {"name": ROUTE},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "hostnames": [host],
            "models": [
                {"name": "large", "tier": "Large", "weight": weights[0], "backendRef": {"name": LARGE, "port": 8000}},
                {"name": "small", "tier": "Small", "weight": weights[1], "backendRef": {"name": small, "port": 8000}},
            ],
            "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
            "rollout": {"steps": STEPS},
        },
    }


OPENING = (
    "A demo on real parts: kube-apiserver, Traefik, Prometheus, two model servers, real HTTP, all on loopback.",
    "So that it takes minutes and not hours: scrapes every 1 s, windows of 5 s (default: a scrape interval, 15 s),",
    "a settle of 5 s (default: 30 s), steps of 12 s (default: 10 min), a first step of 25 % (default: 5 %).",
)
PROLOGUE = "Before: all of the traffic goes to large, as Git has it."
FIRST_ACT = "Act 1. Move 40 % of the traffic from large to small, in four steps."
SECOND_ACT = f"Act 2. A new version of small is rolled out. It fails {FAIL_RATE:.0%} of its requests."
