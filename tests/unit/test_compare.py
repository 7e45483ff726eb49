"""`modelroute compare` as a person meets it: a table, JSON for programs, a page that needs nothing, a rollout."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.comparisons import Strength, stand_ins, write_results

from modelroute.api.parse import parse
from modelroute.api.resources import ModelRoute
from modelroute.api.spec import Metric, Require, Tier
from modelroute.cli.main import cli
from modelroute.compare import results as folder

SPEC: dict[str, Any] = yaml.safe_load("""
apiVersion: modelroute.dev/compare/v1
name: support-chat
models:
- name: large
  tier: Large
  endpoint: http://llama-70b.chat.svc:8000/v1
  price: {inputPerMillionTokens: "12.00", outputPerMillionTokens: "60.00"}
- name: medium
  endpoint: http://127.0.0.1:8001/v1
  price: {inputPerMillionTokens: "3.00", outputPerMillionTokens: "15.00"}
- name: small
  tier: Small
  endpoint: http://llama-8b:9000/v1
  price: {inputPerMillionTokens: "0.20", outputPerMillionTokens: "0.60"}
suites: [{name: tickets}]
constraints: ["latencyP95 < 2s", "safetyViolationRate < 3%"]
criteria:
- {name: accuracy, weight: 3, worst: 50%, target: 95%}
- {name: latencyP95, weight: 2, worst: 4s, target: 0.5s}
- {name: costPerInteraction, weight: 2, worst: "0.02", target: "0"}
volume: {requestsPerDay: 20000}
errors: {escalationRate: 20%, costPerEscalation: "1.50"}
overheads: {perMonth: "100", once: "2000"}
""")
STRENGTHS = {
    "large": Strength(0.94, median_s=0.9, spread=0.25),
    "medium": Strength(0.80, median_s=0.7, failing=0.02),
    "small": Strength(0.92, median_s=0.3),
}
NASTY = "</title><script>alert(1)</script> | *bold* <b>&amp;"


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A folder with comparison.yaml and results/."""
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(SPEC), encoding="utf-8")
    write_results(tmp_path / "results", stand_ins(STRENGTHS, items=200))
    return tmp_path


def run(at: Path, *options: str) -> Result:
    return CliRunner().invoke(
        cli, ["compare", "-f", str(at / "comparison.yaml"), "--results", str(at / "results"), *options]
    )


