"""What a tracker is told: one run a model, with the decision's numbers and a table of its samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from modelroute.compare.results import Results, Sample
from modelroute.errors import Invalid

SCHEMA: Final = "modelroute.dev/decision/v1"
COLUMNS: Final = (
    "item", "prompt", "expected", "answer", "violation", "latencyS", "firstTokenS", "inputTokens", "outputTokens",
    "cost", "error", "refused",
)  # fmt: skip
"""Of every table of samples, in this order; the scores follow. `modelroute import` reads these names."""


@dataclass(frozen=True, slots=True)
class Run:
    """A model's run. `metrics` hold each measure's value and, where it has them, its bounds; tables are by suite."""

    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tables: Mapping[str, tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]]
    won: bool


@dataclass(frozen=True, slots=True)
class Told:
    """All of a decision."""

    comparison: str
    headline: str
    decision: Path
    runs: tuple[Run, ...]


def to_tell(decision: Path, results: Results) -> Told:
    """Raises Invalid where the file is no decision, or of other models than the results."""
    try:
        told = json.loads(decision.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{decision} cannot be read: {error}") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise Invalid(f"{decision} is no decision of this version: write one with modelroute compare -o json")
    for name in told["models"]:
        if name not in results.manifest.models:
            raise Invalid(f"{decision} speaks of {name}, which the results do not have: decide on these results first")
    runs = tuple(_run(name, model, told, results) for name, model in told["models"].items())
    return Told(told["comparison"], told["headline"], decision, runs)


def _run(name: str, model: Mapping[str, Any], told: Mapping[str, Any], results: Results) -> Run:
    record = results.manifest.models[name]
    price = {f"price.{key}": value for key, value in (record.price or {}).items()}
    params = {"servedName": record.served_name, "endpoint": record.endpoint or "", "baseline": told["baseline"]}
    return Run(
        name=name,
        params={**params, **price, "currency": told["currency"], "eligible": str(model["eligible"]).lower()},
        metrics=dict(_metrics(model)),
        tables={
            suite: table(samples)
            for (answering, suite), samples in results.samples.items()
            if answering == name and samples
        },
        won=told["winner"] == name,
    )


def _metrics(model: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    yield "total", float(model["total"])
    for name, measure in model["measures"].items():
        for part, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
            if measure is not None and measure.get(part) is not None:
                # Trackers allow letters, digits, dots, dashes, underlines, slashes and blanks in names.
                yield f"{name.replace('@', '/')}{suffix}", float(measure[part])


def table(samples: tuple[Sample, ...]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """(columns, rows) of samples."""
    scores = sorted({name for sample in samples for name in sample.scores})
    rows = tuple(
        (
            sample.item,
            sample.prompt,
            sample.expected,
            sample.answer,
            sample.violation,
            sample.latency_s,
            sample.first_token_s,
            sample.input_tokens,
            sample.output_tokens,
            None if sample.cost is None else f"{sample.cost:f}",
            sample.error,
            sample.refused,
            *(sample.scores.get(name) for name in scores),
        )
        for sample in samples
    )
    return (*COLUMNS, *scores), rows
