"""Log-probabilities: what is believed of a server's, what is refused, and suites that are scored by them."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner
from tests.serving_thread import in_thread

from devstack.model_answers import BadChat, Known, Speed, parse_chat
from devstack.model_logprobs import Logprobs as Tells
from devstack.model_server import ModelSettings, serving
from devstack.standins import StandIn, standing_in
from modelroute.cli.evaluate import evaluate as command
from modelroute.compare.domain import Model
from modelroute.compare.evaluation.asking import Reply
from modelroute.compare.evaluation.ceiling import Ceiling
from modelroute.compare.evaluation.pool import Endpoint
from modelroute.compare.evaluation.preflight import check, known_logprobs
from modelroute.compare.evaluation.probing import WORDS, Found, Logprobs, judge, question
from modelroute.compare.results import read_samples
from modelroute.compare.suites.likeliest import Token, shares, told_tokens
from modelroute.compare.suites.loading import load_suite
from modelroute.compare.suites.scoring import score
from modelroute.compare.suites.suite import Item, Method
from modelroute.errors import Invalid

FAST = Speed(speed_up=2000)
needs_harness = pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs lm-eval, of modelroute[eval]")


def token(text: str, own: float = -0.1, **others: float) -> Token:
    return Token(text, own, {text: own, **others})


def replies(*tokens: Token, texts: tuple[str, str] = WORDS) -> list[Reply]:
    """What both questions got: an answer of one token each."""
    return [Reply(text, tokens=(each,)) for text, each in zip(texts, tokens, strict=True)]


TIGER, WINDOW = token("tiger", window=-5.0), token("window", tiger=-5.0)


@pytest.mark.parametrize(
    ("given", "verdict", "why"),
    [
        (replies(TIGER, WINDOW), Logprobs.PLAUSIBLE, ""),
        (replies(token("▁Tiger"), token(" Window"), texts=("Tiger", "Window")), Logprobs.PLAUSIBLE, ""),
        (replies(token("The", -0.7, tiger=-1.0), WINDOW, texts=("The", "window")), Logprobs.PLAUSIBLE, ""),
        ([Reply("tiger"), Reply("window")], Logprobs.MISSING, "the answer comes without them"),
        (
            replies(Token("tiger", -0.1, {}), Token("window", -0.1, {})),
            Logprobs.MISSING,
            "without those of other tokens",
        ),
        ([Reply(error="HTTP 400: logprobs: extra field", status=400)], Logprobs.MISSING, "extra field"),
        ([Reply(error="timeout after 60 s")], Logprobs.UNCLEAR, "timeout"),
        (replies(token("tiger", 0.9), WINDOW), Logprobs.WRONG, "one at 'tiger' is 0.9"),
        (replies(token("tiger", math.nan), WINDOW), Logprobs.WRONG, "one at 'tiger' is nan"),
        (replies(token("tiger", window=-0.2), WINDOW), Logprobs.WRONG, "at 'tiger' add up to 1.72"),
        (replies(token("tiger", -3.0, window=-3.0, a=-3.0), WINDOW), Logprobs.WRONG, "all those at 'tiger' are alike"),
        (replies(token("tiger", -9.0, end=-0.1), WINDOW), Logprobs.WRONG, "'end' told to be likelier by 8.9"),
        (replies(TIGER, WINDOW, texts=("tiger", "a window")), Logprobs.WRONG, "spell 'window', and the answer is 'a w"),
        (replies(token("tiger", -1.5, window=-0.5), WINDOW), Logprobs.WRONG, "repeats 'tiger', and 'window' is said"),
        (replies(token("Sure", -0.1), WINDOW, texts=("Sure", "window")), Logprobs.UNCLEAR, "begins with 'Sure'"),
        (replies(token("window", tiger=-5.0), WINDOW, texts=("window", "window")), Logprobs.WRONG, "two different"),
        (replies(token("\n", b=-5.0), WINDOW, texts=("\n", "window")), Logprobs.UNCLEAR, "is blank"),
    ],
)
def test_only_what_fits_the_known_answers_is_believed(given, verdict, why):
    found = judge(given)

    assert found.verdict is verdict
    assert why in found.why


def looked_at(tells: Tells, *, knows: bool = True) -> Found:
    """What `check` finds of a model server of the stack, over HTTP."""
    book = {question(word): Known(f"{word} indeed", others=WORDS) for word in WORDS} if knows else {}
    settings = ModelSettings("m", "m", FAST, book=book.get, logprobs=tells)
    with in_thread(serving(settings)) as (_, url):
        checked = check(Endpoint(f"{url}/v1/chat/completions", {}, 5.0, 2), Model("m", "m", url), Ceiling(None))
    assert checked.answers
    assert checked.streams
    assert checked.counts_tokens
    return checked.logprobs


@pytest.mark.parametrize(
    ("tells", "verdict", "why"),
    [
        (Tells.HONEST, Logprobs.PLAUSIBLE, ""),
        (Tells.MISSING, Logprobs.MISSING, "the answer comes without them"),
        (Tells.REFUSED, Logprobs.MISSING, "HTTP 400: logprobs are not supported by this model."),
        (Tells.LATE, Logprobs.WRONG, "'tiger' was chosen at temperature 0, and 'indeed' told to be likelier by 13.6"),
        (Tells.ALIKE, Logprobs.WRONG, "all those at 'tiger' are alike"),
        (Tells.LINEAR, Logprobs.WRONG, "one at 'tiger' is 0.8"),
        (Tells.STALE, Logprobs.WRONG, "'tiger' was chosen at temperature 0, and 'hello' told to be likelier"),
    ],
)
def test_a_server_that_is_silently_wrong_is_told_from_an_honest_one(tells, verdict, why):
    found = looked_at(tells)

    assert found.verdict is verdict
    assert why in found.why


def test_a_model_that_does_not_do_what_the_probe_asks_is_unclear_and_not_plausible():
    assert looked_at(Tells.HONEST, knows=False).verdict is Logprobs.UNCLEAR


def test_a_server_that_allows_five_alternatives_is_asked_for_five():
    tops: list[int] = []

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        tops.append(body["top_logprobs"])
        if body["top_logprobs"] > 5:
            return web.json_response({"error": {"message": "top_logprobs must be at most 5"}}, status=400)
        word = body["messages"][-1]["content"].split()[-1]
        told = {"token": word, "logprob": -0.1, "top_logprobs": [{"token": word, "logprob": -0.1}]}
        choice = {"message": {"content": word}, "finish_reason": "stop", "logprobs": {"content": [told]}}
        return web.json_response({"choices": [choice]})

    @asynccontextmanager
    async def strict() -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    with in_thread(strict()) as url:
        checked = check(Endpoint(f"{url}/chat/completions", {}, 5.0, 1), Model("m", "m", url), Ceiling(None))

    assert tops == [20, 5, 20, 5]
    assert checked.logprobs.verdict is Logprobs.PLAUSIBLE
    assert not checked.streams
    assert not checked.counts_tokens


CHAT = {
    "content": [
        {
            "token": " B",
            "logprob": -0.2,
            "top_logprobs": [{"token": " B", "logprob": -0.2}, {"token": "A", "logprob": -2}],
        }
    ]
}
OLDER = {"tokens": [" B"], "token_logprobs": [-0.2], "top_logprobs": [{" B": -0.2, "A": -2}], "text_offset": [0]}


@pytest.mark.parametrize("told", [CHAT, OLDER])
def test_both_forms_of_logprobs_are_read(told):
    assert told_tokens(told) == (Token(" B", -0.2, {" B": -0.2, "A": -2.0}),)


@pytest.mark.parametrize("told", [None, {}, {"content": None}, {"tokens": None}, {"tokens": "B"}, "B", 1])
def test_what_is_no_logprobs_is_none(told):
    assert told_tokens(told) == ()


@pytest.mark.parametrize(
    "told", [{"content": [{"token": "B", "logprob": "much"}]}, {"tokens": ["B"], "token_logprobs": [None]}]
)
def test_a_logprob_that_is_no_number_is_not_taken_for_one(told):
    (only,) = told_tokens(told)

    assert math.isnan(only.logprob)


ITEM = Item("a", "Which?", "B", Method.LIKELIEST, options=("A", "B", "C"))


@pytest.mark.parametrize(
    ("alternatives", "accuracy", "probability"),
    [
        ({" B": math.log(0.6), "A": math.log(0.2)}, 1.0, 0.75),
        ({"A": math.log(0.6), "B": math.log(0.2)}, 0.0, 0.25),
        ({"b": math.log(0.3), "**B": math.log(0.3), "A": math.log(0.4)}, 1.0, 0.6),
        ({"A": math.log(0.4), "B": math.log(0.4)}, 0.0, 0.5),
        ({"Well": math.log(0.9)}, 0.0, 0.0),
    ],
)
def test_the_likeliest_option_is_the_answer_and_its_share_is_kept(alternatives, accuracy, probability):
    said = (Token("\n", -0.1, {"\n": -0.1}), Token("X", -0.1, alternatives))

    found = score(ITEM, "X", tokens=said).scores

    assert found == pytest.approx({"accuracy": accuracy, "probability": probability})


def test_a_word_of_several_tokens_counts_by_its_beginning():
    said = (Token("REF", -0.1, {"REF": math.log(0.5), "DE": math.log(0.25), "x": -9}),)

    assert shares(("REFUND", "DECLINE"), said) == pytest.approx({"REFUND": 2 / 3, "DECLINE": 1 / 3})


HEAD = "apiVersion: modelroute.dev/suite/v1\nname: letters\nversion: '1'\nitems: letters.jsonl\n"


def letters(folder: Path, *, options: str = "[A, B, C]", count: int = 6) -> Path:
    (folder / "letters.yaml").write_text(f"{HEAD}scoring: {{method: likeliest, options: {options}}}\n")
    lines = [{"id": f"i{n}", "prompt": f"Question {n}: A, B or C?", "expected": "ABC"[n % 3]} for n in range(count)]
    (folder / "letters.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder / "letters.yaml"


def test_options_that_begin_alike_are_refused_because_the_first_token_decides(tmp_path):
    with pytest.raises(Invalid, match=r"letters\.jsonl:1: options: their first letters must differ"):
        load_suite(letters(tmp_path, options="[A, B, C, 'Both']"))


def test_a_suite_says_whether_it_needs_logprobs_and_asks_for_few_tokens(tmp_path):
    suite = load_suite(letters(tmp_path))

    assert suite.needs_logprobs
    assert suite.scores == ("accuracy", "probability")
    assert {item.max_tokens for item in suite.items} == {4}


def written(folder: Path, urls: dict[str, str], **more: object) -> Path:
    letters(folder)
    price = {"perRequest": "1"}
    told = {
        "apiVersion": "modelroute.dev/compare/v1",
        "name": "try",
        "models": [{"name": name, "endpoint": url, "price": price} for name, url in urls.items()],
        "suites": [{"name": "letters", "path": "letters.yaml"}, {"name": "negation", "limit": 4}],
        "criteria": [{"name": "accuracy", "weight": 1, "worst": "50%", "target": "90%"}],
    }
    (folder / "comparison.yaml").write_text(yaml.safe_dump(told | more))
    return folder / "comparison.yaml"


def servers(folder: Path, *tells: Tells) -> AbstractAsyncContextManager[dict[str, str]]:
    known = {"letters": 1.0, "negation": 1.0}
    one = [StandIn(each.value, 0, known, logprobs=each, speed=FAST) for each in tells]
    return standing_in(one, more=[load_suite(letters(folder))])


@needs_harness
def test_a_suite_that_needs_logprobs_is_asked_of_honest_servers_alone(tmp_path):
    with in_thread(servers(tmp_path, Tells.HONEST, Tells.LATE, Tells.MISSING)) as urls:
        arguments = ["-f", str(written(tmp_path, urls)), "--out", str(tmp_path / "out")]
        first = CliRunner().invoke(command, arguments)
        second = CliRunner().invoke(command, arguments)

    assert first.exit_code == second.exit_code == 1
    assert "honest · logprobs: plausible\n" in first.stderr
    said = "Refused: the suite letters is scored by log-probabilities, and those of late are wrong: "
    assert said in first.stderr
    assert "those of missing are missing: the answer comes without them; it is not asked\n" in first.stderr
    answered = {name: read_samples(tmp_path / "out", name, "letters") for name in urls}
    assert {name: len(samples) for name, samples in answered.items()} == {"honest": 6, "late": 0, "missing": 0}
    assert {sample.scores["accuracy"] for sample in answered["honest"]} == {1.0}
    assert all(0.5 < sample.scores["probability"] < 1 for sample in answered["honest"])
    assert {name: len(read_samples(tmp_path / "out", name, "negation")) for name in urls} == dict.fromkeys(urls, 4)
    # Asked again in the second run: those that were not plausible. A probe is two requests.
    costs = {name: int(known_logprobs(tmp_path / "out", name)[1]) for name in urls}
    assert costs == {"honest": 2, "late": 4, "missing": 4}


@needs_harness
def test_an_answer_that_comes_without_logprobs_is_an_error_and_no_wrong_answer(tmp_path):
    with in_thread(servers(tmp_path, Tells.HONEST, Tells.MISSING)) as urls:
        path = written(tmp_path, urls, suites=[{"name": "letters", "path": "letters.yaml"}])
        (tmp_path / "out/missing").mkdir(parents=True)
        found = {"verdict": "plausible", "why": "", "cost": "2"}
        (tmp_path / "out/missing/logprobs.json").write_text(json.dumps(found))
        CliRunner().invoke(command, ["-f", str(path), "--out", str(tmp_path / "out")])

    told = read_samples(tmp_path / "out", "missing", "letters")
    assert {sample.error for sample in told} == {"the answer came without the log-probabilities that it is scored by"}
    assert {len(sample.scores) for sample in told} == {0}


def test_check_tells_what_every_endpoint_does_and_asks_no_suite(tmp_path):
    with in_thread(servers(tmp_path, Tells.HONEST, Tells.ALIKE)) as urls:
        path = written(tmp_path, {**urls, "gone": "http://127.0.0.1:9/v1"})
        result = CliRunner().invoke(command, ["-f", str(path), "--check"])

    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert rows == [
        ["honest", "yes", "yes", "yes", "plausible"],
        ["alike", "yes", "yes", "yes", "wrong"],
        ["gone", "no", "no", "no", "unclear"],
    ]
    assert "alike: logprobs: wrong (all those at 'tiger' are alike)\n" in result.stdout
    assert "gone: cannot be reached: " in result.stdout
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_without_check_a_folder_is_needed(tmp_path):
    result = CliRunner().invoke(command, ["-f", str(written(tmp_path, {"a": "http://h/v1", "b": "http://h/v1"}))])

    assert result.exit_code == 2
    assert "Missing option --out" in result.output


def test_a_probes_file_that_cannot_be_read_says_what_to_do(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/logprobs.json").write_text('{"verdict": "good"}')

    with pytest.raises(
        Invalid, match=r"logprobs\.json cannot be read: .*; delete it, and the endpoint is probed again"
    ):
        known_logprobs(tmp_path, "m")


@pytest.mark.parametrize("top", [21, -1, "5", True])
def test_the_stacks_servers_refuse_more_alternatives_than_the_api_allows(top):
    body = {"model": "m", "messages": [{"content": "?"}], "logprobs": True, "top_logprobs": top}

    with pytest.raises(BadChat, match="from 0 to 20"):
        parse_chat(body)
