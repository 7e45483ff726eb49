"""The mutants of the statistics: what is changed, and when it is measured anew which tests run a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutating.changes import mutants
from mutating.choosing import Choice, digests

ENGINE, BOUNDS, HELPER = "tests/unit/test_engine.py", "tests/property/test_bounds.py", "tests/oracle/whole.py"
THEN = {"operator/modelroute/analysis/bank.py": "a", ENGINE: "b", BOUNDS: "c", HELPER: "d"}


@pytest.fixture
def measured() -> Choice:
    lines = {"bank": {7: [f"{ENGINE}::test_one", f"{BOUNDS}::test_two"]}}
    return Choice({f"{ENGINE}::test_one": 0.5, f"{BOUNDS}::test_two": 0.1}, lines, THEN)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(a, b):\n    return a + b\n", ["a + b → a - b"]),
        ("def f(a):\n    return a >= 3\n", ["a >= 3 → a > 3", "3 → 4", "3 → 2"]),
        ("def f(a):\n    return min(a) if a else None\n", ["if a → if not a", "min → max"]),
        ("LEAST: Final = 0.5\n", ["0.5 → 1.5", "0.5 → 0.505"]),
        ('def f(a: int = 0) -> "x":\n    """1 + 1"""\n    raise ValueError(1 + 1)\n', ["0 → 1", "0 → -1"]),
    ],
)
def test_one_place_at_a_time_is_changed_and_nothing_that_says_nothing_at_run_time(source: str, said: list[str]) -> None:
    assert sorted(each.said for each in mutants(source)) == sorted(said)


def test_a_change_knows_the_lines_of_its_statement_and_none_outside_a_function() -> None:
    found = {each.said: each.lines for each in mutants("A = 0.5\ndef f(a):\n    return (\n        a + A)\n")}

    assert found == {"0.5 → 1.5": range(0), "0.5 → 0.505": range(0), "a + A → a - A": range(3, 5)}


def test_of_the_tests_that_run_a_line_the_quickest_come_first_and_no_more_than_there_is_time_for(
    measured: Choice,
) -> None:
    assert measured.tests("bank", range(7, 8), 1.0) == [f"{BOUNDS}::test_two", f"{ENGINE}::test_one"]
    assert measured.tests("bank", range(7, 8), 0.3) == [f"{BOUNDS}::test_two"]
    assert measured.tests("bank", range(8, 9), 1.0) == []


def test_a_modules_own_tests_and_those_that_are_named_come_first_however_slow_they_are() -> None:
    lines = {7: [f"{ENGINE}::test_one", f"{BOUNDS}::test_two"]}
    choice = Choice({f"{ENGINE}::test_one": 0.5, f"{BOUNDS}::test_two": 0.1}, {"engine": lines, "bank": lines}, THEN)

    assert choice.tests("engine", range(7, 8), 0.5) == [f"{ENGINE}::test_one"]
    assert choice.tests("bank", range(7, 8), 0.5, ["test_one"]) == [f"{ENGINE}::test_one"]
    assert choice.tests("bank", range(7, 8), 0.5) == [f"{BOUNDS}::test_two"]


def test_what_was_measured_on_the_same_files_holds(measured: Choice) -> None:
    assert measured.still_true(THEN) == (measured, [])


def test_a_file_of_tests_that_changed_is_measured_again_and_the_others_are_not(measured: Choice) -> None:
    kept, changed = measured.still_true({**THEN, ENGINE: "other"})

    assert changed == [ENGINE]
    assert kept.seconds == {f"{BOUNDS}::test_two": 0.1}
    assert kept.lines == {"bank": {7: [f"{BOUNDS}::test_two"]}}


@pytest.mark.parametrize("name", ["operator/modelroute/analysis/bank.py", HELPER, "operator/modelroute/new.py"])
def test_where_anything_else_changed_nothing_of_it_holds(measured: Choice, name: str) -> None:
    now = {**THEN, name: "other"}

    assert measured.still_true(now) == (Choice({}, {}, now), [name])


def test_of_the_files_of_tests_only_those_that_are_run_count(tmp_path: Path) -> None:
    for name in ("tests/unit/test_engine.py", "tests/unit/test_cli.py", "tests/fakes.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    assert sorted(digests(tmp_path, ["tests"], ["tests/unit/test_engine.py"])) == ["tests/fakes.py", ENGINE]
