"""What it would have taken: the kept windows again, with bad answers taken away or added, or more of the same to come.

Bad answers are taken from, or added to, all settled windows alike, in proportion to what is there (parts of an answer
are allowed). Evidence rises with every bad answer of the candidate, so the smallest number is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

from modelroute.analysis.design import Action, Design, Outcomes, Window
from modelroute.analysis.engine import Assessment, State, advance, assess
from modelroute.explaining.kept import Kept

FORWARD_WINDOWS: Final = 400
"""How many more windows are looked ahead."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which counts are changed: the candidate's for one objective, whose breach leads to `action`."""

    objective: str
    candidate: str
    action: Action

    @property
    def key(self) -> tuple[str, str]:
        return self.objective, self.candidate


def is_breached(assessment: Assessment, action: Action) -> bool:
    """Whether the sum of `action` crossed; an objective that is only reported breaches nothing."""
    match action:
        case Action.ROLL_BACK:
            return assessment.rollback_breached
        case Action.PAUSE:
            return assessment.pause_breached
        case Action.REPORT:
            return False


def fewer_bad(design: Design, kept: Kept, subject: Subject) -> int | None:
    """The fewest bad answers that had to be less in the kept windows for no look to be a breach.

    None where even none at all would not have spared it, or where it was not breached.
    """
    bad = _sum(kept, subject, lambda outcomes: outcomes.compared[0])
    most = int(bad)

    def spared(fewer: int) -> bool:
        share = min(1.0, fewer / bad) if bad else 0.0
        return not _breaches(
            design, _with(kept, subject, lambda outcomes: _scaled(outcomes, 1 - share)), subject.action
        )

    if spared(0) or not most or not spared(most):
        return None
    return _smallest(spared, most)


def fewer_to_go_on(design: Design, kept: Kept, subject: Subject, leaning: float) -> int | None:
    """The fewest bad answers that had to be less for ln E to end below `leaning`, so that nothing spoke against more.

    None where even none at all would not have been enough, or where it ends below it as it is.
    """
    bad = _sum(kept, subject, lambda outcomes: outcomes.compared[0])
    most = int(bad)

    def goes_on(fewer: int) -> bool:
        share = min(1.0, fewer / bad) if bad else 0.0
        changed = _with(kept, subject, lambda outcomes: _scaled(outcomes, 1 - share))
        found = _last(design, changed)
        log_e = found.pause_log_evidence if subject.action is Action.PAUSE else found.rollback_log_evidence
        return log_e < leaning

    if goes_on(0) or not most or not goes_on(most):
        return None
    return _smallest(goes_on, most)


def more_bad(design: Design, kept: Kept, subject: Subject) -> int | None:
    """The fewest bad answers more in the kept windows that would have been a breach; None where no number would."""
    good = _sum(kept, subject, lambda outcomes: outcomes.total - outcomes.compared[0])
    most = int(good)

    def breached(more: int) -> bool:
        share = more / good
        return _breaches(design, _with(kept, subject, lambda outcomes: _worsened(outcomes, share)), subject.action)

    if not most or breached(0) or not breached(most):
        return None
    return _smallest(breached, most)


def more_answers(design: Design, kept: Kept, candidate: str) -> int | None:
    """The fewest completions that a candidate that does not answer would have needed more in the kept windows."""
    missing = sum(_missing(window, candidate) for window in kept.windows if window.settled)
    most = int(missing)

    def spared(more: int) -> bool:
        share = more / missing
        windows = tuple(_answering(window, candidate, share) for window in kept.windows)
        return not _breaches(design, replace(kept, windows=windows), Action.ROLL_BACK)

    if not most or spared(0) or not spared(most):
        return None
    return _smallest(spared, most)


