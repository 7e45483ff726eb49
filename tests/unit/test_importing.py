# tables of cases, a case on a line
"""Results from elsewhere: files that the real libraries write here, and what is said of files that they did not."""

import datetime
import json
import uuid
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tests.serving_thread import in_thread

from devstack.model_answers import Speed
from devstack.standins import StandIn, standing_in
from modelroute.cli.bring_in import FORMATS
from modelroute.cli.bring_in import bring_in as command
from modelroute.compare.importing.into import Format, read_records
from modelroute.compare.importing.record import LeftOut, Record, share, text_of, to_sample
from modelroute.compare.results import Sample, prompt_hash, read_results
from modelroute.errors import Invalid

DATA = Path(__file__).parents[1] / "data"
BEGUN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def needs(module: str, why: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not has(module), reason=f"needs {module}, {why}")


def comparison(folder: Path, suite: str) -> Path:
    path = folder / "comparison.yaml"
    price = {"inputPerMillionTokens": "1", "outputPerMillionTokens": "2"}
    told = {
        "apiVersion": "modelroute.dev/compare/v1",
        "name": "elsewhere",
        "models": [{"name": "large", "price": price}, {"name": "small"}],
        "suites": [{"name": suite}],
        "criteria": [{"name": "accuracy", "weight": 1, "worst": "50%", "target": "90%"}],
    }
    path.write_text(yaml.safe_dump(told))
    return path


def brought(folder: Path, source: Path, form: str, *more: str, suite: str = "qa") -> dict[str, Sample]:
    """Import through the command line; the samples by item."""
    arguments = [str(source), "-f", str(comparison(folder, suite)), "--format", form, "--model", "large"]
    if form != "lm-eval":
        arguments += ["--suite", suite]
    result = CliRunner().invoke(command, [*arguments, "--out", str(folder / "out"), *more])
    if result.exception:
        raise result.exception
    results = read_results(folder / "out")
    assert results.manifest.tool["import"] == form
    return {sample.item: sample for sample in results.samples["large", suite]}


def test_the_formats_of_the_command_are_those_that_there_are():
    assert sorted(FORMATS) == sorted(Format)


def lm_eval_writes(folder: Path, task: dict[str, object], **model: object) -> None:
    """A folder of results, as `lm_eval --output_path … --log_samples` makes it."""
    import lm_eval
    from datasets import Dataset
    from lm_eval.loggers import EvaluationTracker

    from modelroute.compare.evaluation import harness  # noqa: F401 - keeps the libraries offline and quiet

    docs = [{"q": f"Is {n} even?", "a": "yes" if n % 2 == 0 else "no", "at": n % 2} for n in range(5)]
    told = {"custom_dataset": lambda **_: {"test": Dataset.from_list(docs)}, "test_split": "test", "doc_to_text": "q"}
    tracker = EvaluationTracker(output_path=str(folder))
    found = lm_eval.simple_evaluate(
        **model,
        tasks=[{"task": "Even_Numbers", **told, **task, "metadata": {"version": 1}}],
        task_manager=lm_eval.tasks.TaskManager(include_defaults=False),
        bootstrap_iters=0,
        evaluation_tracker=tracker,
    )
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    for name, each in samples.items():
        tracker.save_results_samples(task_name=name, samples=each)


@needs("lm_eval", "of modelroute[eval]")
@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_lm_eval_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    metric = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    task: dict[str, object] = {"output_type": "generate_until", "doc_to_target": "a", "metric_list": [metric]}
    task |= {"generation_kwargs": {"until": [], "max_gen_toks": 3}}
    with in_thread(standing_in([StandIn("a", 0, {}, speed=Speed(speed_up=1000))])) as urls:
        asked = {"model": "a", "base_url": f"{urls['a']}/chat/completions", "tokenizer_backend": "none"}
        lm_eval_writes(
            tmp_path / "lm", task, model="local-chat-completions", model_args=asked, apply_chat_template=True
        )

    got = brought(tmp_path, tmp_path / "lm", "lm-eval", "--rename", "exact_match=accuracy", suite="even-numbers")

    assert sorted(got) == ["0", "1", "2", "3", "4"]
    assert got["3"].prompt == "Is 3 even?"
    assert got["3"].hash == prompt_hash("Is 3 even?")
    assert (got["3"].expected, len((got["3"].answer or "").split())) == ("no", 3)
    assert all(sample.scores == {"accuracy": 0.0} for sample in got.values())


