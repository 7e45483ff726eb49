"""The results folder: nothing is lost, nothing half is read, another version is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelroute.compare import results
from modelroute.compare.results import Manifest, ModelRecord, Sample, SampleWriter, SuiteRecord
from modelroute.errors import Invalid

SAMPLE = Sample(
    item="neg-001",
    hash=results.prompt_hash("Is no bird a fish?"),
    prompt="Is no bird a fish?",
    expected="yes",
    answer="yes\u2028indeed\n",
    scores={"accuracy": 1.0},
    violation=False,
    latency_s=0.812,
    first_token_s=0.1,
    input_tokens=41,
    output_tokens=7,
    cost=Decimal("0.000123"),
    error=None,
    refused=False,
)
MANIFEST = Manifest(
    comparison="support",
    comparison_hash="0123456789abcdef",
    currency="USD",
    models={"large": ModelRecord("llama-70b", "http://127.0.0.1:1/v1", {"perRequest": "0.1"})},
    suites={"negation": SuiteRecord("1", 60, ("accuracy",))},
    tool={"modelroute": "0.1.0"},
)


def write(folder: Path, *samples: Sample) -> Path:
    with SampleWriter(folder, "large", "negation") as writer:
        for sample in samples:
            writer(sample)
    return results.sample_path(folder, "large", "negation")


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    results.write_manifest(tmp_path, MANIFEST)
    write(tmp_path, SAMPLE)

    found = results.read_results(tmp_path)

    assert found.manifest == MANIFEST
    assert found.samples == {("large", "negation"): (SAMPLE,)}


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4),
    latency=st.none() | st.floats(0, 1e6),
    cost=st.none() | st.decimals("0", "1000", places=9),
)
def test_any_sample_survives_its_line(texts: list[str], latency: float | None, cost: Decimal | None) -> None:
    sample = replace(SAMPLE, prompt=texts[0], answer=texts[-1], latency_s=latency, cost=cost)

    line = results.to_line(sample)

    assert line.count("\n") == 1
    assert results.from_line(line, at="here") == sample


def test_a_line_that_a_crash_cut_short_is_dropped_and_the_next_one_starts_afresh(tmp_path: Path) -> None:
    second = replace(SAMPLE, item="neg-002", answer="né")
    path = write(tmp_path, SAMPLE, second)
    cut = path.read_bytes()
    path.write_bytes(cut[: cut.rindex("é".encode()) + 1])  # in the middle of a character

    assert results.read_samples(tmp_path, "large", "negation") == (SAMPLE,)

    write(tmp_path, second)

    assert results.read_samples(tmp_path, "large", "negation") == (SAMPLE, second)


def test_an_item_that_failed_is_asked_again_and_its_last_line_counts(tmp_path: Path) -> None:
    failed = replace(SAMPLE, answer=None, scores={}, error="timeout after 30 s")
    write(tmp_path, failed)

    assert results.answered(tmp_path, "large", "negation") == frozenset()

    write(tmp_path, SAMPLE)

    assert results.answered(tmp_path, "large", "negation") == {SAMPLE.key}
    assert results.read_samples(tmp_path, "large", "negation") == (SAMPLE,)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "holds no results (it has no manifest.json): run modelroute evaluate first"),
        ("{", "cannot be read: "),
        ("[]", "manifest.json: schema: the results are of version None, and this modelroute reads modelroute.dev/resu"),
        ('{"schema": "modelroute.dev/results/v9"}', "the results are of version 'modelroute.dev/results/v9', and this"),
        (json.dumps({"schema": results.SCHEMA}), "manifest.json: comparison: field required"),
    ],
    ids=["no manifest", "broken", "a list", "another version", "half of it"],
)
def test_a_folder_that_holds_no_results_of_this_version_is_refused(
    tmp_path: Path, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content, encoding="utf-8")

    with pytest.raises(Invalid) as error:
        results.read_results(tmp_path)

    assert says in str(error.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{oops}", "negation.jsonl:2: is not a line of JSON"),
        ('{"item": "a"}', "negation.jsonl:2: hash: field required"),
        (
            results.to_line(SAMPLE).replace('"accuracy": 1.0', '"accuracy": 1.5').strip(),
            "negation.jsonl:2: scores.accu",
        ),
        (results.to_line(SAMPLE).replace("0.000123", "cheap").strip(), "negation.jsonl:2: cost: 'cheap' is not an amo"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path, SAMPLE)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")

    with pytest.raises(Invalid) as error:
        results.read_samples(tmp_path, "large", "negation")

    assert says in str(error.value)
