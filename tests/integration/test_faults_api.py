"""What the API server, the network and a sudden death do to a rollout: it repeats nothing, skips nothing and goes back.

The API server and the gateway are real; faults come from a proxy between them and the operator. docs/faults.md tells
what each looks like to people.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from tests.fakes import NAME, WINDOW_S
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.integration.test_faults_gateway import ADOPTED, own_route
from tests.recording_proxy import Choose, Fault, Hang, LoseAnswer, Refuse, Replay, Right

from devstack.stack import Stack
from modelroute.cluster.client import Json
from modelroute.controller.loop import Loop

OUTAGE_S = 300.0


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        yield made


def when(fault: Fault, *, resource: str = "", verbs: str = "", times: int = 1_000_000) -> Choose:
    """`fault` for the next `times` requests for that resource (all where empty) with one of those verbs."""
    left = times

    def choose(right: Right) -> Fault | None:
        nonlocal left
        if resource and right.resource != resource:
            return None
        if (verbs and right.verb not in verbs.split()) or left <= 0:
            return None
        left -= 1
        return fault

    return choose


def nothing(_right: Right) -> Fault | None:
    return None


def has_counted_each_window_once(live: LiveWorld) -> bool:
    ends = [window["end"] for window in live.rollouts()[-1]["status"].get("windows") or []]
    return ends == sorted(set(ends))


WRITES = "create update patch delete"


@dataclass(frozen=True, slots=True)
class Outage:
    """What fails, and what people see of it: a line in the log, and a condition's reason where one can be written."""

    fault: Choose
    log: str
    reason: str = ""
    holds: bool = True
    """Whether the split stays as it is: where only what tells people fails, it goes on."""


OUTAGES = {
    "every call is answered 503": Outage(when(Refuse(503)), "503: injected"),
    "every call is answered 500": Outage(when(Refuse(500)), "500: injected"),
    "every call is answered 429": Outage(when(Refuse(429, "slow", (("Retry-After", "1"),))), "429: slow"),
    "every call is refused for want of rights": Outage(when(Refuse(403, "no right")), "403: no right"),
    "every write is a conflict": Outage(when(Refuse(409), verbs=WRITES), "/status: 409: injected"),
    "the route may not be written": Outage(
        when(Refuse(403, "no right"), resource="httproutes", verbs=WRITES),
        f"httproutes/{NAME}: 403: no right",
        reason="RouteNotWritten",
    ),
    "the route is a conflict at each apply": Outage(
        when(Refuse(409), resource="httproutes", verbs="patch"), f"httproutes/{NAME}: 409: injected"
    ),
    "the status of the ModelRoute is refused": Outage(
        when(Refuse(422), resource="modelroutes/status"), f"modelroutes/{NAME}/status: 422: injected", holds=False
    ),
    "the status of the ModelRollout is refused": Outage(
        when(Refuse(422), resource="modelrollouts/status"), "/status: 422: injected", reason="RolloutNotWritten"
    ),
    "events cannot be written": Outage(
        when(Refuse(500), resource="events"), "the event StepPassed could not be written", holds=False
    ),
}


@pytest.mark.parametrize("fault", OUTAGES)
async def test_after_five_minutes_of_an_outage_the_rollout_ends_as_if_there_had_been_none(
    live: LiveWorld, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    ticker, outage = live.ticker(), OUTAGES[fault]
    await live.started(ticker)
    live.proxy.choose = outage.fault
    await live.run(ticker, OUTAGE_S, at_most_s=20.0)
    assert live.smalls == [0, 2_000, *(() if outage.holds else (4_000,))]
    # What a tick raises is a line of the loop's.
    assert any(outage.log in line for line in (*live.errors, *caplog.messages))
    reasons = {each["reason"] for each in live.status["conditions"]}
    assert outage.reason in {"", *reasons}
    live.proxy.choose = nothing
    status = await live.until(ticker, in_phase("Stable", attempt=1))

    assert live.smalls == [0, 2_000, 4_000], "up, and no weight twice"
    assert [each["status"]["phase"] for each in live.rollouts()] == ["Promoted"]
    assert has_counted_each_window_once(live)
    assert outage.reason not in {each["reason"] for each in status["conditions"]}


async def test_who_is_told_when_to_come_again_asks_no_sooner(live: LiveWorld) -> None:
    """Of itself the loop would ask again after one second."""
    ticker = live.ticker()
    await live.started(ticker)
    asked: list[float] = []

    def choose(_right: Right) -> Fault:
        asked.append(time.monotonic())
        return Refuse(429, "slow", (("Retry-After", "2"),))

    live.proxy.choose = choose
    loop = Loop(ticker.tick)
    loop.wake(live.namespace, NAME)
    await asyncio.sleep(3.0)  # the loop waits by the real clock, and the point is how often it asks meanwhile
    await loop.stop()

    first, second = asked
    assert second - first >= 2.0


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        ("modelrollouts/status", 409),
        ("modelrollouts/status", 422),
        ("modelroutes/status", 403),
        ("modelroutes/status", 409),
        ("events", 500),
    ],
    ids=lambda value: str(value).replace("/", "-"),
)
async def test_no_refused_write_but_the_routes_own_keeps_a_rollback_from_the_route(
    live: LiveWorld, resource: str, status: int
) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    live.proxy.choose = when(Refuse(status), resource=resource, verbs=WRITES)
    live.bad_share["small-v1"] = 0.5
    for _ in range(20):
        await live.tick(ticker)
        if not live.small:
            break

    assert live.small == 0
    live.proxy.choose = nothing
    await live.until(ticker, in_phase("RolledBack"))


