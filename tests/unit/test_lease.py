"""Leader election: one writer at a time, on clocks that nobody compares. A fake API server and fake clocks."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelroute.cluster.client import Json
from modelroute.cluster.lease import Lease, LeaseTerms
from modelroute.controller.leading import LOST_EXIT_CODE, keep, lead
from modelroute.errors import Conflict, Unavailable

TERMS = LeaseTerms(duration_s=15, renew_within_s=10, retry_s=2)


class Store:
    """One Lease, with resourceVersions."""

    def __init__(self) -> None:
        self.body: Json | None = None
        self.version = 0
        self.down = False

    async def get(self, namespace: str, name: str) -> Json | None:
        self._answer()
        return copy.deepcopy(self.body)

    async def create(self, namespace: str, body: Json) -> Json:
        self._answer()
        if self.body is not None:
            raise Conflict("exists")
        return self._keep(body)

    async def replace(self, namespace: str, name: str, body: Json) -> Json:
        self._answer()
        assert self.body is not None
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise Conflict("modified")
        return self._keep(body)

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("down")

    def _keep(self, body: Json) -> Json:
        self.version += 1
        self.body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return copy.deepcopy(self.body)


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now


def lease(store: Store, clock: Clock, identity: str, sleep: Callable[[float], Awaitable[None]] | None = None) -> Lease:
    async def pass_time(seconds: float) -> None:
        clock.now += seconds
        await asyncio.sleep(0)

    return Lease(
        store,
        namespace="system",
        name="modelroute",
        identity=identity,
        terms=TERMS,
        monotonic=lambda: clock.now,
        wall=lambda: clock.now + 1.7e9,
        sleep=sleep or pass_time,
    )


async def test_the_first_one_leads_and_the_second_waits() -> None:
    store, clock = Store(), Clock()
    first, second = lease(store, clock, "a"), lease(store, clock, "b")
    await first.acquire()

    assert first.is_held()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_acquire_while_renewed(first, second), 0.2)
    assert not second.is_held()


async def _acquire_while_renewed(first: Lease, second: Lease) -> None:
    renewing = asyncio.create_task(first.keep())
    try:
        await second.acquire()
    finally:
        renewing.cancel()


async def test_a_holder_that_is_silent_is_followed_after_the_lease_and_not_before() -> None:
    store, clock = Store(), Clock()
    await lease(store, clock, "a").acquire()
    began = clock.now
    second = lease(store, clock, "b")
    await second.acquire()

    assert second.is_held()
    assert clock.now - began >= TERMS.duration_s
    assert store.body is not None
    assert store.body["spec"]["leaseTransitions"] == 1


async def test_a_process_that_was_stopped_knows_before_its_next_write_that_it_does_not_lead() -> None:
    clock = Clock()
    first = lease(Store(), clock, "a")
    await first.acquire()
    clock.now += TERMS.renew_within_s

    assert not first.is_held()


async def test_a_lease_that_is_given_back_is_taken_at_the_next_try() -> None:
    store, clock = Store(), Clock()
    first, second = lease(store, clock, "a"), lease(store, clock, "b")
    await first.acquire()
    await first.release()
    began = clock.now
    await second.acquire()

    assert not first.is_held()
    assert clock.now - began <= TERMS.retry_s


async def test_an_api_server_that_does_not_answer_ends_the_hold_in_time() -> None:
    store, clock = Store(), Clock()
    first = lease(store, clock, "a")
    await first.acquire()
    store.down = True
    began = clock.now
    await first.keep()

    assert clock.now - began == pytest.approx(TERMS.renew_within_s, abs=TERMS.retry_s)


async def test_a_short_outage_does_not_end_it() -> None:
    store, clock = Store(), Clock()
    outage = iter([True, True, True, False, False])

    async def pass_time(seconds: float) -> None:
        clock.now += seconds
        store.down = next(outage, None) or False
        if clock.now > 1020:
            raise asyncio.CancelledError

    first = lease(store, clock, "a", pass_time)
    await first.acquire()
    with pytest.raises(asyncio.CancelledError):
        await first.keep()
    assert first.is_held()


@given(seed=st.integers(0, 10_000))
def test_there_are_never_two_leaders_whatever_stops_and_fails(seed: int) -> None:
    """Three operators with clocks of their own, in random order, with outages and processes that stand still."""
    chance = random.Random(seed)
    store = Store()
    real = 0.0
    offsets = [chance.uniform(0, 1e6) for _ in range(3)]
    clocks = [Clock(offset) for offset in offsets]
    leases = [lease(store, clock, f"op{index}") for index, clock in enumerate(clocks)]
    asleep = [0.0, 0.0, 0.0]

    async def play() -> None:
        nonlocal real
        for _ in range(150):
            real += chance.choice([0.5, 2.0, 4.0])
            for clock, offset in zip(clocks, offsets, strict=True):
                clock.now = offset + real
            store.down = chance.random() < 0.2
            for index, each in enumerate(leases):
                if asleep[index] > real:
                    continue
                if chance.random() < 0.05:
                    asleep[index] = real + chance.choice([5, 12, 30])
                    continue
                await each._tried()
            assert sum(each.is_held() for each in leases) <= 1

    asyncio.run(play())


async def test_what_could_never_have_its_lease_says_so_and_what_stands_by_has_no_problem() -> None:
    store, clock = Store(), Clock()
    first, second = lease(store, clock, "a"), lease(store, clock, "b")
    assert first.problem == "the Lease system/modelroute could not be had yet: the API server has not answered yet"
    store.down = True
    await first._tried()
    assert first.problem == "the Lease system/modelroute could not be had yet: down"

    store.down = False
    assert await first._tried()
    assert not await second._tried()
    assert (first.problem, second.problem) == ("", "")

    # An outage is another trouble than a right that is missing: it ends without anybody doing something here.
    store.down = True
    await second._tried()
    assert second.problem == ""


async def test_a_lease_that_may_be_read_and_not_written_is_a_problem() -> None:
    class ReadOnly(Store):
        async def create(self, namespace: str, body: Json) -> Json:
            raise Unavailable("leases is forbidden")

    alone = lease(ReadOnly(), Clock(), "a")
    await alone._tried()

    assert alone.problem.endswith("leases is forbidden")


async def test_a_process_that_loses_its_lease_ends_at_once() -> None:
    store, clock = Store(), Clock()
    first = lease(store, clock, "a")
    await first.acquire()
    store.down = True
    ended: list[int] = []
    await keep(first, end=ended.append)

    assert ended == [LOST_EXIT_CODE]


async def test_one_that_stands_by_can_be_stopped() -> None:
    store, clock = Store(), Clock()
    await lease(store, clock, "a").acquire()
    stop = asyncio.Event()

    async def wait(_seconds: float) -> None:
        stop.set()
        await asyncio.sleep(0.01)

    assert not await lead(lease(store, clock, "b", wait), stop)


async def test_without_leader_election_it_leads() -> None:
    assert await lead(None, asyncio.Event())
