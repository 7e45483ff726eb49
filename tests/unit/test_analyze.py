"""`modelroute analyze`: the documented examples, answers computed in another way, a sentence for what is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from modelroute.analysis.audit import TwoArm, log_e_one_arm, log_e_two_arm
from modelroute.analysis.design import Comparison, Design, Objective
from modelroute.analysis.one_arm import Direction
from modelroute.cli.analyze import _logs
from modelroute.cli.main import cli
from modelroute.cli.tables import RolloutTable, read_table

PAGE = Path(__file__).parents[2] / "docs" / "analyze.md"


def run(table: object, *options: str) -> Result:
    text = table if isinstance(table, str) else json.dumps(table)
    return CliRunner().invoke(cli, ["analyze", "-", *options], input=text)


def answer(table: object) -> dict[str, Any]:
    result = run(table)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def close(found: object, told: object) -> bool:
    """Equal, numbers to nine digits."""
    if isinstance(told, dict) and isinstance(found, dict):
        return found.keys() == told.keys() and all(close(found[key], told[key]) for key in told)
    if isinstance(told, list) and isinstance(found, list):
        return len(found) == len(told) and all(map(close, found, told))
    if isinstance(told, float) and isinstance(found, float):
        return math.isclose(found, told, rel_tol=1e-8, abs_tol=1e-8)
    return found == told


def examples() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)]
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def test_every_kind_of_table_has_an_example() -> None:
    assert {table["test"] for table, _ in examples()} == {"two-arm", "one-arm", "shares", "counters", "rollout"}


def test_in_a_pipe_the_table_is_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    table = next(table for table, _ in examples() if table["test"] == "rollout")
    wide = run(table, "--table").stdout
    monkeypatch.setenv("COLUMNS", "60")
    narrow = run(table, "--table").stdout

    assert 60 < max(map(len, wide.splitlines())) <= 110
    assert max(map(len, narrow.splitlines())) <= 60


@pytest.mark.parametrize(("table", "told"), examples(), ids=lambda value: value.get("test", ""))
def test_the_examples_of_the_page_come_out_as_they_are_written(table: dict[str, Any], told: dict[str, Any]) -> None:
    assert close(answer(table), told)


def plain_log_e(
    windows: Sequence[tuple[float, ...]], psis: Sequence[float], weights: Sequence[float], onset: dict[int, float],
    *, ratio: float, margin: float, prior_rate: float, overdispersion: float, cap: float,
) -> list[float]:  # fmt: skip
    """Process A as STATISTICS writes it, capital by capital, with a plain search for the projection."""
    capital = [0.0] * len(psis)
    left, bad, total, found = 1.0, 0.0, 0.0, []
    for index, (n_c, x_c, n_b, x_b) in enumerate(windows):
        spent = onset.get(index, 0.0)
        left -= spent
        b = (0.5 + bad) / (0.5 / prior_rate + total)
        for j, psi in enumerate(psis):
            odds = psi * (ratio * b + margin) / (1 - ratio * b - margin)
            theta = odds / (1 + odds)
            low, high = sorted((b, (theta - margin) / ratio))
            low = max(low, 0.0)
            for _ in range(200):
                m = (low + high) / 2
                c = ratio * m + margin
                if n_b * (m - b) / (m * (1 - m)) + n_c * ratio * (c - theta) / (c * (1 - c)) < 0:
                    low = m
                else:
                    high = m
            c = ratio * m + margin
            log = x_c * math.log(theta / c) + (n_c - x_c) * math.log((1 - theta) / (1 - c))
            log += x_b * math.log(b / m) + (n_b - x_b) * math.log((1 - b) / (1 - m))
            capital[j] = (capital[j] + spent * weights[j]) * math.exp(min(log / overdispersion, cap))
        bad, total = bad + x_b, total + n_b
        found.append(math.log(sum(capital) + left))
    return found


WINDOWS = [(100.0, 4.0, 900.0, 9.0), (100.0, 6.0, 900.0, 8.0), (50.0, 0.0, 450.0, 3.5), (200.0, 11.0, 800.0, 10.0)]


@pytest.mark.parametrize(("direction", "psis"), [("harm", [1.5, 4.0, 30.0]), ("safe", [0.1, 0.5, 0.9])])
@pytest.mark.parametrize(("ratio", "margin"), [(1.0, 0.0), (1.0, 0.01), (1.3, 0.0), (1.2, 0.002)])
@pytest.mark.parametrize(("overdispersion", "cap"), [(1.0, None), (2.5, 0.4)])
def test_two_arms_come_out_as_capital_by_capital(
    direction: str, psis: list[float], ratio: float, margin: float, overdispersion: float, cap: float | None
) -> None:
    weights = [0.5, 0.3, 0.2]
    found = answer(
        {
            "test": "two-arm",
            "direction": direction,
            "ratio": ratio,
            "margin": margin,
            "priorRate": 0.02,
            "overdispersion": overdispersion,
            "cap": cap,
            "alternatives": psis,
            "priorWeights": weights,
            "onset": {"0": 0.25, "2": 0.5},
            "windows": WINDOWS,
        }
    )
    expected = plain_log_e(
        WINDOWS, psis, weights, {0: 0.25, 2: 0.5},
        ratio=ratio, margin=margin, prior_rate=0.02, overdispersion=overdispersion, cap=cap or math.inf,
    )  # fmt: skip

    assert found["logE"] == pytest.approx(expected, abs=1e-9)


def test_the_published_check_values() -> None:
    one = {"test": "two-arm", "priorWeights": [1], "onset": {"0": 1}, "windows": [[100, 5, 900, 9]]}
    plain = answer({**one, "alternatives": [(0.02 / 0.98) / (0.01 / 0.99)]})
    allowed = 1.2 * 0.01 + 0.002
    shifted = answer(
        {**one, "ratio": 1.2, "margin": 0.002, "alternatives": [(0.03 / 0.97) / (allowed / (1 - allowed))]}
    )

    assert plain["logE"] == pytest.approx([2.1633810413], abs=5e-10)
    assert shifted["logE"] == pytest.approx([1.9342897692], abs=5e-10)


def test_by_default_capital_is_spread_as_written_down() -> None:
    psis = [math.exp(math.log(1.25) + j * math.log(80) / 15) for j in range(16)]
    raw = [math.exp(-0.35 * j) for j in range(16)]
    left = [1.0] + [0.5 / math.sqrt(1 + t / 20) for t in range(len(WINDOWS))]
    expected = plain_log_e(
        WINDOWS, psis, [each / sum(raw) for each in raw], {t: left[t] - left[t + 1] for t in range(len(WINDOWS))},
        ratio=1, margin=0, prior_rate=0.01, overdispersion=1, cap=math.inf,
    )  # fmt: skip

    assert answer({"test": "two-arm", "windows": WINDOWS})["logE"] == pytest.approx(expected, abs=1e-9)


def told_defaults(section: str) -> dict[str, str]:
    """What the page gives in a section for the fields that are left out."""
    lines = PAGE.read_text("utf-8").partition(f"## {section}:")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {
        name: default
        for names, defaults, _ in rows
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=False)
    }


@pytest.mark.parametrize("direction", list(Direction))
def test_what_a_test_called_from_python_leaves_out_is_what_the_page_says_of_a_table(direction: Direction) -> None:
    told = told_defaults("two-arm")
    numbers = {name: json.loads(told[name]) for name in ("ratio", "margin", "priorRate", "overdispersion")}
    table = {"test": "two-arm", "direction": direction, **numbers, "windows": WINDOWS}

    assert TwoArm().direction == json.loads(told["direction"].strip("`"))
    assert log_e_two_arm(TwoArm(direction), WINDOWS) == answer(table)["logE"]


def test_what_a_table_of_a_rollout_leaves_out_is_what_the_engine_takes_in_its_place() -> None:
    """The operator tells the engine no guess of the rates: its decisions would not be played back by another one."""
    table = {"test": "rollout", "objectives": [{"name": "errors", "margin": 0.01}], "windows": []}
    read = read_table(json.dumps(table))

    assert isinstance(read, RolloutTable)
    assert read.design() == Design((Objective("errors", margin=0.01),), (Comparison("candidate", "reference"),))


def test_capital_that_is_almost_lost_is_still_told() -> None:
    """All of it bet on what ten million requests rule out: e to the minus millions is not 0."""
    table = {"test": "two-arm", "onset": {"0": 1}, "windows": [[1e7, 0, 1e7, 0]], "alternatives": [100]}
    found = answer({**table, "priorWeights": [1]})

    assert -1e7 < found["logE"][0] < -1000


def test_the_logarithm_of_nothing_is_null() -> None:
    assert _logs([-math.inf, 0.5]) == [None, 0.5]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("nonsense", "the input is not JSON"),
        ("", "the input is not JSON"),
        ([], "the input: should be an object"),
        ({}, "test: is missing; it is one of two-arm"),
        ({"test": "three-arm"}, "test: 'three-arm' is none of"),
        ({"test": "two-arm"}, "windows: is missing"),
        ({"test": "two-arm", "windows": [], "marginn": 1}, "marginn: there is no such field"),
        ({"test": "two-arm", "windows": [[1, 0, 2]]}, "windows[0][3]: is missing"),
        ({"test": "two-arm", "windows": [[1, 0, 2, 0, 0]]}, "windows[0]: has to have at most 4, and has 5"),
        ({"test": "two-arm", "windows": [[1, 0, 2, 0], [10, 12, 2, 0]]}, "windows[1][1]: 12 bad of 10 requests"),
        ({"test": "two-arm", "windows": [[1, 0, 2, 3]]}, "windows[0][3]: 3 bad of 2 requests of the reference"),
        ({"test": "two-arm", "windows": [[1, -1, 2, 0]]}, "windows[0][1]: should be greater than or equal to 0"),
        ('{"test": "two-arm", "windows": [[1, NaN, 2, 0]]}', "windows[0][1]: should be a finite number"),
        ('{"test": "two-arm", "windows": [[Infinity, 0, 2, 0]]}', "windows[0][0]: should be a finite number"),
        ({"test": "two-arm", "windows": [["1", 0, 2, 0]]}, "windows[0][0]: should be a valid number"),
        ({"test": "two-arm", "windows": [[True, 0, 2, 0]]}, "windows[0][0]: should be a valid number"),
        ({"test": "two-arm", "windows": [], "ratio": 0.5}, "ratio: should be greater than or equal to 1"),
        ({"test": "two-arm", "windows": [], "margin": -0.1}, "margin: should be greater than or equal to 0"),
        ({"test": "two-arm", "windows": [], "cap": 0}, "cap: should be greater than 0"),
        ({"test": "two-arm", "windows": [], "direction": "worse"}, "direction: should be 'harm' or 'safe'"),
        ({"test": "two-arm", "windows": [], "alternatives": [0.5]}, "alternatives[0]: 0.5 is an odds ratio"),
        ({"test": "two-arm", "windows": [], "direction": "safe", "alternatives": [2]}, "alternatives[0]: 2 is an odds"),
        (
            {"test": "two-arm", "windows": [], "alternatives": [2], "priorWeights": [0.5, 0.5]},
            "priorWeights: 2 of them for 1 alternatives",
        ),
        ({"test": "two-arm", "windows": [], "priorWeights": [1]}, "priorWeights: 1 of them for the 16 default"),
        (
            {"test": "two-arm", "windows": [], "alternatives": [2, 3], "priorWeights": [0.5, 0.4]},
            "priorWeights: they sum to 0.9",
        ),
        ({"test": "two-arm", "windows": [], "onset": {"0": 0.7, "1": 0.7}}, "onset: the parts sum to 1.4"),
        ({"test": "two-arm", "windows": [], "onset": {"-1": 0.7}}, "onset.-1: "),
        ({"test": "two-arm", "windows": [], "onset": {"0": 2}}, "onset.0: should be less than or equal to 1"),
        ({"test": "one-arm", "limit": 1, "windows": []}, "limit: should be less than 1"),
        ({"test": "one-arm", "limit": 0.1, "windows": [[10, 11]]}, "windows[0][1]: 11 bad of 10 requests"),
        ({"test": "one-arm", "limit": 0.1, "prior": [1], "windows": []}, "prior[1]: is missing"),
        ({"test": "shares", "shares": [0.5, 0.6], "windows": []}, "shares: they sum to 1.1"),
        ({"test": "shares", "shares": [0.5, 0.5], "windows": [[1]]}, "windows[0]: 1 counts for 2 shares"),
        ({"test": "counters", "series": [{"samples": [1, -2]}]}, "series[0].samples[1]: should be greater"),
        ({"test": "counters", "series": [{"samples": [1], "fresh": True}]}, "series[0].fresh: there is no such field"),
        ({"test": "rollout", "objectives": [], "windows": []}, "objectives: has to have at least 1"),
        ({"test": "rollout", "objectives": [{"name": "e"}], "windows": []}, "objectives[0]: has none of margin"),
        (
            {"test": "rollout", "objectives": [{"name": "e", "margin": 0.1, "ratio": 2}], "windows": []},
            "objectives[0]: margin and ratio exclude each other",
        ),
    ],
)
def test_a_table_that_is_wrong_ends_with_2_and_a_sentence_that_names_the_field(table: object, told: str) -> None:
    result = run(table)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {told}")
    assert result.stderr.count("\n") == 1


WINDOW = {"asked": {"candidate": 0.1, "reference": 0.9}, "counts": {"e": {"candidate": {"total": 10, "bad": 1}}}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"asked": {"candidate": 0.1}}, "windows[0].asked: the shares sum to 0.1"),
        ({"counts": {"f": {}}}, "windows[0].counts: there is no objective 'f'"),
        ({"counts": {"e": {"candidate": {"total": 1, "bad": 2}}}}, "windows[0].counts.e.candidate.bad: 2 bad of 1"),
        (
            {"counts": {"e": {"candidate": {"total": 5, "bad": 2, "badForLimit": 7}}}},
            "windows[0].counts.e.candidate.badForLimit: 7 bad of 5 requests",
        ),
        ({"counts": {"e": {"candidate": {"total": 3, "bad": [1, 1]}}}}, "windows[0].counts.e.candidate.bad: 2 counts"),
        ({"counts": {"e": {"candidate": {"total": 3, "bad": [-1]}}}}, "windows[0].counts.e.candidate.bad[0]: should"),
        ({"counts": {"e": {"candidate": {"bad": 1}}}}, "windows[0].counts.e.candidate.total: is missing"),
        ({"completions": {"candidate": -1}}, "windows[0].completions.candidate: should be greater"),
    ],
)
def test_a_window_of_a_rollout_that_is_wrong_is_named_too(changes: dict[str, Any], told: str) -> None:
    objectives = [{"name": "e", "margin": 0.1}]
    result = run({"test": "rollout", "objectives": objectives, "windows": [{**WINDOW, **changes}]})

    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {told}")


def test_a_file_is_read_and_one_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text('{"test": "counters", "series": [{"samples": [5, 9, null, 4]}]}', "utf-8")

    found = CliRunner().invoke(cli, ["analyze", str(file)])
    missing = CliRunner().invoke(cli, ["analyze", str(tmp_path / "none.json")])

    assert json.loads(found.stdout) == {"deltas": [[4, None, 4]], "total": 8}
    assert missing.exit_code == 2


@pytest.mark.parametrize(
    ("table", "words"),
    [(table, {"shares": "p", "counters": "missed", "rollout": "RollBack after window"}) for table, _ in examples()],
    ids=lambda value: value.get("test", ""),
)
def test_there_is_a_table_for_people(table: dict[str, Any], words: dict[str, str]) -> None:
    result = run(table, "--table")

    assert result.exit_code == 0
    assert words.get(table["test"], "ln E") in result.stdout


def test_an_arm_that_is_left_out_is_unknown_and_not_a_pass() -> None:
    found = answer({"test": "rollout", "objectives": [{"name": "e", "margin": 0.1}], "windows": [WINDOW]})

    assert found["verdicts"] == ["Unknown"]
    assert found["objectives"][0]["skipped"] == 1


counts = st.tuples(st.floats(0, 1e7), st.floats(0, 1)).map(lambda pair: (pair[0], pair[0] * pair[1]))


@given(
    windows=st.lists(st.tuples(counts, counts).map(lambda pair: (*pair[0], *pair[1])), min_size=1, max_size=4),
    direction=st.sampled_from(list(Direction)),
    ratio=st.floats(1, 50),
    margin=st.floats(0, 0.99),
)
@settings(max_examples=60, deadline=None)
def test_no_table_up_to_ten_million_makes_a_nan(
    windows: list[tuple[float, ...]], direction: Direction, ratio: float, margin: float
) -> None:
    two = log_e_two_arm(TwoArm(direction, ratio=ratio, margin=margin), windows)
    one = log_e_one_arm(max(margin, 1e-6), direction, None, [window[:2] for window in windows])

    assert not any(math.isnan(value) or value == math.inf for value in (*two, *one))


def rewrite() -> None:
    """`python tests/unit/test_analyze.py` writes the page's answers anew, when the engine was changed on purpose."""
    page = PAGE.read_text("utf-8")
    for (table, told), block in zip(examples(), re.findall(r"```json\n(.*?)```", page, re.DOTALL)[1::2], strict=True):
        found = _rounded(answer(table))
        if not close(found, told):
            page = page.replace(block, written(found) + "\n")
    PAGE.write_text(page, "utf-8")


def written(found: dict[str, Any]) -> str:
    """An answer as the page shows it: short ones on a line, those of a rollout one field or finding a line."""
    if "objectives" not in found:
        return json.dumps(found)
    fields = []
    for key, value in found.items():
        rows = ",\n    ".join(map(json.dumps, value)) if isinstance(value, list) else ""
        nested = isinstance(value, list) and any(isinstance(each, dict) for each in value)
        fields.append(f'  "{key}": ' + (f"[\n    {rows}\n  ]" if nested else json.dumps(value)))
    return "{\n" + ",\n".join(fields) + "\n}"


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.10g}")
        case list():
            return [_rounded(each) for each in value]
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
    return value


if __name__ == "__main__":
    rewrite()