LOST = ["modelrollouts create", "modelrollouts/status update", "httproutes patch", "modelroutes/status update"]


@pytest.mark.parametrize("write", LOST)
async def test_an_answer_that_is_lost_after_the_write_was_made_makes_nothing_twice(live: LiveWorld, write: str) -> None:
    resource, verb = write.split()
    ticker = live.ticker()
    live.apply(small=0)
    await live.until(ticker, in_phase("Stable"))
    live.proxy.choose = when(LoseAnswer(), resource=resource, verbs=verb, times=3)
    live.apply(small=40)
    await live.until(ticker, in_phase("Stable", attempt=1))

    assert [each["spec"]["attempt"] for each in live.rollouts()] == [1]
    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert has_counted_each_window_once(live)


async def test_a_call_that_hangs_holds_one_tick_up_and_no_more(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    live.proxy.choose = when(Hang(30.0), verbs="update", times=2)
    live.bad_share["small-v1"] = 0.5
    await live.until(ticker, in_phase("RolledBack"))

    assert any("did not answer" in error for error in live.errors)
    assert live.small == 0


@pytest.mark.parametrize("resource", ["modelroutes", "modelrollouts", "httproutes"])
async def test_reads_that_are_stale_raise_no_weight_twice(live: LiveWorld, resource: str) -> None:
    """A cache between us and the API server stands still: writes over it are conflicts.

    By a record that stands still nothing rises; by a new record the next step may, once.
    """
    ticker = live.ticker()
    await live.started(ticker)
    live.proxy.first.clear()
    await live.tick(ticker)
    live.proxy.choose = when(Replay(), resource=resource, verbs="get list")
    await live.run(ticker, 60.0)
    assert live.smalls == [0, 2_000] or resource != "modelrollouts"
    live.proxy.choose = nothing
    await live.until(ticker, in_phase("Stable", attempt=1))

    assert live.smalls == [0, 2_000, 4_000]
    assert [each["status"]["phase"] for each in live.rollouts()] == ["Promoted"]
    assert has_counted_each_window_once(live)


async def test_a_rollback_that_was_noted_on_the_route_alone_outlives_the_operator(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    live.proxy.choose = when(Refuse(500), resource="modelrollouts/status")
    live.bad_share["small-v1"] = 0.5
    for _ in range(20):
        await live.tick(ticker)
        if not live.small:
            break
    live.bad_share.clear()
    live.proxy.choose = nothing
    await live.until(live.ticker(), in_phase("RolledBack"))

    assert live.small == 0


# Death between two writes.


async def looks(live: LiveWorld, until: Callable[[Json], bool]) -> None:
    """Ticks of a fresh operator, until the status is as `until` says."""
    ticker = live.ticker()
    for _ in range(60):
        await live.tick(ticker)
        # Two windows more than it asks for, and so fewer looks at the same evidence.
        live.now += 10.0
        if until(live.status):
            return
    raise AssertionError(f"never; last: {live.status.get('message')}; {live.errors[-3:]}")


async def killed(live: LiveWorld, number: int, until: Callable[[Json], bool]) -> Right | None:
    """An operator that dies before the write with that number (0 is its first), and another one that goes on.

    Both go no further than where the status is as `until` says. The write; None where it has fewer to make.
    """
    count, died_before = -1, None

    def choose(right: Right) -> Fault | None:
        nonlocal count, died_before
        if right.verb not in WRITES.split():
            return None
        count += 1
        if count < number:
            return None
        # Nothing of what it does after that reaches the API server.
        died_before = died_before or right
        return Refuse(599, "dead")

    live.proxy.choose = choose
    await looks(live, lambda status: died_before is not None or until(status))
    live.proxy.choose = nothing
    if not until(live.status):
        await looks(live, until)
    return died_before


def at_step(step: str) -> Callable[[Json], bool]:
    return lambda status: status.get("step") == step


BOUNDED = [{"name": "errors", "metric": "ErrorRate", "max": "5%"}]
ROUTE, EVENTS = "httproutes", "events"
RECORD, STATUS = "modelrollouts/status", "modelroutes/status"


@pytest.fixture(params=["a route of its own", "an adopted rule"])
async def spec(live: LiveWorld, request: pytest.FixtureRequest) -> Json:
    """Of a ModelRoute that is at rest, with all on the large model."""
    made: Json = {"objectives": BOUNDED}
    if request.param == "an adopted rule":
        own_route(live, "models")
        live.route, made = "own", {**made, **ADOPTED}
    live.apply(small=0, **made)
    await live.until(live.ticker(), in_phase("Stable"))
    return made


async def killed_in_each(live: LiveWorld, number: int, *parts: Callable[[Json], bool]) -> list[str]:
    """A rollout whose operator dies before the write with that number of each of its parts, which end as `parts` say.

    The writes, as far as there are that many; no window is counted twice, and nothing told twice.
    """
    before = {each["metadata"]["name"] for each in live.events()}
    live.smalls = live.smalls[-1:]
    died_before = [await killed(live, number, until=part) for part in parts]
    told = [(each["reason"], each["message"]) for each in live.events() if each["metadata"]["name"] not in before]
    assert len(told) == len(set(told)), told
    assert has_counted_each_window_once(live)
    return [f"{part} {right.resource}" for part, right in enumerate(died_before) if right is not None]


async def test_death_before_any_write_of_a_promotion_repeats_and_skips_nothing(live: LiveWorld, spec: Json) -> None:
    """One rollout after the other, to and fro; the operators of each two die one write later than those before."""
    found: set[str] = set()
    for attempt in itertools.count(1):
        number, back = divmod(attempt - 1, 2)
        live.apply(small=0 if back else 40, **spec)
        parts = (at_step("1/2"), at_step("2/2"), in_phase("Stable", attempt=attempt))
        died_before = await killed_in_each(live, number, *parts)

        assert live.smalls == ([4_000, 2_000, 0] if back else [0, 2_000, 4_000])
        last = live.rollouts()[-1]
        assert (last["spec"]["attempt"], last["status"]["phase"]) == (attempt, "Promoted")
        found.update(died_before)
        if back and not died_before:
            break

    everywhere = {f"{part} {resource}" for part in range(3) for resource in (RECORD, STATUS, EVENTS)}
    assert everywhere | {"0 modelrollouts", f"0 {ROUTE}", f"1 {ROUTE}"} <= found


async def test_death_before_any_write_of_a_rollback_still_goes_back(live: LiveWorld, spec: Json) -> None:
    found: set[str] = set()
    for number in itertools.count():
        live.bad_share.clear()
        # Another weight each time: what was rolled back is not tried again.
        live.apply(small=40 + number, **spec)
        await looks(live, at_step("1/2"))
        live.bad_share["small-v1"] = 0.5
        died_before = await killed_in_each(live, number, in_phase("RolledBack", attempt=number + 1))

        assert live.smalls[1:] == [0]
        found.update(died_before)
        if not died_before:
            break

    assert {f"0 {resource}" for resource in (RECORD, ROUTE, STATUS, EVENTS)} <= found


def counted(live: LiveWorld) -> tuple[int, float]:
    """The candidate's requests that the record knows of, and until when all are counted (unix seconds)."""
    status = live.rollouts()[-1]["status"]
    until = datetime.fromisoformat(status["evidenceUntil"]).timestamp()
    return status["objectives"][0]["candidateRequests"], until


async def test_after_an_hour_away_no_step_is_taken_early_and_no_window_counted_twice(live: LiveWorld) -> None:
    """What was counted meanwhile is read in many looks, and only with all of it is the step left."""
    slow = {"steps": [{"progress": 50, "minDuration": "5m", "minRequests": 30}, {"progress": 100}]}
    ticker = live.ticker()
    await live.started(ticker, rollout=slow)
    await live.run(ticker, 30.0)
    before, since = counted(live)
    live.now += 3600.0
    again, back_at = live.ticker(), live.now
    for _ in range(60):
        await live.tick(again)
        requests, until = counted(live)
        assert requests - before == (until - since) / WINDOW_S * live.requests * 0.2
        assert has_counted_each_window_once(live)
        if live.small != 2_000:
            break
    assert live.smalls == [0, 2_000, 4_000]
    assert until > back_at - 2 * WINDOW_S

    await live.run(again, 120.0)
    assert (live.small, live.status["step"]) == (4_000, "2/2"), "the next step has ten minutes of its own"


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0], ids=["forwards", "backwards"])
async def test_a_clock_that_jumps_an_hour_neither_promotes_nor_forgets(live: LiveWorld, jump_s: float) -> None:
    slow = {"steps": [{"progress": 50, "minDuration": "2h"}, {"progress": 100}]}
    ticker = live.ticker()
    await live.started(ticker, rollout=slow)
    await live.run(ticker, 60.0)
    live.now += jump_s
    await live.run(ticker, 60.0)

    assert live.small == 2_000
    live.bad_share["small-v1"] = 0.5
    live.now += max(0.0, -jump_s)
    await live.until(ticker, in_phase("RolledBack"))
