"""The engine's face: start an attempt, fold in a window, say what is known. Pure; the state is a value.

One e-process for each objective × candidate × boundary, and a fast one beside them; their weighted mean is an e-process
again (Vovk & Wang), so one threshold, 1/α, holds for a whole attempt with all its objectives, steps and looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.process import Null, Process, next_process

ENGINE_VERSION: Final = "1"
FAST_MARGIN: Final = 0.20
FAST_SHARE: Final = 0.10
"""The fast path: the null qC ≤ qB + 20 pp, without a cap, with 10 % of each objective's weight."""


class Knowledge(StrEnum):
    """What the evidence shows of one objective and candidate."""

    UNKNOWN = "Unknown"
    NO_HARM_SHOWN = "NoHarmShown"
    HARMFUL = "Harmful"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted since the attempt began, of settled windows. `skipped` windows brought nothing."""

    candidate_bad: float = 0.0
    candidate_total: float = 0.0
    reference_bad: float = 0.0
    reference_total: float = 0.0
    windows: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """All that is carried for one objective and candidate: a process for each boundary, and the fast one."""

    main: tuple[Process, ...]
    fast: Process = field(default_factory=Process)
    tally: Tally = field(default_factory=Tally)

    @property
    def log_e(self) -> float:
        """ln of the weighted mean of its processes."""
        share = math.log((1 - FAST_SHARE) / len(self.main))
        logs = [share + process.log_e for process in self.main] + [math.log(FAST_SHARE) + self.fast.log_e]
        return float(np.logaddexp.reduce(np.asarray(logs)))


@dataclass(frozen=True, slots=True)
class State:
    """`until` (unix seconds) is the end of the last window that was folded in; `tracks` in the order of `pairs`."""

    until: float
    tracks: tuple[Track, ...]


def pairs(design: Design) -> tuple[tuple[Objective, Comparison], ...]:
    """What is compared: every objective with a margin or ratio, for every candidate that has a reference."""
    return tuple(
        (objective, comparison)
        for objective in design.objectives
        if objective.margin is not None or objective.ratio is not None
        for comparison in design.comparisons
        if comparison.reference is not None
    )


def start(design: Design) -> State:
    """Nothing seen yet: every E is 1."""
    tracks = tuple(Track(main=(Process(),) * objective.boundaries) for objective, _ in pairs(design))
    return State(until=-math.inf, tracks=tracks)


def advance(design: Design, state: State, window: Window) -> State:
    """`state` with `window` folded in. A window that ends at or before the last one changes nothing.

    While the window is not settled only the fast path sees it, with the candidate's total replaced by its asked share
    of the rule's requests: among early completions failures are over-represented.
    """
    if window.end <= state.until:
        return state
    tracks = tuple(
        _advanced(design, objective, comparison, track, window)
        for (objective, comparison), track in zip(pairs(design), state.tracks, strict=True)
    )
    return State(until=window.end, tracks=tracks)


def _advanced(design: Design, objective: Objective, comparison: Comparison, track: Track, window: Window) -> Track:
    candidate = window.outcomes.get((objective.name, comparison.candidate))
    reference = window.outcomes.get((objective.name, comparison.reference or ""))
    if candidate is None or reference is None:
        return replace(track, tally=replace(track.tally, skipped=track.tally.skipped + 1))
    fast = Null(margin=FAST_MARGIN, overdispersion=design.overdispersion, prior_rate=objective.prior_rate)
    if not window.settled:
        asked = window.asked.get(comparison.candidate, 0.0) * _requests(window, objective)
        early = replace(candidate, total=max(candidate.compared[0], asked))
        return replace(track, fast=_next(track.fast, fast, early, reference, 0))
    null = Null(
        ratio=objective.ratio or 1.0,
        margin=objective.margin or 0.0,
        cap=cap(design, objective.action),
        overdispersion=design.overdispersion,
        prior_rate=objective.prior_rate,
    )
    tally = Tally(
        track.tally.candidate_bad + candidate.compared[0],
        track.tally.candidate_total + candidate.total,
        track.tally.reference_bad + reference.compared[0],
        track.tally.reference_total + reference.total,
        track.tally.windows + 1,
        track.tally.skipped,
    )
    main = tuple(_next(process, null, candidate, reference, index) for index, process in enumerate(track.main))
    return Track(main, _next(track.fast, fast, candidate, reference, 0), tally)


def _requests(window: Window, objective: Objective) -> float:
    return sum(outcomes.total for (name, _), outcomes in window.outcomes.items() if name == objective.name)


def _next(process: Process, null: Null, candidate: Outcomes, reference: Outcomes, boundary: int) -> Process:
    return next_process(
        process,
        null,
        n_candidate=candidate.total,
        x_candidate=candidate.compared[boundary],
        n_reference=reference.total,
        x_reference=reference.compared[boundary],
    )


def cap(design: Design, action: Action) -> float:
    """κ = ln(M/α)/3: no single window can bring more, so one pod's bad half-minute cannot decide.

    M counts the processes whose mean decides about `action`.
    """
    counted = sum(objective.boundaries + 1 for objective, _ in pairs(design) if objective.action is action)
    return math.log(max(counted, 1) / design.alpha) / 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one objective and candidate. `log_e` is ln of their own evidence, before sharing."""

    objective: str
    candidate: str
    reference: str
    action: Action
    tally: Tally
    log_e: float
    knowledge: Knowledge

    def in_words(self) -> str:
        """'35 of 125 bad against 0 of 377 by large'."""
        tally = self.tally
        return (
            f"{tally.candidate_bad:,.0f} of {tally.candidate_total:,.0f} bad against"
            f" {tally.reference_bad:,.0f} of {tally.reference_total:,.0f} by {self.reference}"
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """All that is known. ln E of the sums that decide, each against `log_limit` = ln(1/α)."""

    rollback_log_evidence: float
    pause_log_evidence: float
    log_limit: float
    findings: tuple[Finding, ...]

    @property
    def rollback_breached(self) -> bool:
        return self.rollback_log_evidence >= self.log_limit

    @property
    def pause_breached(self) -> bool:
        return self.pause_log_evidence >= self.log_limit

    @property
    def strongest(self) -> Finding | None:
        """Of the findings that can roll back, the one with the most evidence for harm."""
        gating = (finding for finding in self.findings if finding.action is Action.ROLL_BACK)
        return max(gating, key=lambda finding: finding.log_e, default=None)


def assess(design: Design, state: State) -> Assessment:
    """What is known after the windows folded in so far."""
    limit = math.log(1 / design.alpha)
    sums = {action: _mean(design, state, action) for action in (Action.ROLL_BACK, Action.PAUSE)}
    return Assessment(sums[Action.ROLL_BACK], sums[Action.PAUSE], limit, tuple(_findings(design, state, limit)))


def _mean(design: Design, state: State, action: Action) -> float:
    """ln of the mean evidence of all pairs with that action; 0 (E = 1) where there is none."""
    logs = [
        track.log_e
        for (objective, _), track in zip(pairs(design), state.tracks, strict=True)
        if objective.action is action
    ]
    if not logs:
        return 0.0
    return float(np.logaddexp.reduce(np.asarray(logs))) - math.log(len(logs))


def _findings(design: Design, state: State, limit: float) -> Iterator[Finding]:
    for (objective, comparison), track in zip(pairs(design), state.tracks, strict=True):
        share = sum(other.action is objective.action for other, _ in pairs(design))
        if track.log_e - math.log(share) >= limit:
            knowledge = Knowledge.HARMFUL
        elif track.tally.windows:
            knowledge = Knowledge.NO_HARM_SHOWN
        else:
            knowledge = Knowledge.UNKNOWN
        yield Finding(
            objective.name,
            comparison.candidate,
            comparison.reference or "",
            objective.action,
            track.tally,
            track.log_e,
            knowledge,
        )
