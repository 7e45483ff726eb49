"""Logs of prompts as Humanloop exported them (JSON or JSONL). The service has closed; its exports are still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelroute.compare.importing.record import Record, read_json, rows_of, text_of
from modelroute.errors import Invalid


def read_humanloop(path: Path) -> Iterator[Record]:
    """Records, item = the datapoint that a log is of, else the log's id. Judgments of evaluators are the scores."""
    for number, log in enumerate(rows_of(path, read_json(path), "records", "logs")):
        if "output" not in log and "output_message" not in log:
            raise Invalid(f"{path}: log {number} has neither output nor output_message: {', '.join(log)}")
        yield _record(log)


def _record(log: dict[str, Any]) -> Record:
    said = log.get("output")
    if said is None and log.get("output_message"):
        said = log["output_message"].get("content")
    costs = [cost for cost in (log.get("prompt_cost"), log.get("output_cost")) if cost is not None]
    return Record(
        item=str(log.get("source_datapoint_id") or log.get("id") or ""),
        prompt=_prompt(log),
        expected=_target(log),
        answer=None if said is None else text_of(said),
        scores={_name(each): each.get("judgment") for each in log.get("evaluator_logs") or []},
        latency_s=log.get("provider_latency"),
        input_tokens=log.get("prompt_tokens"),
        output_tokens=log.get("output_tokens"),
        cost=sum(costs) if costs else None,
        error=log.get("error") or None,
    )


def _prompt(log: dict[str, Any]) -> str:
    """Messages where they were logged, else the inputs of the template."""
    return text_of(log["messages"]) if log.get("messages") else text_of(log.get("inputs"))


def _target(log: dict[str, Any]) -> str | None:
    target = (log.get("metadata") or {}).get("target")
    return None if target is None else text_of(target)


def _name(evaluator_log: dict[str, Any]) -> str:
    """The evaluator's name: the last part of its path."""
    evaluator = evaluator_log.get("evaluator") or {}
    return str(evaluator.get("name") or evaluator.get("path") or evaluator.get("id") or "judgment").rsplit("/", 1)[-1]
