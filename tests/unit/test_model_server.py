"""The stack's model servers, over real HTTP on loopback."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from devstack.model_answers import Answer, Speed, answer
from devstack.model_faults import Faults
from devstack.model_server import ModelServer, ModelSettings, parse_arguments, serving

FAST = Speed(speed_up=1000)
HACK = Path(__file__).parents[2] / "hack"


@dataclass(frozen=True)
class Client:
    http: aiohttp.ClientSession
    server: ModelServer

    async def chat(self, **fields: object) -> tuple[int, dict[str, str], bytes]:
        body = {"model": "support", "messages": [{"role": "user", "content": "where is it"}], **fields}
        async with self.http.post("/v1/chat/completions", json=body) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, headers, await response.read()

    async def told(self, **faults: object) -> tuple[int, dict[str, object]]:
        async with self.http.put("/control", json=faults) as response:
            return response.status, await response.json()

    async def metrics(self) -> dict[str, float]:
        async with self.http.get("/metrics") as response:
            families = text_string_to_metric_families(await response.text())
            samples = [sample for family in families for sample in family.samples]
            return {f"{sample.name}{told_apart_by(sample.labels)}": sample.value for sample in samples}


def told_apart_by(labels: dict[str, str]) -> list[str]:
    return [value for name, value in sorted(labels.items()) if name not in ("model_name", "engine", "le")]


def events(body: bytes) -> Iterator[str]:
    for block in body.decode().strip().split("\n\n"):
        yield block.removeprefix("data: ")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    settings = ModelSettings(name="llama-8b", speed=FAST, seed=3)
    async with serving(settings) as (server, url), aiohttp.ClientSession(url) as http:
        yield Client(http, server)


async def test_an_answer_has_as_many_tokens_as_were_asked_for(client):
    status, headers, body = await client.chat(max_tokens=40)

    reply = json.loads(body)
    assert (status, headers["x-served-by"]) == (200, "llama-8b")
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43}
    assert len(reply["choices"][0]["message"]["content"].split()) == 40
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["model"] == "support"


async def test_without_max_tokens_the_answer_ends_by_itself(client):
    _, _, body = await client.chat()

    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


async def test_a_stream_carries_the_same_tokens_and_ends_with_done(client):
    status, headers, body = await client.chat(stream=True, max_tokens=40, stream_options={"include_usage": True})

    *chunks, done = events(body)
    decoded = [json.loads(chunk) for chunk in chunks]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in decoded if c["choices"])
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert headers["x-served-by"] == "llama-8b"
    assert done == "[DONE]"
    assert len(text.split()) == 40
    assert decoded[0]["choices"][0]["delta"]["role"] == "assistant"
    assert decoded[-2]["choices"][0]["finish_reason"] == "length"
    assert decoded[-1]["usage"]["completion_tokens"] == 40


async def test_a_stream_reports_usage_only_when_asked(client):
    _, _, body = await client.chat(stream=True, max_tokens=5)

    assert b'"usage"' not in body


@pytest.mark.parametrize("tokens", [1, 2, 5, 8, 9, 40, 1000])
def test_the_pieces_of_a_stream_add_up_to_the_answer(tokens):
    given = answer("a canned answer of six words", tokens)

    pieces = given.chunks()

    assert "".join(text for _, text in pieces) == given.text()
    assert pieces[0][0] == 1
    assert pieces[-1][0] == tokens
    assert len(pieces) <= 8
    assert given == Answer(given.words, "length")


async def test_a_model_name_it_does_not_serve_is_404_in_openais_shape(client):
    status, headers, body = await client.chat(model="other")

    assert (status, headers["x-served-by"]) == (404, "llama-8b")
    assert json.loads(body)["error"] == {
        "message": "The model `other` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 40_000}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"model": 7}, "model"),
    ],
)
async def test_a_malformed_request_is_400_and_names_the_field(client, fields, param):
    status, _, body = await client.chat(**fields)

    assert (status, json.loads(body)["error"]["param"]) == (400, param)


async def test_the_models_list_and_health_answer(client):
    async with client.http.get("/v1/models") as models, client.http.get("/health") as health:
        assert [model["id"] for model in (await models.json())["data"]] == ["support"]
        assert (health.status, health.headers["x-served-by"]) == (200, "llama-8b")


def test_durations_follow_the_tokens():
    speed = Speed(tokens_per_second=50, prompt_tokens_per_second=1000, overhead_s=0.1, speed_up=10)

    assert speed.first_token_s(900, 1) == pytest.approx(0.1)
    assert speed.first_token_s(900, 3) == pytest.approx(0.3)
    assert speed.token_s(1) == pytest.approx(0.002)


def test_by_default_the_traces_median_request_takes_about_a_third_of_a_second():
    speed = Speed()

    assert speed.first_token_s(1020, 1) + 128 * speed.token_s(1) == pytest.approx(0.3, abs=0.02)


async def test_metrics_have_vllms_names_and_count_finished_requests(client):
    await client.chat(max_tokens=40)
    await client.chat(max_tokens=2, stream=True)
    await client.chat(model="other")

    seen = await client.metrics()

    assert seen["vllm:prompt_tokens_total[]"] == 6
    assert seen["vllm:generation_tokens_total[]"] == 42
    assert seen["vllm:request_success_total['length']"] == 2
    assert seen["vllm:e2e_request_latency_seconds_count[]"] == 2
    assert seen["vllm:time_to_first_token_seconds_count[]"] == 2
    assert seen["vllm:inter_token_latency_seconds_count[]"] == 40
    assert seen["vllm:num_requests_running[]"] == 0
    assert seen["modelroute_judge_total['pass']"] == 2


async def test_the_guardrails_counters_are_there_before_the_first_verdict(client):
    seen = await client.metrics()

    assert [seen[f"modelroute_judge_total['{v}']"] for v in ("pass", "violation", "error")] == [0, 0, 0]
    assert seen["process_start_time_seconds[]"] > 1e9


async def test_told_to_fail_it_answers_500_with_its_name(client):
    await client.told(fail_rate=1)

    status, headers, body = await client.chat()

    assert (status, headers["x-served-by"]) == (500, "llama-8b")
    assert json.loads(body)["error"]["type"] == "InternalServerError"
    assert (await client.metrics())["modelroute_judge_total['pass']"] == 0


async def test_told_to_be_unknown_it_answers_404_for_its_own_model(client):
    await client.told(unknown=True)

    assert (await client.chat())[0] == 404


async def test_told_to_be_unsafe_every_answer_is_a_violation_and_says_so(client):
    await client.told(unsafe_rate=1)

    _, headers, _ = await client.chat(stream=True)

    assert headers["x-answer-unsafe"] == "1"
    assert (await client.metrics())["modelroute_judge_total['violation']"] == 1


async def test_a_failing_judge_says_neither_pass_nor_violation(client):
    await client.told(unsafe_rate=1, judge_error_rate=1)
    await client.chat()
    await client.told(judge_rate=0)
    await client.chat()

    seen = await client.metrics()

    assert [seen[f"modelroute_judge_total['{v}']"] for v in ("pass", "violation", "error")] == [0, 0, 1]


async def test_told_to_hang_it_never_answers_and_lets_go_when_the_client_does(client):
    await client.told(hang_rate=1)
    asking = asyncio.create_task(client.chat())
    async with asyncio.timeout(10):
        while (await client.metrics())["vllm:num_requests_running[]"] != 1:
            pass
        assert not asking.done()

        asking.cancel()

        while (await client.metrics())["vllm:num_requests_running[]"] != 0:
            pass


async def test_it_says_when_a_request_last_came_whatever_became_of_it(client):
    async with client.http.get("/seen") as response:
        assert await response.json() == {"requests": 0, "last_request_at": None}
    await client.chat()
    await client.told(fail_rate=1)
    before = time.time()
    await client.chat()

    async with client.http.get("/seen") as response:
        seen = await response.json()
    assert seen["requests"] == 2
    assert before <= seen["last_request_at"] <= time.time()


async def test_told_to_be_slow_every_duration_grows(client):
    await client.told(slow_factor=20)
    await client.chat(max_tokens=100)

    # 0.05 s / 1000 × 20 for the prompt, 99 tokens at 60 × 1000 / 20 a second.
    assert (await client.metrics())["vllm:e2e_request_latency_seconds_sum[]"] >= 0.001 + 99 / 3000


async def test_control_changes_the_fields_that_it_is_given_and_keeps_the_others(client):
    await client.told(fail_rate=0.25)

    status, faults = await client.told(slow_factor=3)

    assert (status, faults["fail_rate"], faults["slow_factor"]) == (200, 0.25, 3)
    async with client.http.get("/control") as shown:
        assert await shown.json() == faults


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ({"fail_rate": 1.5}, "fail_rate must be a number from 0 to 1, not 1.5"),
        ({"hang_rate": "all"}, "hang_rate must be"),
        ({"judge_rate": True}, "judge_rate must be"),
        ({"unsafe_rate": None}, "unsafe_rate must be"),
        ({"slow_factor": 0}, "slow_factor must be a number above 0 and at most 1000, not 0"),
        ({"slow_factor": float("nan")}, "slow_factor must be"),
        ({"unknown": 1}, "unknown must be true or false"),
        ({"fail": 1}, "fail is not a field"),
        ({"fail_rate": 0.6, "hang_rate": 0.6}, "fail_rate and hang_rate together"),
    ],
)
async def test_a_bad_fault_is_refused_by_name_and_changes_nothing(client, faults, named):
    status, body = await client.told(**faults)

    assert status == 400
    assert named in body["error"]["message"]
    assert client.server.faults == Faults()


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
async def test_a_control_body_that_is_no_json_object_is_refused(client, body):
    async with client.http.put("/control", data=body) as response:
        assert response.status == 400
        assert "JSON" in (await response.json())["error"]["message"]


async def test_rates_are_shares_and_the_same_seed_repeats_them():
    async def statuses() -> list[int]:
        settings = ModelSettings(speed=FAST, faults=Faults(fail_rate=0.3), seed=5)
        async with serving(settings) as (server, url), aiohttp.ClientSession(url) as http:
            return [(await Client(http, server).chat(max_tokens=1))[0] for _ in range(200)]

    once = await statuses()

    assert once == await statuses()
    assert 40 <= once.count(500) <= 80


def test_the_command_line_sets_name_speed_and_faults():
    settings, host, port = parse_arguments(
        ["--host", "127.8.0.20", "--name", "x", "--speed-up", "20", "--control", '{"fail_rate": 0.5}']
    )

    assert (host, port, settings.name) == ("127.8.0.20", 8000, "x")
    assert settings.speed.speed_up == 20
    assert settings.faults.fail_rate == 0.5


async def test_sigterm_ends_the_process_cleanly_even_with_a_hanging_request():
    command = ["-m", "devstack.model_server", "--port", "0", "--control", '{"hang_rate": 1}']
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={"PYTHONPATH": str(HACK)}, stdout=-1, stderr=-1
    )
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            url = (await process.stdout.readline()).decode().split()[-1]
            async with aiohttp.ClientSession(url) as http:
                body = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}
                asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
                while b'running{engine="0",model_name="support"} 1.0' not in await read(http, "/metrics"):
                    pass

                process.send_signal(signal.SIGTERM)

                with pytest.raises(aiohttp.ServerDisconnectedError):
                    await asking
            _, errors = await process.communicate()
            assert (process.returncode, errors) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def read(http: aiohttp.ClientSession, path: str) -> bytes:
    async with http.get(path) as response:
        return await response.read()
