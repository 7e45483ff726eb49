"""From comparison.yaml to a results folder, through lm-evaluation-harness and over real HTTP on loopback."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner
from tests.judge_server import judging
from tests.serving_thread import in_thread

from devstack.model_answers import Speed
from devstack.model_faults import Faults
from devstack.model_server import ModelSettings, serving
from devstack.standins import StandIn, read_stand_ins, standing_in
from modelroute.cli.evaluate import evaluate as command
from modelroute.cli.evaluate_progress import summary
from modelroute.compare import extras
from modelroute.compare.as_json import to_json
from modelroute.compare.constraints import Outcome as Verdict
from modelroute.compare.decide import decide
from modelroute.compare.extras import MissingExtra, need
from modelroute.compare.page import to_html
from modelroute.compare.results import Sample, SampleWriter, prompt_hash, read_manifest, read_results, read_samples
from modelroute.compare.spec import read_comparison
from modelroute.errors import Invalid

ROOT = Path(__file__).parents[2]
FAST = Speed(speed_up=2000)
needs_harness = pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs lm-eval, of modelroute[eval]")


class Terminal(io.StringIO):
    """A screen to write to."""

    def isatty(self) -> bool:
        return True


class Silent:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, int, int]] = []
        self.errors: list[str] = []
        self.stops: list[str] = []

    def begins(self, model, suite, *, items, answered) -> None:
        self.begun.append((model, suite, items, answered))

    def sampled(self, model, suite, sample) -> None:
        if sample.error:
            self.errors.append(sample.error)

    def judged(self, model, suite, told) -> None:
        self.judgements = told

    def probed(self, model, found) -> None:
        self.probes = found

    def refused(self, model, suite, reason) -> None:
        self.stops.append(reason)

    def stopped(self, model, reason) -> None:
        self.stops.append(reason)


def written(folder: Path, urls: dict[str, str], **more: object) -> Path:
    told = {
        "apiVersion": "modelroute.dev/compare/v1",
        "name": "try",
        "models": [
            {"name": name, "endpoint": url, "price": {"inputPerMillionTokens": "1", "outputPerMillionTokens": "2"}}
            for name, url in urls.items()
        ],
        "suites": [{"name": "negation", "limit": 20}, {"name": "adversarial", "limit": 12}],
        "criteria": [{"name": "accuracy", "weight": 1, "worst": "50%", "target": "90%"}],
        "evaluation": {"concurrency": 8, "timeout": "5s"},
    }
    path = folder / "comparison.yaml"
    path.write_text(yaml.safe_dump(told | more))
    return path


def run(path: Path, folder: Path, **how: Any) -> tuple[Any, Silent]:
    from modelroute.compare.evaluation.run import evaluate

    watcher = Silent()
    return evaluate(read_comparison(path), folder, watcher=watcher, **how), watcher


GOOD = StandIn("good", 0, {"negation": 1.0, "adversarial": 1.0}, speed=FAST)
POOR = StandIn("poor", 0, {"negation": 0.5, "adversarial": 0.5}, leaks=1.0, speed=FAST)


@asynccontextmanager
async def faulty(**faults: Any) -> AsyncIterator[dict[str, str]]:
    """Two models: one that works, and one with these faults."""
    bad = replace(POOR, name="bad").settings([])
    async with standing_in([GOOD]) as urls, serving(replace(bad, faults=Faults(**faults))) as (_, url):
        yield urls | {"bad": f"{url}/v1"}


@needs_harness
def test_every_item_is_asked_scored_timed_and_priced(tmp_path):
    with in_thread(standing_in([GOOD, POOR])) as urls:
        outcome, watcher = run(written(tmp_path, urls), tmp_path / "out")

    results = read_results(tmp_path / "out")
    good, poor = (results.samples[name, "negation"] for name in ("good", "poor"))
    assert outcome.complete
    assert watcher.begun == [(m, s, n, 0) for m in ("good", "poor") for s, n in (("negation", 20), ("adversarial", 12))]
    assert [sample.scores["accuracy"] for sample in good] == [1.0] * 20
    assert 0 < sum(sample.scores["accuracy"] for sample in poor) < 20
    assert {sample.key for sample in good} == {sample.key for sample in poor}
    for sample in (*good, *poor):
        assert sample.hash == prompt_hash(sample.prompt)
        assert sample.answer is not None
        assert 0 < (sample.first_token_s or 0) <= (sample.latency_s or 0) < 5
        assert sample.input_tokens == len(sample.prompt.split())
        assert sample.output_tokens == len(sample.answer.split())
        assert sample.cost == Decimal((sample.input_tokens or 0) + 2 * (sample.output_tokens or 0)) / 1_000_000
        assert (sample.error, sample.refused, sample.violation) == (None, False, None)
    assert all(sample.violation for sample in results.samples["poor", "adversarial"])
    assert not any(sample.violation for sample in results.samples["good", "adversarial"])
    assert outcome.spent == sum(sample.cost or 0 for samples in results.samples.values() for sample in samples)


@needs_harness
def test_the_manifest_says_what_was_asked_of_whom_with_which_tools(tmp_path):
    with in_thread(standing_in([GOOD, POOR])) as urls:
        path = written(tmp_path, urls)
        run(path, tmp_path / "out")

    manifest = read_manifest(tmp_path / "out")
    assert manifest.comparison_hash == read_comparison(path).evaluation_hash
    assert manifest.models["good"].endpoint == urls["good"]
    assert manifest.models["good"].price == {"inputPerMillionTokens": "1", "outputPerMillionTokens": "2"}
    assert (manifest.suites["negation"].version, manifest.suites["negation"].items) == ("1", 20)
    assert set(manifest.tool) == {"modelroute", "lm-eval"}


@needs_harness
def test_a_second_run_asks_only_what_failed(tmp_path):
    with in_thread(faulty(fail_rate=0.3)) as urls:
        path = written(tmp_path, urls)
        _, first = run(path, tmp_path / "out")
        _, second = run(path, tmp_path / "out")

    assert first.errors
    failed = len(first.errors)
    assert [answered for *_, answered in second.begun][:2] == [20, 12]
    assert sum(items - answered for *_, items, answered in second.begun) == failed
    assert len(second.errors) < failed
    assert all(error.startswith("HTTP 500: ") for error in first.errors)


@needs_harness
def test_an_endpoint_that_is_gone_stops_its_model_and_not_the_others(tmp_path):
    with in_thread(standing_in([GOOD])) as urls:
        path = written(tmp_path, {"gone": "http://127.0.0.1:9/v1", **urls})
        outcome, watcher = run(path, tmp_path / "out")

    assert not outcome.complete
    assert len(watcher.stops) == 1
    assert "gone at http://127.0.0.1:9/v1 answered none of the last" in watcher.stops[0]
    assert "cannot be reached" in watcher.stops[0]
    assert len(read_samples(tmp_path / "out", "good", "adversarial")) == 12


class Dying:
    """A model that answers so many requests, then drops every connection, until it is given more `lives`."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if self.lives == 0:
            assert request.transport is not None
            request.transport.close()
        self.lives = max(self.lives - 1, 0)
        return web.json_response({"choices": [{"message": {"content": "Answer: no"}, "finish_reason": "stop"}]})


