"""An objective of a user's own counters through a whole rollout: every bound, what a breach leads to, and who tells."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.fake_cluster import Person
from tests.fakes import NAME, STEP, World, in_phase, manifest, run_until

from modelroute.cli.main import cli

Json = dict[str, Any]
COUNTERS: Json = {
    which: {"metric": f"{which}_total", "labels": {"service": "$(backend)"}} for which in ("bad", "total")
}
STEPS: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "60s"}, {**STEP, "progress": 100}]}


def wrong(**fields: str) -> list[Json]:
    return [{"name": "wrong", "metric": "Custom", **COUNTERS, **fields}]


async def under_way(objectives: list[Json], *, steps: Json = STEPS, large: float = 0.01, **guard: Any) -> Person:
    """A rollout that has begun, of two models that are alike."""
    world = World()
    ticker = world.ticker()
    world.bad_share = {"wrong/large-v1": large, "wrong/small-v1": large}
    world.apply(large=100, small=0, objectives=objectives, rollout=steps, **guard)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(objectives=objectives, rollout=steps, **guard)
    await run_until(world, ticker, lambda s: bool((s.get("objectives") or [{}])[0].get("candidateRequests")))
    return Person.at(world, ticker)


async def until(someone: Person, phase: str, **more: Any) -> Json:
    assert someone.ticker is not None
    await run_until(someone.world, someone.ticker, in_phase(phase, **more))
    return someone.world.status


BOUNDS: list[Json] = [{"max": "5%"}, {"maxIncrease": "2pp"}, {"maxRatio": "1.5"}, {"max": "5%", "maxIncrease": "2pp"}]
IDS = ["max", "maxIncrease", "maxRatio", "both"]


@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
async def test_a_worse_version_goes_back_by_every_bound(bound: Json) -> None:
    someone = await under_way(wrong(**bound))
    someone.world.bad_share["wrong/small-v1"] = 0.3
    status = await until(someone, "RolledBack")

    assert "wrong" in status["message"]
    (rollout,) = someone.world.rollouts()
    assert rollout["status"]["decision"]["objective"] == "wrong"


@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
async def test_a_version_that_is_no_worse_is_promoted(bound: Json) -> None:
    status = await until(await under_way(wrong(**bound)), "Stable", attempt=1)

    assert status["live"] == "small 40 %, large 60 %"
    assert status["objectives"][0]["verdict"] == "NoHarmShown"


@pytest.mark.parametrize(("action", "phase"), [("Pause", "Paused"), ("Report", "Stable")])
async def test_a_breach_leads_to_what_is_asked(action: str, phase: str) -> None:
    someone = await under_way(wrong(maxIncrease="2pp", onBreach=action))
    someone.world.bad_share["wrong/small-v1"] = 0.3
    status = await until(someone, phase, **({"attempt": 1} if action == "Report" else {}))

    assert status["objectives"][0]["verdict"] == "Harmful"


async def test_safety_is_proven_by_it() -> None:
    """A gate that also asks a person shows what it has proven; another one passes at once, and starts afresh."""
    steps = {"steps": [{**STEP, "progress": 50, "require": "ProvenSafe", "approval": True}, {**STEP, "progress": 100}]}
    someone = await under_way(wrong(maxIncrease="5pp"), steps=steps)
    assert someone.world.status["objectives"][0]["verdict"] != "Safe", "not yet"
    status = await until(someone, "AwaitingApproval")

    assert status["objectives"][0]["verdict"] == "Safe"


async def test_the_guard_watches_it_after_the_promotion() -> None:
    someone = await under_way(wrong(max="5%"), guard={"bake": "1h", "onBreach": "RollBack"})
    assert someone.ticker is not None
    await run_until(someone.world, someone.ticker, lambda status: "guard" in status)
    status = someone.world.status
    assert status["guard"].startswith("watches wrong; a breach takes the promotion back")

    someone.world.bad_share["wrong/small-v1"] = 0.5
    await until(someone, "RolledBack")
    assert someone.world.rollouts()[-1]["status"]["decision"]["reason"] == "GuardBreached"


async def rolled_back() -> Person:
    someone = await under_way(wrong(maxIncrease="2pp"))
    someone.world.bad_share["wrong/small-v1"] = 0.3
    await until(someone, "RolledBack")
    return someone


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("status", NAME), "wrong of small against large"),
        (("report", NAME, "-o", "-"), "wrong of small against large"),
    ],
    ids=["status", "report"],
)
def test_people_are_told_of_it(command: tuple[str, ...], says: str) -> None:
    done = asyncio.run(rolled_back()).runs(*command)
    assert done.exit_code == 0, done.output
    assert says in done.stdout


def test_its_rollback_can_be_explained(tmp_path: Path) -> None:
    (rollout,) = asyncio.run(rolled_back()).world.rollouts()
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(rollout), encoding="utf-8")
    done = CliRunner().invoke(cli, ["explain", "-f", str(file), "-o", "json"])

    assert done.exit_code == 0, done.output
    assert "wrong" in done.stdout


def test_it_can_be_planned(tmp_path: Path) -> None:
    objectives = [
        *wrong(max="6%", maxIncrease="2pp"),
        {"name": "tokens", "metric": "TokensPerRequest", "maxRatio": "1.2"},
    ]
    route = manifest(large=60, small=40, objectives=objectives, rollout=STEPS)
    file = tmp_path / "route.yaml"
    file.write_text(yaml.safe_dump(route), encoding="utf-8")
    done = CliRunner().invoke(cli, ["plan", "-f", str(file), "--rps", "20", "-o", "json", "--runs", "10"])

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {each["objective"] for each in told["harms"]} == {"wrong"}, "an amount is no rate that could be simulated"
    assert any("not held to a bound yet" in warning for warning in told["warnings"])
