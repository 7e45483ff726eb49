"""The results folder: what the models answered, one line a sample, so that nothing is lost when a run is stopped.

    <folder>/manifest.json             what was asked of whom
    <folder>/<model>/<suite>.jsonl     the samples, appended and flushed one by one

A line that a crash cut short is dropped when the file is read, and when it is next written to. Where an item is there
more than once (it failed and was tried again), the last line counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Self, TextIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelroute.errors import Invalid

SCHEMA: Final = "modelroute.dev/results/v1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one item. Latencies in seconds; scores in [0, 1]; `cost` in the manifest's currency. `violation` is
    None where nobody judged it. `error` is None where an answer came.
    """

    item: str
    hash: str
    prompt: str
    expected: str | None
    answer: str | None
    scores: Mapping[str, float]
    violation: bool | None
    latency_s: float | None
    first_token_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    error: str | None
    refused: bool

    @property
    def key(self) -> tuple[str, str]:
        """By which samples of two models pair within a suite."""
        return self.item, self.hash


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Of whom the answers are. `price` as it was when they were made, for the record."""

    served_name: str
    endpoint: str | None = None
    price: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """What was asked: the suite's version, how many items it has, and the names of its scores."""

    version: str
    items: int
    scores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`comparison_hash` is `Comparison.evaluation_hash` of the run; `tool` maps programs to versions."""

    comparison: str
    comparison_hash: str
    currency: str
    models: Mapping[str, ModelRecord]
    suites: Mapping[str, SuiteRecord]
    tool: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """All of a folder; `samples` by (model, suite), in the order of the file."""

    manifest: Manifest
    samples: Mapping[tuple[str, str], tuple[Sample, ...]]


def prompt_hash(prompt: str) -> str:
    """The first 16 hex digits of the prompt's SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def sample_path(folder: Path, model: str, suite: str) -> Path:
    """Where the samples of a model and a suite are."""
    return folder / model / f"{suite}.jsonl"


