"""What `lm_eval --output_path … --log_samples` writes: samples_<task>_<time>.jsonl files, the newest of each task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelroute.compare.importing.record import Record, read_json, text_of
from modelroute.errors import Invalid

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.jsonl")


def read_lm_eval(path: Path) -> Iterator[Record]:
    """Records of every task below the folder `path`, the task as suite. The files have no latency and no tokens."""
    newest: dict[str, tuple[str, Path]] = {}
    for file in path.rglob("samples_*.jsonl") if path.is_dir() else [path]:
        if (name := _NAME.fullmatch(file.name)) is not None:
            newest[name["task"]] = max(newest.get(name["task"], ("", file)), (name["time"], file))
    if not newest:
        raise Invalid(f"{path} has no samples_<task>_<time>.jsonl: run lm_eval with --log_samples and --output_path")
    for task, (_, file) in sorted(newest.items()):
        yield from _first_filter(task, file)


def _first_filter(task: str, file: Path) -> Iterator[Record]:
    """A task with several filters has several lines a document: the first filter's are taken."""
    chosen: str | None = None
    for line in read_json(file):
        if not isinstance(line, dict) or "doc_id" not in line:
            raise Invalid(f"{file} is not a file of lm-eval's samples: a line has no doc_id")
        chosen = line.get("filter", "none") if chosen is None else chosen
        if line.get("filter", "none") == chosen:
            yield _record(task, line)


def _record(task: str, line: dict[str, Any]) -> Record:
    metrics = line.get("metrics") or []
    return Record(
        suite=_suite(task),
        item=str(line["doc_id"]),
        prompt=_prompt(line),
        expected=text_of(line.get("target")),
        answer=_answer(line.get("filtered_resps") or [""]),
        scores={name.split(",")[0]: line.get(name) for name in metrics},
    )


def _suite(task: str) -> str:
    """The task's name as a suite's: suites' names are names of files."""
    return re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")


def _prompt(line: dict[str, Any]) -> str:
    arguments = line.get("arguments") or {}
    first = arguments.get("gen_args_0", {}) if isinstance(arguments, dict) else arguments[0]
    context = first.get("arg_0", "") if isinstance(first, dict) else first[0]
    while isinstance(context, list) and context and not isinstance(context[0], dict):
        context = context[0]  # a chat's messages are kept as JSON in a list of one
    if isinstance(context, str) and context.startswith("["):
        try:
            context = json.loads(context)
        except ValueError:
            return str(context)
    return text_of(context)


def _answer(responses: list[Any]) -> str:
    """The text; of a multiple choice, the number of the likeliest, counted from 0."""
    if len(responses) > 1 and all(isinstance(each, list) and each for each in responses):
        likeliest = max(range(len(responses)), key=lambda at: float(responses[at][0]))
        return f"choice {likeliest}"
    first = responses[0]
    return text_of(first[0] if isinstance(first, list) and first else first)
