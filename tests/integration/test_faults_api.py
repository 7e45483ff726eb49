"""What the API server, the network and a sudden death do to a rollout: it repeats nothing, skips nothing and goes back.

The API server and the gateway are real; faults come from a proxy between them and the operator. docs/faults.md tells
what each looks like to people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.recording_proxy import Choose, Fault, Hang, LoseAnswer, Refuse, Replay, Right

from devstack.stack import Stack

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
OUTAGES: dict[str, tuple[Choose, str]] = {
    "every call is answered 503": (when(Refuse(503, "injected")), "503"),
    "every call is answered 500": (when(Refuse(500)), "500"),
    "every call is answered 429 with Retry-After": (when(Refuse(429, "slow", (("Retry-After", "1"),))), "429"),
    "every call is refused for want of rights": (when(Refuse(403, "forbidden")), "403"),
    "every write is a conflict": (when(Refuse(409), verbs=WRITES), "409"),
    "the route may not be written": (when(Refuse(403), resource="httproutes", verbs=WRITES), "403"),
    "the route is a conflict at each apply": (when(Refuse(409), resource="httproutes", verbs="patch"), "409"),
    "the status of the ModelRoute is refused": (when(Refuse(422), resource="modelroutes/status"), "422"),
    "the status of the ModelRollout is refused": (when(Refuse(422), resource="modelrollouts/status"), "422"),
    "events cannot be written": (when(Refuse(500), resource="events"), ""),
}


@pytest.mark.parametrize("fault", OUTAGES)
async def test_after_five_minutes_of_an_outage_the_rollout_ends_as_if_there_had_been_none(
    live: LiveWorld, fault: str
) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    choose, told = OUTAGES[fault]
    live.proxy.choose = choose
    await live.run(ticker, OUTAGE_S, at_most_s=20.0)
    assert live.small <= 4_000
    assert any(told in error for error in live.errors) or not told
    live.proxy.choose = nothing
    await live.until(ticker, in_phase("Stable", attempt=1))

    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert [each["status"]["phase"] for each in live.rollouts()] == ["Promoted"]
    assert has_counted_each_window_once(live)


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
    """A cache between us and the API server stands still: writes over it are conflicts, and nothing rises on it."""
    ticker = live.ticker()
    await live.started(ticker)
    live.proxy.first.clear()
    await live.tick(ticker)
    live.proxy.choose = when(Replay(), resource=resource, verbs="get list")
    await live.run(ticker, 60.0)
    assert live.small <= 4_000
    live.proxy.choose = nothing
    await live.until(ticker, in_phase("Stable", attempt=1))

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


async def killed(live: LiveWorld, number: int, *, within: int = 60) -> None:
    """Ticks of an operator that dies after the write with that number (0 is the next), or that has no more to write.

    What it would have done next is cut off with it, and of that write it never hears.
    """
    count, dead = -1, False

    def choose(right: Right) -> Fault | None:
        nonlocal count, dead
        if right.verb not in WRITES.split():
            return None
        count += 1
        if count < number:
            return None
        first, dead = not dead, True
        return LoseAnswer() if first else Refuse(599, "dead")

    live.proxy.choose, ticker = choose, live.ticker()
    for _ in range(within):
        await live.tick(ticker)
        if dead:
            break
    live.proxy.choose = nothing


BOUNDED = [{"name": "errors", "metric": "ErrorRate", "max": "5%"}]


async def at_rest(live: LiveWorld) -> None:
    live.apply(small=0, objectives=BOUNDED)
    await live.until(live.ticker(), in_phase("Stable"))


async def test_death_after_any_write_of_a_promotion_repeats_and_skips_nothing(live: LiveWorld) -> None:
    """One rollout after the other, to and fro; the operator of each dies one write later than the last one's."""
    await at_rest(live)
    for number in range(14):
        wanted = 40 if number % 2 == 0 else 0
        live.apply(small=wanted, objectives=BOUNDED)
        await killed(live, number)
        await live.until(live.ticker(), in_phase("Stable", attempt=number + 1))
        assert live.small == wanted * 100
        assert has_counted_each_window_once(live)

    assert [each["spec"]["attempt"] for each in live.rollouts()][-1] == 14
    assert {each["status"]["phase"] for each in live.rollouts()} == {"Promoted"}


async def test_death_after_any_write_of_a_rollback_still_goes_back(live: LiveWorld) -> None:
    await at_rest(live)
    for number in range(8):
        live.bad_share.clear()
        # Another weight each time: what was rolled back is not tried again.
        live.apply(small=40 + number, objectives=BOUNDED)
        await live.until(live.ticker(), lambda status: status.get("step") == "1/2")
        live.bad_share["small-v1"] = 0.5
        await killed(live, number)
        await live.until(live.ticker(), in_phase("RolledBack", attempt=number + 1))
        assert live.small == 0


async def test_after_an_hour_away_no_step_is_taken_early_and_no_window_counted_twice(live: LiveWorld) -> None:
    slow = {"steps": [{"progress": 50, "minDuration": "5m", "minRequests": 30}, {"progress": 100}]}
    ticker = live.ticker()
    await live.started(ticker, rollout=slow)
    await live.run(ticker, 30.0)
    live.now += 3600.0
    counted = len(live.rollouts()[-1]["status"]["windows"])
    again = live.ticker()
    await live.tick(again)

    assert counted
    assert live.small in {2_000, 4_000}
    assert has_counted_each_window_once(live)
    if live.small == 4_000:
        # Its five minutes had passed, with evidence; the next step has a time of its own.
        await live.run(again, 120.0)
        assert live.status["step"] == "2/2"


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
