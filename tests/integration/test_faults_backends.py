"""Backends that are not there, may not be named, or go in the middle of a step; what users get, and for how long.

API server and gateway are real, and so are Prometheus, traffic and time where users are asked. docs/faults.md tells
what each fault looks like to people.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NAME, STEP, manifest
from tests.integration.gateway_site import backend
from tests.integration.live_metrics import Traffic, reading, ticks_until, traffic
from tests.integration.live_world import LiveWorld, in_phase, live_world
from tests.integration.scraping import relay, scraper
from tests.recording_proxy import Refuse

from devstack.stack import Stack
from modelroute.controller.tick import Ticker

Json = dict[str, Any]
HELD: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}
LONGEST_S = 25.0
"""Of errors for the users of a step; 11 s where they were measured."""


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        yield made


def condition(status: Json, of: str) -> Json:
    return next((each for each in status.get("conditions") or [] if each["type"] == of), {"status": ""})


def is_programmed(status: Json) -> bool:
    return bool(condition(status, "Programmed")["status"] == "True")


def grant(namespace: str, to: str) -> Json:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "chat", "namespace": to},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}],
            "to": [{"group": "", "kind": "Service"}],
        },
    }


def across(other: str, *, small: int) -> list[Json]:
    """Models of which the small one lives in another namespace."""
    models: list[Json] = manifest(large=100 - small, small=small)["spec"]["models"]
    models[1]["backendRef"]["namespace"] = other
    return models


@pytest.fixture
def other(stack: Stack, namespace: str) -> Iterator[str]:
    made = stack.create_namespace(f"{namespace[:40].strip('-')}-other-{namespace[-6:]}")
    stack.create_service(made, "small-v1")
    yield made
    stack.kubectl("delete", "namespace", made, "--wait=false")


async def test_a_backend_in_another_namespace_gets_nothing_until_there_is_a_grant(live: LiveWorld, other: str) -> None:
    ticker = live.ticker()
    live.apply(small=0, models=across(other, small=0))
    await live.run(ticker, 20.0)
    live.apply(small=40, models=across(other, small=40))
    await live.run(ticker, 60.0)
    assert live.weights() == {"large-v1": 10_000}
    assert live.rollouts() == []
    accepted = condition(live.status, "Accepted")
    assert (live.status["phase"], accepted["status"], accepted["reason"]) == ("Holding", "False", "RefNotPermitted")
    assert f"make a ReferenceGrant in {other}" in live.status["message"]
    live.stack.apply(grant(live.namespace, other))
    await live.until(ticker, lambda status: status.get("step") == "1/2" and is_programmed(status))
    assert live.small == 2_000


async def test_grants_that_may_not_be_read_are_no_grants_and_the_right_that_lacks_is_named(
    live: LiveWorld, other: str
) -> None:
    live.stack.apply(grant(live.namespace, other))
    refused = f'cannot list resource "referencegrants" in the namespace "{other}"'
    live.proxy.choose = lambda right: Refuse(403, refused) if right.resource == "referencegrants" else None
    ticker = live.ticker()
    live.apply(small=0, models=across(other, small=0))
    await live.until(ticker, in_phase("Stable"))
    live.apply(small=40, models=across(other, small=40))
    await live.run(ticker, 60.0)
    assert live.weights() == {"large-v1": 10_000}
    accepted = condition(live.status, "Accepted")
    assert (live.status["phase"], accepted["reason"]) == ("Holding", "BackendUnknown")
    assert refused in live.status["message"]

    live.proxy.choose = lambda _right: None
    await live.until(ticker, lambda status: status.get("step") == "1/2")


async def test_a_backend_without_a_ready_endpoint_that_goes_on_answering_keeps_what_it_has_and_gets_no_more(
    live: LiveWorld,
) -> None:
    ticker = live.ticker()
    await live.started(ticker)
    ip = live.address("small-v1")
    live.stack.create_service(live.namespace, "small-v1", ip=ip, ready=False)
    await live.run(ticker, 60.0)
    assert live.small == 2_000
    assert condition(live.status, "Accepted")["reason"] == "NoReadyEndpoints"
    live.stack.create_service(live.namespace, "small-v1", ip=ip)
    await live.until(ticker, in_phase("Stable", attempt=1))

    assert live.small == 4_000


# Under traffic, by the wall clock.


@dataclass
class Step:
    """A rollout in its first step, under traffic of which a fifth is the small model's."""

    live: LiveWorld
    ticker: Ticker
    sent: Traffic
    small: ExitStack
    """What listens as the small model; closing it ends that."""

    async def goes_back(self) -> tuple[Json, str]:
        """The status once it is over, and the reason; nobody gets errors for long, and nobody any more then."""
        since = time.time()
        await ticks_until(self.live, self.ticker, lambda _: "finishedAt" in self.attempt)
        back = time.time()
        status = await ticks_until(self.live, self.ticker, lambda _: time.time() > back + 5)
        failed = [at - since for at in self.sent.failed_at if at >= since]
        assert failed, "the fault was none"
        assert failed[-1] < min(LONGEST_S, back - since), "seconds after the fault"
        assert (self.attempt["phase"], self.live.small) == ("RolledBack", 0)
        return status, self.attempt["decision"]["reason"]

    @property
    def attempt(self) -> Json:
        """The status of its ModelRollout."""
        status: Json = self.live.rollouts()[-1]["status"]
        return status

    async def goes_on_after_retry(self) -> None:
        await ticks_until(self.live, self.ticker, in_phase("RolledBack"))
        self.live.say("retry")
        await ticks_until(self.live, self.ticker, lambda status: status.get("attempt") == 2 and self.live.small > 0)