@needs("lm_eval", "of modelroute[eval]")
@pytest.mark.filterwarnings("ignore")
def test_a_multiple_choice_of_lm_eval_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    metric = {"metric": "acc", "aggregation": "mean", "higher_is_better": True}
    task: dict[str, object] = {"output_type": "multiple_choice", "doc_to_target": "at", "doc_to_choice": ["yes", "no"]}
    lm_eval_writes(tmp_path / "lm", task | {"metric_list": [metric]}, model="dummy")

    got = brought(tmp_path, tmp_path / "lm", "lm-eval", "--rename", "acc=accuracy", suite="even-numbers")

    assert [got[str(n)].prompt for n in range(5)] == [f"Is {n} even?" for n in range(5)]
    for n in range(5):
        # The dummy guesses: what counts is that the likeliest choice is read from the same numbers as the score.
        assert got[str(n)].scores == {"accuracy": float(got[str(n)].answer == f"choice {n % 2}")}


@needs("langsmith", "of modelroute[judge]")
@needs("openevals", "of modelroute[judge]")
@pytest.mark.filterwarnings("ignore")
def test_rows_of_a_langsmith_experiment_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    from langsmith import Client, evaluate
    from langsmith.schemas import Example
    from openevals.exact import exact_match

    examples = [
        Example(
            id=uuid.UUID(int=n),
            inputs={"question": f"{n} + 1?"},
            outputs={"answer": str(n + 1)},
            dataset_id=uuid.UUID(int=99),
            created_at=BEGUN,
        )
        for n in range(3)
    ]

    def correct(outputs: dict[str, str], reference_outputs: dict[str, str]) -> object:
        return exact_match(outputs=outputs, reference_outputs=reference_outputs)

    rows = evaluate(
        lambda inputs: {"answer": "2" if inputs["question"] != "2 + 1?" else 1 / 0},
        data=examples,
        evaluators=[correct],
        upload_results=False,
        client=Client(api_url="http://127.0.0.1:9", api_key="none", auto_batch_tracing=False),
    )
    written = [
        {
            "run": row["run"].model_dump(mode="json"),
            "example": row["example"].model_dump(mode="json"),
            "evaluation_results": {
                "results": [r.model_dump(mode="json") for r in row["evaluation_results"]["results"]]
            },
        }
        for row in rows
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in written))

    got = brought(tmp_path, tmp_path / "rows.jsonl", "langsmith", "--rename", "exact_match=accuracy")

    first, second, third = (got[str(uuid.UUID(int=n))] for n in range(3))
    assert (first.prompt, first.expected, first.answer) == ("0 + 1?", "1", "2")
    assert [first.scores, second.scores] == [{"accuracy": 0.0}, {"accuracy": 1.0}]
    assert 0 <= (first.latency_s or -1) < 5
    assert "division by zero" in (third.error or "")
    assert third.scores == {}


@needs("openevals", "of modelroute[judge]")
def test_exchanges_with_the_results_of_openevals_are_read(tmp_path):
    from openevals.exact import exact_match
    from openevals.string.levenshtein import levenshtein_distance

    rows = []
    for said in ("yes", "no"):
        told = {"outputs": said, "reference_outputs": "yes"}
        results = [evaluator(**told) for evaluator in (exact_match, levenshtein_distance)]
        rows.append({"id": said, "inputs": f"Not {said}?", **told, "results": results})
    (tmp_path / "rows.json").write_text(json.dumps(rows))

    got = brought(tmp_path, tmp_path / "rows.json", "openevals")

    assert got["yes"].scores == {"equal": 1.0, "levenshtein_distance": 1.0} or got["yes"].scores["exact_match"] == 1.0
    assert got["no"].expected == "yes"
    assert max(got["no"].scores.values()) < 1


