"""One answer as another tool recorded it, before it becomes a sample."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from modelroute.compare.domain import Price
from modelroute.compare.results import Sample, prompt_hash
from modelroute.compare.suites.refusals import refused
from modelroute.errors import Invalid


@dataclass(frozen=True, slots=True)
class Record:
    """What a tool knew; None and empty where it did not. `scores` may hold anything; only [0, 1] is taken over."""

    prompt: str
    answer: str | None
    scores: Mapping[str, object]
    item: str = ""
    expected: str | None = None
    suite: str = ""
    violation: bool | None = None
    latency_s: object = None
    first_token_s: object = None
    input_tokens: object = None
    output_tokens: object = None
    cost: object = None
    error: str | None = None
    refused: bool | None = None


@dataclass(slots=True)
class LeftOut:
    """Scores that are not from 0 to 1, by name: the first such value and how many there were."""

    seen: dict[str, tuple[object, int]] = field(default_factory=dict)

    def add(self, name: str, value: object) -> None:
        """Count one."""
        first, count = self.seen.get(name, (value, 0))
        self.seen[name] = (first, count + 1)

    def words(self) -> Iterator[str]:
        """A sentence for each name."""
        for name, (first, count) in sorted(self.seen.items()):
            yield f"score {name!r} left out of {count} samples: {first!r} is not from 0 to 1"


def to_sample(record: Record, price: Price | None, left_out: LeftOut) -> Sample:
    """The record as a sample. A cost that was not recorded is computed from the tokens, where there is a price."""
    hashed = prompt_hash(record.prompt)
    tokens = (_count(record.input_tokens), _count(record.output_tokens))
    cost = _money(record.cost)
    if cost is None and price is not None and record.error is None:
        cost = price.of(*tokens)
    scores: dict[str, float] = {}
    for name, value in record.scores.items():
        number = share(value)
        if number is not None:
            scores[name] = number
        elif value is not None:
            left_out.add(name, value)
    answered = record.error is None and record.answer is not None
    seen = refused(record.answer or "") if record.refused is None else record.refused
    return Sample(
        item=record.item or hashed,
        hash=hashed,
        prompt=record.prompt,
        expected=record.expected,
        answer=record.answer if record.error is None else None,
        scores=scores if record.error is None else {},
        violation=record.violation,
        latency_s=_seconds(record.latency_s),
        first_token_s=_seconds(record.first_token_s),
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cost=cost,
        error=record.error,
        refused=answered and seen,
    )


def share(value: object) -> float | None:
    """A score as a number from 0 to 1; true is 1, also as CSV spells it. None for anything else."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if (word := value.strip().lower()) in ("true", "false"):
            return float(word == "true")
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1:
        return float(value)
    return None


def text_of(value: Any) -> str:
    """What a person would read of a value: messages become their texts, an object with one text that text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, dict) and "content" in each for each in value):
        return "\n\n".join(text_of(each["content"]) for each in value)
    if isinstance(value, dict):
        if "messages" in value and len(value) == 1:
            return text_of(value["messages"])
        if "content" in value and "role" in value:
            return text_of(value["content"])
        if len(value) == 1:
            return text_of(next(iter(value.values())))
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def read_json(path: Path) -> Any:
    """A JSON file, or a JSONL file as a list. Raises Invalid, which names the file and, for JSONL, the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
    if path.suffix == ".jsonl":
        return [_line(line, f"{path}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid(f"{path} is not JSON: {error}") from error


def rows_of(path: Path, told: Any, *names: str) -> list[dict[str, Any]]:
    """The list of objects in a file: all of it, or under one of `names`. Raises Invalid."""
    if isinstance(told, dict):
        told = next((told[name] for name in names if name in told), told)
    if not isinstance(told, list) or not told or not all(isinstance(each, dict) for each in told):
        under = f", or an object with one under {' or '.join(names)}" if names else ""
        raise Invalid(f"{path} is not what this format writes: expected a list of objects{under}")
    return told


def short_hash(text: str) -> str:
    """Eight hex digits, for items that have no name of their own."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _line(line: str, at: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise Invalid(f"{at} is not JSON: {error}") from error


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


_seconds = _number


def _count(value: object) -> int | None:
    number = _number(value)
    return None if number is None else round(number)


def _money(value: object) -> Decimal | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