@contextmanager
def under_traffic(stack: Stack, live: LiveWorld, tmp_path: Path, ip: str) -> Iterator[Step]:
    with (
        backend(live.address("large-v1"), "large"),
        ExitStack() as small,
        relay(stack) as target,
        scraper(stack, tmp_path, interval_s=1.0) as made,
        reading(live, made.url) as ticker,
        traffic(f"{live.namespace}.example.com", stack.gateway_url) as sent,
    ):
        small.enter_context(backend(ip, "small"))
        made.watch(target.address)
        yield Step(live, ticker, sent, small)


async def in_first_step(step: Step, **spec: Any) -> None:
    step.live.apply(small=40, rollout=HELD, **spec)
    await ticks_until(step.live, step.ticker, lambda status: status.get("step") == "1/2")
    await ticks_until(step.live, step.ticker, lambda status: any(map(has_evidence, status.get("objectives") or [])))
    assert step.live.small == 2_000


def has_evidence(objective: Json) -> bool:
    return bool(objective.get("candidateRequests"))


async def test_a_service_that_goes_during_a_step_is_rolled_back_in_seconds_and_both_are_said(
    stack: Stack, live: LiveWorld, tmp_path: Path
) -> None:
    ip = live.address("small-v1")
    with under_traffic(stack, live, tmp_path, ip) as step:
        live.apply(small=0)
        await ticks_until(live, step.ticker, in_phase("Stable"))
        await in_first_step(step)
        stack.kubectl("delete", "service", "small-v1", "-n", live.namespace)
        status, reason = await step.goes_back()

        assert reason == "GatewayRejected"
        assert status["phase"] == "Holding"
        assert f"Service small-v1 in namespace {live.namespace} does not exist" in status["message"]
        assert "Before, attempt 1 was rolled back: Gateway" in status["message"]
        assert "BackendNotFound" in status["message"]
        stack.create_service(live.namespace, "small-v1", ip=ip)
        await step.goes_on_after_retry()


async def test_a_grant_that_goes_during_a_step_is_rolled_back_in_seconds_and_both_are_said(
    stack: Stack, live: LiveWorld, tmp_path: Path, other: str
) -> None:
    ip = live.address("small-v1", other)
    stack.apply(grant(live.namespace, other))
    with under_traffic(stack, live, tmp_path, ip) as step:
        live.apply(small=0, models=across(other, small=0))
        await ticks_until(live, step.ticker, in_phase("Stable"))
        await in_first_step(step, models=across(other, small=40))
        stack.kubectl("delete", "referencegrant", "chat", "-n", other)
        # Traefik looks at the grants again when the route changes or another object that it watches does.
        stack.kubectl("annotate", "httproute", NAME, "-n", live.namespace, "touched=1", "--overwrite")
        status, reason = await step.goes_back()

        assert reason == "GatewayRejected"
        assert status["phase"] == "Holding"
        assert f"make a ReferenceGrant in {other}" in status["message"]
        assert "Before, attempt 1 was rolled back: Gateway" in status["message"]
        assert "RefNotPermitted" in status["message"]
        stack.apply(grant(live.namespace, other))
        await step.goes_on_after_retry()


async def test_a_backend_that_is_not_ready_and_does_not_answer_is_rolled_back_in_seconds_and_both_are_said(
    stack: Stack, live: LiveWorld, tmp_path: Path
) -> None:
    ip = live.address("small-v1")
    with under_traffic(stack, live, tmp_path, ip) as step:
        live.apply(small=0)
        await ticks_until(live, step.ticker, in_phase("Stable"))
        await in_first_step(step)
        step.small.close()
        stack.create_service(live.namespace, "small-v1", ip=ip, ready=False)
        status, reason = await step.goes_back()

        assert reason == "HarmDetected"
        assert status["phase"] == "Holding"
        assert "has no ready endpoint" in status["message"]
        assert "Before, attempt 1 was rolled back: small" in status["message"]