@needs("azure.ai.evaluation", "of modelroute[azure]")
@pytest.mark.filterwarnings("ignore")
def test_the_output_of_azure_ai_evaluation_is_read(tmp_path):
    from azure.ai import evaluation

    given = [{"id": f"i{n}", "query": f"{n}?", "response": "blue sky", "ground_truth": "blue"} for n in range(2)]
    (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in given))
    evaluation.evaluate(
        data=str(tmp_path / "data.jsonl"),
        evaluators={
            "f1": evaluation.F1ScoreEvaluator(),
            "rouge": evaluation.RougeScoreEvaluator(rouge_type=evaluation.RougeType.ROUGE_L),
        },
        output_path=str(tmp_path / "out.json"),
    )

    got = brought(tmp_path, tmp_path / "out.json", "azure")

    assert got["i1"].scores == pytest.approx({"f1": 2 / 3, "rouge": 2 / 3})
    assert (got["i1"].prompt, got["i1"].answer, got["i1"].expected) == ("1?", "blue sky", "blue")


@needs("azure.ai.evaluation", "of modelroute[azure]")
@pytest.mark.filterwarnings("ignore")
def test_grades_of_azure_become_shares(tmp_path):
    from azure.ai import evaluation
    from tests.judge_server import judging

    (tmp_path / "data.jsonl").write_text('{"id": "a", "query": "?", "response": "blue sky"}\n')
    said = {"reason": "fine", "explanation": "fine", "score": 4, "status": "completed"}
    with in_thread(judging(lambda _: said)) as (url, _):
        model = {"type": "openai", "api_key": "none", "model": "judge", "base_url": url}
        evaluation.evaluate(
            data=str(tmp_path / "data.jsonl"),
            evaluators={"coherent": evaluation.CoherenceEvaluator(model)},
            output_path=str(tmp_path / "out.json"),
        )

    assert brought(tmp_path, tmp_path / "out.json", "azure")["a"].scores == {"coherent": 0.75}


COLUMNS = ["id", "question", "text", "accuracy", "tokens_in", "tokens_out"]
WHERE = ("answer=text", "input_tokens=tokens_in", "output_tokens=tokens_out")
SAYS_WHERE = [part for each in WHERE for part in ("--column", each)]


Logged = tuple[str, list[list[object]]]


def wandb_run(folder: Path, *logged: Logged) -> Path:
    """The folder of an offline run that logged these tables, a step each, and the first one as CSV beside it."""
    import wandb

    quiet = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True)
    with wandb.init(project="p", dir=str(folder), mode="offline", settings=quiet) as run:
        tables = [(key, wandb.Table(columns=COLUMNS, data=rows)) for key, rows in logged]
        tables[0][1].get_dataframe().to_csv(folder / "table.csv", index=False)
        for key, table in tables:
            run.log({key: table})
        return Path(run.dir).parent


FIRST: Logged = ("support/qa", [["a", "2+2?", "5", False, 5, 1], ["b", "3?", None, None, 5, 0]])
AGAIN: Logged = ("support/qa", [["a", "2+2?", "4", True, 5, 1], ["b", "3?", None, None, 5, 0]])


@needs("wandb", "of modelroute[wandb]")
@needs("pandas", "which wandb's tables are written as CSV with")
@pytest.mark.filterwarnings("ignore")
def test_a_run_of_weights_and_biases_is_read_as_folder_as_table_and_as_csv(tmp_path):
    run = wandb_run(tmp_path, AGAIN)
    (table,) = run.rglob("*.table.json")

    for number, source in enumerate((run, table, tmp_path / "table.csv")):
        (tmp_path / str(number)).mkdir()
        got = brought(tmp_path / str(number), source, "wandb", *SAYS_WHERE)

        assert (got["a"].prompt, got["a"].answer, got["a"].scores) == ("2+2?", "4", {"accuracy": 1.0})
        assert got["a"].cost == Decimal("0.000007")
        assert got["b"].error == "no answer was recorded"


