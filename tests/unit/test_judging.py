"""Judges: what is taken for a score, what is an error, and that nothing that was judged is lost."""

import json
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.judge_server import judging
from tests.serving_thread import in_thread

from modelroute.compare.domain import TokenPrice
from modelroute.compare.judging.judge import Exchange, JudgeKind, Judgement, JudgeModel, JudgeSpec, from_one_to_five
from modelroute.compare.judging.pass_over import Judged, judge_answers, judging_cost
from modelroute.compare.results import Sample, SampleWriter, prompt_hash, read_samples
from modelroute.compare.suites.loading import load_suite
from modelroute.compare.suites.suite import Item, Method, Suite
from modelroute.errors import Invalid

needs_openevals = pytest.mark.skipif(find_spec("openevals") is None, reason="needs openevals, of modelroute[judge]")
needs_azure = pytest.mark.skipif(
    find_spec("azure") is None or find_spec("azure.ai") is None,
    reason="needs azure-ai-evaluation, of modelroute[azure]",
)
PROMPT = "Is this friendly? Question: {inputs}\nAnswer: {outputs}\nReference: {reference_outputs}"
FRIENDLY = JudgeSpec("friendly", JudgeKind.OPENEVALS, PROMPT, choices=(0.0, 0.5, 1.0), violation_below=0.5)
ASKED = Exchange("Where is {it}?", "Dear customer, {soon}.", "soon", "It is on its way.")


def model(url: str) -> JudgeModel:
    return JudgeModel(url, "judge", "none", 10)


@needs_openevals
@pytest.mark.parametrize(
    ("says", "score", "violation", "error"),
    [
        ({"reasoning": "kind", "score": 1.0}, 1.0, False, None),
        ({"reasoning": "kind", "score": 1}, 1.0, False, None),
        ({"reasoning": "rude", "score": 0.0}, 0.0, True, None),
        ({"reasoning": "so so", "score": 0.7}, None, None, "the judge gave 0.7, which is none of 0, 0.5, 1"),
        ({"reasoning": "wow", "score": 7}, None, None, "the judge gave 7, which is none of 0, 0.5, 1"),
        ({"reasoning": "kind", "score": True}, None, None, "the judge gave True, which is no number"),
        ({"reasoning": "kind", "score": "1"}, None, None, "the judge gave '1', which is no number"),
        ({"score": 1}, None, None, "the judge's answer is not what was asked for: KeyError('reasoning')"),
        ("It is friendly.", None, None, "the judge's answer is not what was asked for: JSONDecodeError"),
        (400, None, None, "the judge does not answer: Error code: 400"),
    ],
)
def test_a_score_that_was_not_offered_is_an_error_and_no_violation(says, score, violation, error):
    from modelroute.compare.judging.openevals_judge import OpenEvalsJudge

    with in_thread(judging(lambda _: says)) as (url, _):
        judgement = OpenEvalsJudge(FRIENDLY, model(url))(ASKED)

    assert (judgement.score, judgement.violation) == (score, violation)
    assert (judgement.error or "").startswith(error or "")
    assert (judgement.error is None) == (error is None)


@needs_openevals
def test_the_judge_reads_the_exchange_and_its_tokens_are_counted():
    from modelroute.compare.judging.openevals_judge import OpenEvalsJudge

    with in_thread(judging(lambda _: {"reasoning": "kind", "score": 0.5})) as (url, asked):
        judgement = OpenEvalsJudge(FRIENDLY, model(url))(ASKED)

    told = asked[0]["messages"][-1]["content"]
    assert told == "Is this friendly? Question: Where is {it}?\nAnswer: Dear customer, {soon}.\nReference: soon"
    assert judgement.why == "kind"
    assert (judgement.input_tokens, judgement.output_tokens) == (100, 20)
    assert judgement.cost(TokenPrice(Decimal(10), Decimal(100))) == Decimal("0.003")


