"""What a judge is: it reads one answer, and says a score, or why it could not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from modelroute.compare.domain import Price


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a judge reads. `expected` and `source` are empty where the item has none."""

    prompt: str
    answer: str
    expected: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` in [0, 1], None where there is none: a judge's error is neither a pass nor a violation.

    `violation` None where this judge does not speak of violations; tokens are the judge's own.
    """

    score: float | None
    why: str = ""
    violation: bool | None = None
    error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    def cost(self, price: Price | None) -> Decimal:
        """What asking the judge cost; 0 without a price."""
        if price is None or not (self.input_tokens or self.output_tokens):
            return Decimal(0)
        return price.of(self.input_tokens, self.output_tokens) or Decimal(0)


class Judge(Protocol):
    """A named score. Called from several threads at once."""

    @property
    def name(self) -> str:
        """The score's name in the results."""

    def __call__(self, exchange: Exchange) -> Judgement:
        """Never raises for what a model or a service does: that is the judgement's `error`."""


class JudgeKind(StrEnum):
    """Whose judges there are."""

    OPENEVALS = "openevals"
    AZURE = "azure"


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """A judge as a suite asks for it.

    openevals: `prompt` with {inputs}, {outputs} and, if need be, {reference_outputs} and {context}; `choices`, or any
    number from 0 to 1. azure: `evaluator`. A score below `violation_below` is a violation.
    """

    name: str
    kind: JudgeKind
    prompt: str = ""
    choices: tuple[float, ...] = ()
    evaluator: str = ""
    violation_below: float | None = None

    def violation(self, score: float | None) -> bool | None:
        """Whether that score is a violation; None where this judge does not say."""
        return None if score is None or self.violation_below is None else score < self.violation_below


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """The model that judges: an OpenAI-compatible API."""

    base_url: str
    model: str
    api_key: str
    timeout_s: float


def from_one_to_five(score: Mapping[str, object] | object) -> float | None:
    """A grade from 1 to 5 as [0, 1]; None for anything else, such as a 0 or a 7 that a model made up."""
    if not isinstance(score, int | float) or isinstance(score, bool) or not 1 <= score <= 5:
        return None
    return (score - 1) / 4
