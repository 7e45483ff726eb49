# tables of cases, a case on a line
"""Telling a decision to Weights & Biases and to MLflow, and reading back what they keep."""

import json
import time
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelroute.cli.log import log
from modelroute.compare.importing.into import Format, read_records
from modelroute.compare.results import (
    Manifest,
    ModelRecord,
    Sample,
    SampleWriter,
    SuiteRecord,
    prompt_hash,
    read_results,
    write_manifest,
)
from modelroute.compare.tracking.told import to_tell
from modelroute.errors import Invalid, Unavailable

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs wandb, of modelroute[wandb]")
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs mlflow-skinny, of modelroute[mlflow]")
ACCURACY = {"value": 0.9, "low": 0.8, "high": None}


def decided(folder: Path, **change: object) -> Path:
    models = {
        name: {"eligible": True, "total": 0.5, "measures": {"accuracy@qa": ACCURACY, "latencyP95": None}}
        for name in ("large", "small")
    }
    told: dict[str, object] = {
        "schema": "modelroute.dev/decision/v1",
        "comparison": "c",
        "currency": "USD",
        "baseline": "large",
    }
    told |= {"winner": "small", "headline": "small wins", "models": models}
    (folder / "decision.json").write_text(json.dumps(told | change))
    return folder / "decision.json"


def results(folder: Path) -> Path:
    out = folder / "out"
    models = {name: ModelRecord(f"served-{name}", "http://h/v1", {"perRequest": "0.5"}) for name in ("large", "small")}
    write_manifest(out, Manifest("c", "0", "USD", models, {"qa": SuiteRecord("1", 2, ("accuracy",))}))
    for name in models:
        with SampleWriter(out, name, "qa") as write:
            for item in "ab":
                asked = (item, prompt_hash(item), item, "yes")
                write(
                    Sample(
                        *asked,
                        f"{name} says {item}",
                        {"accuracy": 1.0},
                        None,
                        0.5,
                        0.1,
                        3,
                        4,
                        Decimal("0.5"),
                        None,
                        False,
                    )
                )
    return out


def test_a_measure_is_told_with_its_bounds_and_what_is_unknown_is_left_out(tmp_path):
    told = to_tell(decided(tmp_path), read_results(results(tmp_path)))

    large, small = told.runs
    assert large.metrics == {"total": 0.5, "accuracy/qa": 0.9, "accuracy/qa.low": 0.8}
    assert (large.won, small.won) == (False, True)
    assert large.params["servedName"] == "served-large"
    assert large.params["price.perRequest"] == "0.5"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"schema": "modelroute.dev/decision/v9"},
            "no decision of this version: write one with modelroute compare -o json",
        ),
        ({"models": {"other": {}}}, "speaks of other, which the results do not have"),
    ],
)
def test_a_file_that_is_not_this_decision_is_refused(tmp_path, change, said):
    with pytest.raises(Invalid, match=said):
        to_tell(decided(tmp_path, **change), read_results(results(tmp_path)))


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_a_run_a_model_and_the_table_can_be_imported_again(tmp_path):
    arguments = [str(decided(tmp_path)), "--results", str(results(tmp_path)), "--to", "mlflow"]
    uri = f"file:{tmp_path}/mlruns"

    result = CliRunner().invoke(log, [*arguments, "--uri", uri, "--project", "choice"], catch_exceptions=False)

    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("choice").experiment_id])
    by_name = {run.data.tags["modelroute.model"]: run for run in runs}
    assert set(by_name) == {"large", "small"}
    assert by_name["small"].data.tags["modelroute.winner"] == "true"
    assert by_name["small"].data.metrics == {"total": 0.5, "accuracy/qa": 0.9, "accuracy/qa.low": 0.8}
    assert by_name["small"].info.status == "FINISHED"
    assert f"small (winner): {by_name['small'].info.run_id}" in result.output
    assert len(list(tmp_path.rglob("artifacts/decision.json"))) == 2
    table = next(tmp_path.rglob(f"{by_name['small'].info.run_id}/artifacts/samples/qa.json"))
    again = list(read_records(Format.MLFLOW, table, {}, ()))
    assert [(record.item, record.answer, record.scores) for record in again] == [
        ("a", "small says a", {"accuracy": 1.0}),
        ("b", "small says b", {"accuracy": 1.0}),
    ]


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_dead_mlflow_server_costs_seconds_and_says_so(tmp_path):
    arguments = [
        str(decided(tmp_path)),
        "--results",
        str(results(tmp_path)),
        "--to",
        "mlflow",
        "--uri",
        "http://127.0.0.1:9",
    ]
    began = time.monotonic()

    result = CliRunner().invoke(log, arguments)

    assert isinstance(result.exception, Unavailable)
    assert str(result.exception).startswith("MLflow at http://127.0.0.1:9 did not take the decision: ")
    assert time.monotonic() - began < 20


@needs_wandb
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_keeps_a_run_a_model_offline(tmp_path):
    arguments = [str(decided(tmp_path)), "--results", str(results(tmp_path)), "--to", "wandb", "--dir", str(tmp_path)]

    result = CliRunner().invoke(log, arguments, catch_exceptions=False)

    # wandb has words of its own on standard error, where other libraries are loaded.
    assert result.stdout.startswith(f"large: {tmp_path}/wandb/offline-run-")
    assert len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 2
    tables = sorted(tmp_path.rglob("*.table.json"))
    answers = {record.answer for table in tables for record in read_records(Format.WANDB, table, {}, ())}
    assert answers == {f"{name} says {item}" for name in ("large", "small") for item in "ab"}
