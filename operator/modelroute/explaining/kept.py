"""The windows of an attempt that can be gone through again, and what was known before them."""

from __future__ import annotations

from dataclasses import dataclass

from modelroute.analysis.design import Design, Window
from modelroute.analysis.engine import Assessment, State, advance, assess


@dataclass(frozen=True, slots=True)
class Kept:
    """`windows`, oldest first, each with the index of its step in `steps`; `before` them the engine's state was that.

    `whole`: they begin where the attempt began. `whyless`: why there are fewer than were kept, "" where all can be
    gone through.
    """

    before: State
    windows: tuple[Window, ...]
    steps: tuple[int, ...]
    whole: bool
    whyless: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was known after a window; `end` in unix seconds, `step` an index."""

    end: float
    step: int
    assessment: Assessment


def looks_at(design: Design, kept: Kept) -> tuple[tuple[Look, ...], State]:
    """What was known after each window, and the state after the last: the decision as it fell."""
    state, looks = kept.before, []
    for window, step in zip(kept.windows, kept.steps, strict=True):
        state = advance(design, state, window)
        looks.append(Look(window.end, step, assess(design, state)))
    return tuple(looks), state
