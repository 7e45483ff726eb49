"""A step is left only when what its candidate is compared with was seen as well (docs/adr/0009). Whole ticks."""

from __future__ import annotations

import re

from tests.fakes import NAME, NAMESPACE, WINDOW_S, World, in_phase, run_until

from modelroute.controller.tick import Ticker

ASKED = 200
STEPS = {
    "steps": [
        {"progress": 97, "minDuration": "5s", "minRequests": ASKED},
        {"progress": 100, "minDuration": "5s", "minRequests": ASKED},
    ]
}


async def nearly_replaced(bad_share: float = 0.0) -> tuple[World, Ticker]:
    """In a step that leaves the old version 3 % of the requests, 18 in each window."""
    world = World()
    ticker = world.ticker()
    world.bad_share = {"small-v1": bad_share}
    world.apply(large=100, small=0, rollout=STEPS)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, rollout=STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    return world, ticker


async def test_a_step_waits_until_the_old_version_has_answered_min_requests_and_says_when_that_is() -> None:
    world, ticker = await nearly_replaced()
    begun, lacking = world.now, list[str]()
    while world.status.get("step") == "1/2":
        world.now += await ticker.tick(NAMESPACE, NAME) or 1.0
        lacking += world.status.get("lacking") or []

    told = [each for each in lacking if f"of {ASKED} requests by large, to compare with" in each]
    assert re.search(r"\(about \d+s at today's traffic\)", told[-1]), told[-1]
    assert world.now - begun >= ASKED / 18 * WINDOW_S

    await run_until(world, ticker, in_phase("Stable"))
    assert world.weights()["small-v1"] == 10_000, "without traffic nothing more is asked of the old version"


async def test_a_version_that_fails_every_second_request_beside_an_old_one_with_few_goes_back() -> None:
    world, ticker = await nearly_replaced(bad_share=0.5)
    await run_until(world, ticker, in_phase("RolledBack"))

    assert world.weights()["large-v1"] == 10_000


async def test_a_person_who_promotes_waits_for_neither() -> None:
    world, ticker = await nearly_replaced()
    begun = world.now
    await ticker.tick(NAMESPACE, NAME)
    world.act("promote")
    await run_until(world, ticker, lambda status: status.get("step") == "2/2")

    assert world.now - begun < 6 * WINDOW_S
