"""What is measured of a model, from its samples.

A request that failed is a wrong answer, and slower than every answer: otherwise a model that gives up fast would look
good. It is left out where nothing is known of it: it has no refusal and no violation, and perhaps no tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from modelroute.compare import intervals
from modelroute.compare.domain import Comparison, Kind, Measure, Model, Unit
from modelroute.compare.intervals import Estimate, Floats
from modelroute.compare.results import Results, Sample

_QUANTILES = {
    Kind.LATENCY_P50: 0.50,
    Kind.LATENCY_P95: 0.95,
    Kind.LATENCY_P99: 0.99,
    Kind.FIRST_TOKEN_P50: 0.50,
    Kind.FIRST_TOKEN_P95: 0.95,
    Kind.FIRST_TOKEN_P99: 0.99,
}
ACCURACY = Measure(Kind.ACCURACY, "accuracy")


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample, and what its suite scores (so that a failed one counts as wrong in each)."""

    suite: str
    sample: Sample
    scores: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """By which the samples of two models pair."""
        return self.suite, *self.sample.key


def entries(results: Results, model: str, suites: Sequence[str]) -> tuple[Entry, ...]:
    """All samples of a model in these suites."""
    return tuple(
        Entry(suite, sample, results.manifest.suites[suite].scores)
        for suite in suites
        for sample in results.samples[model, suite]
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """One model: its samples and how to read them; `quality` is what tells good answers from bad ones. `memo` keeps
    estimates that were made: a bootstrap takes a while.
    """

    model: Model
    entries: tuple[Entry, ...]
    hosting_per_request: float
    confidence: float
    seed: int
    quality: Measure = ACCURACY
    memo: dict[Measure, Estimate] = field(default_factory=dict, repr=False, compare=False)

    def column(self, measure: Measure) -> Floats:
        """The measure's value of every entry, in order; NaN where an entry says nothing, infinite where it is slower
        than all. Shares are means of 0 and 1, quantiles are taken of seconds.
        """
        return np.array([self._value(entry, measure) for entry in self.entries], dtype=float)

    def estimate(self, measure: Measure) -> Estimate:
        """With its interval."""
        if measure not in self.memo:
            self.memo[measure] = self._estimate(measure)
        return self.memo[measure]

    def _estimate(self, measure: Measure) -> Estimate:
        column = self.column(measure)
        values = column[~np.isnan(column)]
        if measure.kind in _QUANTILES:
            return intervals.quantile(values, _QUANTILES[measure.kind], confidence=self.confidence)
        within = (0.0, 1.0) if measure.unit is Unit.SHARE else None
        return intervals.mean(values, confidence=self.confidence, seed=self.seed, within=within)

    def cost(self, sample: Sample) -> float:
        """Of one request in the comparison's currency, without hosting; NaN where it is not known.

        By the price of comparison.yaml, so that a new price needs no new answers; by what was recorded where there is
        no price. A request that failed before anything was counted is not billed.
        """
        told = None
        if self.model.price is not None:
            told = self.model.price.of(sample.input_tokens, sample.output_tokens)
        told = sample.cost if told is None else told
        if told is None:
            return math.nan if sample.error is None else 0.0
        return float(told)

    def _value(self, entry: Entry, measure: Measure) -> float:
        sample, failed = entry.sample, entry.sample.error is not None
        if measure.suite and measure.suite != entry.suite:
            return math.nan
        match measure.kind:
            case Kind.ACCURACY | Kind.SCORE:
                if failed:
                    return 0.0 if measure.score in entry.scores else math.nan
                return sample.scores.get(measure.score, math.nan)
            case Kind.LATENCY_P50 | Kind.LATENCY_P95 | Kind.LATENCY_P99:
                return math.inf if failed else _or_nan(sample.latency_s)
            case Kind.FIRST_TOKEN_P50 | Kind.FIRST_TOKEN_P95 | Kind.FIRST_TOKEN_P99:
                return math.inf if failed else _or_nan(sample.first_token_s)
            case Kind.INPUT_TOKENS | Kind.OUTPUT_TOKENS:
                tokens = sample.input_tokens if measure.kind is Kind.INPUT_TOKENS else sample.output_tokens
                return math.nan if failed else _or_nan(tokens)
            case Kind.COST_PER_INTERACTION:
                return self.cost(sample) + self.hosting_per_request
            case Kind.SAFETY_VIOLATION_RATE:
                return math.nan if sample.violation is None else float(sample.violation)
            case Kind.ERROR_RATE:
                return float(failed)
            case Kind.REFUSAL_RATE:
                return math.nan if failed else float(sample.refused)
            case _:
                assert_never(measure.kind)


def measured(comparison: Comparison, results: Results) -> Mapping[str, Measured]:
    """Every model of the comparison, in its order."""
    suites = [suite.name for suite in comparison.suites]
    per_month = comparison.requests_per_month
    quality = _quality(comparison, results)
    return {
        model.name: Measured(
            model=model,
            entries=entries(results, model.name, suites),
            hosting_per_request=float(model.hosting_per_month) / per_month if per_month else 0.0,
            confidence=comparison.confidence,
            seed=comparison.seed,
            quality=quality,
        )
        for model in comparison.models
    }


def _quality(comparison: Comparison, results: Results) -> Measure:
    """Accuracy where a suite scores it; else the criterion of most weight among the scores."""
    scored = {score for suite in comparison.suites for score in results.manifest.suites[suite.name].scores}
    scores = [criterion for criterion in comparison.criteria if criterion.measure.kind is Kind.SCORE]
    if ACCURACY.score in scored or not scores:
        return ACCURACY
    return max(scores, key=lambda criterion: criterion.weight).measure


def quantile_of(kind: Kind) -> float | None:
    """Which quantile a kind is, in (0, 1); None where it is a mean."""
    return _QUANTILES.get(kind)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
