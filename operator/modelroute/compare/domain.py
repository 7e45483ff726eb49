"""What a comparison is about, as frozen values: models, suites, constraints, criteria, the business around them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from modelroute.api.routing import Tier

PER_MILLION = Decimal(1_000_000)
DAYS_PER_MONTH = 365.25 / 12


class Unit(StrEnum):
    """What a measure is counted in."""

    SHARE = "share"
    SECONDS = "seconds"
    MONEY = "money"
    TOKENS = "tokens"


class Kind(StrEnum):
    """What can be measured of a model, spelled as in comparison.yaml."""

    ACCURACY = "accuracy"
    SCORE = "score"
    LATENCY_P50 = "latencyP50"
    LATENCY_P95 = "latencyP95"
    LATENCY_P99 = "latencyP99"
    FIRST_TOKEN_P50 = "firstTokenP50"  # noqa: S105 - tokens of text
    FIRST_TOKEN_P95 = "firstTokenP95"  # noqa: S105 - tokens of text
    FIRST_TOKEN_P99 = "firstTokenP99"  # noqa: S105 - tokens of text
    INPUT_TOKENS = "inputTokens"
    OUTPUT_TOKENS = "outputTokens"
    COST_PER_INTERACTION = "costPerInteraction"
    SAFETY_VIOLATION_RATE = "safetyViolationRate"
    ERROR_RATE = "errorRate"
    REFUSAL_RATE = "refusalRate"

    @property
    def unit(self) -> Unit:
        match self:
            case Kind.LATENCY_P50 | Kind.LATENCY_P95 | Kind.LATENCY_P99:
                return Unit.SECONDS
            case Kind.FIRST_TOKEN_P50 | Kind.FIRST_TOKEN_P95 | Kind.FIRST_TOKEN_P99:
                return Unit.SECONDS
            case Kind.INPUT_TOKENS | Kind.OUTPUT_TOKENS:
                return Unit.TOKENS
            case Kind.COST_PER_INTERACTION:
                return Unit.MONEY
            case Kind.ACCURACY | Kind.SCORE | Kind.SAFETY_VIOLATION_RATE | Kind.ERROR_RATE | Kind.REFUSAL_RATE:
                return Unit.SHARE
            case _:
                assert_never(self)

    @property
    def higher_is_better(self) -> bool:
        return self in (Kind.ACCURACY, Kind.SCORE)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured quantity: a kind, for scores the score's name, and perhaps one suite alone.

    `str()` is its spelling in comparison.yaml: `accuracy`, `latencyP95`, `score.rougeL`, `accuracy@negation`.
    """

    kind: Kind
    score: str = ""
    suite: str = ""

    @property
    def unit(self) -> Unit:
        return self.kind.unit

    @property
    def higher_is_better(self) -> bool:
        return self.kind.higher_is_better

    def __str__(self) -> str:
        name = f"score.{self.score}" if self.kind is Kind.SCORE else self.kind.value
        return f"{name}@{self.suite}" if self.suite else name


class Operator(StrEnum):
    """How a constraint compares the measured with the bound."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="

    def holds(self, value: float, bound: float) -> bool:
        """Whether `value` satisfies the constraint."""
        match self:
            case Operator.BELOW:
                return value < bound
            case Operator.AT_MOST:
                return value <= bound
            case Operator.ABOVE:
                return value > bound
            case Operator.AT_LEAST:
                return value >= bound
            case _:
                assert_never(self)

    @property
    def wants_low(self) -> bool:
        return self in (Operator.BELOW, Operator.AT_MOST)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a model must satisfy to be considered; `text` as the user wrote it, `bound` in the measure's unit."""

    measure: Measure
    operator: Operator
    bound: float
    text: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One column of the decision matrix: at `worst` it scores 0, at `target` 1, linear between, clipped outside.

    `weight` ≥ 0, relative to the others; `worst` and `target` in the measure's unit, never equal.
    """

    measure: Measure
    weight: float
    worst: float
    target: float


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Prices of a million tokens, in the comparison's currency."""

    input_per_million: Decimal
    output_per_million: Decimal

    def of(self, input_tokens: int | None, output_tokens: int | None) -> Decimal | None:
        """What a request of so many tokens costs; None where a count is unknown."""
        if input_tokens is None or output_tokens is None:
            return None
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / PER_MILLION