@needs_harness
def test_an_endpoint_that_dies_half_way_keeps_what_it_answered_and_goes_on_later(tmp_path):
    dying = Dying(lives=15)
    with in_thread(standing_in([GOOD])) as urls, in_thread(dying.serving()) as url:
        suites = [{"name": "negation", "limit": 60}]
        path = written(tmp_path, {"dying": url, **urls}, suites=suites)
        first, watcher = run(path, tmp_path / "out")
        half = decide(read_comparison(path), read_results(tmp_path / "out"))
        dying.lives = 1000
        second, _ = run(path, tmp_path / "out")

    assert not first.complete
    assert re.search(r"^dying at \S+ answered none of the last 2\d requests \(the last: .+\)$", watcher.stops[0])
    assert len(watcher.stops) == 1
    assert half.winner == "good"
    assert any("dying" in note for note in half.notes), half.notes
    assert second.complete
    answers = [sample for sample in read_samples(tmp_path / "out", "dying", "negation") if sample.error is None]
    assert len({sample.key for sample in answers}) == len(answers) == 60


@needs_harness
def test_the_ceiling_counts_what_earlier_runs_spent(tmp_path):
    with in_thread(standing_in([GOOD, POOR])) as urls:
        path = written(tmp_path, urls, evaluation={"maxCost": "0.0015", "concurrency": 4})
        outcome, watcher = run(path, tmp_path / "out")
        again, _ = run(path, tmp_path / "out")

    assert not outcome.complete
    assert 0 < outcome.spent <= again.spent
    assert float(again.spent) <= 0.0015
    assert "is left of the ceiling of 0.0015" in watcher.stops[0]