@needs_openevals
@pytest.mark.parametrize(("said", "score"), [(0.73, 0.73), (1.01, None), (-0.1, None)])
def test_without_choices_any_number_from_0_to_1_is_a_score(said, score):
    from modelroute.compare.judging.openevals_judge import OpenEvalsJudge

    with in_thread(judging(lambda _: {"reasoning": "", "score": said})) as (url, _):
        judge = OpenEvalsJudge(replace(FRIENDLY, choices=()), model(url))

        assert judge(ASKED).score == score


@needs_azure
@pytest.mark.parametrize(("evaluator", "score"), [("F1Score", 2 * 0.5 / 1.5), ("RougeScore", 2 * 0.5 / 1.5)])
def test_the_computed_evaluators_of_azure_need_neither_account_nor_model(evaluator, score):
    from modelroute.compare.judging.azure_judge import AzureJudge

    judgement = AzureJudge(JudgeSpec("x", JudgeKind.AZURE, evaluator=evaluator), None)(
        Exchange("?", "blue sky", expected="blue")
    )

    assert judgement.score == pytest.approx(score)
    assert judgement.error is None


@needs_azure
@pytest.mark.parametrize(
    ("evaluator", "seen"),
    [
        ("Coherence", "Dear customer"),
        ("Fluency", "Dear customer"),
        ("Groundedness", "It is on its way."),
        ("Relevance", "Where is"),
        ("ResponseCompleteness", "soon"),
        ("Similarity", "soon"),
    ],
)
@pytest.mark.parametrize(
    ("grade", "score", "error"),
    [(4, 0.75, None), (1, 0.0, None), (0, None, "no grade"), (9, None, "no grade")],
)
def test_grades_from_1_to_5_become_0_to_1_and_others_are_errors(evaluator, seen, grade, score, error):
    from modelroute.compare.judging.azure_judge import AzureJudge

    said = {"reason": "fine", "explanation": "fine", "score": grade, "status": "completed"}
    with in_thread(judging(lambda _: said)) as (url, asked):
        judgement = AzureJudge(JudgeSpec("x", JudgeKind.AZURE, evaluator=evaluator), model(url))(ASKED)

    assert judgement.score == score
    assert (judgement.error is None) if error is None else (error in (judgement.error or ""))
    assert seen in json.dumps(asked[0]["messages"])
    assert asked[0]["model"] == "judge"


@needs_azure
@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ("Nice", "there is no evaluator 'Nice' here; there are Coherence"),
        ("BleuScore", "loads word lists that are not in its package"),
        ("Coherence", "asks a model: set evaluation.judge"),
        ("Violence", "content-safety service of an Azure AI project: set AZURE_AI_PROJECT"),
    ],
)
def test_what_an_azure_evaluator_lacks_is_said_before_anything_is_asked(monkeypatch, evaluator, said):
    from modelroute.compare.judging.azure_judge import AzureJudge

    monkeypatch.delenv("AZURE_AI_PROJECT", raising=False)

    with pytest.raises(Invalid, match=said):
        AzureJudge(JudgeSpec("x", JudgeKind.AZURE, evaluator=evaluator), None)


class LoggedIn:
    """A login to Azure that works."""

    def get_token(self, *scopes: str, **_: object) -> object:
        from azure.core.credentials import AccessToken

        assert scopes == ("https://ai.azure.com/.default",)
        return AccessToken("token", 2**40)


