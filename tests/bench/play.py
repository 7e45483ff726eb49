"""The engine on the bench's rollouts: many attempts side by side, each until its decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tests.bench.scenarios import Floats, Runs

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import Assessment, State, advance_all, assess, start

NAMES = ("errors", "slow", "unsafe", "wrong")


def design_of(margins: Floats | Sequence[float], *, overdispersion: float = 1.0, alpha: float = 0.05) -> Design:
    objectives = tuple(Objective(name, margin=float(margin)) for name, margin in zip(NAMES, margins, strict=False))
    return Design(objectives, (Comparison("new", "old"),), alpha=alpha, overdispersion=overdispersion)


def window(design: Design, look: int, share: float, sent: Floats, bad: Floats) -> Window:
    outcomes = {
        (objective.name, arm): Outcomes(float(sent[which]), (float(bad[index, which]),), float(bad[index, which]))
        for index, objective in enumerate(design.objectives)
        for which, arm in enumerate(("new", "old"))
    }
    asked = {"new": share, "old": 1 - share}
    return Window(15.0 * look, 15.0 * (look + 1), outcomes, asked, True, {"new": sent[0], "old": sent[1]})


def decisions(
    design: Design,
    runs: Runs,
    *,
    decided: Callable[[Assessment], bool] = lambda found: found.rollback_breached,
    states: list[State] | None = None,
    first: int = 0,
) -> np.ndarray:
    """The look at which each run was decided, −1 for none; `states` at look `first` where it does not start afresh."""
    found = np.full(len(runs.sent), -1)
    open_runs = list(range(len(runs.sent)))
    current = dict(enumerate(states or [start(design)] * len(runs.sent)))
    for look in range(len(runs.shares)):
        share = float(runs.shares[look])
        jobs = [
            (design, current[run], window(design, first + look, share, runs.sent[run, look], runs.bad[run, look]))
            for run in open_runs
        ]
        for run, state in zip(open_runs, advance_all(jobs), strict=True):
            current[run] = state
            if decided(assess(design, state)):
                found[run] = look
        open_runs = [run for run in open_runs if found[run] < 0]
        if not open_runs:
            break
    return found


def carried(design: Design, runs: Runs) -> list[State]:
    """The state of each run after all of its looks."""
    states = [start(design)] * len(runs.sent)
    for look in range(len(runs.shares)):
        share = float(runs.shares[look])
        states = advance_all(
            (design, state, window(design, look, share, runs.sent[run, look], runs.bad[run, look]))
            for run, state in enumerate(states)
        )
    return states
