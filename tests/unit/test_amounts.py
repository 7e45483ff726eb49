"""What a request takes: tokens counted by vLLM's counters, their cost in decimals, and where both are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from tests.fake_cluster import Person
from tests.fakes import NAME, World, in_phase, manifest, run_until
from tests.unit.test_metrics_custom import LARGE, QUERY, SMALL, Pod, read
from tests.unit.test_telemetry import labelled, watched

from modelroute.controller.telemetry import Telemetry
from modelroute.metrics.reading import ArmQuery, Metric, ObjectiveQuery
from modelroute.rollout.evidence import Tokens, Unknown, WindowReading
from modelroute.rollout.reasons import Reason

Json = dict[str, Any]
COST = ObjectiveQuery("cost", Metric.COST_PER_REQUEST)
AMOUNTS = replace(QUERY, objectives=(ObjectiveQuery("tokens", Metric.TOKENS_PER_REQUEST), COST))
NAN = float("nan")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def vllm(pod: Pod, *, read: float, generated: float, stop: float, length: float = 0.0, model: str = "support") -> Pod:
    """`pod` with vLLM's counters, risen by so much in the window."""
    labels = {"model_name": model, "engine": "0"}
    pod.has("vllm:prompt_tokens_total", 1e6, 1e6 + read, **labels)
    pod.has("vllm:generation_tokens_total", 1e5, 1e5 + generated, **labels)
    pod.has("vllm:request_success_total", 900, 900 + stop, finished_reason="stop", **labels)
    return pod.has("vllm:request_success_total", 90, 90 + length, finished_reason="length", **labels)


def large() -> Pod:
    return vllm(Pod("llama-70b", "10.0.1.9:8000"), read=4000, generated=800, stop=4)


# What vLLM counted.


async def test_tokens_and_requests_are_summed_over_the_pods_of_an_arm(executor: ThreadPoolExecutor) -> None:
    pods = [
        large(),
        vllm(Pod("llama-8b", "10.0.1.1:8000"), read=1000, generated=100, stop=1, length=1),
        vllm(Pod("llama-8b", "10.0.1.2:8000", started=1.0), read=500, generated=7, stop=1),
        vllm(Pod("llama-8b", "10.0.1.3:8000", namespace="other"), read=9e9, generated=9e9, stop=9),
    ]
    window, store = await read(executor, pods, AMOUNTS)

    assert window.tokens == {"large": Tokens(4000, 800, 4), "small": Tokens(1500, 107, 3)}
    assert window.unknown == ()
    assert sum(asked.startswith("vllm:") for asked in store.asked) == 3, "asked once for both objectives and both arms"


async def test_who_does_not_ask_for_amounts_causes_no_question(executor: ThreadPoolExecutor) -> None:
    window, store = await read(executor, [large()])
    assert window.tokens == {}
    assert not any(asked.startswith("vllm:") for asked in store.asked)


WITHOUT: dict[str, tuple[Callable[[], list[Pod]], Reason, str]] = {
    "no vLLM": (
        lambda: [Pod("llama-8b").has("answers_total", 0, 9)],
        Reason.NO_DATA,
        "no series vllm:request_success_total{namespace='chat', service='llama-8b'} was scraped",
    ),
    "no tokens": (
        lambda: [Pod("llama-8b").has("vllm:request_success_total", 0, 9)],
        Reason.NO_DATA,
        "no series vllm:prompt_tokens_total{namespace='chat', service='llama-8b'} was scraped in this window",
    ),
    "a pod of another kind": (
        lambda: [
            vllm(Pod("llama-8b", "10.0.1.1:8000"), read=1, generated=1, stop=1),
            Pod("llama-8b", "10.0.1.2:8000", started=1.0).has("vllm:generation_tokens_total", 0, 9),
        ],
        Reason.NO_DATA,
        "no series vllm:prompt_tokens_total{namespace='chat', service='llama-8b'} was scraped in this window",
    ),
    "NaN": (
        lambda: [vllm(Pod("llama-8b"), read=NAN, generated=1, stop=1)],
        Reason.NOT_A_NUMBER,
        "vllm:prompt_tokens_total{namespace='chat', service='llama-8b'} has a value that is not a count",
    ),
}


