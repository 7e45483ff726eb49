"""LangSmith and openevals: rows of an experiment, or exchanges with the results of evaluators, as JSON or JSONL.

Two shapes are read, as people dump them: `{"run", "example", "evaluation_results": {"results": […]}}`, which is what
iterating over `langsmith.evaluate(…)` gives, and `{"inputs", "outputs", "reference_outputs", "results": […]}` with what
openevals' evaluators return, `{"key", "score", "comment"}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from modelroute.compare.importing.record import Record, read_json, rows_of, text_of
from modelroute.errors import Invalid


def read_langsmith(path: Path) -> Iterator[Record]:
    """Records, item = the example's id where there is one. Raises Invalid."""
    for number, row in enumerate(rows_of(path, read_json(path), "results", "rows")):
        if "run" in row:
            yield _of_run(row)
        elif "outputs" in row and ("results" in row or "evaluation_results" in row):
            yield _of_exchange(row)
        else:
            raise Invalid(
                f"{path}: row {number} has neither a run nor outputs with results: {', '.join(row) or 'empty'}"
            )


def _of_run(row: dict[str, Any]) -> Record:
    run, example = row["run"] or {}, row.get("example") or {}
    began, ended, first = (_time(run.get(name)) for name in ("start_time", "end_time", "first_token_time"))
    return Record(
        item=str(example.get("id") or run.get("reference_example_id") or run.get("id") or ""),
        prompt=text_of(run.get("inputs") or example.get("inputs")),
        expected=text_of(example.get("outputs")) or None,
        answer=None if run.get("outputs") is None else text_of(run["outputs"]),
        scores=_scores(row.get("evaluation_results")),
        latency_s=(ended - began).total_seconds() if began and ended else None,
        first_token_s=(first - began).total_seconds() if began and first else None,
        input_tokens=run.get("prompt_tokens"),
        output_tokens=run.get("completion_tokens"),
        cost=run.get("total_cost"),
        error=run.get("error") or None,
    )


def _of_exchange(row: dict[str, Any]) -> Record:
    return Record(
        item=str(row.get("id") or ""),
        prompt=text_of(row.get("inputs")),
        expected=text_of(row.get("reference_outputs")) or None,
        answer=text_of(row["outputs"]),
        scores=_scores(row.get("results", row.get("evaluation_results"))),
        latency_s=row.get("latency_s"),
        error=row.get("error") or None,
    )


def _scores(told: Any) -> dict[str, object]:
    results = told.get("results") if isinstance(told, dict) and "results" in told else told
    if isinstance(results, dict):
        results = [results]
    return {str(each["key"]): each.get("score") for each in results or [] if isinstance(each, dict) and "key" in each}


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) else None
    except ValueError:
        return None
