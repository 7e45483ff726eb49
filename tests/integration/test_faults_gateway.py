"""What a gateway and those who write its routes do to a rollout: it waits, puts back, or leaves alone, and says so.

The API server and Traefik are real; docs/faults.md tells what each fault looks like to people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NAME, STEP
from tests.integration.live_world import LiveWorld, in_phase, live_world

from devstack.stack import Stack

Json = dict[str, Any]
HELD = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        yield made


def condition(status: Json, kind: str) -> Json:
    found: list[Json] = [each for each in status.get("conditions") or [] if each["type"] == kind]
    return found[0] if found else {}


def is_not_programmed(status: Json) -> bool:
    return condition(status, "Programmed").get("status") in {"False", "Unknown"}


def patch_weights(live: LiveWorld, *weights: int) -> None:
    """Somebody else's hand on our route: the weights of its backends, in their order."""
    operations = [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{index}/weight", "value": weight}
        for index, weight in enumerate(weights)
    ]
    live.stack.kubectl(
        "patch", "httproute", NAME, "-n", live.namespace, "--type=json", f"--patch={json.dumps(operations)}"
    )


async def promoted(live: LiveWorld, ticker: Any) -> None:
    await live.until(ticker, in_phase("Stable", attempt=1))
    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert [each["status"]["phase"] for each in live.rollouts()] == ["Promoted"]


async def test_a_step_that_a_gateway_accepted_only_in_an_older_generation_is_not_left(live: LiveWorld) -> None:
    ticker = live.ticker()
    live.apply(small=0)
    await live.until(ticker, in_phase("Stable"))
    live.stack.traefik.pause()
    try:
        live.apply(small=40)
        await live.until(ticker, is_not_programmed)
        await live.run(ticker, 60.0)
        assert live.small == 2_000
        status = live.status
    finally:
        live.stack.traefik.resume()

    assert condition(status, "Programmed")["reason"] == "WaitingForGateway"
    assert "generation" in condition(status, "Programmed")["message"]
    await promoted(live, ticker)


async def test_a_rollback_does_not_wait_for_a_gateway_that_is_silent(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    await live.run(ticker, 10.0)
    live.stack.traefik.pause()
    try:
        live.bad_share["small-v1"] = 0.5
        await live.until(ticker, lambda status: status["phase"] in {"RollingBack", "RolledBack"})
        assert live.small == 0
    finally:
        live.stack.traefik.resume()
    await live.until(ticker, in_phase("RolledBack"))


async def test_a_step_that_a_gateway_rejects_goes_back_and_says_why_and_retry_goes_on_once_that_is_mended(
    live: LiveWorld,
) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    live.apply(small=40, hostnames=["nobody.example.org"])
    status = await live.until(ticker, is_not_programmed)
    assert live.small == 2_000
    await live.until(ticker, lambda _: live.small == 0)
    status = live.status
    assert condition(status, "Programmed")["reason"] == "GatewayRejected"
    assert "inference reports Accepted=False" in status["message"]
    live.apply(small=40)
    await live.until(ticker, in_phase("RolledBack"))
    status = await live.until(ticker, lambda status: "retry@" in status["message"])
    assert "attempt 1 was rolled back: Gateway" in status["message"]
    live.say("retry")
    await live.until(ticker, in_phase("Stable", attempt=2))
    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}


async def test_of_two_parents_both_have_to_take_a_step(live: LiveWorld) -> None:
    both = [{"name": "inference"}, {"name": "second"}]
    ticker = live.ticker()
    await live.started(ticker)
    live.apply(small=40, parentRefs=both)
    await live.run(ticker, 60.0)
    status = live.status
    assert live.small == 2_000
    assert is_not_programmed(status)
    assert f"{live.namespace}/second" in condition(status, "Programmed")["message"]
    live.stack.create_gateway(live.namespace, "second", hostname=f"{live.namespace}.example.com")
    await promoted(live, ticker)


