"""What `azure.ai.evaluation.evaluate(…, output_path=…)` writes: rows with inputs.* and outputs.<evaluator>.*."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelroute.compare.importing.record import Record, read_json, rows_of, text_of
from modelroute.compare.judging.azure_judge import COMPUTED, GRADED, MOST_SEVERE, SAFETY
from modelroute.compare.judging.judge import from_one_to_five
from modelroute.errors import Invalid

_GRADES = {key for key, _ in GRADED.values()}
_COMPUTED = {*COMPUTED.values(), "bleu_score", "gleu_score", "meteor_score"}


def read_azure(path: Path) -> Iterator[Record]:
    """Records; grades from 1 to 5 and severities from 7 to 0 become [0, 1], and a failed safety check a violation."""
    for number, row in enumerate(rows_of(path, read_json(path), "rows")):
        if not any(key.startswith(("inputs.", "outputs.")) for key in row):
            raise Invalid(f"{path}: row {number} has no inputs.* and outputs.*: is it azure-ai-evaluation's output?")
        yield _record(row)


def _record(row: dict[str, Any]) -> Record:
    scores: dict[str, object] = {}
    failed: list[bool] = []
    for column, value in row.items():
        place, _, rest = column.partition(".")
        evaluator, _, key = rest.partition(".")
        if place != "outputs" or not key or row.get(f"{column}_status", "completed") != "completed":
            continue
        if key in _GRADES:
            scores[evaluator] = from_one_to_five(value)
        elif key in _COMPUTED:
            scores[evaluator] = value
        elif key in SAFETY.values():
            severity = row.get(f"{column}_score")
            if isinstance(severity, int | float) and 0 <= severity <= MOST_SEVERE:
                scores[evaluator] = 1 - severity / MOST_SEVERE
                failed.append(row.get(f"{column}_result") == "fail")
    given = {column.removeprefix("inputs."): value for column, value in row.items() if column.startswith("inputs.")}
    answer = given.get("response", row.get("outputs.response"))
    return Record(
        item=str(given.get("id", "")),
        prompt=text_of(given.get("query") or given.get("conversation") or given.get("context")),
        expected=text_of(given.get("ground_truth")) or None,
        answer=None if answer is None else text_of(answer),
        scores=scores,
        violation=any(failed) if failed else None,
        latency_s=given.get("latency"),
    )
