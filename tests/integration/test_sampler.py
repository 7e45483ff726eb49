"""The sampler on real parts: what a client saw through Traefik is what the windows add up to."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway_site import Site, from_now, gateway_site, totals, windows_until_now

from controlplane import programs
from devstack.http import answers
from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.errors import Unavailable
from modelroute.metrics.judge import Judge
from modelroute.metrics.prometheus import Prometheus, PrometheusServer
from modelroute.metrics.reading import CounterQuery, Metric, ObjectiveQuery, WindowReading
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.selectors import Question, promql_quote, re2_quote, selector
from modelroute.metrics.traefik import Traefik
from modelroute.rollout.evidence import Tokens
from modelroute.rollout.reasons import Reason


@pytest.fixture
def site(stack: Stack, namespace: str) -> Iterator[Site]:
    with gateway_site(stack, namespace) as made:
        yield made


@pytest.fixture
def sampler(stack: Stack) -> Iterator[Sampler]:
    server = PrometheusServer("default", stack.prometheus_url, scrape_interval_s=1.0)
    with ThreadPoolExecutor(2) as executor:
        yield Sampler(server, executor)


async def test_the_windows_add_up_to_what_the_client_saw(site: Site, sampler: Sampler) -> None:
    query = await from_now(sampler, site.query)
    paths = ["/200"] * 30 + ["/404"] * 5 + ["/503"] * 4 + ["/403"] * 3 + ["/slow"] * 4
    seen = await asyncio.to_thread(site.send, paths)
    for each, violations in ((site.large, 0), (site.small, 3)):
        each.verdicts.update({"pass": 20, "violation": violations, "error": 1})
    windows = await windows_until_now(sampler, query)

    for arm in ("large", "small"):
        total = sum(n for (who, _), n in seen.items() if who == arm)
        bad, bad_absolutely, slow = seen[arm, "/404"] + seen[arm, "/503"], seen[arm, "/503"], seen[arm, "/slow"]
        assert totals(windows, "errors", arm) == (total, bad, bad_absolutely)
        assert sum(window.completions[arm] for window in windows) == total
        assert totals(windows, "slow", arm) == (total, slow + bad, slow + bad)
    assert totals(windows, "safety", "small") == (23, 3, 3)
    assert totals(windows, "safety", "large") == (20, 0, 0)
    boundaries = {window.boundaries["slow"][0] for window in windows if window.boundaries}
    assert boundaries == {0.5}, "the next one above 0.4 s"

    exact = replace(
        query,
        gateways=((site.namespace, "inference"),),
        arms=tuple(replace(arm, index=place) for place, arm in enumerate(query.arms)),
    )
    assert (await windows_until_now(sampler, exact))[: len(windows)] == windows


async def test_names_at_their_limits_are_counted_and_told_apart(stack: Stack, sampler: Sampler) -> None:
    """Namespace and Services of 63 characters, which differ in the last one, and a route of 253."""
    namespace = stack.create_namespace("n" * 57 + secrets.token_hex(3))
    route = ".".join(["r" * 63] * 3 + ["r" * 61])
    with gateway_site(stack, namespace, route=route, services=("s" * 62 + "l", "s" * 62 + "s")) as site:
        query = await from_now(sampler, site.query)
        seen = await asyncio.to_thread(site.send, ["/200"] * 30 + ["/503"] * 5)
        site.small.verdicts.update({"pass": 15, "violation": 2})
        windows = await windows_until_now(sampler, query)

    for arm in ("large", "small"):
        total = sum(n for (who, _), n in seen.items() if who == arm)
        assert totals(windows, "errors", arm) == (total, seen[arm, "/503"], seen[arm, "/503"])
    assert totals(windows, "safety", "small") == (17, 2, 2)
    stack.kubectl("delete", "namespace", namespace, "--wait=false")


async def test_a_scrape_that_does_not_honour_labels_is_read_under_the_name_that_it_gives_them(
    stack: Stack, site: Site
) -> None:
    """As a ServiceMonitor without honorLabels: the target has a `service` of its own, Traefik's is renamed."""
    address = f"127.0.0.1:{stack.traefik.metrics_port}"
    stack.add_scrape_target(address, namespace="traefik", service="traefik-metrics")
    server = PrometheusServer("default", stack.prometheus_url, scrape_interval_s=1.0)
    here = (("job", "models"),)
    try:
        with ThreadPoolExecutor(2) as executor:
            told = Sampler(server, executor, preset=Traefik(service_label="exported_service", targets=here))
            query = await from_now(told, replace(site.query, objectives=site.query.objectives[:1]))
            seen = await asyncio.to_thread(site.send, ["/200"] * 10 + ["/503"] * 4)
            found = await windows_until_now(told, query)
            blind = await Sampler(server, executor, preset=Traefik(targets=here)).read(
                replace(query, until=found[-1].end)
            )
    finally:
        stack.remove_scrape_target(address)
    for arm in ("large", "small"):
        total = sum(n for (who, _), n in seen.items() if who == arm)
        assert totals(found, "errors", arm) == (total, seen[arm, "/503"], seen[arm, "/503"])
        assert totals(blind, "errors", arm) == (0, 0, 0), "it reads like no traffic, so a rollout must not start on it"


