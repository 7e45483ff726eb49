"""What people and their tools read: kstatus' answer in every phase, and events where something changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.fakes import NAME, NAMESPACE, T0, World, in_phase, manifest, run_until
from tests.slow_traffic import record_of

from modelroute.api.fields import format_instant
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRoute
from modelroute.cluster.client import Json
from modelroute.controller.announce import announce, status_of, tell
from modelroute.controller.conditions import conditions_of
from modelroute.controller.kept import kept_of
from modelroute.controller.observe import Seen
from modelroute.controller.routed import Routed
from modelroute.controller.spec import gaps_in, plan_of, template_of
from modelroute.rollout.attempt import Stage
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.observation import Acceptance, Gateway, Look, Observation, Problem, Terms
from modelroute.rollout.reasons import Reason

TERMS = Terms(window_s=5.0, settle_min_s=5.0, scrape_interval_s=1.0)
READ = Look(T0, (WindowReading(T0 - 5, T0, {}, {}, ()),))


def kstatus(raw: Json) -> str:
    """InProgress, Current, Failed or Terminating, as kstatus (and so Flux, kpt and Argo CD) computes it."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    for kind, answer in (("Reconciling", "InProgress"), ("Stalled", "Failed")):
        if conditions.get(kind) == "True":
            return answer
    if conditions.get("Ready") in {"False", "Unknown"}:
        return "InProgress"
    return "Current"


def seen(
    *,
    status: Json | None = None,
    generation: int = 3,
    gateway: Gateway | None = None,
    look: Look = READ,
    problems: tuple[Problem, ...] = (),
) -> Seen:
    raw = manifest(large=60, small=40)
    raw["metadata"].update(uid="uid-1", generation=generation, resourceVersion="7")
    raw["status"] = status or {}
    route = parse(ModelRoute, raw)
    plan = plan_of(route.spec, NAMESPACE)
    weights = {share.backend: share.weight for share in plan.split}
    observation = Observation(
        name=NAME,
        plan=plan,
        problems=problems,
        record=None,
        attempts=0,
        noted=None,
        gateway=gateway or Gateway(Acceptance.LIVE, weights=weights, stable=plan.split),
        look=look,
        terms=TERMS,
    )
    template = template_of(route.spec, namespace=NAMESPACE, name=NAME, uid="uid-1")
    objectives = tuple(route.spec.objectives)
    there = Routed(template, None, None, observation.gateway, problems, None)
    return Seen(raw, route, there, kept_of(route, []), gaps_in(route.spec), objectives, observation)


def decision(phase: Phase, *, stalled: bool = False, reason: Reason = Reason.STABLE, message: str = "m") -> Decision:
    return Decision(phase, reason, message, stalled=stalled)


def told(what: Seen, decided: Decision, *, now: float = T0) -> Json:
    """The object as it is after `decided` was told."""
    return {**what.raw, "status": status_of(what, decided, now=now).to_wire()}


def conditions(raw: Json) -> dict[str, str]:
    return {each["type"]: each["status"] for each in raw["status"]["conditions"]}


@pytest.mark.parametrize(
    ("phase", "stalled", "answer"),
    [
        (Phase.PENDING, False, "InProgress"),
        (Phase.PENDING, True, "Failed"),
        (Phase.STABLE, False, "Current"),
        (Phase.PROGRESSING, False, "InProgress"),
        (Phase.AWAITING_APPROVAL, False, "InProgress"),
        (Phase.PAUSED, False, "InProgress"),
        (Phase.HOLDING, False, "InProgress"),
        (Phase.HOLDING, True, "Failed"),
        (Phase.ROLLING_BACK, False, "InProgress"),
        (Phase.ROLLED_BACK, True, "Failed"),
    ],
)
@pytest.mark.parametrize("visit", ["first", "later"])
def test_kstatus_reads_every_phase_as_it_is(phase: Phase, stalled: bool, answer: str, visit: str) -> None:
    what = seen()
    if visit == "later":
        what = seen(status=told(what, decision(Phase.PROGRESSING))["status"])

    raw = told(what, decision(phase, stalled=stalled))

    assert kstatus(raw) == answer
    assert raw["status"]["phase"] == phase.value
    assert set(conditions(raw)) == {"Accepted", "Programmed", "MetricsAvailable", "Ready", "Reconciling", "Stalled"}
    assert not (conditions(raw)["Reconciling"] == conditions(raw)["Stalled"] == "True")


