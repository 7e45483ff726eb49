"""Careless and hostile input: nothing that a ModelRoute says reaches beyond its namespace, or moves traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NAME, STEP, manifest
from tests.integration.live_world import LiveWorld, in_phase, live_world

from devstack.errors import StackError
from devstack.stack import Stack

Json = dict[str, Any]
HELD: Json = {"steps": [{**STEP, "progress": 50, "minDuration": "1h"}, {**STEP, "progress": 100}]}


@pytest.fixture
def live(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[LiveWorld]:
    with live_world(stack, namespace, tmp_path) as made:
        yield made


def custom(**labels: str) -> list[Json]:
    counter = {"metric": "answers_total", "labels": labels}
    return [{"name": "wrong", "metric": "Custom", "max": "5%", "bad": counter, "total": counter}]


def body(live: LiveWorld, **spec: Any) -> Json:
    made = manifest(large=60, small=40, hostnames=[f"{live.namespace}.example.com"], **spec)
    made["metadata"]["namespace"] = live.namespace
    return made


REFUSED: dict[str, tuple[Json, str]] = {
    "a namespace of its own choice": ({"objectives": custom(namespace="kube-system")}, "namespace"),
    "a namespace that only looks forced": ({"objectives": custom(namespace="$(namespace)|.*")}, "namespace"),
    "a label name that closes the matcher": ({"objectives": custom(**{'a"} or up{b': "x"})}, "label"),
    "the name of the metric as a label": ({"objectives": custom(__name__="up")}, "label"),
    "a hostname with a template": ({"hostnames": ["{{ .Values.host }}"]}, "hostnames"),
    "a Prometheus by its address": ({"metrics": {"prometheus": "http://169.254.169.254/"}}, "prometheus"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_would_reach_further_than_its_namespace_is_refused_with_its_field(
    live: LiveWorld, what: str
) -> None:
    spec, field = REFUSED[what]
    made = body(live)
    made["spec"] |= spec
    with pytest.raises(StackError) as refused:
        live.stack.apply(made)

    assert field in str(refused.value)


BREAKOUTS = [
    '"} or vector(1) or x{a="',
    "$(namespace)$(arm)",
    "{{ .Release.Name }}",
    "$(shell id)",
    "ünï-模型-🦙",
    ".*|\\",
]


@pytest.mark.parametrize("value", BREAKOUTS, ids=range(len(BREAKOUTS)))
async def test_a_label_value_is_text_wherever_it_stands(live: LiveWorld, value: str) -> None:
    """It is kept as it was written, moves nothing by itself, and comes back in no route."""
    made = body(live, objectives=custom(app=value, service="$(backend)"))
    live.stack.apply(made)
    await live.run(live.ticker(), 15.0)

    stored = live.get("modelroutes")["spec"]["objectives"][0]["bad"]["labels"]
    assert stored == {"app": value, "service": "$(backend)"}
    assert value not in json.dumps(live.get("httproutes").get("spec", {}), ensure_ascii=False)
    assert live.small <= 2_000


@pytest.mark.parametrize("value", [*BREAKOUTS, "$(namespace)", "$( backend )", "$(BACKEND)", "$$(backend"])
async def test_counters_that_are_the_same_for_all_models_start_no_rollout(live: LiveWorld, value: str) -> None:
    """A placeholder that there is not is text like any other, and text tells no models apart."""
    if "$(arm)" in value:
        value = value.replace("$(arm)", "$(arms)")
    live.stack.apply(body(live, objectives=custom(app=value)))
    await live.run(live.ticker(), 15.0)

    assert live.status["message"].startswith("spec.objectives[0].bad.labels: nothing tells large and small apart")
    assert live.get("httproutes") == {}


async def test_tokens_for_another_revision_or_made_up_have_no_effect(live: LiveWorld) -> None:
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    revision = live.status["nextAction"].partition(".")[0]
    told = []
    for asked in (
        "promote@0000000000.1",
        f"promote@{revision}.999999",
        f"promote --full@{revision}",
        "promote",
        "abort@$(revision).{{ n }}",
        "démarrer@模型.1",
        "x" * 10_000,
    ):
        annotation = f"modelroute.dev/action={asked}"
        live.stack.kubectl("annotate", "--overwrite", "modelroute", NAME, "-n", live.namespace, annotation)
        await live.run(ticker, 10.0)
        assert live.small == 2_000
        assert live.status["phase"] == "Progressing"
        assert len(live.status.get("lastAction") or "") <= 256
        told.append(len(live.said("ActionRefused")))
    assert told == [1, 2, 3, 4, 5, 6, 7], "one event for each, however long it stands there"


FORGED: Json = {
    "phase": "Stable",
    "attempt": 7,
    "live": "small 100 %",
    "stable": [{"model": "small", "backendRef": {"name": "small-v1", "port": 8000}, "weight": 10_000}],
    "message": "all is well",
}


async def test_a_status_that_is_forged_on_create_is_not_believed(live: LiveWorld) -> None:
    made = body(live)
    live.stack.apply({**made, "status": FORGED})
    assert "stable" not in (live.get("modelroutes").get("status") or {})
    await live.tick(live.ticker())

    assert live.small <= 2_000
    assert live.status.get("attempt") in (None, 0, 1)


async def test_a_modelrollout_that_somebody_made_is_no_record_of_ours(live: LiveWorld) -> None:
    """Whoever may create one of our name and label owns no ModelRoute by it."""
    ticker = live.ticker()
    await live.started(ticker, rollout=HELD)
    ours = live.rollouts()[-1]
    forged = {
        "apiVersion": ours["apiVersion"],
        "kind": ours["kind"],
        "metadata": {
            "name": f"{NAME}-forged",
            "namespace": live.namespace,
            "labels": ours["metadata"].get("labels") or {},
        },
        "spec": {**ours["spec"], "attempt": 99},
    }
    live.stack.apply(forged)
    status = {"status": {"phase": "Promoted", "serial": 9}}
    live.stack.kubectl(
        "patch", "modelrollout", f"{NAME}-forged", "-n", live.namespace, "--subresource=status", "--type=merge",
        f"--patch={json.dumps(status)}",
    )  # fmt: skip
    await live.run(live.ticker(), 20.0)

    assert live.small == 2_000
    assert live.status["phase"] == "Progressing"


async def test_names_at_their_limits_run_a_whole_rollout(live: LiveWorld) -> None:
    large, small = "l" * 63, "s" * 63
    for name in (large, small):
        live.stack.create_service(live.namespace, name)
    models = [
        {"name": large, "tier": "Large", "weight": 60, "backendRef": {"name": large, "port": 8000}},
        {"name": small, "tier": "Small", "weight": 40, "backendRef": {"name": small, "port": 8000}},
    ]
    objectives = [{"name": "o" * 63, "metric": "ErrorRate", "maxIncrease": "0.5pp"}]
    live.apply(small=40, models=models, objectives=objectives)
    ticker = live.ticker()
    await live.until(ticker, in_phase("Stable", attempt=1))

    assert live.weights() == {large: 6_000, small: 4_000}


async def test_20_steps_of_16_objectives_and_8_models_are_written_down_whole(live: LiveWorld) -> None:
    names = [f"model-{index}" for index in range(8)]
    for name in names:
        live.stack.create_service(live.namespace, name)
    models = [
        {
            "name": name,
            "tier": "Small" if index else "Large",
            "weight": 10,
            "backendRef": {"name": name, "port": 8000},
        }
        for index, name in enumerate(names)
    ]
    objectives = [
        {"name": f"objective-{index}", "metric": "ErrorRate", "maxIncrease": "5pp", "max": "50%"} for index in range(16)
    ]
    steps = [{**STEP, "progress": 5 * number, "minRequests": 1} for number in range(1, 21)]
    live.requests = 60_000.0
    live.apply(small=40, models=models, objectives=objectives, rollout={"steps": steps})
    ticker = live.ticker()
    for _ in range(200):
        await live.tick(ticker)
        # Two windows more than asked for, and so fewer looks at the same evidence.
        live.now += 10.0
        if (status := live.status).get("phase") == "Stable":
            break
    assert (status.get("phase"), status.get("attempt")) == ("Stable", 1), status.get("message")

    (rollout,) = live.rollouts()
    assert (rollout["status"]["phase"], rollout["status"]["step"]) == ("Promoted", "20/20")
    assert sum(live.weights().values()) == 10_000
    assert len(json.dumps(rollout)) < 1_000_000
    assert not live.errors