@needs_azure
@pytest.mark.parametrize("evaluator", ["HateUnfairness", "SelfHarm", "Sexual", "Violence"])
@pytest.mark.parametrize(
    ("told", "score", "violation", "error"),
    [
        ({"score": 0, "reason": "calm", "properties": {"metrics": {"promptTokens": "9"}}}, 1.0, False, None),
        ({"score": 7, "reason": "blood"}, 0.0, True, None),
        ({"score": 4, "reason": "a threat"}, 3 / 7, True, None),
        ({"score": 9, "reason": "?"}, None, None, "which is no grade"),
        ({}, None, None, "gave no reason, and so perhaps no score"),
        (None, None, None, "gave no reason"),
        (ConnectionError("no such\n  project"), None, None, ": no such project"),
    ],
)
def test_a_severity_of_the_safety_service_becomes_a_share_and_a_violation(
    monkeypatch, evaluator, told, score, violation, error
):
    """The library's own evaluators, on what its client hands them: the service itself needs an account."""
    from azure import identity
    from azure.ai.evaluation._evaluators._common import _base_rai_svc_eval as library

    from modelroute.compare.judging.azure_judge import SAFETY, AzureJudge

    asked: list[dict[str, object]] = []

    async def answer(
        data: dict[str, object], metric_name: object, project_scope: str, **_: object
    ) -> dict[str, object]:
        asked.append(data | {"project": project_scope})
        if isinstance(told, Exception):
            raise told
        return {"results": [] if told is None else [{"metric": SAFETY[evaluator], **told}]}

    monkeypatch.setattr(identity, "DefaultAzureCredential", LoggedIn)
    monkeypatch.setattr(library, "evaluate_with_rai_service_sync", answer)
    monkeypatch.setenv("AZURE_AI_PROJECT", "https://a.services.ai.azure.com/api/projects/p")

    judgement = AzureJudge(JudgeSpec("safe", JudgeKind.AZURE, evaluator=evaluator), None)(ASKED)

    assert judgement.score == pytest.approx(score)
    assert judgement.violation == violation
    assert (error or "") in (judgement.error or "")
    assert (judgement.error is None) == (error is None)
    assert asked[0]["project"] == "https://a.services.ai.azure.com/api/projects/p"
    assert asked[0]["response"] == ASKED.answer


@needs_azure
@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("my-project", "AZURE_AI_PROJECT is 'my-project': it has to be its endpoint, https://"),
        (
            "https://a.services.ai.azure.com/api/projects/p",
            "azure-identity finds none: run `az login`, or set AZURE_TEN",
        ),
    ],
)
def test_a_project_that_is_none_and_a_missing_login_are_said_before_anything_is_asked(monkeypatch, project, said):
    from azure import identity
    from azure.core.exceptions import ClientAuthenticationError

    from modelroute.compare.judging.azure_judge import AzureJudge

    class LoggedOut:
        def get_token(self, *scopes: str) -> object:
            raise ClientAuthenticationError("no way in\nAttempted: many")

    monkeypatch.setattr(identity, "DefaultAzureCredential", LoggedOut)
    monkeypatch.setenv("AZURE_AI_PROJECT", project)

    with pytest.raises(Invalid, match=said):
        AzureJudge(JudgeSpec("safe", JudgeKind.AZURE, evaluator="Violence"), None)


def test_only_grades_from_1_to_5_are_grades():
    assert [from_one_to_five(each) for each in (1, 3, 5, 0.5, 6, True, None, "4")] == [
        0,
        0.5,
        1,
        None,
        None,
        None,
        None,
        None,
    ]


ITEMS = tuple(Item(f"i{n}", f"{n}?", "yes", Method.CHOICE, options=("yes", "no")) for n in range(12))
SUITE = Suite("mine", "1", "", ITEMS, judges=(FRIENDLY,))


class Fixed:
    """A judge that finds what the answer says."""

    name = "friendly"

    def __call__(self, exchange: Exchange) -> Judgement:
        if exchange.answer == "broken":
            return Judgement(None, error="no judge today", input_tokens=1)
        score = float(exchange.answer)
        return Judgement(score, "because", FRIENDLY.violation(score), None, 1, 0)


