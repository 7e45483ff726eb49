"""What is scraped of ModelRoutes: exactly what their written statuses say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes import NAME, NAMESPACE, STEP, Faults, World, in_phase, run_until

from modelroute.controller.families import FAMILIES, OF_ATTEMPTS, ROUTE, FamilyKind
from modelroute.controller.telemetry import Telemetry
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
HERE = {"route_namespace": NAMESPACE, "route": NAME}


def watched(world: World, telemetry: Telemetry) -> Ticker:
    """An operator on `world` that tells `telemetry`."""
    ticker = world.ticker()
    return replace(ticker, ports=replace(ticker.ports, telemetry=telemetry))


def scraped(telemetry: Telemetry) -> Series:
    text = generate_latest(telemetry.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return scraped(telemetry).get((f"modelroute_{name}", frozenset({**HERE, **labels}.items())))


def labelled(telemetry: Telemetry, name: str, label: str, **more: str) -> dict[str, float]:
    """The values of a metric of the route by one of its labels, of those series that have `more`."""
    return {
        dict(labels)[label]: found
        for (metric, labels), found in scraped(telemetry).items()
        if metric == f"modelroute_{name}" and {**HERE, **more}.items() <= dict(labels).items()
    }


async def progressing(telemetry: Telemetry) -> tuple[World, Ticker]:
    world = World()
    ticker = watched(world, telemetry)
    world.apply(large=100, small=0)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(rollout={"steps": [{"progress": 50, "minDuration": "3m"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, lambda status: bool((status.get("objectives") or [{}])[0].get("candidateRequests")))
    return world, ticker


async def test_a_route_under_way_shows_its_split_its_step_and_its_evidence() -> None:
    telemetry = Telemetry()
    world, _ = await progressing(telemetry)

    assert labelled(telemetry, "split_live_ratio", "arm") == {"large": 0.8, "small": 0.2}
    assert labelled(telemetry, "split_wanted_ratio", "arm") == {"large": 0.6, "small": 0.4}
    assert labelled(telemetry, "phase", "phase") == {world.status["phase"]: 1.0}
    assert (value(telemetry, "step"), value(telemetry, "steps"), value(telemetry, "progress_ratio")) == (1, 2, 0.5)
    assert labelled(telemetry, "evidence_harm_ratio", "objective").keys() == {"errors"}
    assert -1.0 <= (value(telemetry, "evidence_rollback_ratio") or 0.0) < 1.0
    assert labelled(telemetry, "objective_bad_ratio", "arm") == {"large": 0.0, "small": 0.0}
    counted = world.status["objectives"][0]
    assert labelled(telemetry, "objective_requests", "arm") == {
        "small": counted["candidateRequests"],
        "large": counted["referenceRequests"],
    }


async def test_harm_is_seen_as_evidence_at_its_limit_and_a_rollback_with_its_reason() -> None:
    telemetry = Telemetry()
    world, ticker = await progressing(telemetry)
    world.bad_share = {"small-v1": 0.3}

    await run_until(world, ticker, in_phase("RollingBack"))
    evidence = value(telemetry, "evidence_rollback_ratio")
    await run_until(world, ticker, in_phase("RolledBack"))

    assert evidence is not None
    assert evidence >= 1.0
    why = {"reason": "HarmDetected", "objective": "errors", "candidate": "small"}
    assert value(telemetry, "rollback_info", **why) == 1.0
    assert labelled(telemetry, "attempts_finished_total", "outcome") == {
        "Promoted": 0,
        "RolledBack": 1,
        "Superseded": 0,
        "Aborted": 0,
    }
    assert labelled(telemetry, "condition", "type")["Stalled"] == 1.0


async def test_what_the_guard_reports_after_the_promotion_is_counted() -> None:
    telemetry, world = Telemetry(), World()
    ticker = watched(world, telemetry)
    objectives = [{"name": "errors", "metric": "ErrorRate", "max": "5%"}]
    world.apply(large=100, small=0, objectives=objectives)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(objectives=objectives)
    await run_until(world, ticker, in_phase("Stable", attempt=1))
    assert value(telemetry, "guard_breaches_total") == 0

    world.bad_share = {"small-v1": 0.9}
    await run_until(world, ticker, lambda _: bool(world.said("GuardBreached")))

    assert value(telemetry, "guard_breaches_total") == len(world.said("GuardBreached")) == 1


async def test_at_rest_there_is_no_series_of_an_attempt() -> None:
    telemetry = Telemetry()
    world, ticker = await progressing(telemetry)

    await run_until(world, ticker, in_phase("Stable", attempt=1))

    names = {name for name, _ in scraped(telemetry)}
    assert names.isdisjoint(family.name for family in OF_ATTEMPTS)
    assert labelled(telemetry, "split_live_ratio", "arm") == {"large": 0.6, "small": 0.4}
    assert value(telemetry, "attempts_finished_total", outcome="Promoted") == 1


async def test_nothing_is_told_that_is_not_written() -> None:
    telemetry = Telemetry()
    world, ticker = await progressing(telemetry)
    before = scraped(telemetry)
    world.bad_share = {"small-v1": 0.9}
    world.now += 30
    world.faults = Faults(before=lambda write: Unavailable("no") if str(write) == "status modelroutes" else None)

    with pytest.raises(Unavailable):
        await ticker.tick(NAMESPACE, NAME)

    told = {key: found for key, found in scraped(telemetry).items() if not key[0].startswith("process_")}
    assert told == {key: found for key, found in before.items() if not key[0].startswith("process_")}


async def test_an_end_whose_status_could_not_be_written_is_counted_once_it_is() -> None:
    telemetry = Telemetry()
    world, ticker = await progressing(telemetry)
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RollingBack"))
    world.faults = Faults(before=lambda write: Unavailable("no") if str(write) == "status modelroutes" else None)
    while world.rollouts()[-1]["status"]["phase"] != "RolledBack":
        with pytest.raises(Unavailable):
            await ticker.tick(NAMESPACE, NAME)
        world.now += 5
    assert value(telemetry, "attempts_finished_total", outcome="RolledBack") == 0

    world.faults = Faults()
    await run_until(world, ticker, in_phase("RolledBack"))
    await ticker.tick(NAMESPACE, NAME)

    assert value(telemetry, "attempts_finished_total", outcome="RolledBack") == 1


async def test_a_restarted_operator_counts_no_attempt_that_had_ended_before() -> None:
    world, ticker = await progressing(Telemetry())
    await run_until(world, ticker, in_phase("Stable", attempt=1))
    telemetry = Telemetry()

    await watched(world, telemetry).tick(NAMESPACE, NAME)

    assert set(labelled(telemetry, "attempts_finished_total", "outcome").values()) == {0.0}


async def test_a_deleted_route_leaves_no_series() -> None:
    telemetry = Telemetry()
    await progressing(telemetry)

    telemetry.forget(NAMESPACE, NAME)

    assert not [labels for _, labels in scraped(telemetry) if ("route", NAME) in labels]


async def test_every_scraped_series_of_ours_is_a_documented_one_with_its_labels() -> None:
    telemetry = Telemetry()
    world, ticker = await progressing(telemetry)
    documented = {name: set(family.labels) for family in FAMILIES for name in family.series}
    seen: set[str] = set()
    for share in (0.0, 0.3):
        world.bad_share = {"small-v1": share}
        await ticker.tick(NAMESPACE, NAME)
        for name, labels in scraped(telemetry):
            if name.startswith("modelroute_"):
                assert {label for label, _ in labels} - {"le"} == documented[name], name
                seen.add(name)
    assert {"modelroute_deadline_timestamp_seconds", "modelroute_evidence_timestamp_seconds"} <= seen


def test_names_keep_to_the_conventions() -> None:
    for family in FAMILIES:
        assert family.name.startswith("modelroute_")
        assert family.name.endswith("_total") == (family.kind is FamilyKind.COUNTER), family.name
        assert family.help.endswith("."), family.name
        # Prometheus has a label of that name for the pod that it scrapes.
        assert "namespace" not in family.labels
        assert "instance" not in family.labels
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert ROUTE == ("route_namespace", "route")


async def test_a_metric_that_cannot_be_told_is_logged_and_the_tick_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr("modelroute.controller.telemetry.samples_of", broken)
    world = World()
    world.apply(large=100, small=0)

    await run_until(world, watched(world, Telemetry()), in_phase("Stable"))

    assert "chat/support: its metrics could not be told" in caplog.text