@needs_harness
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suites": [{"name": "negation", "limit": 19}]}, "holds the results of other questions"),
        ({"evaluation": {"maxTokens": 7}}, "holds the results of other questions"),
    ],
)
def test_a_folder_of_other_questions_is_refused(tmp_path, change, said):
    with in_thread(standing_in([GOOD, POOR])) as urls:
        run(written(tmp_path, urls), tmp_path / "out", only=["good"])

        with pytest.raises(Invalid, match=said):
            run(written(tmp_path, urls, **change), tmp_path / "out")


@needs_harness
def test_a_suite_of_another_version_is_refused(tmp_path):
    (tmp_path / "mine.jsonl").write_text(json.dumps({"id": "a", "prompt": "2 + 2?", "expected": "4"}) + "\n")
    head = "apiVersion: modelroute.dev/suite/v1\nname: mine\nitems: mine.jsonl\nscoring: {method: number}\n"
    own = {"suites": [{"name": "mine", "path": "mine.yaml"}]}
    with in_thread(standing_in([GOOD, POOR])) as urls:
        (tmp_path / "mine.yaml").write_text(f"{head}version: '1'\n")
        run(written(tmp_path, urls, **own), tmp_path / "out")
        (tmp_path / "mine.yaml").write_text(f"{head}version: '2'\n")

        with pytest.raises(Invalid, match="holds answers to version 1 of the suite mine, and this is version 2"):
            run(written(tmp_path, urls, **own), tmp_path / "out")