def out(at: Path, *options: str) -> str:
    result = run(at, *options)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_in_a_pipe_it_is_as_wide_as_columns_says_and_a_file_as_wide_as_the_tables_want(
    at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widest = max(map(len, out(at).splitlines()))
    monkeypatch.setenv("COLUMNS", "100")
    run(at, "--out", str(at / "told.txt"))

    assert 100 < widest <= 140
    assert max(map(len, out(at).splitlines())) <= 100
    assert max(map(len, (at / "told.txt").read_text("utf-8").splitlines())) == widest


def respelled(at: Path, **changes: Any) -> Path:
    (at / "comparison.yaml").write_text(yaml.safe_dump(copy.deepcopy(SPEC) | changes), encoding="utf-8")
    return at


def test_the_table_says_who_wins_and_every_step_on_the_way(at: Path) -> None:
    told = out(at)

    assert told.startswith("small scores 0.")
    for title in (
        "Ranking",
        "Constraints",
        "Measured",
        "Decision matrix",
        "How far one weight can move",
        "Accuracy besi",
    ):
        assert title in told
    assert "Instead of large (USD)" in told


@pytest.mark.parametrize("output", ["json", "markdown", "html", "table"])
def test_the_same_inputs_give_the_same_bytes(at: Path, output: str) -> None:
    first, second = at / "one" / "report", at / "other" / "report"

    run(at, "-o", output, "--out", str(first))
    run(at, "-o", output, "--out", str(second))

    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 1000


def test_json_holds_the_decision_and_nothing_that_json_has_not(at: Path) -> None:
    def never(constant: str) -> None:
        raise AssertionError(constant)

    told = json.loads(out(at, "-o", "json"), parse_constant=never)

    assert told["schema"] == "modelroute.dev/decision/v1"
    assert told["winner"] == told["ranking"][0] == "small"
    assert told["models"]["medium"]["measures"]["latencyP99"]["high"] is None
    assert told["models"]["large"]["exchange"] is None
    assert told["models"]["small"]["besideBaseline"]["items"] == 200
    assert told["sensitivity"][0]["share"]["from"] <= told["sensitivity"][0]["share"]["now"]


def test_markdown_is_tables_that_hold_together(at: Path) -> None:
    told = out(at, "-o", "markdown")
    lines = told.splitlines()

    rules = [index for index, line in enumerate(lines) if re.fullmatch(r"\|( --- \|)+", line)]
    assert len(rules) >= 7
    for index in rules:
        assert lines[index - 1].count("|") == lines[index].count("|") == lines[index + 1].count("|")


class Page(HTMLParser):
    """What a browser would fetch or run, and whether every element ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_runs_nothing(at: Path) -> None:
    text = out(at, "-o", "html")
    page = Page(text)

    assert page.open == []
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(page.seen)
    assert "url(" not in text
    assert "@import" not in text


def test_every_picture_is_well_formed_has_a_name_and_stays_within_its_frame(at: Path) -> None:
    pictures = re.findall(r"<svg.*?</svg>", out(at, "-o", "html"), re.DOTALL)

    assert len(pictures) == 3 + 3 + 2  # front, matrix, latencies; a weight each; a break-even for all but the baseline
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
        assert root[0].tag.endswith("title")
        assert root[0].text
        assert "nan" not in picture
        for part in root.iter():
            for name, most in (
                ("x", width),
                ("x1", width),
                ("cx", width),
                ("y", height),
                ("y1", height),
                ("cy", height),
            ):
                assert 0 <= float(part.attrib.get(name, 0)) <= most


@pytest.mark.parametrize("scheme", ["@media (prefers-color-scheme: dark)", "@media print"])
def test_every_colour_of_light_has_its_match_in_dark_and_print(at: Path, scheme: str) -> None:
    text = out(at, "-o", "html")
    light = set(re.findall(r"(--[\w-]+):", text.split("@media")[0]))
    other = set(re.findall(r"(--[\w-]+):", text.split(scheme)[1].split("}\n}")[0].split("* {")[0]))

    assert light
    assert light == other
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= light


@pytest.mark.parametrize("output", ["html", "markdown"])
def test_what_a_model_says_is_shown_and_never_taken_for_markup(at: Path, output: str) -> None:
    found = folder.read_results(at / "results")
    samples = tuple(
        replace(sample, prompt=NASTY, answer=NASTY, hash=folder.prompt_hash(NASTY))
        for sample in found.samples["small", "tickets"]
    )
    others = {
        key: tuple(replace(sample, hash=folder.prompt_hash(NASTY)) for sample in told)
        for key, told in found.samples.items()
    }
    nasty = at / "nasty"
    write_results(nasty, replace(found, samples={**others, ("small", "tickets"): samples}))

    told = out(at, "-o", output, "--results", str(nasty))

    assert "<script>" not in told
    assert "<b>&amp;" not in told
    assert "alert(1)" in told


def test_the_rollout_goes_from_the_baseline_to_the_winner_by_what_was_measured(at: Path) -> None:
    told = out(at, "--emit", "modelroute")

    route = parse(ModelRoute, yaml.safe_load(told), strict=True)
    large, small = route.spec.models
    objectives = {objective.metric: objective for objective in route.spec.objectives}

    assert (large.name, large.tier, large.weight) == ("large", Tier.LARGE, 0)
    assert (small.name, small.tier, small.weight) == ("small", Tier.SMALL, 100)
    assert (large.backend_ref.name, large.backend_ref.namespace, large.backend_ref.port) == ("llama-70b", "chat", 8000)
    assert (small.backend_ref.name, small.backend_ref.namespace, small.backend_ref.port) == ("llama-8b", None, 9000)
    assert small.price is not None
    assert small.price.input_per_million_tokens == "0.20"
    assert objectives[Metric.SAFETY_VIOLATION_RATE].max == "3%"  # the constraint
    assert objectives[Metric.LATENCY_ABOVE].threshold == "2s"
    assert objectives[Metric.LATENCY_ABOVE].max == "5%"
    assert objectives[Metric.ERROR_RATE].max == "1.83%"  # 0 of 200 failed, which may be up to this
    assert [step.require for step in route.spec.rollout.steps].count(Require.PROVEN_SAFE) == 1
    assert told.startswith("# From the comparison 'support-chat'. small scores")


def test_a_name_that_no_object_can_have_becomes_one_that_it_can(at: Path) -> None:
    told = out(respelled(at, name="Support chat, 2nd try"), "--emit", "modelroute")

    assert parse(ModelRoute, yaml.safe_load(told)).metadata.name == "support-chat-2nd-try"


def test_an_endpoint_that_is_no_service_is_said_to_be_guessed(at: Path) -> None:
    respelled(at, baseline="medium")

    told = out(at, "--emit", "modelroute")

    assert "backendRef of medium" in told.replace("\n#  ", "")
    assert parse(ModelRoute, yaml.safe_load(told), strict=True).spec.models[0].backend_ref.name == "medium"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"baseline": "small"}, "the winner is the baseline, small, so there is nothing to roll out"),
        ({"constraints": ["latencyP95 < 1ms"]}, "no model meets the constraints, so there is nothing to roll out"),
    ],
)
def test_where_there_is_nothing_to_roll_out_it_says_so(at: Path, changes: dict[str, Any], says: str) -> None:
    result = run(respelled(at, **changes), "--emit", "modelroute")

    assert result.exit_code == 1
    assert says in str(result.exception)


def test_a_decision_without_a_winner_is_a_decision_and_has_a_page(at: Path) -> None:
    respelled(at, constraints=["latencyP95 < 1ms"])

    assert out(at).startswith("No model meets the constraints.")
    assert "Where large did worst" in out(at, "-o", "html")
    assert json.loads(out(at, "-o", "json"))["winner"] is None


def test_criteria_that_are_all_of_one_kind_and_of_no_volume_have_a_page_too(at: Path) -> None:
    spec = {key: value for key, value in SPEC.items() if key not in ("volume", "errors", "overheads", "constraints")}
    spec["criteria"] = [SPEC["criteria"][0]]
    (at / "comparison.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")

    Page(out(at, "-o", "html"))
    out(at)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"currency": "EUR"}, "comparison.yaml: currency: 'EUR', but the results count in 'USD'"),
        ({"suites": [{"name": "poems"}]}, "comparison.yaml: suites[0].name: the results have no suite 'poems'"),
        ({"criteria": []}, "comparison.yaml: criteria: needs at least 1 entry"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_and_field(at: Path, changes: dict[str, Any], says: str) -> None:
    result = run(respelled(at, **changes))

    assert result.exit_code == 1
    assert says in str(result.exception)


def test_results_of_another_version_are_refused(at: Path) -> None:
    manifest = at / "results" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("results/v1", "results/v2"), encoding="utf-8")

    result = run(at)

    assert result.exit_code == 1
    assert "the results are of version 'modelroute.dev/results/v2', and this modelroute reads" in str(result.exception)


def test_a_report_that_cannot_be_written_is_one_sentence(at: Path) -> None:
    result = run(at, "--out", str(at / "comparison.yaml" / "report"))

    assert result.exit_code == 1
    assert "comparison.yaml/report cannot be written: " in result.output