@needs("wandb", "of modelroute[wandb]")
@needs("pandas", "which wandb's tables are written as CSV with")
@pytest.mark.filterwarnings("ignore")
def test_of_a_table_that_was_logged_twice_the_last_is_taken_and_of_two_tables_none(tmp_path):
    twice = wandb_run(tmp_path, FIRST, AGAIN)
    two = wandb_run(tmp_path, FIRST, ("other", FIRST[1]))

    assert brought(tmp_path, twice, "wandb", *SAYS_WHERE)["a"].answer == "4"
    with pytest.raises(Invalid, match=r"holds 2 tables: name the file of one \(files/media/table/other_1_\w+\.table"):
        list(read_records(Format.WANDB, two, {}, ()))


@needs("mlflow", "of modelroute[mlflow]")
@needs("pandas", "which mlflow's log_table writes with")
@pytest.mark.filterwarnings("ignore")
def test_a_table_that_mlflow_logged_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"file:{tmp_path}/mlruns")
    run = client.create_run(client.create_experiment("e")).info.run_id
    table = {
        "inputs": ["2+2?", "3+3?"],
        "outputs": ["4", "7"],
        "targets": ["4", "6"],
        "exact_match": [1, 0],
        "latency": [0.5, 0.25],
    }
    client.log_table(run, table, "eval_results_table.json")
    (written,) = tmp_path.rglob("eval_results_table.json")

    got = list(brought(tmp_path, written, "mlflow", "--rename", "exact_match=accuracy").values())

    assert [(sample.prompt, sample.answer, sample.expected, sample.latency_s) for sample in got] == [
        ("2+2?", "4", "4", 0.5),
        ("3+3?", "7", "6", 0.25),
    ]
    assert [sample.scores for sample in got] == [{"accuracy": 1.0}, {"accuracy": 0.0}]
    assert [sample.item for sample in got] == [prompt_hash("2+2?"), prompt_hash("3+3?")]


def test_logs_of_humanloop_are_read(tmp_path):
    """The file was written by the types of the last humanloop there will be, 0.8.38: PromptLogResponse(…), a line each
    by model_dump_json(). The service has closed, and the package came without a licence, so it is not installed here.
    """
    got = brought(tmp_path, DATA / "humanloop-0.8.38-prompt-logs.jsonl", "humanloop")

    assert sorted(got) == ["dp_0", "dp_1", "dp_2"]
    assert (got["dp_0"].prompt, got["dp_0"].answer, got["dp_0"].expected) == ("Be brief.\n\n0 + 1?", "1", "1")
    assert [got[f"dp_{n}"].scores for n in range(3)] == [{"accuracy": 1.0}, {"accuracy": 0.0}, {}]
    assert (got["dp_0"].latency_s, got["dp_0"].input_tokens, got["dp_0"].cost) == (0.8, 10, Decimal("0.003"))
    assert (got["dp_2"].error, got["dp_2"].answer) == ("the provider answered 500", None)


def table(folder: Path, *rows: str) -> Path:
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder / "table.csv"


def test_a_csv_is_read_and_its_columns_of_shares_are_scores(tmp_path):
    path = table(tmp_path, "id,prompt,answer,accuracy,stars,note", "a,2?,2,1,4.5,x", "b,3?,,0.5,3,y", "c,4?,4,,5,z")

    got = brought(tmp_path, path, "wandb")

    assert [got[item].scores for item in "abc"] == [{"accuracy": 1.0}, {}, {}]
    assert got["b"].error == "no answer was recorded"


def test_scores_outside_0_to_1_are_left_out_and_said_so(tmp_path):
    path = table(tmp_path, "id,prompt,answer,stars", "a,2?,2,4.5", "b,3?,3,3")
    arguments = [
        str(path),
        "-f",
        str(comparison(tmp_path, "qa")),
        "--format",
        "wandb",
        "--model",
        "large",
        "--suite",
        "qa",
    ]

    result = CliRunner().invoke(command, [*arguments, "--score", "stars", "--out", str(tmp_path / "out")])

    assert result.stdout == f"large · qa: 2 new samples in {tmp_path / 'out'}\n"
    assert result.stderr == "Note: score 'stars' left out of 2 samples: '4.5' is not from 0 to 1\n"