class SampleWriter:
    """Appends samples to one file, each flushed.

    `with SampleWriter(folder, "large", "negation") as write: write(sample)`
    """

    def __init__(self, folder: Path, model: str, suite: str) -> None:
        self._path = sample_path(folder, model, suite)
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _drop_cut_line(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def __call__(self, sample: Sample) -> None:
        assert self._file is not None, "use it in a with statement"
        self._file.write(to_line(sample))
        self._file.flush()


def to_line(sample: Sample) -> str:
    """One line of JSON, with its newline."""
    told = {
        "item": sample.item,
        "hash": sample.hash,
        "prompt": sample.prompt,
        "expected": sample.expected,
        "answer": sample.answer,
        "scores": dict(sample.scores),
        "violation": sample.violation,
        "latencyS": sample.latency_s,
        "firstTokenS": sample.first_token_s,
        "inputTokens": sample.input_tokens,
        "outputTokens": sample.output_tokens,
        "cost": None if sample.cost is None else f"{sample.cost:f}",
        "error": sample.error,
        "refused": sample.refused,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"


def read_samples(folder: Path, model: str, suite: str) -> tuple[Sample, ...]:
    """The last line of each item, in the order in which items first came; none where there is no file.

    Raises Invalid with the line's number.
    """
    path = sample_path(folder, model, suite)
    if not path.exists():
        return ()
    found: dict[tuple[str, str], Sample] = {}
    for number, line in _whole_lines(path):
        sample = from_line(line, at=f"{path}:{number}")
        found[sample.key] = sample
    return tuple(found.values())


def answered(folder: Path, model: str, suite: str) -> frozenset[tuple[str, str]]:
    """The keys of the samples that are there without an error: a run that is resumed skips these. Raises Invalid."""
    return frozenset(sample.key for sample in read_samples(folder, model, suite) if sample.error is None)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Written aside and moved, so that there is never half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "schema": SCHEMA,
        "comparison": manifest.comparison,
        "comparisonHash": manifest.comparison_hash,
        "currency": manifest.currency,
        "models": {
            name: {"endpoint": model.endpoint, "servedName": model.served_name, "price": model.price}
            for name, model in manifest.models.items()
        },
        "suites": {
            name: {"version": suite.version, "items": suite.items, "scores": list(suite.scores)}
            for name, suite in manifest.suites.items()
        },
        "tool": dict(manifest.tool),
    }
    aside = folder / "manifest.json.new"
    aside.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(folder / "manifest.json")


def read_manifest(folder: Path) -> Manifest:
    """Raises Invalid where there is none, or it is of another version."""
    path = folder / "manifest.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        said = f"{folder} holds no results (it has no manifest.json): run modelroute evaluate first, or name its folder"
        raise Invalid(said) from error
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
    schema = told.get("schema") if isinstance(told, dict) else None
    if schema != SCHEMA:
        said = f"the results are of version {schema!r}, and this modelroute reads {SCHEMA}: evaluate again"
        raise Invalid(said, field=f"{path}: schema")
    fields = _checked(_ManifestFields, told, at=str(path))
    return Manifest(
        comparison=fields.comparison,
        comparison_hash=fields.comparison_hash,
        currency=fields.currency,
        models={
            name: ModelRecord(model.served_name, model.endpoint, model.price) for name, model in fields.models.items()
        },
        suites={
            name: SuiteRecord(suite.version, suite.items, tuple(suite.scores)) for name, suite in fields.suites.items()
        },
        tool=fields.tool,
    )


def read_results(folder: Path) -> Results:
    """The manifest and the samples of every model and suite in it. Raises Invalid."""
    manifest = read_manifest(folder)
    pairs = [(model, suite) for model in manifest.models for suite in manifest.suites]
    return Results(manifest, {(model, suite): read_samples(folder, model, suite) for model, suite in pairs})


class _Fields(BaseModel):
    # Lenient about more fields: a newer evaluate may write them.
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore", allow_inf_nan=False)


F = TypeVar("F", bound=_Fields)


class _ModelFields(_Fields):
    served_name: str
    endpoint: str | None = None
    price: dict[str, str] | None = None


class _SuiteFields(_Fields):
    version: str
    items: int
    scores: list[str]


class _ManifestFields(_Fields):
    comparison: str
    comparison_hash: str
    currency: str
    models: dict[str, _ModelFields]
    suites: dict[str, _SuiteFields]
    tool: dict[str, str] = Field(default_factory=dict)


_Score = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]


class _SampleFields(_Fields):
    item: str
    hash: str
    prompt: str
    expected: str | None = None
    answer: str | None
    scores: dict[str, _Score]
    violation: bool | None = None
    latency_s: Annotated[_Seconds | None, Field(alias="latencyS")] = None
    first_token_s: Annotated[_Seconds | None, Field(alias="firstTokenS")] = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cost: str | None = None
    error: str | None = None
    refused: bool = False


def from_line(line: str, *, at: str) -> Sample:
    """The sample of that line; `at` leads the sentence where it is wrong. Raises Invalid."""
    try:
        told = json.loads(line)
    except ValueError as error:
        raise Invalid(f"is not a line of JSON: {error}", field=at) from error
    fields = _checked(_SampleFields, told, at=at)
    try:
        cost = None if fields.cost is None else Decimal(fields.cost)
    except InvalidOperation as error:
        raise Invalid(f"{fields.cost!r} is not an amount of money", field=f"{at}: cost") from error
    return Sample(**{**dict(fields), "cost": cost})


def _checked(of: type[F], told: Any, *, at: str) -> F:
    try:
        return of.model_validate(told)
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise Invalid(first["msg"][:1].lower() + first["msg"][1:], field=f"{at}: {path}" if path else at) from errors


def _whole_lines(path: Path) -> Iterator[tuple[int, str]]:
    # Bytes, because a crash may have cut the last line within a character.
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise Invalid(f"is not UTF-8: {error.reason}", field=f"{path}:{number}") from error
        if text.strip():
            yield number, text


def _drop_cut_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