def requests_until_breach(design: Design, state: State, kept: Kept, subject: Subject) -> int | None:
    """How many more requests of the candidate it takes if its windows go on as the settled ones of the last step were.

    From `state` on; None where that does not come to a breach within `FORWARD_WINDOWS`.
    """
    last = [
        window
        for window, step in zip(kept.windows, kept.steps, strict=True)
        if step == kept.steps[-1] and window.settled and subject.key in window.outcomes
    ]
    if not last:
        return None
    typical = _mean(last)
    each = typical.outcomes[subject.key].total
    end, length = kept.windows[-1].end, typical.end - typical.start
    for number in range(1, FORWARD_WINDOWS + 1):
        state = advance(design, state, replace(typical, start=end, end=end + length))
        end += length
        if is_breached(assess(design, state), subject.action):
            return round(number * each)
    return None


def _breaches(design: Design, kept: Kept, action: Action) -> bool:
    state = kept.before
    for window in kept.windows:
        state = advance(design, state, window)
        if is_breached(assess(design, state), action):
            return True
    return False


def _last(design: Design, kept: Kept) -> Assessment:
    state = kept.before
    for window in kept.windows:
        state = advance(design, state, window)
    return assess(design, state)


def _smallest(holds: Callable[[int], bool], most: int) -> int:
    """The smallest number in (0, `most`] for which `holds`, which holds for `most` and from the smallest on."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _sum(kept: Kept, subject: Subject, value: Callable[[Outcomes], float]) -> float:
    return sum(value(window.outcomes[subject.key]) for window in kept.windows if _counts(window, subject))


def _counts(window: Window, subject: Subject) -> bool:
    return window.settled and subject.key in window.outcomes


def _with(kept: Kept, subject: Subject, change: Callable[[Outcomes], Outcomes]) -> Kept:
    windows = (
        replace(window, outcomes={**window.outcomes, subject.key: change(window.outcomes[subject.key])})
        if _counts(window, subject)
        else window
        for window in kept.windows
    )
    return replace(kept, windows=tuple(windows))


def _scaled(outcomes: Outcomes, part: float) -> Outcomes:
    return Outcomes(outcomes.total, tuple(part * each for each in outcomes.compared), part * outcomes.absolute)


def _worsened(outcomes: Outcomes, share: float) -> Outcomes:
    """`share` of the good answers are bad, by every count."""

    def worse(bad: float) -> float:
        return min(outcomes.total, bad + share * (outcomes.total - outcomes.compared[0]))

    return Outcomes(outcomes.total, tuple(worse(each) for each in outcomes.compared), worse(outcomes.absolute))


def _missing(window: Window, candidate: str) -> float:
    """What the candidate would have completed more at its share of the traffic, if the others did not change."""
    share, answered = window.asked.get(candidate, 0.0), window.completions.get(candidate)
    if answered is None or not 0 < share < 1:
        return 0.0
    others = sum(count for arm, count in window.completions.items() if arm != candidate)
    return max(0.0, share / (1 - share) * others - answered)


def _answering(window: Window, candidate: str, share: float) -> Window:
    more = share * _missing(window, candidate) if window.settled else 0.0
    if not more:
        return window
    return replace(window, completions={**window.completions, candidate: window.completions[candidate] + more})


def _mean(windows: list[Window]) -> Window:
    """A window of the counts that these had in the mean, by each key that all of them have."""
    keys = [key for key in windows[0].outcomes if all(key in window.outcomes for window in windows)]
    arms = [arm for arm in windows[0].completions if all(arm in window.completions for window in windows)]
    outcomes = {
        key: Outcomes(
            fmean(window.outcomes[key].total for window in windows),
            tuple(
                fmean(parts)
                for parts in zip(*(window.outcomes[key].compared for window in windows), strict=True)
            ),
            fmean(window.outcomes[key].absolute for window in windows),
        )
        for key in keys
    }  # fmt: skip
    completions = {arm: fmean(window.completions[arm] for window in windows) for arm in arms}
    return replace(windows[-1], outcomes=outcomes, completions=completions)