@dataclass(frozen=True, slots=True)
class RequestPrice:
    """A price per request, in the comparison's currency."""

    per_request: Decimal

    def of(self, input_tokens: int | None, output_tokens: int | None) -> Decimal | None:
        """The same whatever the number of tokens."""
        return self.per_request


Price = TokenPrice | RequestPrice


@dataclass(frozen=True, slots=True)
class Model:
    """One alternative. `endpoint` is the base URL of an OpenAI-compatible API, such as http://host:8000/v1; it is None
    where results come from elsewhere. `api_key_env` names an environment variable. `hosting_per_month` in the
    comparison's currency.
    """

    name: str
    served_name: str
    endpoint: str | None = None
    api_key_env: str | None = None
    tier: Tier | None = None
    price: Price | None = None
    hosting_per_month: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of items: one that comes with modelroute (`path` None), or the user's own YAML file. `limit`: at most so
    many items of it, from the start.
    """

    name: str
    path: Path | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """What a wrong answer costs the business: `escalations_per_error` ≥ 0 (how many more escalations one more wrong
    answer brings, on average) times `cost_per_escalation`. `words` says where the number comes from.
    """

    escalations_per_error: float
    cost_per_escalation: Decimal
    words: str

    @property
    def per_error(self) -> float:
        """In the comparison's currency."""
        return self.escalations_per_error * float(self.cost_per_escalation)


@dataclass(frozen=True, slots=True)
class Overheads:
    """What using another model than the baseline costs beside its price: each month, and once for the change."""

    per_month: Decimal = Decimal(0)
    once: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Judge:
    """The model that scores where a score needs a reader."""

    endpoint: str
    served_name: str
    api_key_env: str | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How the suites are run: requests at once, seconds each may take, the most that all may cost (None: no ceiling),
    tokens generated at most.
    """

    concurrency: int = 4
    timeout_s: float = 60.0
    max_cost: Decimal | None = None
    max_tokens: int = 512
    temperature: float = 0.0
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of comparison.yaml. `confidence` in (0, 1) of every interval; `margin` in (0, 1): how much less accurate than
    the baseline still counts as not inferior; `requests_per_day` > 0 or None where it is not said.
    """

    name: str
    currency: str
    models: tuple[Model, ...]
    suites: tuple[Suite, ...]
    constraints: tuple[Constraint, ...]
    criteria: tuple[Criterion, ...]
    baseline: str
    requests_per_day: float | None = None
    error_cost: ErrorCost | None = None
    overheads: Overheads = Overheads()
    margin: float = 0.03
    confidence: float = 0.95
    seed: int = 1
    evaluation: Evaluation = Evaluation()

    @property
    def requests_per_month(self) -> float | None:
        return None if self.requests_per_day is None else self.requests_per_day * DAYS_PER_MONTH

    def model(self, name: str) -> Model:
        """The model of that name. Raises KeyError."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)

    @property
    def evaluation_hash(self) -> str:
        """16 hex digits over what the answers depend on: models, suites, and how they are asked. Weights, prices and
        bounds are left out, so that deciding anew needs no new answers.
        """
        told = {
            "models": [[model.name, model.endpoint, model.served_name] for model in self.models],
            "suites": [[suite.name, suite.path and suite.path.name, suite.limit] for suite in self.suites],
            "maxTokens": self.evaluation.max_tokens,
            "temperature": self.evaluation.temperature,
            "judge": self.evaluation.judge and [self.evaluation.judge.endpoint, self.evaluation.judge.served_name],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