async def test_a_route_that_is_deleted_comes_back_with_the_weights_of_its_step(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    await live.run(ticker, 10.0)
    live.stack.kubectl("delete", "httproute", NAME, "-n", live.namespace)
    await live.run(ticker, 10.0)

    assert live.weights() == {"large-v1": 8_000, "small-v1": 2_000}
    assert live.get("modelroutes")["status"]["phase"] == "Progressing"
    assert live.said("RouteRestored") == ["the HTTPRoute was deleted and is made anew"]


@pytest.mark.parametrize("fresh", [False, True], ids=["same-operator", "restarted-operator"])
async def test_a_route_that_is_deleted_under_a_promotion_keeps_the_promoted_split(live: LiveWorld, fresh: bool) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    await promoted(live, ticker)
    live.stack.kubectl("delete", "httproute", NAME, "-n", live.namespace)
    await live.run(live.ticker() if fresh else ticker, 10.0)

    assert live.weights() == {"large-v1": 6_000, "small-v1": 4_000}
    assert [each["spec"]["attempt"] for each in live.rollouts()] == [1]
    # A fresh operator does not know that there was one.
    assert live.said("RouteRestored") == ([] if fresh else ["the HTTPRoute was deleted and is made anew"])


async def test_weights_that_somebody_reverts_once_are_restored_with_an_event(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    await live.run(ticker, 10.0)
    patch_weights(live, 0, 10_000)
    await live.run(ticker, 10.0)

    assert live.weights() == {"large-v1": 8_000, "small-v1": 2_000}
    assert live.said("RouteRestored") == ["the HTTPRoute was changed by somebody else and is restored"]


async def test_a_fight_over_the_weights_is_ended_and_told_and_a_rollback_does_not_heed_it(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    for _ in range(30):
        await live.tick(ticker)
        patch_weights(live, 5_000, 5_000)
        if "RouteContended" in {each.get("reason") for each in live.status["conditions"]}:
            break
    else:
        raise AssertionError("it never stopped fighting")
    written = live.get("httproutes")["metadata"]["resourceVersion"]
    await live.run(ticker, 15.0)
    assert live.get("httproutes")["metadata"]["resourceVersion"] == written
    live.bad_share["small-v1"] = 0.5
    await live.until(ticker, in_phase("RolledBack"))

    assert live.small == 0


async def test_a_foreign_route_of_our_name_is_not_touched(live: LiveWorld) -> None:
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME, "namespace": live.namespace},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "rules": [{"backendRefs": [{"name": "small-v1", "port": 8000, "weight": 7}]}],
        },
    }
    live.stack.apply(theirs)
    before = live.get("httproutes")["spec"]
    live.apply(small=40)
    await live.run(live.ticker(), 30.0)

    assert live.get("httproutes")["spec"] == before
    assert "RouteNotOurs" in {each["reason"] for each in live.status["conditions"]}
    assert not live.rollouts()


# A rule of the user's own.


def own_route(live: LiveWorld, *names: str, large: int = 100, small: int = 0) -> None:
    """A route of the user's own with those rules, in that order; `models` is the one that is adopted."""
    refs = [{"name": "large-v1", "port": 8000, "weight": large}, {"name": "small-v1", "port": 8000, "weight": small}]
    plain = [{"name": "large-v1", "port": 8000, "weight": 1}]
    rules = [
        {
            "name": name,
            "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
            "backendRefs": plain if name == "docs" else refs,
        }
        for name in names
    ]
    live.stack.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {
                "name": "own",
                "namespace": live.namespace,
                "annotations": {"modelroute.dev/adopt": NAME},
            },
            "spec": {
                "parentRefs": [{"name": "inference"}],
                "hostnames": [f"{live.namespace}.example.com"],
                "rules": rules,
            },
        }
    )


def adopted_weights(live: LiveWorld, rule: str = "models") -> list[int]:
    rules = live.get("httproutes", "own")["spec"]["rules"]
    return [ref["weight"] for each in rules if each["name"] == rule for ref in each["backendRefs"]]


ADOPTED: Json = {"parentRefs": None, "hostnames": None, "routeRef": {"name": "own", "rule": "models"}}


async def test_rules_that_change_places_keep_their_weights_and_the_rollout_goes_on(live: LiveWorld) -> None:
    live.route, live.rule = "own", 1
    ticker = live.ticker()
    own_route(live, "docs", "models")
    await live.started(ticker, **ADOPTED)
    own_route(live, "models", "docs", large=80, small=20)
    live.rule = 0
    await live.until(ticker, in_phase("Stable", attempt=1))

    large, small = adopted_weights(live)
    assert small * 6 == large * 4
    assert adopted_weights(live, "docs") == [1]


async def test_a_rule_that_is_renamed_holds_and_its_old_name_lets_it_go_on(live: LiveWorld) -> None:
    live.route, live.rule = "own", 1
    ticker = live.ticker()
    own_route(live, "docs", "models")
    await live.started(ticker, **ADOPTED)
    own_route(live, "docs", "renamed", large=80, small=20)
    status = await live.until(
        ticker, lambda each: "RouteNotAdoptable" in {one.get("reason") for one in each["conditions"]}
    )
    await live.run(ticker, 30.0)
    assert adopted_weights(live, "renamed") == [80, 20]
    assert "models" in status["message"]
    own_route(live, "docs", "models", large=80, small=20)
    await live.until(ticker, in_phase("Stable", attempt=1))

    large, small = adopted_weights(live)
    assert small * 6 == large * 4
