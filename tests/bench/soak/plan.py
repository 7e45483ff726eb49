"""What the soak does to routes and to the machinery around them, drawn from a seed. Pure.

What comes next for a route depends on the seed, its name and how many changes it has had; what breaks, and when, on the
seed and the length alone. Only the moments at which changes begin follow from how fast the operator is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Truth(StrEnum):
    """What a model server really does; whoever judges a rollout by it is told by nobody else."""

    HEALTHY = "healthy"
    FAILING = "failing"
    SLOW = "slow"
    UNSAFE = "unsafe"


BASE = {"fail_rate": 0.01, "wrong_rate": 0.01}
"""Of every server: nothing is perfect, and a reference that never fails would make each failure of a candidate loud."""

FAULTS_OF: Mapping[Truth, Json] = {
    Truth.HEALTHY: BASE,
    Truth.FAILING: {**BASE, "fail_rate": 0.5},
    Truth.SLOW: {**BASE, "slow_factor": 45.0},
    Truth.UNSAFE: {**BASE, "wrong_rate": 0.5},
}
"""In the words of devstack.model_faults. Far beyond what OBJECTIVES allow: 50 requests cannot miss them."""

LARGE = "large"
SERVERS: Mapping[str, Truth] = {
    LARGE: Truth.HEALTHY,
    "good-a": Truth.HEALTHY,
    "good-b": Truth.HEALTHY,
    "failing": Truth.FAILING,
    "slow": Truth.SLOW,
    "unsafe": Truth.UNSAFE,
}
"""Of each namespace, by Service: every route there shares them, under an HTTPRoute of its own."""

OBJECTIVES: tuple[Json, ...] = (
    {"name": "errors", "metric": "ErrorRate", "maxIncrease": "5pp"},
    {
        "name": "safety",
        "metric": "Custom",
        "maxIncrease": "5pp",
        "bad": {"metric": "app_wrong_answers_total", "labels": {"service": "$(backend)"}},
        "total": {"metric": "app_answers_total", "labels": {"service": "$(backend)"}},
    },
    {"name": "slow", "metric": "LatencyAbove", "threshold": "1s", "maxIncrease": "10pp"},
)
NAMED_BY: Mapping[Truth, frozenset[str]] = {
    Truth.FAILING: frozenset({"errors", "slow"}),
    Truth.SLOW: frozenset({"slow"}),
    Truth.UNSAFE: frozenset({"safety"}),
}
"""Which objectives show it; a request that failed counts as slow."""

STEPS: tuple[Json, ...] = (
    {"progress": 50, "minDuration": "5s", "minRequests": 20},
    {"progress": 100, "minDuration": "5s", "minRequests": 30},
)
SHARES = (20, 40, 60, 80)
"""Percent of the traffic that small may be given; a step must not take minutes for its requests."""


class Doing(StrEnum):
    """What a person does in the middle of a rollout."""

    NOTHING = "nothing"
    REVERT = "revert"
    ABORT = "abort"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A spec: which Service answers as small, and its share in percent."""

    service: str
    share: int

    @property
    def truth(self) -> Truth:
        return SERVERS[self.service]


@dataclass(frozen=True, slots=True)
class Change:
    """One rollout: what is applied, what a person then does to it after `after_s`, and a pause's length."""

    wanted: Wanted
    doing: Doing = Doing.NOTHING
    after_s: float = 0.0
    pause_s: float = 0.0


START = Wanted("good-a", 0)
"""All traffic on large: 200 routes are Stable at once, and none of them starts with a rollout."""


def draw_change(seed: int, route: str, number: int, stable: Wanted) -> Change:
    """The `number`th change of a route whose live split is `stable`: another share, or a new version."""
    rng = random.Random(f"{seed}/{route}/{number}")
    shifts, kind, share, service = rng.random() < 0.4, rng.random(), rng.choice(SHARES), rng.random()
    doing, after_s, pause_s = rng.random(), rng.uniform(5, 40), rng.uniform(10, 30)
    if shifts:
        wanted = Wanted(stable.service, rng.choice([each for each in SHARES if each != stable.share]))
    else:
        wanted = Wanted(_version(kind, service, stable.service), share)
    return Change(wanted, _doing(doing), after_s, pause_s)