def test_every_phase_is_in_the_table_above() -> None:
    marks: list[pytest.Mark] = vars(test_kstatus_reads_every_phase_as_it_is)["pytestmark"]
    table = next(mark for mark in marks if "phase" in mark.args[0])

    assert {row[0] for row in table.args[1]} == set(Phase)


def test_at_the_first_visit_ready_is_unknown_and_later_it_is_false() -> None:
    first = told(seen(), decision(Phase.PENDING))
    second = told(seen(status=first["status"]), decision(Phase.PROGRESSING))

    assert conditions(first)["Ready"] == "Unknown"
    assert conditions(second)["Ready"] == "False"


def test_a_spec_that_was_not_looked_at_yet_is_in_progress() -> None:
    raw = told(seen(generation=3), decision(Phase.STABLE))
    raw["metadata"]["generation"] = 4

    assert kstatus(raw) == "InProgress"


def test_every_condition_is_about_the_generation_that_was_read() -> None:
    raw = told(seen(generation=9), decision(Phase.STABLE))

    assert raw["status"]["observedGeneration"] == 9
    assert {each["observedGeneration"] for each in raw["status"]["conditions"]} == {9}


@pytest.mark.parametrize(
    ("what", "kind", "status", "reason"),
    [
        (seen(), "Accepted", "True", "Accepted"),
        (seen(problems=(Problem(Reason.NOT_IN_FORCE, "m"),)), "Accepted", "False", "NotInForce"),
        (seen(gateway=Gateway(Acceptance.FOREIGN, "theirs")), "Programmed", "False", "RouteNotOurs"),
        (seen(gateway=Gateway(Acceptance.REJECTED, "no")), "Programmed", "False", "GatewayRejected"),
        (seen(gateway=Gateway(Acceptance.WAITING, "soon")), "Programmed", "Unknown", "WaitingForGateway"),
        (seen(gateway=Gateway(Acceptance.ABSENT)), "Programmed", "Unknown", "WaitingForGateway"),
        (seen(), "Programmed", "True", "Programmed"),
        (seen(), "MetricsAvailable", "True", "EvidenceCurrent"),
        (seen(look=Look(T0)), "MetricsAvailable", "Unknown", "NoData"),
        (
            seen(look=Look(T0, problem=Unknown(Reason.PROMETHEUS_UNAVAILABLE, "m"))),
            "MetricsAvailable",
            "False",
            "PrometheusUnavailable",
        ),
        (
            seen(look=Look(T0, (replace(READ.readings[0], unknown=(Unknown(Reason.STALE_DATA, "m"),)),))),
            "MetricsAvailable",
            "False",
            "StaleData",
        ),
    ],
)
def test_each_condition_says_what_is_the_matter(what: Seen, kind: str, status: str, reason: str) -> None:
    raw = told(what, decision(Phase.HOLDING))
    condition = next(each for each in raw["status"]["conditions"] if each["type"] == kind)

    assert (condition["status"], condition["reason"]) == (status, reason)
    assert condition["message"]


def test_the_live_split_is_in_words_and_in_numbers() -> None:
    what = seen()
    assert what.observation.plan is not None
    split = what.observation.plan.split

    status = told(what, replace(decision(Phase.STABLE), order=RouteOrder(split, split)))["status"]

    assert status["live"] == "small 40 %, large 60 %"
    assert status["liveWeights"] == [
        {"arm": "large", "model": "large", "backend": "large-v1:8000", "weight": 6_000},
        {"arm": "small", "model": "small", "backend": "small-v1:8000", "weight": 4_000},
    ]
    assert {share["model"]: share["weight"] for share in status["stable"]} == {"large": 6_000, "small": 4_000}


# Events.


async def test_events_of_one_tick_keep_their_order_whatever_the_moment() -> None:
    """They are sorted by a time that is written in microseconds: two that were told one after the other stay so."""
    said = [Announcement(reason, "m") for reason in (Reason.HARM_DETECTED, Reason.ROLLING_BACK, Reason.ROLLED_BACK)]
    chance = random.Random(11)
    for _ in range(500):
        world = World()
        world.apply()
        await tell(world.ticker().ports, seen(), said, T0 + chance.random() * 1e8)

        written = [format_instant(at) for at in world.told_at]
        assert written == sorted(set(written))
        assert len(written) == len(said)