def answer(folder: Path, *answers: str | None) -> None:
    with SampleWriter(folder, "m", "mine") as write:
        for item, said in zip(ITEMS, answers, strict=False):
            error = "timeout" if said is None else None
            scores = {} if said is None else {"accuracy": 1.0}
            cost = Decimal("0.1")
            asked = (item.id, prompt_hash(item.text), item.text, "yes")
            write(Sample(*asked, said, scores, None, 1.0, None, 1, 1, cost, error, False))


PRICE = TokenPrice(Decimal(1_000_000), Decimal(0))


def judge(folder: Path, spend: int = 100) -> Judged:
    left = [spend]

    def may_spend(cost: Decimal) -> bool:
        left[0] -= int(cost)
        return left[0] > 0

    return judge_answers(folder, "m", SUITE, [Fixed()], price=PRICE, at_once=2, may_spend=may_spend)


def test_every_answer_is_judged_once_and_errors_are_asked_again(tmp_path):
    answer(tmp_path, "1.0", "0.0", "broken", None)

    first, second = judge(tmp_path), judge(tmp_path)

    assert (first.judged, first.errors, first.last_error) == (2, 1, "no judge today")
    assert (second.judged, second.errors) == (0, 1)
    found = {sample.item: sample for sample in read_samples(tmp_path, "m", "mine")}
    assert found["i0"].scores == {"accuracy": 1.0, "friendly": 1.0}
    assert [found[f"i{n}"].violation for n in range(4)] == [False, True, None, None]
    assert "friendly" not in found["i2"].scores
    assert found["i3"].error == "timeout"


def test_why_a_judge_said_so_and_what_it_cost_is_kept(tmp_path):
    answer(tmp_path, "1.0", "broken")

    judge(tmp_path)

    lines = (tmp_path / "m/mine.judged/friendly.jsonl").read_text().splitlines()
    assert {json.loads(line)["why"] for line in lines} == {"because", ""}
    assert judging_cost(tmp_path, "m", "mine") == 2


def test_judges_stop_at_the_ceiling_but_for_those_under_way(tmp_path):
    answer(tmp_path, *["1.0"] * 12)

    assert judge(tmp_path, spend=4).judged in (4, 5, 6)


HEAD = (
    "apiVersion: modelroute.dev/suite/v1\nname: mine\nversion: '1'\nitems: mine.jsonl\n"
    "scoring: {method: text}\njudges:\n"
)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("{name: x, kind: openevals, prompt: 'Rate {inputs}'}", r"judges\.0\.prompt: has no \{outputs\}"),
        ("{name: x, kind: openevals, prompt: 'Rate {outputs} {else}'}", r"judges\.0\.prompt: it may name \{inputs\}"),
        ("{name: x, kind: azure, evaluator: Nice}", r"judges\.0\.evaluator: 'Nice' is none of Coherence"),
        ("{name: accuracy, kind: azure, evaluator: F1Score}", r"judges\.0\.name: there is a score 'accuracy' already"),
        ("{name: x, kind: openevals, prompt: '{outputs}', choices: [0, 5]}", r"judges\.0\.choices\.1: .* not 5"),
        ("{name: x, kind: guess}", r"judges\.0\.kind: input should be 'openevals' or 'azure', not 'guess'"),
    ],
)
def test_a_judge_that_cannot_work_is_refused_by_its_field(tmp_path, judge, said):
    (tmp_path / "mine.yaml").write_text(f"{HEAD}- {judge}\n")
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "prompt": "?", "expected": "x"}\n')

    with pytest.raises(Invalid, match=said):
        load_suite(tmp_path / "mine.yaml")


def test_a_judges_score_is_one_of_the_suites_scores(tmp_path):
    (tmp_path / "mine.yaml").write_text(f"{HEAD}- {{name: x, kind: openevals, prompt: 'Rate {{outputs}}'}}\n")
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "prompt": "?", "expected": "x"}\n')

    suite = load_suite(tmp_path / "mine.yaml")

    assert (suite.computed, suite.scores) == (("accuracy",), ("accuracy", "x"))
