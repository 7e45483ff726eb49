"""No name, whatever is in it, can break out of the matcher that it was put into."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fake_prometheus import parse_selector

from modelroute.metrics.judge import Judge
from modelroute.metrics.reading import ArmQuery, RouteQuery
from modelroute.metrics.selectors import Question, joined, promql_quote, re2_quote, selector
from modelroute.metrics.traefik import RELOADS, Traefik

NASTY = st.text(
    st.sampled_from('ab-1."\\\n\r\t\x00\x7f{}[]()|^$*+?/,=~@é') | st.characters(exclude_categories=["Cs"]), max_size=12
)
NAMED = NASTY.filter(bool)


@given(NASTY)
def test_a_quoted_string_is_one_literal_with_that_value(text: str) -> None:
    expression = f"up{{job=~{promql_quote(text)}}}[5s]"
    assert parse_selector(expression) == ("up", [("job", "=~", text)], 5.0)


@given(NASTY, NASTY)
def test_a_quoted_pattern_matches_its_text_and_nothing_else(text: str, other: str) -> None:
    pattern = re.compile(re2_quote(text), re.DOTALL)
    assert pattern.fullmatch(text)
    assert bool(pattern.fullmatch(other)) == (text == other)


@given(NAMED, NAMED, NAMED, NAMED, NAMED)
def test_a_routes_names_stay_within_their_matchers(
    namespace: str, route: str, backend_namespace: str, service: str, gateway: str
) -> None:
    arm = ArmQuery("arm", backend_namespace, service, 80)
    query = RouteQuery(namespace, route, 0, (arm,), (), 0, 5, 5, gateways=((namespace, gateway),))
    for asked in (query, replace(query, gateways=())):
        for what, source in Traefik().sources(asked).items():
            name, matchers, _ = parse_selector(selector(source.counters) + "[5s]")
            assert name == source.counters.metric
            if what == RELOADS:
                assert matchers == [], "it is of no route"
                continue
            assert [(label, operator) for label, operator, _ in matchers] == [("service", "=~")]
            re.compile(matchers[0][2])
    source = Judge().source(query)
    _, matchers, _ = parse_selector(selector(source.counters) + "[5s]")
    assert [label for label, _, _ in matchers] == ["namespace", "service"]
    assert source.counters.admits({"namespace": backend_namespace, "service": service})


@given(st.lists(st.tuples(NAMED, NAMED), min_size=1, max_size=30), st.integers(1, 60))
def test_joined_questions_ask_for_all_that_each_asked_for(names: list[tuple[str, str]], max_size: int) -> None:
    questions = [
        Question("judge", (("namespace", (re2_quote(one),)), ("service", (re2_quote(other),)))) for one, other in names
    ]
    wide = joined(questions, max_size=max_size)
    assert sorted(part.matchers for _, parts in wide for part in parts) == sorted({q.matchers for q in questions})
    for union, parts in wide:
        assert len(parts) == 1 or sum(part.size for part in parts) <= max_size
        _, matchers, _ = parse_selector(selector(union) + "[5s]")
        for part in parts:
            for label, _, pattern in matchers:
                texts = dict(part.matchers)[label]
                assert all(text in pattern for text in texts)


@pytest.mark.parametrize("question", [Question('up{} or "x"'), Question("up", (('job="x"', ("a",)),)), Question("")])
def test_what_is_no_name_is_refused(question: Question) -> None:
    with pytest.raises(ValueError, match="not a"):
        selector(question)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        promql_quote("\ud800")


@given(NASTY, NASTY, NASTY)
def test_a_question_of_texts_alone_has_one_answer_and_knows_it(text: str, other: str, seen: str) -> None:
    question = Question("answers", (("app", (re2_quote(text),)), ("team", (re2_quote(other),))))
    assert question.exact == (text, other)
    assert question.admits({"app": text, "team": other})
    assert question.admits({"app": seen, "team": other}) == (seen == text)


@given(st.sampled_from(["a|b", "a.c", ".*", "[ab]", "a+", "x?", "(a)", "a{2}", r"\d", r"\n", r"a\b"]))
def test_a_question_of_patterns_leaves_a_choice(pattern: str) -> None:
    assert Question("answers", (("app", (pattern,)),)).exact is None
    assert Question("answers", (("app", ("a", "b")),)).exact is None