async def events_of(before: Mapping[str, object], decided: Decision) -> list[Announcement]:
    world = World()
    world.apply()
    world.get("modelroutes")["status"] = dict(before)
    what = seen(status=dict(before))
    what.raw["metadata"].update(world.get("modelroutes")["metadata"])
    await announce(world.ticker().ports, what, decided, now=T0)
    return world.events


@pytest.mark.parametrize(
    ("decided", "reasons"),
    [
        (decision(Phase.STABLE), []),
        (decision(Phase.STABLE, reason=Reason.PROMOTED), ["Promoted"]),
        (decision(Phase.STABLE, message="in other words"), []),
        (decision(Phase.HOLDING, reason=Reason.NO_DATA), ["NoData"]),
        (decision(Phase.PAUSED, reason=Reason.PAUSED), ["Paused"]),
        (decision(Phase.PROGRESSING, reason=Reason.SETTLING), []),
        (decision(Phase.PENDING, reason=Reason.WAITING_FOR_GATEWAY), []),
        (decision(Phase.PENDING, reason=Reason.ROUTE_NOT_OURS, stalled=True), ["RouteNotOurs"]),
        (
            replace(
                decision(Phase.HOLDING, reason=Reason.NO_DATA),
                announcements=(Announcement(Reason.STEP_PASSED, "passed"), Announcement(Reason.STEP_STARTED, "on")),
            ),
            ["StepPassed", "StepStarted"],
        ),
    ],
)
async def test_there_is_an_event_where_the_route_stands_differently_than_before(
    decided: Decision, reasons: list[str]
) -> None:
    before = told(seen(), decision(Phase.STABLE))["status"]

    assert [said.reason.value for said in await events_of(before, decided)] == reasons


@pytest.mark.parametrize(
    ("decided", "warning"),
    [
        (decision(Phase.HOLDING, reason=Reason.NO_DATA), True),
        (decision(Phase.HOLDING, reason=Reason.BACKEND_NOT_FOUND, stalled=True), True),
        (decision(Phase.PENDING, reason=Reason.ROUTE_NOT_OURS, stalled=True), True),
        (decision(Phase.PAUSED, reason=Reason.PAUSED), False),
    ],
)
async def test_an_event_warns_where_somebody_should_look(decided: Decision, warning: bool) -> None:
    before = told(seen(), decision(Phase.STABLE))["status"]

    (said,) = await events_of(before, decided)

    assert said.warning is warning


@pytest.mark.parametrize("bad_share", [0.0, 0.01])
async def test_a_counter_of_bad_ones_that_never_counted_says_that_a_misspelt_name_would_look_the_same(
    bad_share: float,
) -> None:
    counter = {"labels": {"service": "$(backend)"}}
    wrong = {"metric": "Custom", "max": "50%", "bad": {"metric": "wrong_total", **counter}}
    world = World()
    objectives = [{"name": "wrong", **wrong, "total": {"metric": "answers_total", **counter}}]
    world.apply(large=100, small=0, objectives=objectives)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.bad_share = {"large-v1": bad_share}
    world.apply(objectives=objectives)
    await run_until(world, ticker, in_phase("Stable", attempt=1))

    (found,) = world.status["objectives"]
    assert ("no wrong_total was counted of anybody" in found["message"]) is (bad_share == 0)


@pytest.mark.parametrize("stage", [Stage.PROMOTED, Stage.ROLLED_BACK])
def test_what_a_route_at_rest_is_stuck_in_is_told_alike_whether_or_not_a_record_is_written(stage: Stage) -> None:
    """The guard writes the record of a promotion now and then, which is nothing about why the route is stuck."""
    record = record_of((0.05, 0.05), 5.0)
    record = replace(record, progress=replace(record.progress, stage=stage))
    decided = replace(decision(Phase.HOLDING, stalled=True, message="the whole story"), lacking=("a part of it",))

    told = [
        next(each.message for each in conditions_of(seen(), each, live="") if each.type == "Stalled")
        for each in (decided, replace(decided, record=record))
    ]
    assert told == ["the whole story", "the whole story"]


async def test_a_route_at_rest_that_waits_for_its_gateway_makes_no_event_of_it_when_the_guard_writes() -> None:
    record = record_of((0.05, 0.05), 5.0)
    record = replace(record, progress=replace(record.progress, stage=Stage.PROMOTED))
    waits = decision(Phase.HOLDING, reason=Reason.WAITING_FOR_GATEWAY)

    assert await events_of({}, replace(waits, record=record)) == await events_of({}, waits) == []
