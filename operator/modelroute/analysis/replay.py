"""A whole attempt played back from a table of windows: what was known after each, and when it was decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from modelroute.analysis.design import Action, Design, Window
from modelroute.analysis.engine import Assessment, advance, assess, start


class Verdict(StrEnum):
    """What a look leads to, the first that applies in this order."""

    ROLL_BACK = "RollBack"
    PAUSE = "Pause"
    HOLD = "Hold"
    PROVEN_SAFE = "ProvenSafe"
    NO_HARM_SHOWN = "NoHarmShown"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """What was known after one window."""

    verdict: Verdict
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class Replay:
    """`looks`, one for each window; `decided` is the index of the first that rolls back, None where none does."""

    looks: tuple[Look, ...]
    final: Assessment

    @property
    def decided(self) -> int | None:
        return next((index for index, look in enumerate(self.looks) if look.verdict is Verdict.ROLL_BACK), None)


def replay(design: Design, windows: Iterable[Window]) -> Replay:
    """Fold `windows` in, in order, and look after each. The state goes on after a decision, so that it can be seen."""
    state = start(design)
    looks = []
    for window in windows:
        state = advance(design, state, window)
        assessment = assess(design, state)
        looks.append(Look(verdict_of(assessment), assessment))
    return Replay(tuple(looks), assess(design, state))


def verdict_of(assessment: Assessment) -> Verdict:
    """The one word for an assessment."""
    gating = [finding for finding in assessment.findings if finding.action is not Action.REPORT]
    if assessment.rollback_breached:
        return Verdict.ROLL_BACK
    if assessment.pause_breached:
        return Verdict.PAUSE
    if any(finding.reference_too for finding in gating) or any(each.mismatch for each in assessment.answering):
        return Verdict.HOLD
    if assessment.proven_safe:
        return Verdict.PROVEN_SAFE
    return Verdict.NO_HARM_SHOWN if any(each.tally.windows for each in assessment.findings) else Verdict.UNKNOWN
