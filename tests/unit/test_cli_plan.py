"""`modelroute plan` as a person meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.fakes import manifest

from modelroute.cli.main import cli
from modelroute.cli.plan_progress import shown
from modelroute.errors import Invalid

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"
EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = {"steps": [{"progress": 50, "minDuration": "2m"}, {"progress": 100, "minDuration": "2m"}]}


def written(tmp_path: Path, name: str = "route.yaml", **spec: Any) -> str:
    path = tmp_path / name
    path.write_text(yaml.safe_dump(manifest(**{"large": 60, "small": 40, "rollout": FAST, **spec})), encoding="utf-8")
    return str(path)


def plan(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["plan", *arguments], input=text)


def told(*arguments: str) -> dict[str, Any]:
    done = plan(*arguments, "-o", "json", "--runs", "10")
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_json_says_what_was_assumed_and_what_came_of_it(tmp_path: Path) -> None:
    found = told("-f", written(tmp_path), "--rps", "20", "--seed", "4")

    assert (found["route"], found["rps"], found["runs"], found["seed"]) == ("support", 20.0, 10, 4)
    assert (found["from"], found["to"]) == ("large 100 %", "small 40 %, large 60 %")
    assert found["usualRates"] == {"errors": 0.01}
    assert [step["split"] for step in found["steps"]] == ["small 20 %, large 80 %", "small 40 %, large 60 %"]
    assert found["harmless"]["promoted"] == 1.0
    (harm,) = found["harms"]
    assert (harm["objective"], harm["times"], harm["worseRate"]) == ("errors", 2.0, 0.02)


def test_the_same_seed_prints_the_same(tmp_path: Path) -> None:
    route = written(tmp_path)

    assert told("-f", route, "--rps", "20") == told("-f", route, "--rps", "20")


@pytest.mark.parametrize(
    ("objective", "rate"),
    [
        ({"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}, 0.01),
        ({"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "maxIncrease": "1pp"}, 0.02),
        ({"name": "unsafe", "metric": "SafetyViolationRate", "maxIncrease": "0.5pp"}, 0.001),
        ({"name": "errors", "metric": "ErrorRate", "max": "3%", "maxIncrease": "0.5pp"}, 0.02),
    ],
    ids=["errors", "tail", "safety", "two thirds of max"],
)
def test_the_usual_rates_are_those_of_the_page(tmp_path: Path, objective: dict[str, Any], rate: float) -> None:
    found = told("-f", written(tmp_path, objectives=[objective]), "--rps", "20")

    assert found["usualRates"] == {objective["name"]: pytest.approx(rate)}


def test_a_base_rate_can_be_said(tmp_path: Path) -> None:
    found = told("-f", written(tmp_path), "--rps", "20", "--base", "errors=0.8%")

    assert found["usualRates"] == {"errors": 0.008}


def test_a_route_that_is_live_starts_from_where_it_is(tmp_path: Path) -> None:
    live = written(tmp_path, "live.yaml", large=90, small=10)

    found = told("-f", written(tmp_path), "--rps", "20", "--live", live)

    assert (found["from"], found["to"]) == ("small 10 %, large 90 %", "small 40 %, large 60 %")


def test_a_new_version_is_compared_with_the_old_one(tmp_path: Path) -> None:
    live = written(tmp_path, "live.yaml")

    found = told("-f", written(tmp_path, small_service="small-v2"), "--rps", "20", "--live", live)

    assert found["from"] == "small@small-v1 40 %, large 60 %"
    assert found["to"] == "small 40 %, large 60 %"


def test_every_candidate_is_made_worse_on_its_own(tmp_path: Path) -> None:
    models = manifest(large=60, small=40)["spec"]["models"]
    tiny = {"name": "tiny", "tier": "Small", "weight": 30, "backendRef": {"name": "tiny-v1", "port": 8000}}

    found = told("-f", written(tmp_path, models=[*models, tiny]), "--rps", "40")

    assert [(harm["objective"], harm["candidate"]) for harm in found["harms"]] == [
        ("errors", "small"),
        ("errors", "tiny"),
    ]
    assert found["steps"][0]["candidateRps"] == pytest.approx(40 * 0.5 * 70 / 130, rel=0.01)


def test_the_route_may_come_from_standard_input() -> None:
    text = (EXAMPLES / "minimal.yaml").read_text(encoding="utf-8")

    done = plan("-f", "-", "--rps", "20", "--runs", "10", text=text)

    assert done.exit_code == 0
    assert "If nothing is worse" in done.stdout
    assert done.stderr == ""


def test_what_this_version_does_not_act_on_and_what_people_do_is_warned_of(tmp_path: Path) -> None:
    steps = [{"progress": 50, "minDuration": "2m", "approval": True}, {"progress": 100, "minDuration": "2m"}]
    found = told("-f", written(tmp_path, rollout={"steps": steps}, paused=True), "--rps", "20")

    assert found["warnings"][0] == "spec.paused is true: no step would be left; the figures are as if it were not"
    assert found["warnings"][1] == "step 1 waits for a person's approval, which is not counted here"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rps", "0"), "Invalid value for '--rps'"),
        (("--rps", "5", "--judged", "often"), "Invalid value for --judged: 'often' is not a"),
        (("--rps", "5", "--judged", "0%"), "Invalid value for --judged: has to be above 0%"),
        (("--rps", "5", "--base", "errors"), "'errors' is not OBJECTIVE=RATE, for example errors=0.8%"),
        (("--rps", "5", "--base", "speed=1%"), "there is no objective 'speed': errors"),
        (("--rps", "5", "--window", "1s"), "Invalid value for --window: has to be at least 5s"),
        (("--rps", "5", "--p99", "long"), "Invalid value for --p99: 'long' is not a duration"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = plan("-f", written(tmp_path), *arguments)

    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is neither YAML nor JSON"),
        ("kind: Service", "kind: - is not a ModelRoute"),
        (yaml.safe_dump(manifest(large=100, small=0)), "spec: nothing would move, all is as it was (large 100 %)"),
        (
            yaml.safe_dump({**manifest(large=60, small=40), "spec": {"models": []}}),
            "spec.models: List should have at least 2 items",
        ),
        (yaml.safe_dump(manifest(large=60, small=40, rolout={})), "spec.rolout: no such field"),
        (
            yaml.safe_dump(
                manifest(large=0, small=100, rollout={"steps": [{"progress": 100, "require": "ProvenSafe"}]})
            ),
            "spec.rollout.steps[0]: at 100 % large has no traffic left",
        ),
    ],
    ids=["broken", "something else", "nothing moves", "a missing field", "a misspelt field", "never proven"],
)
def test_a_route_that_cannot_be_planned_is_one_sentence(text: str, says: str) -> None:
    done = plan("-f", "-", "--rps", "5", text=text)

    assert isinstance(done.exception, Invalid)
    assert says in str(done.exception)


def test_the_bar_is_for_those_who_see_it(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(["a", "b"]) as tell:
        tell("b", 0.5)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("minimal.yaml", ["--rps", "20", "--runs", "10"]),
        ("modelroute.yaml", ["--rps", "5", "--judged", "5%", "--runs", "10"]),
    ],
    ids=["in time", "not before the deadline"],
)
def test_in_a_narrow_pipe_columns_is_honoured_and_the_same_is_said_in_lines(file: str, how: list[str]) -> None:
    asked = ["plan", "-f", str(EXAMPLES / file), *how]

    wide = CliRunner().invoke(cli, asked).stdout
    narrow = CliRunner(env={"COLUMNS": "60"}).invoke(cli, asked).stdout

    assert "───" in wide
    assert "───" not in narrow
    assert max(map(len, narrow.splitlines())) <= 60
    assert set(re.findall(r"[\d,.>]+[\dmhs]", wide)) == set(re.findall(r"[\d,.>]+[\dmhs]", narrow))


def test_the_page_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAGE.parents[1])
    text = PAGE.read_text(encoding="utf-8")
    shown_there = re.findall(r"```\n\$ modelroute plan (.*)\n((?:.*\n)*?)```", text)
    assert len(shown_there) == 2
    for command, output in shown_there:
        done = plan(*command.split())

        assert done.exit_code == 0, done.output
        assert [line.rstrip() for line in done.stdout.splitlines()] == output.splitlines()
