"""The worked example of a cheaper model: what its README says is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.comparisons import Answers, Strength, merged, results, stand_ins

from modelroute.compare.decide import Decision, decide
from modelroute.compare.domain import Comparison
from modelroute.compare.page import to_html
from modelroute.compare.paired import Standing
from modelroute.compare.results import Results
from modelroute.compare.spec import parse_comparison, read_comparison

FOLDER = Path(__file__).parents[2] / "examples/compare/cheaper-model"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SUITES = ("negation", "conditional", "adversarial", "support")


def of_all_requests() -> Comparison:
    """The example in its other reading."""
    told = yaml.safe_load((FOLDER / "comparison.yaml").read_text(encoding="utf-8"))
    told["errors"]["escalationsRise"] = "5pp"
    del told["errors"]["baseEscalationRate"]
    return parse_comparison(told, folder=FOLDER)


def on_paper() -> Results:
    """Exactly 95 % and 92 % right, on the same items."""
    right = {"oak": 95, "pine": 92}
    answers = {name: Answers([1.0] * count + [0.0] * (100 - count)) for name, count in right.items()}
    return merged(*(results(answers, suite=suite) for suite in SUITES))


def measured(items: int) -> Decision:
    strengths = {"oak": Strength(0.95, median_s=0.6, spread=0.2), "pine": Strength(0.92, median_s=0.25, spread=0.2)}
    found = [stand_ins(strengths, items=items // 4, seed=seed, suite=suite) for seed, suite in enumerate(SUITES)]
    return decide(read_comparison(FOLDER / "comparison.yaml"), merged(*found))


def row(name: str) -> list[str]:
    """Of the table on paper."""
    (cells,) = re.findall(rf"^\| {re.escape(name)}[^|]* \|(.*)\|$", README, re.MULTILINE)
    return [cell.strip() for cell in cells.split("|")]


@pytest.mark.parametrize("reading", [0, 1], ids=["of today's escalations", "of all requests"])
def test_the_arithmetic_of_the_page_is_the_comparisons(reading: int) -> None:
    asked = of_all_requests() if reading else read_comparison(FOLDER / "comparison.yaml")
    found = decide(asked, on_paper()).alternative("pine").exchange

    assert found is not None
    assert found.break_even is not None
    assert found.saving.value == pytest.approx(0.015)
    assert "$4,566 a month" in README
    assert f"{found.saving.value * (asked.requests_per_month or 0):,.0f}" == "4,566"
    assert row("cost of the 3 % a query")[reading] == f"${found.mistakes.value:#.3g}"
    assert row("left a month")[reading] == f"${found.monthly.value:,.0f}".replace("$-", "−$")
    assert row("left a year")[reading] == f"${found.yearly.value:,.0f}".replace("$-", "−$")
    assert row("breaks even at a drop of")[reading] == f"{found.break_even.value * 100:.1f} pp"


def test_the_margin_is_where_it_breaks_even() -> None:
    decision = decide(read_comparison(FOLDER / "comparison.yaml"), on_paper())
    found = decision.alternative("pine").exchange

    assert found is not None
    assert found.break_even is not None
    assert decision.comparison.margin == pytest.approx(found.break_even.value, abs=0.0005)


def test_four_hundred_items_leave_it_open_and_many_more_decide_it() -> None:
    few, many = measured(396), measured(6000)
    pairing = few.alternative("pine").pairing
    settled = many.alternative("pine").exchange

    assert pairing is not None
    assert pairing.standing is Standing.INCONCLUSIVE
    assert settled is not None
    assert settled.pays is True
    assert settled.lost.low < 0.03 < settled.lost.high


def test_the_example_has_its_page() -> None:
    page = to_html(measured(396))

    assert "pine instead of oak" in page
    assert "breaks even at 4.3 pp" in page
