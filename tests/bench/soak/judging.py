"""Whether how a rollout ended is justified by what its candidate really was. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scipy.stats import beta
from tests.bench.soak.plan import NAMED_BY, Doing, Truth

ALPHA = 0.05
"""falseRollbackRate, as the ModelRoutes have it by default."""


class Verdict(StrEnum):
    """What the injected truth says about an end."""

    JUSTIFIED = "justified"
    FALSE_ROLLBACK = "false rollback"
    """a harmless candidate was taken back for harm: allowed, but not more often than falseRollbackRate"""
    MISSED_HARM = "harm promoted"
    """it is so far beyond what is allowed that no chance excuses it"""
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: the ModelRollout's phase ("" where none began), the decision's reason and objective."""

    outcome: str
    reason: str = ""
    objective: str = ""


def judged(truth: Truth, doing: Doing, ended: Ended) -> Verdict:
    """The verdict on one attempt, where a person had done `doing` to it by then."""
    match ended.outcome:
        case "Promoted":
            return Verdict.JUSTIFIED if truth is Truth.HEALTHY else Verdict.MISSED_HARM
        case "RolledBack" if ended.reason == "HarmDetected":
            return Verdict.FALSE_ROLLBACK if truth is Truth.HEALTHY else Verdict.JUSTIFIED
        case "Superseded" | "Aborted" | "":
            asked_for = doing in {Doing.REVERT, Doing.ABORT}
            return Verdict.JUSTIFIED if asked_for else Verdict.UNEXPLAINED
        case _:
            return Verdict.UNEXPLAINED


def named_rightly(truth: Truth, ended: Ended) -> bool:
    """Whether the objective that decided is one that the harm shows in."""
    return ended.objective in NAMED_BY.get(truth, frozenset())


@dataclass(frozen=True, slots=True)
class Rate:
    """`wrong` of `total`, where at most `allowed` may be wrong in the long run."""

    wrong: int
    total: int
    allowed: float

    @property
    def at_least(self) -> float:
        """The lower 99 % limit of the rate: what it is for sure, in [0, 1]."""
        return float(beta.ppf(0.01, self.wrong, self.total - self.wrong + 1)) if self.wrong else 0.0

    @property
    def is_allowed(self) -> bool:
        return self.at_least <= self.allowed


def sums_to_whole(weights: Iterable[int]) -> bool:
    """Invariant (a): integers, none below 0, 10,000 in all."""
    weights = list(weights)
    return all(isinstance(each, int) and each >= 0 for each in weights) and sum(weights) == 10_000