@pytest.mark.parametrize("what", WITHOUT)
async def test_amounts_that_are_not_known_say_of_which_metric(executor: ThreadPoolExecutor, what: str) -> None:
    pods, reason, words = WITHOUT[what]
    window, _ = await read(executor, [large(), *pods()], AMOUNTS)

    assert {(each.objective, each.arm, each.reason) for each in window.unknown} == {
        ("tokens", "small", reason),
        ("cost", "small", reason),
    }
    assert {each.message for each in window.unknown} == {words}
    assert list(window.tokens) == ["large"]


async def test_two_ports_of_one_service_are_not_told_apart(executor: ThreadPoolExecutor) -> None:
    query = replace(AMOUNTS, arms=(replace(LARGE, index=0), ArmQuery("other", "chat", "llama-70b", 9000, index=1)))
    window, _ = await read(executor, [large()], query)

    assert {each.reason for each in window.unknown} == {Reason.AMBIGUOUS_SERIES}
    assert window.tokens == {}
    assert SMALL.name not in {each.arm for each in window.unknown}


# What the status says.

PRICES = {
    "large": {"inputPerMillionTokens": "3.00", "outputPerMillionTokens": "15.00", "currency": "EUR"},
    "small": {"inputPerMillionTokens": "0.1", "outputPerMillionTokens": "0.333333333", "currency": "EUR"},
}
OBJECTIVES: list[Json] = [
    {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"},
    {"name": "tokens", "metric": "TokensPerRequest", "onBreach": "Report"},
    {"name": "cost", "metric": "CostPerRequest", "onBreach": "Report"},
]


def priced(large_weight: int, small: int, *, unpriced: Sequence[str] = ()) -> list[Json]:
    models: list[Json] = manifest(large=large_weight, small=small)["spec"]["models"]
    return [{**model, **({} if model["name"] in unpriced else {"price": PRICES[model["name"]]})} for model in models]


async def rolled_out(
    telemetry: Telemetry | None = None, *, until: str = "Stable", unpriced: Sequence[str] = ()
) -> Person:
    """A rollout whose amounts are counted: to its end, or to its first evidence."""
    world = World()
    ticker = watched(world, telemetry) if telemetry is not None else world.ticker()
    world.apply(models=priced(100, 0, unpriced=unpriced), objectives=OBJECTIVES)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(models=priced(60, 40, unpriced=unpriced), objectives=OBJECTIVES)
    if until == "Stable":
        await run_until(world, ticker, in_phase("Stable", attempt=1))
    else:
        await run_until(world, ticker, lambda s: any(each.get("candidateRequests") for each in s.get("amounts") or ()))
    return Person.at(world, ticker)


async def test_the_status_has_tokens_and_exact_cost_of_candidate_and_reference() -> None:
    world = (await rolled_out()).world
    tokens, cost = world.status["amounts"]
    requests = {key: tokens[key] for key in ("candidateRequests", "referenceRequests")}

    assert all(count > 100 for count in requests.values())
    assert tokens == {
        "name": "tokens",
        "candidate": "small",
        "reference": "large",
        "unit": "tokens",
        "candidateAmount": "1050.0",
        "referenceAmount": "1200.0",
        "ratio": "0.88",
        **requests,
        "message": "small takes 1050.0 tokens per request (1000.0 read, 50.0 generated),"
        " 0.88 times the 1200.0 of large",
    }
    assert cost == {
        "name": "cost",
        "candidate": "small",
        "reference": "large",
        "unit": "EUR",
        "candidateAmount": "0.0001167",
        "referenceAmount": "0.006",
        "ratio": "0.02",
        **requests,
        "message": "small costs 0.0001167 EUR per request, 0.02 times the 0.006 of large",
    }
    (rollout,) = world.rollouts()
    assert rollout["status"]["amounts"] == world.status["amounts"]
    assert [each["name"] for each in world.status["objectives"]] == ["errors"], "an amount is no verdict"


async def test_only_windows_that_have_settled_are_in_an_amount() -> None:
    world = (await rolled_out()).world
    (rollout,) = world.rollouts()
    (errors,), (tokens, _) = world.status["objectives"], world.status["amounts"]

    assert tokens["candidateRequests"] == errors["candidateRequests"]
    kept = {each["arm"]: each["requests"] for each in rollout["status"]["tokens"]}
    assert kept == {"small": tokens["candidateRequests"], "large": tokens["referenceRequests"]}


async def test_a_new_price_applies_at_once_and_starts_nothing() -> None:
    someone = await rolled_out()
    world = someone.world
    models = priced(60, 40)
    models[1]["price"] = {**PRICES["small"], "inputPerMillionTokens": "1000", "outputPerMillionTokens": "0"}
    world.apply(models=models, objectives=OBJECTIVES)
    await run_until(world, world.ticker(), lambda status: status["amounts"][1]["candidateAmount"] == "1.00")

    assert len(world.rollouts()) == 1
    assert world.status["amounts"][1]["ratio"] == "166.67"


async def test_without_a_price_the_cost_is_not_known_and_says_so() -> None:
    """The schema asks for every price; a model that the spec no longer has is left without one."""
    _, cost = (await rolled_out(unpriced=["large"])).world.status["amounts"]

    assert cost["candidateAmount"] == "0.0001167"
    assert "referenceAmount" not in cost
    assert "ratio" not in cost
    assert cost["message"].endswith("; large has no price in spec.models, so its cost is not known")


async def test_what_is_not_known_of_an_amount_holds_nobody_up() -> None:
    world = World()
    why = "no series vllm:request_success_total{namespace='chat', service='small-v1'} was scraped"

    class Blind:
        """A Prometheus without vLLM."""

        def __init__(self, reader: Any) -> None:
            self._reader = reader

        async def read(self, query: Any) -> tuple[WindowReading, ...]:
            found = await self._reader.read(query)
            unknown = tuple(Unknown(Reason.NO_DATA, why, each, "small") for each in ("tokens", "cost"))
            return tuple(replace(each, tokens={}, unknown=unknown) for each in found)

    ticker = world.ticker()
    readers = {name: Blind(reader) for name, reader in ticker.ports.readers.items()}
    ticker = replace(ticker, ports=replace(ticker.ports, readers=readers))
    world.apply(models=priced(100, 0), objectives=OBJECTIVES)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(models=priced(60, 40), objectives=OBJECTIVES)
    await run_until(world, ticker, in_phase("Stable", attempt=1))

    assert [each["message"] for each in world.status["amounts"]] == [f"nothing was counted of small yet: {why}"] * 2
    (available,) = (each for each in world.status["conditions"] if each["type"] == "MetricsAvailable")
    assert available["status"] == "True", "nobody is to be woken for it"
    assert available["message"].endswith(f"that decides, and not for tokens, which is reported: {why}")


async def test_amounts_are_told_to_prometheus_while_an_attempt_is_under_way() -> None:
    telemetry = Telemetry()
    await rolled_out(telemetry, until="counted")

    assert labelled(telemetry, "objective_amount_per_request", "arm", objective="tokens") == {
        "small": 1050.0,
        "large": 1200.0,
    }
    assert labelled(telemetry, "objective_amount_per_request", "unit", objective="cost", arm="large") == {"EUR": 0.006}


@pytest.mark.parametrize("command", [("status", NAME), ("report", NAME, "-o", "-")], ids=["status", "report"])
def test_people_see_the_amounts(command: tuple[str, ...]) -> None:
    import asyncio

    done = asyncio.run(rolled_out()).runs(*command)

    assert done.exit_code == 0, done.output
    assert "Per request" in done.stdout
    for words in ("1050.0", "1200.0", "0.0001167", "EUR"):
        assert words in done.stdout
