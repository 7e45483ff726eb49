"""What the demo plays: what is applied, what goes wrong, and in which words it says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ROUTE = "support-chat"
LARGE, SMALL = "llama-70b", "llama-8b"
RATE = 60.0
LOAD_S = 420.0

STEPS = [
    {"progress": 25, "minDuration": "12s", "minRequests": 50},
    {"progress": 50, "minDuration": "12s", "minRequests": 100},
    {"progress": 75, "minDuration": "12s", "minRequests": 100},
    {"progress": 100, "minDuration": "12s", "minRequests": 100},
]
OBJECTIVES = [
    {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"},
    {"name": "safety", "metric": "SafetyViolationRate", "maxIncrease": "0.5pp"},
]


@dataclass(frozen=True, slots=True)
class Setback:
    """A version that is rolled out and has to go back. `faults` are the model server's."""

    title: str
    service: str
    within_s: float
    faults: dict[str, Any] = field(default_factory=dict)


OPENING = (
    "A demo on real parts: kube-apiserver, Traefik, Prometheus, model servers, real HTTP, all on loopback.",
    "So that it takes minutes and not hours: scrapes every 1 s, windows of 5 s (default: a scrape interval, 15 s),",
    "a settle of 5 s (default: 30 s), steps of 12 s (default: 10 min), a first step of 25 % (default: 5 %).",
)
PROLOGUE = "Before: all of the traffic goes to large, as Git has it."
FIRST_ACT = "Act 1. Move 40 % of the traffic from large to small, in four steps."
SETBACKS = (
    Setback("Act 2. A new version of small is rolled out. It fails 30 % of its requests.", "llama-8b-v2", 120.0,
            {"fail_rate": 0.3}),
    Setback("Act 3. The next version answers well, but 3 % of its answers are unsafe.", "llama-8b-v3", 150.0,
            {"unsafe_rate": 0.03}),
    Setback("Act 4. The next version takes requests and never answers.", "llama-8b-v4", 90.0, {"hang_rate": 1.0}),
)  # fmt: skip


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
            "objectives": OBJECTIVES,
            "rollout": {"steps": STEPS},
        },
    }