@contextmanager
def remote_written(stack: Stack, where: Path, *, behind_s: float) -> Iterator[str]:
    """The address of a Prometheus that gets the gateway's metrics from another, in batches, up to `behind_s` late."""
    program = programs.locate_all(say=lambda _line: None)["prometheus"]
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    batches = {"batch_send_deadline": f"{behind_s:g}s", "max_samples_per_send": 100_000, "capacity": 200_000}
    sending: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "traefik", "static_configs": [{"targets": [f"127.0.0.1:{stack.traefik.metrics_port}"]}]}
        ],
        "remote_write": [{"url": f"{urls[0]}/api/v1/write", "queue_config": {**batches, "max_shards": 1}}],
    }
    running = []
    for name, port, config in (("receiver", ports[0], {"scrape_configs": []}), ("sender", ports[1], sending)):
        file = where / f"{name}.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        argv: list[str | Path] = [
            program,
            f"--config.file={file}",
            f"--storage.tsdb.path={where / name}",
            "--log.level=warn",
        ]
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
        running.append(stack.spawn(f"prometheus-{name}", argv))
    try:
        for url in urls:
            wait_until(partial(answers, f"{url}/-/ready"), what="it is ready")
        yield urls[0]
    finally:
        for each in running:
            each.stop()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_what_comes_late_through_a_remote_write_is_counted_whole(
    stack: Stack, site: Site, tmp_path: Path
) -> None:
    with remote_written(stack, tmp_path, behind_s=3.0) as url, ThreadPoolExecutor(2) as executor:
        late = Sampler(PrometheusServer("default", url, scrape_interval_s=1.0), executor)
        query = await from_now(late, replace(site.query, objectives=site.query.objectives[:1]))
        seen: Counter[tuple[str, str]] = Counter()
        found: list[WindowReading] = []
        # Asked for at once, as ticks do: each window is due two scrapes after its end, and there three seconds later.
        for _ in range(4):
            seen += await asyncio.to_thread(site.send, ["/200"] * 20)
            found += await windows_until_now(late, replace(query, since=found[-1].end if found else query.since))
    assert [window.unknown for window in found if window.unknown] == []
    for arm in ("large", "small"):
        assert totals(found, "errors", arm)[0] == seen[arm, "/200"]


async def test_no_request_is_lost_or_counted_twice_when_the_gateway_restarts(
    stack: Stack, site: Site, sampler: Sampler
) -> None:
    query = await from_now(sampler, site.query)
    already = site.seen.copy()
    await asyncio.to_thread(site.send, ["/200"] * 10)
    await windows_until_now(sampler, query)  # all of it is scraped
    await asyncio.to_thread(stack.traefik.restart)
    await asyncio.to_thread(
        wait_until, lambda: site.send(["/back"])["", "/back"] == 0, what="the route is programmed again"
    )
    await asyncio.to_thread(site.send, ["/200"] * 40)
    windows = await windows_until_now(sampler, query)
    for arm in ("large", "small"):
        sent = sum(n for (who, _), n in (site.seen - already).items() if who == arm)
        assert sum(window.completions.get(arm, 0) for window in windows) == sent, [each.unknown for each in windows]


