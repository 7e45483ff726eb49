"""What befalls a rule of the user's own route on a real API server and a real gateway; see docs/faults.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.integration.test_faults_api import nothing, when
from tests.integration.test_faults_gateway import ADOPTED, adopted_weights, own_route
from tests.recording_proxy import Refuse

from devstack.stack import Stack
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        made.route, made.rule = "own", 0
        yield made


async def never_rises_again(live: LiveWorld, ticker: Ticker) -> None:
    for _ in range(30):
        await live.tick(ticker)
        assert adopted_weights(live) == [10_000, 0]


@pytest.mark.parametrize("restarted", [False, True])
async def test_no_tick_undoes_a_rollback_that_could_not_be_written_down(live: LiveWorld, restarted: bool) -> None:
    ticker = live.ticker()
    own_route(live, "models")
    await live.started(ticker, **ADOPTED)
    live.proxy.choose = when(Refuse(500), resource="modelrollouts/status")
    live.bad_share["small-v1"] = 0.5
    for _ in range(30):
        await live.tick(ticker)
        if not live.small:
            break
    live.bad_share.clear()
    live.proxy.choose = nothing

    await never_rises_again(live, live.ticker() if restarted else ticker)
    await live.until(ticker, in_phase("RolledBack"))


async def test_a_rule_that_lost_the_way_back_goes_on_serving_and_names_what_it_lacks(live: LiveWorld) -> None:
    ticker = live.ticker()
    own_route(live, "models")
    await live.started(ticker, **ADOPTED)
    without = json.dumps([{"op": "remove", "path": "/spec/rules/0/backendRefs/0"}])
    live.stack.kubectl("patch", "httproute", "own", "-n", live.namespace, "--type=json", "-p", without)
    live.say("abort")
    for _ in range(10):
        await live.tick(ticker)
        assert adopted_weights(live)[0] > 0
    assert "add Service" in live.status["message"]

    own_route(live, "models", large=0, small=100)
    await live.until(ticker, in_phase("RolledBack"))
    assert adopted_weights(live) == [10_000, 0]


async def test_weights_that_were_taken_away_before_harm_was_read_are_not_given_back(live: LiveWorld) -> None:
    """As a person does who sees the errors first."""
    ticker = live.ticker()
    own_route(live, "models")
    rollout = {"steps": [{"progress": 50, "minDuration": "30m"}, {"progress": 100}]}
    await live.started(ticker, rollout=rollout, **ADOPTED)
    await live.run(ticker, 30.0)
    live.prometheus_problem = Unavailable("down")
    await live.run(ticker, 10.0)
    own_route(live, "models", large=100, small=0)
    for _ in range(10):
        await live.tick(ticker)
        assert adopted_weights(live) == [100, 0]
    assert "Somebody else changed the weights" in live.status["message"]

    live.say("abort")
    await live.until(ticker, in_phase("RollingBack"))
    assert adopted_weights(live)[1] == 0


async def test_a_rule_in_front_of_ours_starts_a_new_count_there(live: LiveWorld) -> None:
    ticker = live.ticker()
    own_route(live, "models")
    rollout = {"steps": [{"progress": 50, "minDuration": "30m"}, {"progress": 100}]}
    await live.started(ticker, rollout=rollout, **ADOPTED)
    await live.run(ticker, 20.0)
    before = live.rollouts()[-1]["status"]
    assert before["stepPlace"] == "0:0,1"
    own_route(live, "docs", "models", large=80, small=20)
    live.rule = 1
    await live.run(ticker, 40.0)

    after = live.rollouts()[-1]["status"]
    assert after["stepPlace"] == "1:0,1"
    assert after["stepLiveAt"] > before["stepLiveAt"]
    assert after["phase"] == "Progressing"


async def test_another_route_ref_takes_the_old_rule_back_before_the_new_one_is_written(live: LiveWorld) -> None:
    ticker = live.ticker()
    own_route(live, "models", "chat")
    rollout = {"steps": [{"progress": 50, "minDuration": "30m"}, {"progress": 100}]}
    await live.started(ticker, rollout=rollout, **ADOPTED)
    live.apply(small=40, rollout=rollout, **{**ADOPTED, "routeRef": {"name": "own", "rule": "chat"}})
    for _ in range(20):
        before = adopted_weights(live, "chat")
        await live.tick(ticker)
        if before != adopted_weights(live, "chat"):
            break
        assert before == [100, 0]

    assert adopted_weights(live) == [10_000, 0]
    assert live.rollouts()[0]["status"]["phase"] == "Superseded"
