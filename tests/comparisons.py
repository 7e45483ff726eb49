"""Small comparisons and results to test with: what each model answers is said in columns."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from modelroute.compare.domain import Comparison
from modelroute.compare.measure import Measured, measured
from modelroute.compare.results import (
    Manifest,
    ModelRecord,
    Results,
    Sample,
    SampleWriter,
    SuiteRecord,
    prompt_hash,
    write_manifest,
)
from modelroute.compare.spec import parse_comparison

SPEC: dict[str, Any] = {
    "apiVersion": "modelroute.dev/compare/v1",
    "name": "support",
    "models": [
        {"name": "large", "tier": "Large", "price": {"perRequest": "0.020"}},
        {"name": "small", "tier": "Small", "price": {"perRequest": "0.005"}},
    ],
    "suites": [{"name": "tickets"}],
    "criteria": [{"name": "accuracy", "weight": 1, "worst": "0%", "target": "100%"}],
}


def comparison(**changes: Any) -> Comparison:
    """SPEC with some fields set, as parsed."""
    return parse_comparison(copy.deepcopy(SPEC) | changes, folder=Path())


@dataclass(frozen=True)
class Answers:
    """One model's answers, item by item; a latency of None is a request that failed."""

    scores: Sequence[float]
    latencies: Sequence[float | None] = ()
    violations: Sequence[bool | None] = ()
    tokens: tuple[int, int] = (100, 20)
    others: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def sample(self, index: int) -> Sample:
        latency = self.latencies[index % len(self.latencies)] if self.latencies else 0.5
        failed = latency is None
        scores = {"accuracy": self.scores[index]} | {name: values[index] for name, values in self.others.items()}
        prompt = f"What does rule {index} of the returns policy say?"
        return Sample(
            item=f"item-{index:03}",
            hash=prompt_hash(prompt),
            prompt=prompt,
            expected="yes",
            answer=None if failed else ("yes" if self.scores[index] >= 0.5 else "no"),
            scores={} if failed else scores,
            violation=self.violations[index % len(self.violations)] if self.violations else None,
            latency_s=latency,
            first_token_s=None if latency is None else latency / 4,
            input_tokens=None if failed else self.tokens[0],
            output_tokens=None if failed else self.tokens[1],
            cost=None if failed else Decimal("0.001"),
            error="timeout after 30 s" if failed else None,
            refused=False,
        )


def results(answers: Mapping[str, Answers], *, suite: str = "tickets", currency: str = "USD") -> Results:
    """What a run of one suite would have left."""
    others = sorted({name for each in answers.values() for name in each.others})
    items = max(len(each.scores) for each in answers.values())
    manifest = Manifest(
        comparison="support",
        comparison_hash="0" * 16,
        currency=currency,
        models={name: ModelRecord(name) for name in answers},
        suites={suite: SuiteRecord("1", items, ("accuracy", *others))},
        tool={"modelroute": "0.1.0"},
    )
    samples = {
        (name, suite): tuple(each.sample(index) for index in range(len(each.scores))) for name, each in answers.items()
    }
    return Results(manifest, samples)


def merged(*found: Results) -> Results:
    """Suites of the same models, in one folder."""
    suites = {name: suite for each in found for name, suite in each.manifest.suites.items()}
    samples = {key: told for each in found for key, told in each.samples.items()}
    return Results(replace(found[0].manifest, suites=suites), samples)


def write_results(folder: Path, found: Results) -> None:
    """The same in a folder."""
    write_manifest(folder, found.manifest)
    for (model, suite), samples in found.samples.items():
        with SampleWriter(folder, model, suite) as write:
            for sample in samples:
                write(sample)


@dataclass(frozen=True)
class Strength:
    """How good and how fast a stand-in for a model is: share of right answers, median and spread of its seconds, share
    of requests that fail and of answers that break a rule.
    """

    accuracy: float
    median_s: float = 0.8
    spread: float = 0.4
    failing: float = 0.0
    violating: float = 0.0
    tokens: tuple[int, int] = (400, 120)


def stand_ins(
    strengths: Mapping[str, Strength], *, items: int, seed: int = 11, suite: str = "tickets", currency: str = "USD"
) -> Results:
    """Models of set strengths on the same items, some of which are hard for all of them."""
    rng = np.random.default_rng(seed)
    difficulty = rng.uniform(size=items)
    found = {}
    for name, strength in strengths.items():
        # Two thirds of the luck is the item's.
        own = rng.uniform(size=items)
        luck = np.where(rng.uniform(size=items) < 2 / 3, difficulty, own)
        seconds = strength.median_s * np.exp(strength.spread * rng.standard_normal(items))
        failed = rng.uniform(size=items) < strength.failing
        found[name] = Answers(
            scores=[float(value) for value in luck < strength.accuracy],
            latencies=[None if fails else round(float(s), 4) for s, fails in zip(seconds, failed, strict=True)],
            violations=[bool(value) for value in rng.uniform(size=items) < strength.violating],
            tokens=strength.tokens,
        )
    return results(found, suite=suite, currency=currency)


def two(large: Answers, small: Answers, **changes: Any) -> tuple[Comparison, Mapping[str, Measured]]:
    """Two models, measured."""
    asked = comparison(**changes)
    return asked, measured(asked, results({"large": large, "small": small}))
