"""From a file of another tool's into a results folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from modelroute import __version__
from modelroute.compare.domain import Comparison
from modelroute.compare.importing.azure_output import read_azure
from modelroute.compare.importing.humanloop_logs import read_humanloop
from modelroute.compare.importing.langsmith_json import read_langsmith
from modelroute.compare.importing.lm_eval_folder import read_lm_eval
from modelroute.compare.importing.record import LeftOut, Record, to_sample
from modelroute.compare.importing.tables import read_table
from modelroute.compare.results import (
    Manifest,
    ModelRecord,
    Sample,
    SampleWriter,
    SuiteRecord,
    answered,
    read_manifest,
    read_samples,
    write_manifest,
)
from modelroute.errors import Invalid


class Format(StrEnum):
    """Who wrote the file."""

    LM_EVAL = "lm-eval"
    LANGSMITH = "langsmith"
    OPENEVALS = "openevals"
    WANDB = "wandb"
    HUMANLOOP = "humanloop"
    AZURE = "azure"
    MLFLOW = "mlflow"


@dataclass(frozen=True, slots=True)
class Imported:
    """New samples by suite, and sentences about what was left out."""

    samples: Mapping[str, int]
    notes: tuple[str, ...]


def read_records(form: Format, path: Path, columns: Mapping[str, str], scores: Sequence[str]) -> Iterator[Record]:
    """The records of a file or folder. Raises Invalid, which names it."""
    match form:
        case Format.LM_EVAL:
            return read_lm_eval(path)
        case Format.LANGSMITH | Format.OPENEVALS:
            return read_langsmith(path)
        case Format.HUMANLOOP:
            return read_humanloop(path)
        case Format.AZURE:
            return read_azure(path)
        case Format.WANDB | Format.MLFLOW:
            return read_table(path, columns, scores)
        case _:
            assert_never(form)


def bring_in(
    comparison: Comparison,
    folder: Path,
    records: Iterable[Record],
    *,
    form: Format,
    model: str,
    suite: str | None,
    rename: Mapping[str, str],
) -> Imported:
    """Write records as samples of `model`, in `suite` or in the suite that each names; `rename` maps scores' names.

    What is there already, without an error, is left alone. Raises Invalid.
    """
    known = [each.name for each in comparison.models]
    if model not in known:
        raise Invalid(f"no model is called {model!r}: there are {', '.join(known)}", field="--model")
    price = comparison.model(model).price
    left_out = LeftOut()
    by_suite: dict[str, list[Sample]] = {}
    for record in records:
        scores = {rename.get(name, name): value for name, value in record.scores.items()}
        sample = to_sample(replace(record, scores=scores), price, left_out)
        by_suite.setdefault(_suite(comparison, suite or record.suite), []).append(sample)
    counts: dict[str, int] = {}
    for name, samples in by_suite.items():
        counts[name] = _write(folder, model, name, _apart(samples))
    _tell(comparison, folder, form, by_suite)
    return Imported(counts, tuple(left_out.words()))


def _suite(comparison: Comparison, name: str) -> str:
    known = [each.name for each in comparison.suites]
    if not name:
        raise Invalid(
            f"is missing: the file does not say which suite it is of, and there are {', '.join(known)}", field="--suite"
        )
    if name not in known:
        raise Invalid(f"no suite is called {name!r}: there are {', '.join(known)}", field="--suite")
    return name


def _apart(samples: Sequence[Sample]) -> Iterator[Sample]:
    """The same item asked twice stays one item; different questions under one id are told apart by their hash."""
    seen: dict[str, str] = {}
    for sample in samples:
        if seen.setdefault(sample.item, sample.hash) == sample.hash:
            yield sample
        else:
            yield replace(sample, item=f"{sample.item}-{sample.hash[:4]}")


def _write(folder: Path, model: str, suite: str, samples: Iterable[Sample]) -> int:
    there = answered(folder, model, suite)
    count = 0
    with SampleWriter(folder, model, suite) as write:
        for sample in samples:
            if sample.key not in there:
                write(sample)
                count += 1
    return count


def _tell(comparison: Comparison, folder: Path, form: Format, suites: Iterable[str]) -> None:
    before = read_manifest(folder) if (folder / "manifest.json").exists() else None
    records = dict(before.suites) if before else {}
    for suite in suites:
        samples = [s for model in comparison.models for s in read_samples(folder, model.name, suite)]
        scores = {name for sample in samples for name in sample.scores}
        old = records.get(suite)
        records[suite] = SuiteRecord(
            version=old.version if old else form.value,
            items=max(len({sample.key for sample in samples}), old.items if old else 0),
            scores=tuple(sorted(scores | set(old.scores if old else ()))),
        )
    models = {model.name: ModelRecord(model.served_name, model.endpoint) for model in comparison.models}
    if before:
        models |= before.models
    tool = {**(before.tool if before else {}), "modelroute": __version__, "import": form.value}
    hashed = comparison.evaluation_hash
    write_manifest(folder, Manifest(comparison.name, hashed, comparison.currency, models, records, tool))
