"""What the sampler is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelroute.rollout.evidence import Unknown, WindowReading

__all__ = ["ArmQuery", "CounterQuery", "Metric", "ObjectiveQuery", "RouteQuery", "Unknown", "WindowReading"]


class Metric(StrEnum):
    """What an objective counts as bad, or how much of what (DESIGN.md §4)."""

    ERROR_RATE = "ErrorRate"
    LATENCY_ABOVE = "LatencyAbove"
    SAFETY_VIOLATION_RATE = "SafetyViolationRate"
    CUSTOM = "Custom"
    TOKENS_PER_REQUEST = "TokensPerRequest"
    COST_PER_REQUEST = "CostPerRequest"


@dataclass(frozen=True, slots=True)
class CounterQuery:
    """A counter and what its labels equal; values are text, in which `$(arm)`, `$(namespace)` and `$(backend)` stand
    for an arm's model, namespace and Service.
    """

    metric: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectiveQuery:
    """`threshold_s` > 0 for LatencyAbove; `min_coverage` in (0, 1] for SafetyViolationRate; `bad` and `total` for
    Custom; else None.
    """

    name: str
    metric: Metric
    threshold_s: float | None = None
    min_coverage: float | None = None
    bad: CounterQuery | None = None
    total: CounterQuery | None = None


@dataclass(frozen=True, slots=True)
class ArmQuery:
    """An arm as the metrics know it: the Service behind it.

    `index` is its place among the rule's backendRefs, where it is known and does not change in the attempt;
    without it, two arms whose Services read alike in a gateway's labels (`a-b`/`c` and `a`/`b-c`, or two
    ports of one) are ambiguous. `model` is the model that the arm is a version of, where that is not its name.
    `is_closed`: the Service is in another namespace that does not let the route name it, so what its own processes
    count is not the route's to read; what the gateway counts of the route is.
    """

    name: str
    namespace: str
    service: str
    port: int
    index: int | None = None
    model: str = ""
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """Counts of one rule of one HTTPRoute, for the windows (since, until] of `window_s` seconds each.

    `since` and `until` are unix seconds and multiples of `window_s`. `gateways` are (namespace, name) of the
    Gateways or ListenerSets that the route hangs on; without them a gateway whose name holds `-gw-` or `-ls-`
    is ambiguous.
    """

    namespace: str
    route: str
    rule: int
    arms: tuple[ArmQuery, ...]
    objectives: tuple[ObjectiveQuery, ...]
    since: float
    until: float
    window_s: float
    gateways: tuple[tuple[str, str], ...] = ()
