"""What simulated attempts start from, and how each of them went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelroute.planning.traffic import Traffic
from modelroute.rollout.attempt import Attempt, Record
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason

ALL: Final = ("", "")
"""The key of the proof of all objectives and candidates together."""


class Ending(StrEnum):
    """How a run ends. `CAUGHT`: an objective that is only reported was found to be breached."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    PAUSED = "Paused"
    CAUGHT = "Caught"
    OVERDUE = "Overdue"


@dataclass(frozen=True, slots=True)
class Proof:
    """When safety was first shown in a step: `seconds` and the candidates' `requests` since the step began."""

    seconds: float
    requests: float


@dataclass(frozen=True, slots=True)
class Stay:
    """One run in one step. `seconds` until it was left, None where it was not; `requests` of the candidates in it.

    `proofs`: by (objective, candidate), and of all of them together under `ALL`. `lacking`: the reasons that kept
    the run there at its last look.
    """

    step: int
    seconds: float | None
    requests: float
    proofs: Mapping[tuple[str, str], Proof]
    lacking: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """How one run went: `seconds` in all, in the steps `stays`.

    With a change for the worse a run that would be promoted stays in its last step, to see how much would have been
    needed: it was `passed` then, and never ends as promoted. `requests` of the changed candidate (of all candidates
    where nothing is changed) since the start, and the `bad` ones of them in the changed objective, until the traffic
    was taken back.
    """

    ending: Ending
    seconds: float
    stays: tuple[Stay, ...]
    requests: float
    bad: float
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """What every run starts from: the attempt's first record (its clock at 0), and an observation without a fault."""

    record: Record
    seen: Observation
    traffic: Traffic

    @property
    def attempt(self) -> Attempt:
        return self.record.attempt

    @property
    def lag_s(self) -> float:
        """A window is read two scrapes after its end."""
        return 2 * self.seen.terms.scrape_interval_s
