"""What the rest of a spec cannot do to the weights."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, Faults, World, Write, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.errors import Invalid

STEPS = {"steps": [{"progress": 50, "minDuration": "10m"}, {"progress": 100}]}
REFUSED = [{"type": "RequestHeaderModifier"}]


def refuse_filters(write: Write) -> Exception | None:
    rules = write.body.get("spec", {}).get("rules") or [{}]
    refused = str(write) == "apply httproutes" and rules[0].get("filters") == REFUSED
    return Invalid("spec.rules[0].filters[0]: requestHeaderModifier is required") if refused else None


async def in_the_first_step() -> tuple[World, Ticker]:
    world = World()
    world.faults = Faults(before=refuse_filters)
    world.apply(large=100, small=0)
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(rollout=STEPS)
    await run_until(world, ticker, in_phase("Progressing"))
    return world, ticker


async def test_a_spec_whose_filter_is_refused_does_not_keep_harm_from_going_back() -> None:
    world, ticker = await in_the_first_step()
    world.apply(rollout=STEPS, filters=REFUSED)
    world.bad_share["small-v1"] = 0.5

    await run_until(world, ticker, lambda _: world.weights().get("small-v1") == 0)

    assert world.weights() == {"large-v1": 10_000, "small-v1": 0}
    assert "filters" not in world.get("httproutes")["spec"]["rules"][0]


async def test_a_refused_filter_is_told_and_the_route_keeps_the_one_that_it_had() -> None:
    world, ticker = await in_the_first_step()
    before = world.get("httproutes")["spec"]
    world.apply(rollout=STEPS, filters=REFUSED)
    await ticker.tick(NAMESPACE, NAME)

    assert "requestHeaderModifier is required" in world.status["message"]
    assert world.get("httproutes")["spec"] == before


@pytest.mark.parametrize(
    "spec",
    [
        {"hostnames": ["elsewhere.example.com"], "metrics": {"source": "Custom"}},
        {"hostnames": ["elsewhere.example.com"], "metrics": {"source": "Istio"}},
        {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 80}}}]},
    ],
)
async def test_a_spec_that_cannot_be_carried_out_leaves_the_live_route_alone(spec: dict[str, Any]) -> None:
    world, ticker = await in_the_first_step()
    before = world.get("httproutes")["spec"]
    world.apply(rollout=STEPS, **spec)
    for _ in range(5):
        world.now += 5
        await ticker.tick(NAMESPACE, NAME)

    assert world.get("httproutes")["spec"] == before
    assert world.status["phase"] == "Holding"
