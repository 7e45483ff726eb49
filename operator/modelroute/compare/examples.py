"""The items on which the models differ most, to be read side by side: numbers say how often, these say how."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelroute.compare.measure import Measured

SHOWN = 6


@dataclass(frozen=True, slots=True)
class Told:
    """What one model made of an item; `score` is None where it has none."""

    model: str
    answer: str | None
    score: float | None
    violation: bool | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """One item with what each model made of it."""

    suite: str
    item: str
    prompt: str
    expected: str | None
    told: tuple[Told, ...]


def worst(models: Mapping[str, Measured], about: str, *, most: int = SHOWN) -> tuple[Example, ...]:
    """Items on which `about` did worst: first where it broke a rule and others did not, then by how far it was behind
    the best of the others. Items on which nobody did better are left out; of those that are alike every suite gives
    one in turn.
    """
    told = {name: _told(measured) for name, measured in models.items()}
    behind: list[tuple[float, Example]] = []
    for entry in models[about].entries:
        all_told = [answers[entry.key] for answers in told.values() if entry.key in answers]
        gap = _gap(all_told, about)
        if gap > 0 and len(all_told) > 1:
            sample = entry.sample
            behind.append((gap, Example(entry.suite, sample.item, sample.prompt, sample.expected, tuple(all_told))))
    alike: Counter[tuple[float, str]] = Counter()
    turns: list[tuple[float, int, int]] = []
    for gap, example in behind:
        turns.append((-gap, alike[gap, example.suite], len(turns)))
        alike[gap, example.suite] += 1
    return tuple(behind[index][1] for _, _, index in sorted(turns)[:most])


def _told(measured: Measured) -> dict[tuple[str, str, str], Told]:
    return {
        entry.key: Told(
            model=measured.model.name,
            answer=entry.sample.answer,
            score=None if math.isnan(score) else float(score),
            violation=entry.sample.violation,
            error=entry.sample.error,
        )
        for entry, score in zip(measured.entries, measured.column(measured.quality), strict=True)
    }


def _gap(all_told: Sequence[Told], about: str) -> float:
    own = next(told for told in all_told if told.model == about)
    others = [told for told in all_told if told.model != about]
    broke = bool(own.violation) and any(told.violation is False for told in others)
    best = max((told.score for told in others if told.score is not None), default=None)
    lag = 0.0 if best is None or own.score is None else best - own.score
    return 2.0 * broke + lag
