"""The windows of an attempt that can be gone through again, and what was known before them."""

from __future__ import annotations

from dataclasses import dataclass

from modelroute.analysis.design import Design, Window
from modelroute.analysis.engine import Assessment, State, advance, assess, start_gate


@dataclass(frozen=True, slots=True)
class Kept:
    """`windows`, oldest first, each with the index of its step in `steps`; `before` them the engine's state was that.

    `whole`: they begin where the attempt began. `whyless`: why there are fewer than were kept, "" where all can be
    gone through. `last`: the window that came before them, with its step, where it is known.
    """

    before: State
    windows: tuple[Window, ...]
    steps: tuple[int, ...]
    whole: bool
    whyless: str = ""
    last: tuple[Window, int] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What was known after a window; `end` in unix seconds, `step` an index."""

    end: float
    step: int
    assessment: Assessment


def looks_at(design: Design, kept: Kept) -> tuple[tuple[Look, ...], State]:
    """What was known after each window, and the state after the last: the decision as it fell."""
    state, looks, before = kept.before, [], kept.last
    for window, step in zip(kept.windows, kept.steps, strict=True):
        if before is not None and begins_gate(*before, window, step):
            state = start_gate(design, state)
        state = advance(design, state, window)
        looks.append(Look(window.end, step, assess(design, state)))
        before = window, step
    return tuple(looks), state


def begins_gate(before: Window, step_before: int, window: Window, step: int) -> bool:
    """Did a proof of safety begin between two windows: with the step, or when a silent gateway reported at last?

    A silent gateway's windows count in full and tell of no completions; the first after them settles.
    """
    silent = before.settled and not before.completions
    return step != step_before or (silent and not window.settled)