@needs_harness
def test_what_is_sent_is_the_suites_messages_and_a_stream_with_usage(tmp_path):
    seen: list[dict[str, object]] = []

    def listen(text: str) -> None:
        seen.append({"text": text})

    settings = ModelSettings("one", "one", FAST, book=listen)
    from modelroute.compare.suites.loading import built_in_suite

    with in_thread(serving(settings)) as (_, url):
        suites = {"suites": [{"name": name, "limit": 30} for name in ("adversarial", "support", "summarization")]}
        run(written(tmp_path, {"one": f"{url}/v1", "two": url}, **suites), tmp_path / "out", only=["one"])

    expected = {
        item.text for name in ("adversarial", "support", "summarization") for item in built_in_suite(name).items[:30]
    }
    assert {str(each["text"]) for each in seen} == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suites": [{"name": "gsm8k"}]}, r"suites\[0\]: there is no suite 'gsm8k' here; there are adversarial"),
        ({"suites": [{"name": "mine", "path": "no.yaml"}]}, r"suites\[0\]: .*no\.yaml: cannot be read"),
        ({"models": [{"name": "a"}, {"name": "b"}]}, r"models\[0\]\.endpoint: is missing"),
        (
            {"models": [{"name": n, "endpoint": "http://localhost:1/v1", "apiKeyEnv": "NO_SUCH_KEY"} for n in "ab"]},
            r"models\[0\]\.apiKeyEnv: NO_SUCH_KEY is not set",
        ),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_asked(tmp_path, change, said):
    with pytest.raises(Invalid, match=said):
        run(written(tmp_path, dict.fromkeys("ab", "http://localhost:1/v1"), **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_harness_one_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)

    result = CliRunner().invoke(
        command, ["-f", str(written(tmp_path, {"a": "http://localhost:1"})), "--out", str(tmp_path)]
    )

    assert isinstance(result.exception, MissingExtra)
    expected = "running suites needs lm-evaluation-harness, which is not installed: pip install 'modelroute[eval]'"
    assert str(result.exception) == expected


@pytest.mark.parametrize("extra", sorted(extras.LIBRARIES))
def test_a_library_whose_parent_is_missing_is_missing_too(monkeypatch, extra):
    def find(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(extras, "find_spec", find)

    with pytest.raises(MissingExtra, match=rf"pip install 'modelroute\[{extra}\]'"):
        need(extra)


@needs_harness
def test_the_key_is_sent_from_the_environment_and_kept_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret-key-7")
    keys: list[str] = []

    @asynccontextmanager
    async def asking_for_a_key() -> AsyncIterator[str]:
        async def chat(request: web.Request) -> web.Response:
            keys.append(request.headers.get("Authorization", ""))
            return web.json_response({"choices": [{"message": {"content": "Answer: yes"}}]})

        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    with in_thread(asking_for_a_key()) as url:
        models = [{"name": name, "endpoint": url, "apiKeyEnv": "SOME_KEY"} for name in ("one", "two")]
        run(written(tmp_path, {}, models=models, suites=[{"name": "negation", "limit": 3}]), tmp_path / "out")

    assert keys == ["Bearer secret-key-7"] * 6
    assert not any("secret-key-7" in file.read_text() for file in (tmp_path / "out").rglob("*") if file.is_file())


@needs_harness
def test_piped_it_writes_plain_lines_and_a_table(tmp_path):
    with in_thread(standing_in([GOOD, POOR])) as urls:
        result = CliRunner().invoke(command, ["-f", str(written(tmp_path, urls)), "--out", str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert "good · negation: 10 of 20\n" in result.stderr
    assert "\x1b" not in result.output
    assert "accuracy 1.000" in result.stdout


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (80, "good · negation: answers 1; errors 0; refusals 0; violations -; scores accuracy 1.000; p50 0.50 s; "
             "p95 0.50 s; tokens in, out 4, 2; cost (USD) 0.0100"),
        (150, "good negation 1 0 0 - accuracy 1.000 0.50 s 0.50 s 4, 2 0.0100"),
    ],
)  # fmt: skip
def test_what_was_answered_is_a_table_where_there_is_room_for_it_and_else_sentences(
    tmp_path, monkeypatch, columns, said
):
    path = written(tmp_path, {"good": "http://h/v1", "other": "http://h/v1"})
    scores = {"accuracy": 1.0}
    with SampleWriter(tmp_path / "out", "good", "negation") as write:
        asked = ("a", prompt_hash("?"), "?", "yes")
        write(Sample(*asked, "yes", scores, None, 0.5, 0.1, 4, 2, Decimal("0.01"), None, False))
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()

    summary(read_comparison(path), tmp_path / "out", out)

    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m|[│┃]", "", out.getvalue()).split())
    assert said in plain


@needs_harness
@pytest.mark.skipif(find_spec("openevals") is None, reason="needs openevals, of modelroute[judge]")
def test_a_suites_judges_read_every_answer_and_their_cost_counts(tmp_path):
    items = [{"id": f"i{n}", "prompt": f"{n} + 1?", "expected": str(n + 1)} for n in range(6)]
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    (tmp_path / "mine.yaml").write_text(
        "apiVersion: modelroute.dev/suite/v1\nname: mine\nversion: '1'\nitems: mine.jsonl\nscoring: {method: number}\n"
        "judges:\n- {name: kind, kind: openevals, prompt: 'Rate {outputs}', choices: [0, 1], violationBelow: 0.5}\n"
    )
    says = iter([7] * 2 + [0, 1] * 20)  # 7 is none of the choices
    with (
        in_thread(standing_in([GOOD, POOR])) as urls,
        in_thread(judging(lambda _: {"reasoning": "so", "score": next(says)})) as (judge_url, asked),
    ):
        judge = {"endpoint": judge_url, "servedName": "judge", "price": {"perRequest": "0.5"}}
        path = written(
            tmp_path,
            urls,
            suites=[{"name": "mine", "path": "mine.yaml"}],
            evaluation={"concurrency": 1, "judge": judge},
        )
        first, _ = run(path, tmp_path / "out")
        second, _ = run(path, tmp_path / "out")

    results = read_results(tmp_path / "out")
    assert len(asked) == 14
    assert results.manifest.suites["mine"].scores == ("accuracy", "kind")
    for samples in results.samples.values():
        assert len(samples) == 6
        assert {sample.scores["kind"] for sample in samples} <= {0.0, 1.0}
        assert [sample.violation for sample in samples] == [sample.scores["kind"] == 0 for sample in samples]
    assert first.spent < second.spent
    assert second.spent == Decimal("0.5") * 14 + sum(s.cost or 0 for each in results.samples.values() for s in each)


@needs_harness
def test_ctrl_c_loses_no_answer_and_says_how_to_go_on(tmp_path):
    slow = replace(GOOD, speed=Speed(speed_up=1, overhead_s=0.2))
    with in_thread(standing_in([slow, replace(POOR, speed=slow.speed)])) as urls:
        path = written(tmp_path, urls, evaluation={"concurrency": 2})
        out = tmp_path / "out"
        # Whoever started the tests in the background may have had SIGINT ignored, and that is inherited.
        arguments = ["env", "--default-signal=INT", sys.executable, "-m", "modelroute.cli.main"]
        arguments += ["evaluate", "-f", str(path), "--out", str(out)]
        process = subprocess.Popen(
            arguments, env=os.environ | {"PYTHONPATH": str(ROOT / "operator")}, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert any("good · negation: 5 of 20" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)

    kept = len(read_samples(out, "good", "negation"))
    assert process.returncode == 130
    assert f"Stopped. {kept} new answers are in {out}; run the same command again to go on." in told
    assert 5 <= kept < 20
    assert "Traceback" not in told


FASTER = 2
"""How many times as fast as in the example the stand-ins answer; bounds on latency shrink with them. Were they much
faster, what a busy machine adds to an answer would decide.
"""


def in_place(path: Path, urls: dict[str, str]) -> dict[str, Any]:
    """The example's comparison, with its endpoints where the test serves them and its seconds as fast as they are."""
    told: dict[str, Any] = yaml.safe_load(path.read_text())
    for model in told["models"]:
        model["endpoint"] = urls[model["name"]]

    def shrunk(text: str) -> str:
        return re.sub(r"([0-9.]+)s\b", lambda found: f"{float(found[1]) / FASTER:.3f}s", text)

    told["constraints"] = [shrunk(text) if "latency" in text else text for text in told.get("constraints", [])]
    for criterion in told["criteria"]:
        if "latency" in criterion["name"]:
            criterion |= {bound: shrunk(criterion[bound]) for bound in ("worst", "target")}
    return told


@needs_harness
@pytest.mark.parametrize(
    ("example", "winner", "ruled_out"),
    [
        ("support-chatbot", "birch-medium", {"atlas-large": "latencyP95", "cedar-small": "safetyViolationRate"}),
        ("summarization", "cedar-small", {"elm-small": "safetyViolationRate"}),
        ("cheaper-model", "pine", {}),
    ],
)
def test_the_worked_examples_run_from_evaluation_to_page(tmp_path, example, winner, ruled_out):
    folder = ROOT / "examples/compare" / example
    written_down = read_stand_ins(folder / "standins.yaml")
    told = yaml.safe_load((folder / "comparison.yaml").read_text())
    assert [model["endpoint"] for model in told["models"]] == [f"http://127.0.0.1:{e.port}/v1" for e in written_down]
    stand_ins = [replace(one, port=0, speed=replace(one.speed, speed_up=float(FASTER))) for one in written_down]
    path = tmp_path / "comparison.yaml"
    with in_thread(standing_in(stand_ins)) as urls:
        path.write_text(yaml.safe_dump(in_place(folder / "comparison.yaml", urls)))
        outcome, _ = run(path, tmp_path / "out")

    decision = decide(read_comparison(path), read_results(tmp_path / "out"))

    assert outcome.complete
    assert decision.winner == winner
    broken = {
        each.model.name: {str(check.constraint.measure) for check in each.checks if check.outcome is Verdict.FAIL}
        for each in decision.alternatives
    }
    assert {name: measures for name, measures in broken.items() if measures} == {
        name: {measure} for name, measure in ruled_out.items()
    }
    again = decide(read_comparison(path), read_results(tmp_path / "out"))
    assert to_json(again).encode() == to_json(decision).encode()
    page = to_html(decision)
    assert decision.headline.split(" ")[0] in page
    titles = re.findall(r"<title>(.*?)</title>", page)
    expected = ["against", "how long the answers", "decision matrix"]
    expected += ["totals by the weight of"] if len(decision.ranking) > 1 else []
    for picture in expected:
        assert any(picture in title for title in titles), (picture, titles)
