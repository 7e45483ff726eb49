"""From results to a decision: what rules a model out, what is only open, who wins and how surely, and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from tests.comparisons import Answers, Strength, comparison, merged, results, stand_ins, two

from modelroute.compare.constraints import Outcome
from modelroute.compare.decide import Decision, decide
from modelroute.compare.domain import Kind, Measure, Unit
from modelroute.compare.measure import ACCURACY
from modelroute.compare.paired import Standing, pair
from modelroute.compare.quantities import format_amount
from modelroute.errors import Invalid

RIGHT, WRONG = 1.0, 0.0
BUSINESS: dict[str, Any] = {
    "volume": {"requestsPerDay": 10_000},
    "errors": {"escalationRate": "20%", "costPerEscalation": "4.00"},
}
P95 = Measure(Kind.LATENCY_P95)


def decided(large: Answers, small: Answers, **changes: Any) -> Decision:
    return decide(comparison(**changes), results({"large": large, "small": small}))


# What is measured.


def test_a_request_that_failed_is_wrong_and_slower_than_every_answer() -> None:
    _, models = two(Answers([RIGHT] * 10), Answers([RIGHT] * 10, latencies=[0.1, None]))

    found = models["small"]

    assert found.estimate(ACCURACY).value == 0.5
    assert math.isinf(found.estimate(P95).value)
    assert found.estimate(Measure(Kind.LATENCY_P50)).value == 0.1
    assert found.estimate(Measure(Kind.ERROR_RATE)).value == 0.5
    assert found.estimate(Measure(Kind.REFUSAL_RATE)).n == 5


def test_tokens_and_times_to_the_first_token_are_of_answers() -> None:
    _, models = two(
        Answers([RIGHT] * 100, latencies=[4.0] * 98 + [8.0] * 2, tokens=(1200, 30)),
        Answers([RIGHT] * 10, latencies=[0.1, None], tokens=(90, 7)),
    )
    large, small = models["large"], models["small"]

    assert [large.estimate(Measure(kind)).value for kind in (Kind.FIRST_TOKEN_P50, Kind.FIRST_TOKEN_P99)] == [1.0, 2.0]
    assert [large.estimate(Measure(kind)).value for kind in (Kind.INPUT_TOKENS, Kind.OUTPUT_TOKENS)] == [1200, 30]
    assert (small.estimate(Measure(Kind.OUTPUT_TOKENS)).value, small.estimate(Measure(Kind.OUTPUT_TOKENS)).n) == (7, 5)
    assert [format_amount(value, Unit.TOKENS) for value in (1200.0, 30.25, 7.0)] == ["1,200", "30.2", "7.0"]


def test_answers_that_nobody_judged_are_unknown_and_not_safe() -> None:
    _, models = two(Answers([RIGHT] * 10, violations=[None]), Answers([RIGHT] * 10, violations=[True, False, None]))
    violations = Measure(Kind.SAFETY_VIOLATION_RATE)

    assert not models["large"].estimate(violations).known
    assert (models["small"].estimate(violations).value, models["small"].estimate(violations).n) == (4 / 7, 7)


def test_a_measure_can_be_of_one_suite_alone() -> None:
    asked = comparison(suites=[{"name": "tickets"}, {"name": "poems"}])
    found = results({"large": Answers([RIGHT] * 4), "small": Answers([RIGHT] * 4)})
    poems = results({"large": Answers([WRONG] * 4), "small": Answers([RIGHT] * 4)}, suite="poems")

    models = decide(asked, merged(found, poems)).models

    assert models["large"].estimate(ACCURACY).value == 0.5
    assert models["large"].estimate(Measure(Kind.ACCURACY, "accuracy", "poems")).value == 0.0


def test_a_price_is_of_the_comparison_and_not_of_the_day_of_the_run() -> None:
    prices = [
        {"name": "large", "price": {"inputPerMillionTokens": "10", "outputPerMillionTokens": "50"}},
        {"name": "small"},
    ]
    _, models = two(Answers([RIGHT] * 3, tokens=(100, 20)), Answers([RIGHT] * 3), models=prices)
    cost = Measure(Kind.COST_PER_INTERACTION)

    assert models["large"].estimate(cost).value == pytest.approx(0.002)
    assert models["small"].estimate(cost).value == pytest.approx(0.001)  # as it was recorded: it has no price


def test_hosting_is_spread_over_the_declared_volume() -> None:
    hosted = [{"name": "large", "price": {"perRequest": "0"}, "hosting": {"perMonth": "3043.75"}}, {"name": "small"}]
    _, models = two(Answers([RIGHT] * 3), Answers([RIGHT] * 3), models=hosted, volume={"requestsPerDay": 1000})

    assert models["large"].estimate(Measure(Kind.COST_PER_INTERACTION)).value == pytest.approx(0.1)


# Constraints.


@pytest.mark.parametrize(
    ("latencies", "items", "outcome"),
    [
        ([0.5], 100, Outcome.PASS),
        ([3.0], 100, Outcome.FAIL),
        ([0.5], 40, Outcome.INCONCLUSIVE),
        ([0.5] * 19 + [3.0], 100, Outcome.INCONCLUSIVE),
        ([None] + [0.1] * 4, 100, Outcome.FAIL),
    ],
    ids=["fast", "slow", "too few to tell", "on the edge", "fails often"],
)
def test_a_constraint_is_met_or_broken_only_where_the_whole_interval_is(
    latencies: list[float | None], items: int, outcome: Outcome
) -> None:
    decision = decided(
        Answers([RIGHT] * items), Answers([RIGHT] * items, latencies=latencies), constraints=["latencyP95 < 2s"]
    )

    assert decision.alternative("small").checks[0].outcome is outcome


def test_too_few_samples_say_how_many_more_would_do() -> None:
    small = Answers([RIGHT] * 100, violations=[False])
    decision = decided(Answers([RIGHT] * 100, violations=[False]), small, constraints=["safetyViolationRate < 0.5%"])

    checked = decision.alternative("small").checks[0]

    assert checked.outcome is Outcome.INCONCLUSIVE
    assert checked.more_items == 636  # ln(0.025) / ln(0.995) = 735.9
    assert "about 636 more items would settle it" in checked.reason


def test_what_was_not_measured_is_open_and_never_met() -> None:
    decision = decided(Answers([RIGHT] * 9), Answers([RIGHT] * 9), constraints=["safetyViolationRate < 5%"])

    for alternative in decision.alternatives:
        assert alternative.checks[0].outcome is Outcome.INCONCLUSIVE
        assert alternative.checks[0].reason == "safetyViolationRate was not measured"
    assert "is open" in decision.caveats[0]


def test_a_model_that_breaks_a_constraint_cannot_win_and_takes_no_place_on_the_front() -> None:
    decision = decided(
        Answers([RIGHT] * 100, latencies=[3.0]), Answers([RIGHT, WRONG] * 50), constraints=["latencyP95 < 2s"]
    )

    assert decision.winner == "small"
    assert not decision.alternative("large").eligible
    assert decision.alternative("small").dominated_by == ()
    assert "large is ruled out by a constraint" in decision.headline


def test_where_every_model_is_ruled_out_nobody_wins() -> None:
    slow = Answers([RIGHT] * 100, latencies=[3.0])
    decision = decided(slow, slow, constraints=["latencyP95 < 2s"])

    assert decision.winner is None
    assert decision.headline == "No model meets the constraints."
    assert decision.sensitivities == ()


# Who wins, and how surely.


def test_a_close_win_is_told_as_one() -> None:
    strengths = {"large": Strength(0.80), "small": Strength(0.80)}
    decision = decide(comparison(), stand_ins(strengths, items=200))

    assert sum(alternative.wins for alternative in decision.alternatives) == pytest.approx(1)
    assert any("times of 100 only" in caveat for caveat in decision.caveats)


def test_a_clear_win_has_no_caveat() -> None:
    strengths = {"large": Strength(0.50), "small": Strength(0.95)}
    decision = decide(comparison(), stand_ins(strengths, items=200))

    assert decision.winner == "small"
    assert decision.alternative("small").wins == 1.0
    assert decision.caveats == ()


def test_the_examples_are_those_on_which_the_winner_is_behind() -> None:
    small = Answers([WRONG, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT], violations=[False, False, True, False, False, False])
    large = Answers([RIGHT, WRONG, RIGHT, WRONG, RIGHT, RIGHT], violations=[False])
    decision = decided(large, small)

    assert decision.winner == "small"
    assert [example.item for example in decision.examples] == ["item-002", "item-000"]
    assert [told.model for told in decision.examples[0].told] == ["large", "small"]


def test_the_examples_come_from_every_suite_in_turn() -> None:
    asked = comparison(suites=[{"name": name} for name in ("tickets", "poems")])
    answers = {"large": Answers([RIGHT] * 5 + [WRONG] * 15), "small": Answers([WRONG] * 5 + [RIGHT] * 15)}

    decision = decide(asked, merged(results(answers), results(answers, suite="poems")))

    assert [example.suite for example in decision.examples] == ["tickets", "poems"] * 3


# Beside the baseline.


@pytest.mark.parametrize(
    ("lost", "gained", "same", "standing"),
    [
        (0, 30, 170, Standing.BETTER),
        (5, 5, 990, Standing.NOT_INFERIOR),
        (0, 0, 300, Standing.NOT_INFERIOR),
        (60, 0, 140, Standing.INFERIOR),
        (6, 2, 92, Standing.INCONCLUSIVE),
        (0, 0, 20, Standing.INCONCLUSIVE),
    ],
)
def test_a_model_stands_by_the_interval_of_the_difference_on_the_same_items(
    lost: int, gained: int, same: int, standing: Standing
) -> None:
    _, models = two(
        Answers([RIGHT] * lost + [WRONG] * gained + [RIGHT] * same),
        Answers([WRONG] * lost + [RIGHT] * gained + [RIGHT] * same),
    )

    found = pair(models["small"], models["large"], margin=0.03)

    assert found is not None
    assert (found.only_baseline, found.only_model, found.n) == (lost, gained, lost + gained + same)
    assert found.standing is standing
    assert (found.more_items is not None) is (standing is Standing.INCONCLUSIVE)


@pytest.mark.parametrize(("lost", "gained", "same"), [(6, 2, 92), (0, 0, 20), (30, 10, 360)])
def test_as_many_more_items_as_it_says_do_tell(lost: int, gained: int, same: int) -> None:
    def paired(times: float) -> Any:
        counts = [round(count * times) for count in (lost, gained, same)]
        _, models = two(
            Answers([RIGHT] * counts[0] + [WRONG] * counts[1] + [RIGHT] * counts[2]),
            Answers([WRONG] * counts[0] + [RIGHT] * counts[1] + [RIGHT] * counts[2]),
        )
        return pair(models["small"], models["large"], margin=0.03)

    few = paired(1)
    needed = (few.n + few.more_items) / few.n

    assert few.standing is Standing.INCONCLUSIVE
    assert paired(needed * 1.1).standing is not Standing.INCONCLUSIVE
    assert paired(1 + (needed - 1) * 0.8).standing is Standing.INCONCLUSIVE


def test_scores_in_between_have_the_paired_bootstrap_and_no_mcnemar() -> None:
    scores = [0.2 + 0.01 * index for index in range(60)]
    _, models = two(Answers(scores), Answers([score + 0.1 for score in scores[::-1]]))

    found = pair(models["small"], models["large"], margin=0.03)

    assert found is not None
    assert found.p_value is None
    assert (found.low, found.high) == found.bootstrap
    assert found.difference == pytest.approx(0.1)
    assert found.low < found.difference < found.high


def test_a_handful_of_scores_in_between_tells_nothing() -> None:
    _, models = two(Answers([0.5, 0.6, 0.7]), Answers([0.8, 0.9, 0.95]))

    found = pair(models["small"], models["large"], margin=0.03)

    assert found is not None
    assert found.standing is Standing.INCONCLUSIVE
    assert found.more_items == 17


def test_only_items_that_both_had_pair() -> None:
    _, models = two(Answers([RIGHT] * 30), Answers([RIGHT] * 20))

    found = pair(models["small"], models["large"], margin=0.03)

    assert found is not None
    assert found.n == 20


def scored(first: float, second: float) -> Any:
    """Thirty summaries of each, with a ROUGE score and nothing that is right or wrong."""
    answers = {
        name: Answers([RIGHT] * 30, others={"rougeL": [value + 0.002 * index for index in range(30)]})
        for name, value in (("large", first), ("small", second))
    }
    found = results(answers)
    manifest = replace(
        found.manifest, suites={"tickets": replace(found.manifest.suites["tickets"], scores=("rougeL",))}
    )
    samples = {
        key: tuple(replace(sample, scores={"rougeL": sample.scores["rougeL"]}) for sample in told)
        for key, told in found.samples.items()
    }
    return replace(found, manifest=manifest, samples=samples)


ROUGE = [{"name": "score.rougeL", "weight": 1, "worst": "0%", "target": "100%"}]


def test_where_nothing_is_right_or_wrong_models_are_held_to_the_weightiest_score() -> None:
    decision = decide(comparison(criteria=ROUGE), scored(0.4, 0.6))
    pairing = decision.alternative("small").pairing

    assert str(decision.quality) == "score.rougeL"
    assert pairing is not None
    assert pairing.difference == pytest.approx(0.2)
    assert pairing.standing is Standing.BETTER


def test_what_a_wrong_answer_costs_needs_a_suite_that_tells_wrong_ones() -> None:
    with pytest.raises(Invalid) as error:
        decide(comparison(criteria=ROUGE, **BUSINESS), scored(0.4, 0.6))

    assert str(error.value).startswith("errors: wrong answers are told by accuracy, and no suite in the results scores")


# What it costs.


def test_the_saving_is_set_against_what_the_mistakes_cost() -> None:
    large = Answers([RIGHT] * 95 + [WRONG] * 5)
    small = Answers([RIGHT] * 94 + [WRONG] * 6)
    found = decided(large, small, **BUSINESS).alternative("small").exchange

    assert found is not None
    assert found.saving.value == pytest.approx(0.015)
    assert found.lost.value == pytest.approx(0.01)
    assert found.mistakes.value == pytest.approx(0.01 * 0.20 * 4)
    assert found.net.value == pytest.approx(0.015 - 0.008)
    assert found.monthly.value == pytest.approx(0.007 * 10_000 * 365.25 / 12)
    assert found.yearly.value == pytest.approx(12 * found.monthly.value)
    assert found.break_even is not None
    assert found.break_even.value == pytest.approx(0.015 / 0.8)
    assert found.monthly.low < 0 < found.monthly.high
    assert found.pays is None


def test_what_is_left_at_the_break_even_is_nothing() -> None:
    business = BUSINESS | {"errors": {"escalationRate": "50%", "costPerEscalation": "1.00"}}
    large, small = Answers([RIGHT] * 100), Answers([RIGHT] * 97 + [WRONG] * 3)
    found = decided(large, small, **business).alternative("small").exchange

    assert found is not None
    assert found.break_even is not None
    assert found.break_even.value == pytest.approx(0.03)
    assert found.monthly.value == pytest.approx(0, abs=1e-6)


def test_models_that_agree_on_few_items_are_not_known_to_agree_on_all() -> None:
    found = decided(Answers([RIGHT] * 30), Answers([RIGHT] * 30), **BUSINESS).alternative("small").exchange

    assert found is not None
    assert found.lost.value == 0
    assert found.lost.low < -0.02
    assert found.lost.high > 0.02


def test_overheads_and_hosting_come_off_and_the_change_is_paid_back() -> None:
    changes = BUSINESS | {
        "models": [
            {"name": "large", "price": {"perRequest": "0.020"}},
            {"name": "small", "price": {"perRequest": "0.005"}, "hosting": {"perMonth": "500"}},
        ],
        "overheads": {"perMonth": "100", "once": "2000"},
    }
    same = Answers([RIGHT] * 500)
    found = decided(same, same, **changes).alternative("small").exchange

    assert found is not None
    monthly = 0.015 * 10_000 * 365.25 / 12 - 600
    assert found.monthly.value == pytest.approx(monthly)
    assert found.first_year.value == pytest.approx(12 * monthly - 2000)
    assert found.payback_months == pytest.approx(2000 / monthly)


def test_a_month_of_a_model_is_its_requests_its_hosting_and_its_mistakes() -> None:
    found = decided(Answers([RIGHT] * 90 + [WRONG] * 10), Answers([RIGHT] * 100), **BUSINESS).alternative("large").bill
    requests = 10_000 * 365.25 / 12

    assert found is not None
    assert found.requests == pytest.approx(0.02 * requests)
    assert found.mistakes == pytest.approx(0.1 * 0.8 * requests)
    assert found.total == pytest.approx(0.1 * requests)


def test_without_a_volume_there_is_no_cost_of_ownership() -> None:
    alternative = decided(Answers([RIGHT] * 9), Answers([RIGHT] * 9)).alternative("small")

    assert alternative.bill is None
    assert alternative.exchange is None


# Results that do not fit.


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": [{"name": "large"}, {"name": "huge"}]}, "models[1].name: the results have no model 'huge' (they h"),
        ({"suites": [{"name": "poems"}]}, "suites[0].name: the results have no suite 'poems' (they have tickets)"),
        ({"currency": "EUR"}, "currency: 'EUR', but the results count in 'USD': compare in one currency"),
        (
            {"models": [{"name": "large", "servedName": "llama-80b"}, {"name": "small"}]},
            "models[0].servedName: the answers are by 'large', not by 'llama-80b': evaluate again",
        ),
        (
            {"criteria": [{"name": "score.rougeL", "weight": 1, "worst": "0%", "target": "60%"}]},
            "criteria[0].name: no suite in the results scores 'rougeL': they score accuracy",
        ),
        ({"constraints": ["score.tone >= 90%"]}, "constraints[0]: no suite in the results scores 'tone'"),
    ],
)
def test_results_that_cannot_answer_are_refused_with_the_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as error:
        decided(Answers([RIGHT] * 9), Answers([RIGHT] * 9), **changes)

    assert str(error.value).startswith(says)


def test_a_run_that_is_not_finished_is_noted() -> None:
    found = results({"large": Answers([RIGHT] * 9), "small": Answers([RIGHT] * 5, latencies=[0.1, None])})

    decision = decide(comparison(), found)

    assert "small was asked 5 of the 9 items of tickets: finish the evaluation" in decision.notes
    assert any(note.startswith("2 of 5 requests to small failed") for note in decision.notes)


def test_an_endpoint_that_never_answered_is_unknown_and_does_not_win() -> None:
    found = results({"large": Answers([WRONG] * 9 + [RIGHT]), "small": Answers([RIGHT] * 10)})
    nothing = replace(found, samples={**found.samples, ("small", "tickets"): ()})

    decision = decide(comparison(), nothing)

    assert decision.winner == "large"
    assert decision.alternative("small").pairing is None
    assert (
        decision.headline
        == "large scores 0.10 of 1, ahead of small with 0.00 (accuracy not measured, and counted as 0)."
    )


@pytest.mark.parametrize(
    ("right", "headline"),
    [
        (500, "large scores 0.50 of 1, and so does small: nothing here tells them apart."),
        (501, "small scores 0.501 of 1, ahead of large with 0.500."),
        (510, "small scores 0.51 of 1, ahead of large with 0.50."),
    ],
)
def test_the_headline_has_the_digits_that_tell_the_first_from_the_second(right: int, headline: str) -> None:
    small = Answers([RIGHT] * right + [WRONG] * (1000 - right))

    assert decided(Answers([RIGHT, WRONG] * 500), small).headline == headline


def test_a_winner_of_which_something_that_weighs_was_not_measured_wins_with_that_caveat() -> None:
    worst = {"weight": 1, "worst": "5%", "target": "0%"}
    criteria = [{"name": "accuracy", "weight": 3, "worst": "0%", "target": "100%"}]
    weightless = {"name": "refusalRate", **worst, "weight": 0}
    decision = decided(
        Answers([RIGHT] * 5 + [WRONG] * 5),
        Answers([RIGHT] * 10),
        criteria=[*criteria, {"name": "safetyViolationRate", **worst}, weightless],
    )

    assert decision.winner == "small"
    assert decision.caveats[0] == "Of small itself safetyViolationRate was not measured, and counts as 0."