def test_importing_twice_adds_nothing_and_two_models_share_a_folder(tmp_path):
    path = table(tmp_path, "id,prompt,answer,accuracy", "a,2?,2,1")
    brought(tmp_path, path, "wandb")
    brought(tmp_path, path, "wandb")
    arguments = [
        str(path),
        "-f",
        str(comparison(tmp_path, "qa")),
        "--format",
        "mlflow",
        "--model",
        "small",
        "--suite",
        "qa",
    ]
    CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")], catch_exceptions=False)

    results = read_results(tmp_path / "out")
    assert len((tmp_path / "out/large/qa.jsonl").read_text().splitlines()) == 1
    assert {name: len(samples) for (name, _), samples in results.samples.items()} == {"large": 1, "small": 1}
    assert results.manifest.suites["qa"].scores == ("accuracy",)


def test_two_questions_under_one_id_stay_two_items(tmp_path):
    got = brought(tmp_path, table(tmp_path, "id,prompt,answer", "a,2?,2", "a,3?,3"), "wandb")

    assert sorted(got) == ["a", f"a-{prompt_hash('3?')[:4]}"]


@pytest.mark.parametrize(
    ("form", "name", "content", "said"),
    [
        ("wandb", "t.csv", "id,text\na,b\n", "has no column for the prompt: say --column prompt="),
        ("wandb", "t.table.json", '{"columns": ["a"]}', "is not a table: expected columns and data"),
        ("wandb", "a/b.txt", "", "a holds no media/table/*.table.json"),
        ("mlflow", "t.json", "{", "is not JSON"),
        ("langsmith", "t.json", "{}", "is not what this format writes: expected a list of objects"),
        ("langsmith", "t.jsonl", '{"run": {}}\n{"x": 1}\n', "row 1 has neither a run nor outputs with results: x"),
        ("openevals", "t.jsonl", '{"outputs": 1}\n{\n', "t.jsonl:2 is not JSON"),
        ("humanloop", "t.json", '[{"id": "a"}]', "log 0 has neither output nor output_message"),
        ("azure", "t.json", '{"rows": [{"query": 1}]}', "row 0 has no inputs.* and outputs.*"),
        ("lm-eval", "samples_x_2026-01-01T00-00-00.1.jsonl", '{"a": 1}\n', "a line has no doc_id"),
        ("lm-eval", "results.jsonl", "{}\n", "has no samples_<task>_<time>.jsonl"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, form, name, content, said):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    source = name.split("/")[0]

    with pytest.raises(Invalid) as refused:
        list(read_records(Format(form), tmp_path / source, {}, ()))

    assert said in str(refused.value)
    assert source in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "none"], "--model: no model is called 'none': there are large, small"),
        (["--suite", "none"], "--suite: no suite is called 'none': there are qa"),
        (["--column", "prompts=a"], "there is no field 'prompts'; there are item, prompt"),
        (["--column", "prompt=a"], "has no column 'a'; it has id, prompt, answer"),
        (["--score", "a"], "has no column 'a'"),
    ],
)
def test_what_the_comparison_or_the_table_does_not_have_is_named(tmp_path, more, said):
    with pytest.raises(Invalid) as refused:
        brought(tmp_path, table(tmp_path, "id,prompt,answer", "a,2?,2"), "wandb", *more)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (True, 1.0),
        (False, 0.0),
        (0.5, 0.5),
        ("0.25", 0.25),
        ("True", 1.0),
        ("false", 0.0),
        (2, None),
        (-1, None),
        ("good", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_what_counts_as_a_score(value, number):
    assert share(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        ({"question": "a"}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "a\n\nb"),
        ({"role": "assistant", "content": "a"}, "a"),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
        ([1], "[1]"),
    ],
)
def test_values_become_what_a_person_would_read(value, text):
    assert text_of(value) == text


def test_nonsense_in_a_number_is_unknown_not_zero():
    record = Record("p", "a", {}, latency_s="fast", input_tokens=True, output_tokens=-1, cost="free")

    sample = to_sample(record, None, LeftOut())

    assert (sample.latency_s, sample.input_tokens, sample.output_tokens, sample.cost) == (None, None, None, None)
