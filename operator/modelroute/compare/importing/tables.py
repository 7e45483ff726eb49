"""Tables of samples: Weights & Biases' *.table.json, alone or in the folder of a run, and CSV; MLflow's logged tables.

Both are columns with rows, and each team names its columns as it likes: common names are known, others are told.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modelroute.compare.importing.record import Record, read_json, share, text_of
from modelroute.errors import Invalid

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "item": ("item", "id", "example_id", "request_id"),
    "prompt": ("prompt", "input", "inputs", "question", "query", "messages", "request"),
    "answer": ("answer", "output", "outputs", "response", "completion", "prediction", "predictions"),
    "expected": ("expected", "target", "targets", "ground_truth", "reference", "reference_outputs", "label"),
    "latency_s": ("latencyS", "latency_s", "latency", "execution_duration"),
    "first_token_s": ("firstTokenS", "first_token_s", "ttft", "time_to_first_token"),
    "input_tokens": ("inputTokens", "input_tokens", "prompt_tokens"),
    "output_tokens": ("outputTokens", "output_tokens", "completion_tokens", "token_count"),
    "cost": ("cost", "costUSD", "total_cost"),
    "error": ("error",),
    "violation": ("violation",),
    "refused": ("refused",),
}
"""Our field: the columns that it is looked for in, the first that is there wins."""


_TABLE: Final = re.compile(r"(?P<key>.+)_(?P<step>\d+)_[0-9a-f]+\.table\.json")
"""How wandb names a table's file: by what it was logged as, the step, and a hash."""


def read_table(path: Path, columns: Mapping[str, str], scores: Sequence[str]) -> Iterator[Record]:
    """Records of a table, or of the only one in the folder of a W&B run, as it was logged last.

    `columns`: where a field of KNOWN is found, in place of the common names; `scores`: the columns that are scores,
    default: every other column that holds nothing but numbers from 0 to 1, true and false. Raises Invalid.
    """
    if path.is_dir():
        path = _of_run(path)
    names, rows = _csv(path) if path.suffix == ".csv" else _split_json(path)
    for told, column in columns.items():
        if told not in KNOWN:
            raise Invalid(f"there is no field {told!r}; there are {', '.join(KNOWN)}", field="--column")
        if column not in names:
            raise Invalid(f"{path} has no column {column!r}; it has {', '.join(names)}", field="--column")
    found = {
        wanted: columns.get(wanted) or next((name for name in known if name in names), None)
        for wanted, known in KNOWN.items()
    }
    for needed in ("prompt", "answer"):
        if found[needed] is None:
            raise Invalid(f"{path} has no column for the {needed}: say --column {needed}=… (it has {', '.join(names)})")
    chosen = list(scores) or _score_columns(names, rows, {column for column in found.values() if column})
    if missing := [name for name in chosen if name not in names]:
        raise Invalid(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}", field="--score")
    for row in rows:
        yield _record(row, found, chosen)


def _record(row: Mapping[str, Any], found: Mapping[str, str | None], scores: Sequence[str]) -> Record:
    def cell(name: str) -> Any:
        column = found[name]
        return None if column is None else row.get(column)

    error, answer = cell("error"), cell("answer")
    violation, refused = share(cell("violation")), share(cell("refused"))
    return Record(
        item="" if cell("item") is None else str(cell("item")),
        prompt=text_of(cell("prompt")),
        expected=text_of(cell("expected")) or None,
        answer=None if answer is None else text_of(answer),
        scores={name: row.get(name) for name in scores},
        violation=None if violation is None else violation > 0,
        latency_s=cell("latency_s"),
        first_token_s=cell("first_token_s"),
        input_tokens=cell("input_tokens"),
        output_tokens=cell("output_tokens"),
        cost=cell("cost"),
        refused=None if refused is None else refused > 0,
        error=str(error) if error else ("no answer was recorded" if answer is None else None),
    )


def _of_run(folder: Path) -> Path:
    """The last table that a run logged. Raises Invalid where there is none, or several of different names or runs."""
    newest: dict[tuple[Path, str], tuple[int, Path]] = {}
    for file in sorted(folder.rglob("*.table.json")):
        run, media, name = str(file.relative_to(folder)).rpartition("media/table/")
        if media and (told := _TABLE.fullmatch(name)) is not None:
            at = (Path(run), told["key"])
            newest[at] = max(newest.get(at, (-1, file)), (int(told["step"]), file))
    if not newest:
        raise Invalid(f"{folder} holds no media/table/*.table.json: is it the folder of a W&B run that logged a table?")
    if len(newest) > 1:
        files = ", ".join(str(file.relative_to(folder)) for _, file in newest.values())
        raise Invalid(f"{folder} holds {len(newest)} tables: name the file of one ({files})")
    return next(iter(newest.values()))[1]


def _score_columns(names: Sequence[str], rows: Sequence[Mapping[str, Any]], taken: set[str]) -> list[str]:
    return [
        name
        for name in names
        if name not in taken
        and any(row.get(name) not in (None, "") for row in rows)
        and all(row.get(name) in (None, "") or share(row.get(name)) is not None for row in rows)
    ]


def _split_json(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    told = read_json(path)
    if isinstance(told, list) and told and all(isinstance(row, dict) for row in told):
        return list(dict.fromkeys(name for row in told for name in row)), told
    if (
        not isinstance(told, dict)
        or not isinstance(told.get("columns"), list)
        or not isinstance(told.get("data"), list)
    ):
        raise Invalid(f"{path} is not a table: expected columns and data, or a list of objects")
    names = [str(name) for name in told["columns"]]
    return names, [dict(zip(names, row, strict=False)) for row in told["data"]]


def _csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [{name: value if value != "" else None for name, value in row.items() if name} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
    return list(reader.fieldnames or []), rows
