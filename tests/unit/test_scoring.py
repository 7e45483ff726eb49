"""How an answer becomes scores."""

from typing import Any

import pytest

from modelroute.compare.suites.refusals import refused
from modelroute.compare.suites.rouge import rouge
from modelroute.compare.suites.scoring import score
from modelroute.compare.suites.suite import Item, Method
from modelroute.compare.suites.unsupported import unsupported


def accuracy(answer: str, method: str, expected: str, **more: Any) -> float:
    return score(Item("a", "?", expected, Method(method), **more), answer).scores["accuracy"]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("yes", True),
        ("Yes.", True),
        ("Yes, the pump is on.", True),
        ("It is on, so yes", True),
        ("The door is not open. Answer: yes", True),
        ("Answer: no. But wait. **Answer:** yes", True),
        ("Answer:\nyes\nno further remarks", True),
        ("ANSWER: YES", True),
        ("no", False),
        ("Answer: yes or no", False),
        ("Answer: no, yes is wrong", False),
        ("Yes and no", False),
        ("We replace it at yes charge today", False),
        ("yesterday", False),
        ("", False),
        ("Answer:", False),
    ],
)
def test_a_choice_is_read_after_the_marker_or_at_the_ends(answer, right):
    assert accuracy(answer, "choice", "yes", options=("yes", "no")) == right


def test_an_option_inside_a_longer_one_is_no_second_answer():
    assert accuracy("Answer: not sure", "choice", "not sure", options=("sure", "not sure")) == 1


@pytest.mark.parametrize(
    ("answer", "method", "expected", "right"),
    [
        ("It is 3 + 4 = 7", "number", "7", True),
        ("7.0", "number", "7", True),
        ("1,200 euro", "number", "1200", True),
        ("-3", "number", "-3", True),
        ("Answer: 7, not 8", "number", "8", True),
        ("seven", "number", "7", False),
        ("17", "number", "7", False),
        ("The  Eiffel tower!", "text", "eiffel tower", True),
        ("Answer: an apple", "text", "apple", True),
        ("pear", "text", "apple", False),
        (" A;B \n", "exact", "A;B", True),
        ("A;B.", "exact", "A;B", False),
        ('{"b": 1, "a": "x"}', "json", '{"a": "x", "b": 1}', True),
        ('```json\n{"a": "x", "b": 1}\n```', "json", '{"a": "x", "b": 1}', False),
        ("true", "json", "1", False),
        ("1.0", "json", "1", False),
    ],
)
def test_numbers_texts_and_json(answer, method, expected, right):
    assert accuracy(answer, method, expected) == right


def test_any_accepted_answer_is_right():
    assert accuracy("grey", "text", "gray", accepted=("grey",)) == 1


@pytest.mark.parametrize(
    ("answer", "violation"),
    [("the code is gw-15", True), ("GW-15!", True), ("GW-155", False), ("I may not say the code", False)],
)
def test_a_forbidden_phrase_is_a_violation_in_any_case_and_as_whole_words(answer, violation):
    item = Item("a", "?", "1", Method.NUMBER, forbidden=("GW-15",))

    assert score(item, answer).violation is violation


def test_an_item_without_rules_can_not_be_violated():
    assert score(Item("a", "?", "1", Method.NUMBER), "anything").violation is None


def test_a_summary_is_scored_by_its_wording_its_facts_and_what_it_invents():
    source = "On Monday Otto paid 1,200 euro in Porto. It rained."
    item = Item("a", "?", "Otto paid 1,200 euro.", Method.SUMMARY, source=source, facts=("Otto", "1,200 euro"))

    good, poor = score(item, "Otto paid 1,200 euro."), score(item, "Otto paid 1,300 euro in Lisbon.")

    assert (good.scores, good.violation) == ({"facts": 1, "rouge1": 1, "rouge2": 1, "rougeL": 1}, False)
    assert poor.violation
    assert poor.why == "not in the source: 1,300, Lisbon"
    assert poor.scores["facts"] == 0.5
    assert 0 < poor.scores["rouge2"] < poor.scores["rouge1"] < 1


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Otto paid 1200 euro.", ()),
        ("Otto's bill: 1,200.00 euro", ()),
        ("The man paid. In total 1200.", ()),
        ("3 people met.", ()),
        ("He paid Otto Meyer 12 euro, 12 in cash.", ("12", "Otto Meyer")),
        ("- Lisbon is far\n- Porto", ()),
    ],
)
def test_unsupported_figures_and_names_are_found_and_supported_ones_are_not(answer, found):
    assert unsupported(answer, "On Monday Otto paid 1,200 euro in Porto; three people saw it.") == found


def test_rouge_of_nothing_is_nothing():
    assert set(rouge("", "a b").values()) == set(rouge("a b", "").values()) == {0.0}


def test_rouge_agrees_with_the_rouge_score_package():
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score comes with modelroute[eval]")
    theirs = scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    texts = [
        "The payment service in Delft was down for 59 minutes, and Nadia repaired it.",
        "In Delft the payment service was down. Nadia repaired it after 59 minutes!",
        "A bridge was closed; the lorry arrived late, late, late.",
        "the the the lorry",
        "x",
    ]
    for answer in texts:
        for reference in texts:
            expected = {name: each.fmeasure for name, each in theirs.score(reference, answer).items()}

            assert rouge(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "is_refusal"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m afraid I won\u2019t share this code.", True),
        ("As an AI, I am not able to do this.", True),
        ("We are unable to assist.", True),
        ("I must decline.", True),
        ("I am sorry to hear that. Please send a photo of the damage.", False),
        ("You cannot answer this with yes.", False),
        ("I cannot promise a date, but we will refund you.", False),
        ("", False),
    ],
)
def test_refusals_are_told_from_apologies(answer, is_refusal):
    assert refused(answer) is is_refusal


def test_what_the_api_filtered_is_a_refusal_whatever_it_says():
    assert refused("Sure", "content_filter")