def _version(kind: float, which: float, stable: str) -> str:
    if kind < 0.5:
        return "good-b" if stable == "good-a" else "good-a"
    return ("failing", "slow", "unsafe")[int(which * 3)]


def _doing(drawn: float) -> Doing:
    if drawn < 0.05:
        return Doing.REVERT
    if drawn < 0.08:
        return Doing.ABORT
    return Doing.PAUSE if drawn < 0.13 else Doing.NOTHING


def manifest(namespace: str, name: str, wanted: Wanted) -> Json:
    """The ModelRoute that wants it."""

    def model(of: str, tier: str, service: str, weight: int) -> Json:
        return {"name": of, "tier": tier, "weight": weight, "backendRef": {"name": service, "port": 8000}}

    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "hostnames": [host_of(namespace, name)],
            "models": [
                model("large", "Large", LARGE, 100 - wanted.share),
                model("small", "Small", wanted.service, wanted.share),
            ],
            "objectives": list(OBJECTIVES),
            "rollout": {"steps": list(STEPS)},
            "historyLimit": 3,
        },
    }


def host_of(namespace: str, name: str) -> str:
    return f"{name}.{namespace}.example.com"


class Fault(StrEnum):
    """What goes wrong around the routes."""

    OPERATOR_KILLED = "operator killed"
    OPERATOR_ENDED = "operator ended in order"
    OPERATOR_STOPPED = "operator stopped and resumed"
    PROMETHEUS_PAUSED = "Prometheus paused"
    API_PAUSED = "API server paused"
    ROUTE_EDITED = "weights of a route edited by somebody"
    ROUTE_DELETED = "a route deleted by somebody"
    ENDPOINTS_GONE = "a Service without ready endpoints"


LENGTHS_S: Mapping[Fault, tuple[float, float]] = {
    Fault.OPERATOR_KILLED: (1.0, 12.0),
    Fault.OPERATOR_ENDED: (1.0, 12.0),
    Fault.OPERATOR_STOPPED: (8.0, 35.0),
    Fault.PROMETHEUS_PAUSED: (8.0, 30.0),
    Fault.API_PAUSED: (4.0, 15.0),
    Fault.ROUTE_EDITED: (0.0, 0.0),
    Fault.ROUTE_DELETED: (0.0, 0.0),
    Fault.ENDPOINTS_GONE: (10.0, 30.0),
}
"""From, to. What is done and over at once has no length."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault from `at_s` after the start for `for_s`; `aim`, in [0, 1), chooses its victim where there are several."""

    fault: Fault
    at_s: float
    for_s: float
    aim: float


def draw_faults(seed: int, *, from_s: float, until_s: float, every_s: float) -> list[Planned]:
    """One after the other, never two at once: every kind in turn, in an order drawn anew for each round.

    In the second half the operator is not started anew, so that its memory can be watched for long.
    """
    rng = random.Random(f"{seed}/faults")
    planned: list[Planned] = []
    at_s = from_s
    while True:
        for fault in rng.sample(list(Fault), len(Fault)):
            if fault in {Fault.OPERATOR_KILLED, Fault.OPERATOR_ENDED} and at_s > (from_s + until_s) / 2:
                continue
            at_s += rng.uniform(0.5, 1.5) * every_s
            for_s = rng.uniform(*LENGTHS_S[fault])
            if at_s + for_s > until_s:
                return planned
            planned.append(Planned(fault, at_s, for_s, rng.random()))
            at_s += for_s


def aimed(aim: float, among: Sequence[str]) -> str:
    """The one of `among` (not empty) that `aim` points at."""
    return among[int(aim * len(among))]
