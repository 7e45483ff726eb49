# ruff: noqa: E501  # a case of a table on one line
"""Suites: the ones that come with modelroute, and the errors that people meet who write their own."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelroute.compare.suites.loading import built_in_names, built_in_suite, load_suite
from modelroute.compare.suites.scoring import score
from modelroute.compare.suites.suite import Method
from modelroute.errors import Invalid
from suite_items.__main__ import FOLDER, TEMPLATES, lines
from suite_items.logic import follows
from suite_items.support import decision

HEAD = "apiVersion: modelroute.dev/suite/v1\nname: mine\nversion: '1'\nitems: mine.jsonl\n"
YES_NO = HEAD + "scoring: {method: choice, options: ['yes', 'no']}\n"
ITEM = {"id": "a", "prompt": "Is it?", "expected": "yes"}


def write(folder: Path, head: str, *items: object) -> Path:
    (folder / "mine.yaml").write_text(head)
    (folder / "mine.jsonl").write_text(
        "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in items)
    )
    return folder / "mine.yaml"


def test_five_suites_come_along():
    assert built_in_names() == ("adversarial", "conditional", "negation", "summarization", "support")


@pytest.mark.parametrize("name", built_in_names())
def test_a_built_in_suite_has_60_to_150_items_and_says_what_it_is(name):
    suite = built_in_suite(name)

    assert 60 <= len(suite.items) <= 150
    assert suite.name == name
    assert suite.description


@pytest.mark.parametrize("name", built_in_names())
def test_the_expected_answer_of_every_item_is_right_by_its_own_scoring(name):
    suite = built_in_suite(name)
    for item in suite.items:
        plain = item.method in (Method.EXACT, Method.JSON, Method.SUMMARY)

        scored = score(item, item.expected if plain else f"{suite.marker} {item.expected}", marker=suite.marker)

        assert set(scored.scores.values()) == {1.0}, item.id
        assert not scored.violation, (item.id, scored.why)


@pytest.mark.parametrize("name", built_in_names())
def test_no_guess_wins_a_built_in_suite(name):
    """The most frequent expected answer is right in at most half of the items."""
    expected = [item.expected for item in built_in_suite(name).items]

    assert max(expected.count(answer) for answer in set(expected)) <= len(expected) / 2


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_committed_items_are_what_the_generator_writes(name):
    assert (FOLDER / f"{name}.jsonl").read_text().splitlines() == lines(name)


def test_the_policy_of_the_support_suite_is_what_its_items_expect():
    case: dict[str, Any] = {"serious": False, "worth": 100, "broken": True, "unused": False, "days": 14}

    assert decision(**case) == "REPLACE"
    assert decision(**case | {"days": 15}) == "DECLINE"
    assert decision(**case | {"days": 30, "unused": True}) == "REFUND"
    assert decision(**case | {"worth": 501}) == "ESCALATE"
    assert decision(**case | {"serious": True}) == "ESCALATE"


def test_what_follows_is_read_off_a_truth_table():
    rule = (lambda w: not w["a"] or w["b"],)

    assert follows((*rule, lambda w: w["a"]), lambda w: w["b"], letters="ab")
    assert not follows((*rule, lambda w: w["b"]), lambda w: w["a"], letters="ab")
    with pytest.raises(ValueError, match="contradict"):
        follows((lambda w: w["a"], lambda w: not w["a"]), lambda w: w["b"], letters="ab")


def test_a_users_own_suite_is_read_from_its_files(tmp_path):
    suite = load_suite(
        write(tmp_path, YES_NO, ITEM, "", {**ITEM, "id": "b", "prompt": "7?", "expected": "7", "method": "number"})
    )

    assert [item.id for item in suite.items] == ["a", "b"]
    assert suite.items[0].options == ("yes", "no")
    assert suite.items[1].method is Method.NUMBER
    assert suite.scores == ("accuracy",)
    assert not suite.watched


def test_a_changed_question_has_another_hash_even_if_only_its_policy_changed(tmp_path):
    before = load_suite(write(tmp_path, YES_NO, ITEM)).items[0].hash

    after = load_suite(write(tmp_path, YES_NO + "system: Be brief.\n", ITEM)).items[0].hash

    assert before != after


@pytest.mark.parametrize(
    ("head", "items", "said"),
    [
        (HEAD + "scoring: {method: guess}\n", [ITEM], "mine.yaml:5: scoring.method: input should be 'choice', 'number'"),
        (YES_NO + "extra: 1\n", [ITEM], "mine.yaml:6: extra: there is no such field"),
        (YES_NO.replace("name: mine", "name: Mine!"), [ITEM], "mine.yaml:2: name: string should match"),
        (YES_NO.replace("items: mine.jsonl\n", ""), [ITEM], "mine.yaml: items: is missing"),
        (YES_NO.replace("suite/v1", "suite/v9"), [ITEM], "mine.yaml:1: apiVersion: input should be 'modelroute.dev/suite/v1'"),
        ("a: [", [ITEM], "mine.yaml:1: not YAML: "),
        ("- 1", [ITEM], "mine.yaml: the whole: input should be"),
        (YES_NO.replace("mine.jsonl", "no.jsonl"), [ITEM], "items: there is no file"),
        (YES_NO, [], "mine.jsonl: there are no items in it"),
        (YES_NO, [ITEM, "{"], "mine.jsonl:2: not JSON"),
        (YES_NO, ["[1]"], "mine.jsonl:1: the whole: input should be"),
        (YES_NO, [ITEM, {**ITEM, "prompt": "Else?"}], "mine.jsonl:2: id: 'a' is already in line 1"),
        (YES_NO, [ITEM, {**ITEM, "id": "b"}], "mine.jsonl:2: prompt: the same question is already in line 1"),
        (YES_NO, [{**ITEM, "expected": "perhaps"}], "mine.jsonl:1: expected: 'perhaps' is none of the options (yes, no)"),
        (YES_NO, [{**ITEM, "options": ["yes"]}], "mine.jsonl:1: options: a choice needs at least two"),
        (YES_NO, [{"id": "a", "prompt": "Is it?"}], "mine.jsonl:1: expected: is missing"),
        (YES_NO, [{**ITEM, "expeced": "no"}], "mine.jsonl:1: expeced: there is no such field"),
        (YES_NO, [{**ITEM, "maxTokens": 0}], "mine.jsonl:1: maxTokens: input should be greater than or equal to 1, not 0"),
        (YES_NO, [{**ITEM, "method": "number"}], "mine.jsonl:1: expected: 'yes' is not a number"),
        (YES_NO, [{**ITEM, "method": "json"}], "mine.jsonl:1: expected: 'yes' is not JSON"),
        (YES_NO, [{**ITEM, "method": "summary"}], "mine.jsonl:1: source: a summary needs the text that it is of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_line_and_field(tmp_path, head, items, said):
    with pytest.raises(Invalid) as refused:
        load_suite(write(tmp_path, head, *items))

    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)

    with pytest.raises(Invalid, match=r"mine\.yaml: (not UTF-8|cannot be read)"):
        load_suite(tmp_path / "mine.yaml")


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(Invalid, match="there are adversarial, conditional, negation, summarization, support"):
        built_in_suite("gsm8k")
