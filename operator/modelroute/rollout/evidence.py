"""What was counted, and what could not be: the values that a look at the metrics brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelroute.analysis.design import Outcomes
from modelroute.rollout.reasons import Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why something is not known; `objective` and `arm` are None where all of them are meant."""

    reason: Reason
    message: str
    objective: str | None = None
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model took: tokens read and generated, and the requests that it answered to the end; all ≥ 0."""

    read: float
    generated: float
    requests: float

    def __add__(self, more: Tokens) -> Tokens:
        return Tokens(self.read + more.read, self.generated + more.generated, self.requests + more.requests)


@dataclass(frozen=True, slots=True)
class WindowReading:
    """One window of the wall clock (unix seconds). A key absent from `outcomes` has an `Unknown` that says why.

    `outcomes` by (objective, arm). `completions` is each arm's answered requests at the gateway; an arm absent from it
    is unknown too. `slowest_p99_s` is the largest 99th percentile of duration among the arms, where one was measured,
    and ∞ where it lies above the histogram's last boundary.
    `boundaries` are those (seconds) behind `Outcomes.compared` of each latency objective that could be counted.
    `tokens` of the arms whose tokens were asked for and are known.
    `counted_from`: the earliest scrape that its counts go back to, long before `start` after a missed one; `start`
    where it is not known.
    `gateways`: how many processes of the gateway counted, where that is known; `restarts`: how often one of them was
    configured anew, which begins its rotation of the arms anew.
    """

    start: float
    end: float
    outcomes: Mapping[tuple[str, str], Outcomes]
    completions: Mapping[str, float]
    unknown: tuple[Unknown, ...]
    slowest_p99_s: float | None = None
    counted_from: float | None = None
    boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    gateways: int = 0
    restarts: float = 0.0
