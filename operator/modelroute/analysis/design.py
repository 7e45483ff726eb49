"""What one attempt is tested for, and what one window brings: the values that go into the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What a proven breach of an objective leads to."""

    ROLL_BACK = "RollBack"
    PAUSE = "Pause"
    REPORT = "Report"


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing that the candidate is held to.

    `margin` (δ, a share in (0, 1)) and `ratio` (r ≥ 1) exclude each other: allowed worsening against the reference.
    `limit` (p0, in (0, 1)) is the absolute bound. At least one of the three is set.
    `prior_rate` (b0, in (0, 1)) is the guess of the reference's rate before any request was seen.
    `boundaries` ≥ 1: how many bad counts a window brings for the comparison (latency has one per histogram boundary
    at and above the threshold, the threshold's first; everything else has one).
    """

    name: str
    action: Action = Action.ROLL_BACK
    margin: float | None = None
    ratio: float | None = None
    limit: float | None = None
    prior_rate: float = 0.01
    boundaries: int = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate arm and the arm it is compared with; no reference means: held to `limit` only."""

    candidate: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class Design:
    """All that the engine must know of one attempt; frozen with it.

    `alpha` in (0, 1): the chance that the whole attempt is rolled back although nothing is worse than allowed.
    `beta` in (0, 1): the chance that one ProvenSafe gate passes although something is.
    `overdispersion` D ≥ 1: the largest number of requests that are assigned together (STATISTICS.md A5).
    `checks_split`: whether each candidate's share of the completions is tested as well; then a candidate that does not
    answer is harm, with a share of `alpha` like one more objective. It needs `Window.completions`.
    """

    objectives: tuple[Objective, ...]
    comparisons: tuple[Comparison, ...]
    alpha: float = 0.05
    beta: float = 0.05
    overdispersion: float = 1.0
    checks_split: bool = False


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One arm's counts for one objective in one window.

    `total` ≥ 0 requests; `compared[i]` in [0, total] bad ones for `margin` or `ratio`, one per boundary;
    `absolute` in [0, total] bad ones by the objective's definition for `limit`. Counts may be fractional.
    """

    total: float
    compared: tuple[float, ...]
    absolute: float


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted between two cuts of the wall clock (unix seconds).

    `outcomes` by (objective, arm). A key that is absent is *unknown*: the window brings nothing for that objective and
    every comparison that the arm takes part in; it is never read as 0.
    `asked` is each arm's share of the traffic as asked of the gateway, summing to 1, constant within the window.
    `settled` is False while the step's split is too young for its evidence to count: then only the fast path runs.
    `completions` ≥ 0 by arm: all of its answered requests, against which `asked` is checked. An arm that is absent is
    unknown; one that answered nothing is there with 0.
    `restarts` ≥ 0: how often a process of the gateway began its rotation of the arms anew, which may cost each arm a
    request every time (docs/adr/0011).
    """

    start: float
    end: float
    outcomes: Mapping[tuple[str, str], Outcomes]
    asked: Mapping[str, float]
    settled: bool
    completions: Mapping[str, float] = field(default_factory=dict)
    restarts: float = 0.0