def reloads(stack: Stack) -> int:
    """How often the gateway was configured anew, as it says itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.traefik.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("traefik_config_reloads_total")).split()[-1]))


async def test_a_change_of_somebody_elses_begins_the_gateways_rotation_anew_and_the_windows_tell_of_it(
    stack: Stack, site: Site, sampler: Sampler
) -> None:
    """Traefik gives the arm with the least share its turn last, and forgets whose turn it was: docs/adr/0011."""
    site.apply_route("large--llm", "small", weights=(9, 1))
    query = await from_now(sampler, replace(site.query, objectives=site.query.objectives[:1]))
    before, rounds = reloads(stack), 4
    for place in range(rounds):
        last = reloads(stack)
        site.apply_route("large--llm", name="somebody-elses", path=f"/{place}")
        await asyncio.to_thread(
            wait_until, lambda last=last: reloads(stack) > last, what="the gateway is configured anew"
        )
        await asyncio.to_thread(site.send, ["/200"] * 8)
    found = await windows_until_now(sampler, query)

    assert all(window.gateways == 1 for window in found)
    assert sum(window.restarts for window in found) == reloads(stack) - before >= rounds
    assert sum(window.completions["large"] for window in found) == rounds * 8
    assert sum(window.completions["small"] for window in found) == 0, "a tenth of 32, had nobody changed anything"


async def test_an_arm_that_leaves_the_route_and_comes_back_is_counted_whole(
    stack: Stack, site: Site, sampler: Sampler
) -> None:
    """Traefik forgets the counters of a service that no route names any more, and starts them again at 0."""
    query = await from_now(sampler, site.query)
    already = site.seen.copy()
    await asyncio.to_thread(site.send, ["/200"] * 20)
    site.apply_route("large--llm")
    await asyncio.to_thread(
        wait_until, lambda: site.send(["/200"] * 4)["large", "/200"] == 4, what="one arm answers all"
    )
    await windows_until_now(sampler, query)  # until Prometheus has seen the series vanish
    assert f"-svc-{site.namespace}-small-1@" not in raw_metrics(stack)
    site.apply_route("large--llm", "small")
    await asyncio.to_thread(wait_until, lambda: site.send(["/200"] * 2)["small", "/200"] == 1, what="both answer")
    await asyncio.to_thread(site.send, ["/200"] * 40)
    windows = await windows_until_now(sampler, query)
    for arm in ("large", "small"):
        assert sum(window.completions[arm] for window in windows) == (site.seen - already)[arm, "/200"]


def raw_metrics(stack: Stack) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.traefik.metrics_port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


async def test_prometheus_takes_nasty_names_for_what_they_are(stack: Stack) -> None:
    prometheus = Prometheus(PrometheusServer("default", stack.prometheus_url, scrape_interval_s=1.0))
    now = time.time()
    for name in ('a"b', "a\\b", "a\nb", "a\x00\x7fb", "{a}[b](c)|d", "é✓", "^a.*$", 'x"} or up{job=~"'):
        question = Question("up", (("job", (re2_quote(name), re2_quote("traefik"))),))
        assert {each.labels["job"] for each in prometheus.samples(selector(question) + "[30s]", now)} == {"traefik"}
        assert promql_quote(re2_quote(name)).startswith('"')
    with pytest.raises(Unavailable, match=r"answered 400 \(bad_data\)"):
        prometheus.samples("up{", now)
    prometheus.close()


NASTY = (
    'a"b',
    "a\\b",
    "a\nb",
    '"} or vector(9) or x{a="',
    "{{ .Release.Name }}",
    "$(shell id)",
    "ünï-模型-🦙",
    ".*|\\",
)


def exposed(metric: str, **labels: str) -> str:
    """A series as the text format has it."""
    escapes = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
    pairs = [f'{label}="{value.translate(escapes)}"' for label, value in labels.items()]
    return f"{metric}{{{','.join(pairs)}}}"


def own_counters(name: str, **labels: str) -> ObjectiveQuery:
    bad, total = (CounterQuery(metric, tuple(labels.items())) for metric in ("app_wrong_total", "app_answers_total"))
    return ObjectiveQuery(name, Metric.CUSTOM, bad=bad, total=total)


async def test_counters_of_ones_own_are_counted_by_labels_that_are_nothing_but_text(
    site: Site, sampler: Sampler
) -> None:
    """Every value is told from all the others: none is a pattern, and none breaks out of its quotes."""
    objectives = [own_counters(f"n{place}", app=value, service="$(backend)") for place, value in enumerate(NASTY)]
    objectives.append(own_counters("absent", app="nobody", service="$(backend)"))
    for each in (site.large, site.small):
        each.counters = {exposed("app_answers_total", app=value): 1000 for value in (*NASTY, "x", "ab")}
    query = await from_now(sampler, replace(site.query, objectives=tuple(objectives)))
    for place, value in enumerate(NASTY):
        site.small.counters[exposed("app_answers_total", app=value)] += 100 + place
        site.small.counters[exposed("app_wrong_total", app=value, kind="new")] = 1 + place
        site.large.counters[exposed("app_answers_total", app=value)] += 10
    windows = await windows_until_now(sampler, query)

    for place in range(len(NASTY)):
        assert totals(windows, f"n{place}", "small") == (100 + place, 1 + place, 1 + place)
        assert totals(windows, f"n{place}", "large") == (10, 0, 0)
    missing = {(each.arm, each.reason) for each in windows[-1].unknown if each.objective == "absent"}
    assert missing == {("large", Reason.NO_DATA), ("small", Reason.NO_DATA)}
    assert {each.objective for each in windows[-1].unknown} == {"absent"}


async def test_what_a_request_takes_is_what_vllm_counted(site: Site, sampler: Sampler) -> None:
    labels = {"model_name": "support", "engine": "0"}
    read, generated, stop, length = (
        exposed("vllm:prompt_tokens_total", **labels),
        exposed("vllm:generation_tokens_total", **labels),
        exposed("vllm:request_success_total", finished_reason="stop", **labels),
        exposed("vllm:request_success_total", finished_reason="length", **labels),
    )
    for each in (site.large, site.small):
        each.counters = {read: 5_000_000, generated: 900_000, stop: 4000, length: 30}
    objectives = (ObjectiveQuery("tokens", Metric.TOKENS_PER_REQUEST), ObjectiveQuery("cost", Metric.COST_PER_REQUEST))
    query = await from_now(sampler, replace(site.query, objectives=objectives))
    for name, more in ((read, 12_345), (generated, 678), (stop, 9), (length, 2)):
        site.small.counters[name] += more
    windows = await windows_until_now(sampler, query)

    nothing = Tokens(0, 0, 0)
    assert sum((each.tokens["small"] for each in windows), nothing) == Tokens(12_345, 678, 11)
    assert sum((each.tokens["large"] for each in windows), nothing) == nothing
    assert not any(each.unknown for each in windows)


async def test_another_namespaces_counters_are_out_of_reach(site: Site, sampler: Sampler) -> None:
    elsewhere = replace(site.query, arms=tuple(replace(arm, namespace="elsewhere") for arm in site.query.arms))
    site.small.counters = {"app_answers_total": 5}
    asked = own_counters("wrong", namespace=site.namespace, service="$(backend)")
    windows = await windows_until_now(sampler, replace(elsewhere, objectives=(asked,)))
    assert "app_answers_total{namespace='elsewhere', service='small'}" in windows[-1].unknown[-1].message


async def test_a_judge_that_names_routes_tells_those_that_share_a_service_apart(stack: Stack, site: Site) -> None:
    def told(verdict: str, route: str) -> str:
        return exposed("modelroute_judge_total", verdict=verdict, route=route)

    ours, theirs = f"{site.namespace}/{site.query.route}", f"{site.namespace}/another"
    for each in (site.large, site.small):
        each.counters = dict.fromkeys((told("pass", ours), told("pass", theirs), told("violation", theirs)), 0)
    server = PrometheusServer("default", stack.prometheus_url, scrape_interval_s=1.0)
    with ThreadPoolExecutor(2) as executor:
        sampler = Sampler(server, executor, judge=Judge(route_label="route"))
        safety = tuple(each for each in site.query.objectives if each.metric is Metric.SAFETY_VIOLATION_RATE)
        query = await from_now(sampler, replace(site.query, objectives=safety))
        seen = await asyncio.to_thread(site.send, ["/200"] * 30)
        for name, each in (("large", site.large), ("small", site.small)):
            each.counters[told("pass", ours)] += seen[name, "/200"]
            each.counters[told("pass", theirs)] += 1000
            each.counters[told("violation", theirs)] += 500
        site.small.counters[told("violation", ours)] = 2
        windows = await windows_until_now(sampler, query)

    assert totals(windows, safety[0].name, "large") == (seen["large", "/200"], 0, 0)
    assert totals(windows, safety[0].name, "small") == (seen["small", "/200"] + 2, 2, 2)


async def test_a_route_without_a_judge_says_so(site: Site, sampler: Sampler) -> None:
    query = replace(site.query, arms=(replace(site.query.arms[0], service="nobody"), site.query.arms[1]))
    windows = await windows_until_now(sampler, query)
    last = {(each.objective, each.arm): each.reason for each in windows[-1].unknown}
    assert last["safety", "large"] is Reason.JUDGE_SILENT
