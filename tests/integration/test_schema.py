"""What the API server says to good and bad manifests: the words that a user reads after `kubectl apply`.

Every object goes through `--dry-run=server`, so the whole schema runs and nothing is stored, except where
storing is the point.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelroute.api.crds import file_name, schema
from modelroute.api.resources import RESOURCES, ModelRoute, Resource

ROOT = Path(__file__).parents[2]
NAMESPACE = "schema-tests"
# The one of this environment, else the one on PATH.
KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or "kubectl"
Manifest = dict[str, Any]
Mutation = Callable[[Manifest], None]


class Cluster:
    """kubectl as a user has it; answers with the exit code and everything that was printed."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    def run(self, *arguments: str, manifest: Manifest | None = None) -> tuple[int, str]:
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", self._kubeconfig, *arguments],
            input=None if manifest is None else json.dumps(manifest),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def must(self, *arguments: str, manifest: Manifest | None = None) -> str:
        code, printed = self.run(*arguments, manifest=manifest)
        assert code == 0, printed
        return printed

    def refuses(self, manifest: Manifest) -> str:
        code, printed = self.run("create", "--dry-run=server", "-f", "-", manifest=manifest)
        assert code != 0, "it was accepted"
        return printed

    def takes(self, manifest: Manifest, *flags: str) -> Manifest:
        printed = self.must("create", "--dry-run=server", "-o", "json", *flags, "-f", "-", manifest=manifest)
        stored: Manifest = json.loads(printed)
        return stored


@pytest.fixture(scope="module")
def cluster(stack: Any) -> Iterator[Cluster]:
    cluster = Cluster(str(stack.kubeconfig))
    for resource in RESOURCES:
        cluster.must("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds" / file_name(resource)))
        name = f"crd/{resource.PLURAL}.modelroute.dev"
        cluster.must("wait", "--for=condition=Established", "--timeout=30s", name)
    cluster.run("create", "namespace", NAMESPACE)
    yield cluster
    cluster.run("delete", "modelroutes,modelrollouts", "--all", "-n", NAMESPACE)


@pytest.fixture
def good() -> Manifest:
    """examples/modelroute.yaml, in the tests' namespace."""
    manifest: Manifest = yaml.safe_load((ROOT / "examples/modelroute.yaml").read_text(encoding="utf-8"))
    manifest["metadata"]["namespace"] = NAMESPACE
    return manifest


def put(path: str, value: Any) -> Mutation:
    """Set `spec.models[1].weight` and the like; a path that ends in `[]` appends, a value of `...`
    removes.
    """

    def mutate(manifest: Manifest) -> None:
        *way, last = path.replace("[", ".[").split(".")
        here: Any = manifest
        for part in way:
            here = here[int(part[1:-1])] if part.startswith("[") else here[part]
        key: Any = int(last[1:-1]) if last.startswith("[") and last != "[]" else last
        if value is ...:
            del here[key]
        elif key == "[]":
            here.append(value)
        else:
            here[key] = value

    return mutate


def both(*mutations: Mutation) -> Mutation:
    def mutate(manifest: Manifest) -> None:
        for mutation in mutations:
            mutation(manifest)

    return mutate


SAFETY, ERRORS, SLOW, COST = (f"spec.objectives[{index}]" for index in range(4))
STEPS = "spec.rollout.steps"
CUSTOM = {"name": "wrong", "metric": "Custom", "max": "5%"}
PROVEN_LAST = put(f"{STEPS}[4]", {"progress": 100, "require": "ProvenSafe"})

# What is wrong → what the user reads: the field to blame, and a piece of the advice.
REFUSED: dict[str, tuple[Mutation, str, str]] = {
    # The whole object.
    "an unknown field": (put("spec.canary", True), 'unknown field "spec.canary"', ""),
    "a misspelt field": (
        put(f"{SAFETY}.maxIncrase", "1pp"),
        'unknown field "spec.objectives[0].maxIncrase"',
        "",
    ),
    "a name of 64 characters": (put("metadata.name", "a" * 64), "at most 63 characters", "support-chat"),
    "no models": (put("spec.models", ...), "spec.models: Required value", ""),
    "no objectives": (put("spec.objectives", ...), "spec.objectives: Required value", ""),
    # Entrance.
    "neither parentRefs nor routeRef": (
        both(put("spec.parentRefs", ...)),
        "spec: Invalid value",
        "set exactly one of parentRefs",
    ),
    "both parentRefs and routeRef": (
        put("spec.routeRef", {"name": "chat", "rule": "completions"}),
        "spec: Invalid value",
        "set exactly one of parentRefs",
    ),
    **{
        f"{field} beside routeRef": (
            both(
                put("spec.parentRefs", ...),
                put("spec.routeRef", {"name": "chat", "rule": "completions"}),
                *(put(f"spec.{other}", ...) for other in ("hostnames", "matches", "timeouts") if other != field),
                put(f"spec.{field}", value),
            ),
            f"spec.{field}: Invalid value",
            f"remove {field} here",
        )
        for field, value in {
            "hostnames": ["chat.example.com"],
            "matches": [{"path": {"value": "/"}}],
            "filters": [{"type": "URLRewrite"}],
            "timeouts": {"request": "1s"},
        }.items()
    },
    "a host name with a scheme": (
        put("spec.hostnames", ["https://chat.example.com"]),
        "spec.hostnames[0]: Invalid value",
        "for example chat.example.com",
    ),
    "the same host name twice": (
        put("spec.hostnames", ["a.example.com", "a.example.com"]),
        "spec.hostnames[1]: Duplicate value",
        "a.example.com",
    ),
    # Models.
    "one model": (put("spec.models[1]", ...), "spec.models: Invalid value", "at least 2 items"),
    "two models of one name": (
        put("spec.models[1].name", "large"),
        "spec.models[1]: Duplicate value",
        '{"name":"large"}',
    ),
    "a model's name in capitals": (
        put("spec.models[1].name", "Small"),
        "spec.models[1].name: Invalid value",
        "for example chat-2",
    ),
    "all weights 0": (
        both(put("spec.models[0].weight", 0), put("spec.models[1].weight", 0)),
        "spec.models: Invalid value",
        "set at least one above 0",
    ),
    "a negative weight": (
        put("spec.models[1].weight", -1),
        "spec.models[1].weight",
        "greater than or equal to 0",
    ),
    "a weight above a million": (
        put("spec.models[1].weight", 1_000_001),
        "spec.models[1].weight",
        "less than or equal to 1000000",
    ),
    "a weight in quotes": (
        put("spec.models[1].weight", "40"),
        "spec.models[1].weight",
        "must be of type integer",
    ),
    "no weight": (put("spec.models[1].weight", ...), "spec.models[1].weight: Required value", ""),
    "a tier that there is not": (
        put("spec.models[1].tier", "Medium"),
        "spec.models[1].tier: Unsupported value",
        'supported values: "Large", "Small"',
    ),
    "one backend for two models": (
        put("spec.models[1].backendRef.name", "llama-70b"),
        "spec.models: Invalid value",
        "give each a Service of its own",
    ),
    "a backend without a port": (
        put("spec.models[1].backendRef.port", ...),
        "spec.models[1].backendRef.port: Invalid value",
        "for example port: 8000",
    ),
    "a backend that is no Service": (
        put("spec.models[1].backendRef.kind", "InferencePool"),
        "spec.models[1].backendRef.kind: Invalid value",
        "must be a Service",
    ),
    "prices in two currencies": (
        put("spec.models[1].price.currency", "EUR"),
        "spec.models: Invalid value",
        "give all of them in one",
    ),
    "a currency that is none": (
        both(*(put(f"spec.models[{index}].price.currency", "usd") for index in (0, 1))),
        "spec.models[0].price.currency: Invalid value",
        "for example USD",
    ),
    "a price with a currency sign": (
        put("spec.models[1].price.inputPerMillionTokens", "$3"),
        "spec.models[1].price.inputPerMillionTokens: Invalid value",
        'for example "0.15"',
    ),
    "a price that is a number": (
        put("spec.models[1].price.inputPerMillionTokens", 0.2),
        "spec.models[1].price.inputPerMillionTokens: Invalid value",
        "must be of type string",
    ),
    "cost without a price": (
        put("spec.models[1].price", ...),
        "spec.models: Invalid value",
        "CostPerRequest needs the price of every model",
    ),
    # Objectives.
    "two objectives of one name": (
        put(f"{ERRORS}.name", "safety"),
        "spec.objectives[1]: Duplicate value",
        '{"name":"safety"}',
    ),
    "a metric that there is not": (
        put(f"{ERRORS}.metric", "Errors"),
        f"{ERRORS}.metric: Unsupported value",
        '"ErrorRate"',
    ),
    "max: 5": (put(f"{SAFETY}.max", 5), f"{SAFETY}.max: Invalid value", 'must be of type string: "integer"'),
    "max: '5'": (put(f"{SAFETY}.max", "5"), f"{SAFETY}.max: Invalid value", "for example 0.5%"),
    "max: 0%": (put(f"{SAFETY}.max", "0%"), f"{SAFETY}.max: Invalid value", "above 0%"),
    "max: 100%": (put(f"{SAFETY}.max", "100%"), f"{SAFETY}.max: Invalid value", "below 100%"),
    "max in points": (put(f"{SAFETY}.max", "5pp"), f"{SAFETY}.max: Invalid value", "for example 0.5%"),
    "maxIncrease in percent": (
        put(f"{ERRORS}.maxIncrease", "0.5%"),
        f"{ERRORS}.maxIncrease: Invalid value",
        "for example 0.2pp",
    ),
    "maxIncrease: 0pp": (
        put(f"{ERRORS}.maxIncrease", "0pp"),
        f"{ERRORS}.maxIncrease: Invalid value",
        "above 0pp",
    ),
    "maxRatio below 1": (
        both(put(f"{ERRORS}.maxIncrease", ...), put(f"{ERRORS}.maxRatio", "0.9")),
        f"{ERRORS}.maxRatio: Invalid value",
        "from 1 to 100",
    ),
    "maxRatio that is a number": (
        both(put(f"{ERRORS}.maxIncrease", ...), put(f"{ERRORS}.maxRatio", 1.2)),
        f"{ERRORS}.maxRatio: Invalid value",
        'must be of type string: "number"',
    ),
    "maxIncrease and maxRatio": (
        put(f"{ERRORS}.maxRatio", "1.2"),
        f"{ERRORS}.maxRatio: Invalid value",
        "exclude each other",
    ),
    "no bound": (
        put(f"{ERRORS}.maxIncrease", ...),
        f"{ERRORS}: Invalid value",
        "this objective has no bound",
    ),
    "LatencyAbove without threshold": (
        put(f"{SLOW}.threshold", ...),
        f"{SLOW}.threshold: Invalid value",
        "for example threshold: 2s",
    ),
    "threshold elsewhere": (
        put(f"{ERRORS}.threshold", "2s"),
        f"{ERRORS}.threshold: Invalid value",
        "for LatencyAbove only",
    ),
    "threshold: 0s": (put(f"{SLOW}.threshold", "0s"), f"{SLOW}.threshold: Invalid value", "above 0"),
    "threshold: 2": (
        put(f"{SLOW}.threshold", 2),
        f"{SLOW}.threshold: Invalid value",
        "must be of type string",
    ),
    "threshold in words": (
        put(f"{SLOW}.threshold", "2 seconds"),
        f"{SLOW}.threshold: Invalid value",
        "for example 500ms, 2s or 1h30m",
    ),
    "minCoverage elsewhere": (
        put(f"{ERRORS}.minCoverage", "90%"),
        f"{ERRORS}.minCoverage: Invalid value",
        "for SafetyViolationRate only",
    ),
    "minCoverage: 0%": (
        put(f"{SAFETY}.minCoverage", "0%"),
        f"{SAFETY}.minCoverage: Invalid value",
        "above 0%",
    ),
    "bad elsewhere": (
        put(f"{ERRORS}.bad", {"metric": "wrong_total"}),
        f"{ERRORS}.bad: Invalid value",
        "for Custom only",
    ),
    "Custom without counters": (
        put("spec.objectives[]", CUSTOM),
        "spec.objectives[4].bad",
        "Custom needs two counters",
    ),
    "Custom with a query": (
        put("spec.objectives[]", CUSTOM | {"bad": {"metric": "rate(x[1m])"}, "total": {"metric": "x_total"}}),
        "spec.objectives[4].bad.metric: Invalid value",
        "not a query",
    ),
    "Custom in another namespace": (
        put(
            "spec.objectives[]",
            CUSTOM | {"bad": {"metric": "x", "labels": {"namespace": "prod"}}, "total": {"metric": "y"}},
        ),
        "spec.objectives[4].bad.labels: Invalid value",
        "always the backend's own",
    ),
    "Custom with a label that is none": (
        put(
            "spec.objectives[]",
            CUSTOM | {"bad": {"metric": "x", "labels": {"a-b": "c"}}, "total": {"metric": "y"}},
        ),
        "spec.objectives[4].bad.labels: Invalid value",
        "for example app_version",
    ),
    "cost that is to roll back without a bound": (
        put(f"{COST}.onBreach", "RollBack"),
        f"{COST}.onBreach: Invalid value",
        "set onBreach: Report",
    ),
    "cost without onBreach": (
        put(f"{COST}.onBreach", ...),
        f"{COST}.onBreach: Invalid value",
        "set onBreach: Report",
    ),
    "cost in percent": (put(f"{COST}.max", "5%"), f"{COST}: Invalid value", "amounts, not shares"),
    # Rollout.
    "a reference that there is not": (
        put("spec.rollout.reference", "huge"),
        "spec.rollout.reference: Invalid value",
        "no model is called 'huge'",
    ),
    "a start that there is not": (
        put("spec.rollout.initialModel", "huge"),
        "spec.rollout.initialModel: Invalid value",
        "no model is called 'huge'",
    ),
    "no Large model and nobody named": (
        both(
            put("spec.models[0].tier", "Small"),
            put("spec.rollout.reference", ...),
            put("spec.rollout.initialModel", ...),
        ),
        "spec.models: Invalid value",
        "give one model tier: Large",
    ),
    "no steps": (put(STEPS, []), f"{STEPS}: Invalid value: 0", "at least 1 items"),
    "21 steps": (
        put(STEPS, [{"progress": n} for n in [*range(1, 21), 100]]),
        f"{STEPS}: Too many",
        "at most 20 items",
    ),
    "steps that end below 100": (
        put(STEPS, [{"progress": 5}, {"progress": 50}]),
        f"{STEPS}: Invalid value",
        "add a step {progress: 100}",
    ),
    "steps that fall": (
        put(STEPS, [{"progress": 50}, {"progress": 5}, {"progress": 100}]),
        f"{STEPS}: Invalid value",
        "must rise from step to step",
    ),
    "two steps alike": (
        put(STEPS, [{"progress": 50}, {"progress": 50}, {"progress": 100}]),
        f"{STEPS}: Invalid value",
        "must rise from step to step",
    ),
    "a step of 0 %": (put(f"{STEPS}[0].progress", 0), f"{STEPS}[0].progress", "greater than or equal to 1"),
    "a step without requests": (put(f"{STEPS}[0].minRequests", 0), f"{STEPS}[0].minRequests", "equal to 1"),
    "a step's duration in words": (
        put(f"{STEPS}[0].minDuration", "ten minutes"),
        f"{STEPS}[0].minDuration: Invalid value",
        "for example 30s, 10m or 1h30m",
    ),
    "a deadline in days": (
        put("spec.rollout.progressDeadline", "1d"),
        "spec.rollout.progressDeadline: Invalid value",
        "for example 30m, 6h or 24h",
    ),
    "a deadline of 10 s": (
        put("spec.rollout.progressDeadline", "10s"),
        "spec.rollout.progressDeadline: Invalid value",
        "at least 1m",
    ),
    "a deadline shorter than the steps": (
        put("spec.rollout.progressDeadline", "50m"),
        "spec.rollout.progressDeadline: Invalid value",
        "longer than the minDuration of all steps together",
    ),
    "the default deadline shorter than the steps": (
        both(put("spec.rollout.progressDeadline", ...), put(f"{STEPS}[0].minDuration", "25h")),
        "spec.rollout.progressDeadline: Invalid value",
        "longer than the minDuration of all steps together",
    ),
    "an alpha of 0 %": (
        put("spec.rollout.falseRollbackRate", "0%"),
        "spec.rollout.falseRollbackRate: Invalid value",
        "from 0.01% to 50%",
    ),
    "a beta of 60 %": (
        put("spec.rollout.falseSafeRate", "60%"),
        "spec.rollout.falseSafeRate: Invalid value",
        "from 0.01% to 50%",
    ),
    "ProvenSafe without a margin": (
        both(put(f"{SAFETY}.maxIncrease", ...), put(f"{ERRORS}.onBreach", "Report")),
        "spec.objectives: Invalid value",
        "a margin to prove it by",
    ),
    "ProvenSafe with a margin of nothing": (
        both(put(f"{ERRORS}.maxIncrease", ...), put(f"{ERRORS}.maxRatio", "1.0")),
        "spec.objectives: Invalid value",
        "leaves no margin",
    ),
    "ProvenSafe at 100 when the reference has left": (
        both(put("spec.models[0].weight", 0), PROVEN_LAST),
        f"{STEPS}: Invalid value",
        "require it at an earlier step",
    ),
    "ProvenSafe at 100 when the first Large model has left": (
        both(put("spec.models[0].weight", 0), put("spec.rollout.reference", ...), PROVEN_LAST),
        f"{STEPS}: Invalid value",
        "require it at an earlier step",
    ),
    # The rest.
    "a guard that pauses": (
        put("spec.guard.onBreach", "Pause"),
        "spec.guard.onBreach: Unsupported value",
        '"Report", "RollBack"',
    ),
    "no false alarms at all": (
        put("spec.guard.falseAlarmsPerYear", 0),
        "spec.guard.falseAlarmsPerYear",
        "equal to 1",
    ),
    "a source that there is not": (
        put("spec.metrics.source", "Nginx"),
        "spec.metrics.source: Unsupported value",
        '"Traefik"',
    ),
    "a Prometheus by its address": (
        put("spec.metrics.prometheus", "http://prometheus:9090"),
        "spec.metrics.prometheus: Invalid value",
        "lower-case letters",
    ),
    "no history": (put("spec.historyLimit", 0), "spec.historyLimit", "greater than or equal to 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_said_where_it_is_and_what_to_write_instead(
    what: str, cluster: Cluster, good: Manifest
) -> None:
    mutate, where, advice = REFUSED[what]
    mutate(good)

    printed = cluster.refuses(good)

    assert where in printed
    assert advice in printed


# What is unusual, but right.
ACCEPTED: dict[str, Mutation] = {
    "the example": lambda manifest: None,
    "a rule of the user's own route": both(
        *(put(f"spec.{field}", ...) for field in ("parentRefs", "hostnames", "matches", "timeouts")),
        put("spec.routeRef", {"name": "chat", "rule": "completions"}),
    ),
    "backends of one name in two namespaces": both(
        put("spec.models[1].backendRef.name", "llama-70b"),
        put("spec.models[1].backendRef.namespace", "other"),
    ),
    "backends of one name on two ports": both(
        put("spec.models[1].backendRef.name", "llama-70b"), put("spec.models[1].backendRef.port", 8001)
    ),
    "no Large model, but both named": put("spec.models[0].tier", "Small"),
    "all traffic for the small model": put("spec.models[0].weight", 0),
    "ProvenSafe at 100 while the reference stays": PROVEN_LAST,
    "cost with a bound": both(put(f"{COST}.onBreach", "Pause"), put(f"{COST}.maxRatio", "1.1")),
    "a maxRatio of 1 without ProvenSafe": both(
        put(f"{ERRORS}.maxIncrease", ...),
        put(f"{ERRORS}.maxRatio", "1"),
        put(f"{STEPS}[2].require", "NotHarmful"),
    ),
    "a metric of one's own": put(
        "spec.objectives[]",
        CUSTOM
        | {
            "bad": {"metric": "answers_total", "labels": {"good": "no", "namespace": "$(namespace)"}},
            "total": {"metric": "answers_total"},
        },
    ),
    "steps without waiting": put(STEPS, [{"progress": 100, "minDuration": "0s", "minRequests": 1}]),
    "parts left empty": both(
        put("spec.rollout", {}), put("spec.guard", {}), put("spec.metrics", None), put("spec.filters", [])
    ),
    "what only the gateway can judge": put(
        "spec.filters",
        [{"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "X", "name": "y"}}],
    ),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_is_unusual_but_right_is_taken(what: str, cluster: Cluster, good: Manifest) -> None:
    ACCEPTED[what](good)

    cluster.takes(good)


def test_every_default_is_shown_in_what_is_stored(cluster: Cluster) -> None:
    manifest = yaml.safe_load((ROOT / "examples/minimal.yaml").read_text(encoding="utf-8"))
    manifest["metadata"]["namespace"] = NAMESPACE

    spec = cluster.takes(manifest)["spec"]

    assert spec["rollout"] == {
        "falseRollbackRate": "5%",
        "falseSafeRate": "5%",
        "onDeadline": "Hold",
        "progressDeadline": "24h",
        "steps": [
            {
                "approval": False,
                "minDuration": "10m",
                "minRequests": 100,
                "progress": progress,
                "require": "NotHarmful",
            }
            for progress in (5, 25, 50, 100)
        ],
    }
    assert spec["guard"] == {"bake": "1h", "onBreach": "Report", "falseAlarmsPerYear": 1}
    assert spec["metrics"] == {"source": "Traefik", "prometheus": "default"}
    assert (spec["paused"], spec["historyLimit"]) == (False, 10)
    assert spec["models"][0]["backendRef"] == {
        "group": "",
        "kind": "Service",
        "name": "llama-70b",
        "port": 8000,
    }
    assert spec["objectives"][0]["onBreach"] == "RollBack"
    assert "minCoverage" not in spec["objectives"][0]


def test_a_step_that_says_little_gets_the_rest(cluster: Cluster, good: Manifest) -> None:
    stored = cluster.takes(good)

    assert stored["spec"]["rollout"]["steps"][1] == {
        "approval": False,
        "minDuration": "10m",
        "minRequests": 500,
        "progress": 25,
        "require": "NotHarmful",
    }


def test_what_is_for_the_gateway_is_kept_and_what_nobody_knows_is_pruned(cluster: Cluster, good: Manifest) -> None:
    good["spec"]["matches"] = [{"headers": [{"name": "x-team", "value": "blue"}], "newInTheGatewayApi": {"a": 1}}]
    good["spec"]["canary"] = True

    stored = cluster.takes(good, "--validate=ignore")

    assert stored["spec"]["matches"] == good["spec"]["matches"]
    assert "canary" not in stored["spec"]


def test_the_biggest_object_is_taken(cluster: Cluster, good: Manifest) -> None:
    labels = {f"label_{index}": "v" * 253 for index in range(16)}
    counter = {"metric": "m" * 253, "labels": labels}
    good["spec"] |= {
        "parentRefs": [{"name": f"gateway-{index}"} for index in range(32)],
        "hostnames": [f"{index}.example.com" for index in range(16)],
        "models": [
            {
                "name": f"{index}".rjust(63, "m"),
                "tier": "Large",
                "weight": 1_000_000,
                "backendRef": {"name": f"{index}".rjust(253, "b"), "namespace": "n" * 63, "port": 65_535},
                "price": {"inputPerMillionTokens": "1" * 9, "outputPerMillionTokens": "1" * 9},
            }
            for index in range(8)
        ],
        "objectives": [
            {
                "name": f"{index}".rjust(63, "o"),
                "metric": "Custom",
                "max": "12.345678%",
                "maxIncrease": "12.345678pp",
                "bad": counter,
                "total": counter,
            }
            for index in range(16)
        ],
        "rollout": {
            "steps": [{"progress": 5 * index, "minDuration": "1h11m11s111ms"} for index in range(1, 21)],
            "progressDeadline": "99999h59999m59999s",
        },
    }

    cluster.takes(good)


def a_rollout() -> Manifest:
    backend = {"name": "llama-8b", "port": 8000}
    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "support-chat-1", "namespace": NAMESPACE},
        "spec": {
            "modelRoute": "support-chat",
            "revision": "v1-3f2a9c",
            "attempt": 1,
            "trigger": "FirstApply",
            "engineVersion": "1",
            "arms": [
                {
                    "name": "large",
                    "model": "large",
                    "tier": "Large",
                    "backendRef": backend | {"name": "llama-70b"},
                },
                {"name": "small", "model": "small", "tier": "Small", "backendRef": backend},
            ],
            "from": [{"arm": "large", "weight": 10000}],
            "to": [{"arm": "large", "weight": 6000}, {"arm": "small", "weight": 4000}],
            "comparisons": [{"candidate": "small", "reference": "large"}],
            "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
            "steps": [{"progress": 25}, {"progress": 100}],
            "falseRollbackRate": "5%",
            "falseSafeRate": "5%",
            "progressDeadline": "24h",
            "windowSeconds": 5,
            "settleMinSeconds": 30.5,
            "metrics": {"source": "Traefik", "prometheus": "default"},
        },
    }


def test_an_attempt_cannot_be_changed_once_it_is_written(cluster: Cluster) -> None:
    rollout = copy.deepcopy(a_rollout())
    cluster.run("delete", "modelrollout", rollout["metadata"]["name"], "-n", NAMESPACE)
    cluster.must("create", "-f", "-", manifest=rollout)

    unchanged = cluster.must("replace", "-f", "-", manifest=rollout)
    rollout["spec"]["to"] = [{"arm": "small", "weight": 10000}]
    code, printed = cluster.run("replace", "-f", "-", manifest=rollout)

    assert "replaced" in unchanged
    assert code != 0
    assert "spec: Invalid value" in printed
    assert "cannot be changed: change the ModelRoute instead" in printed


@pytest.mark.parametrize(
    ("mutate", "advice"),
    [
        (put("spec.to[0].weight", 5999), "must sum to 10000"),
        (put("spec.from[0].arm", "huge"), "may name arms of spec.arms only"),
    ],
)
def test_a_split_that_cannot_be_is_refused(mutate: Mutation, advice: str, cluster: Cluster) -> None:
    rollout = copy.deepcopy(a_rollout())
    mutate(rollout)

    assert advice in cluster.refuses(rollout)


SCALARS = {"string": "text", "boolean": True, "integer": 1, "number": 1.5}


def filled(schema: Manifest) -> Any:
    """A value that uses every field of a schema."""
    if schema["type"] == "object":
        return {name: filled(below) for name, below in schema.get("properties", {}).items()}
    if schema["type"] == "array":
        return [filled(schema["items"])]
    if schema.get("format") == "date-time":
        return "2026-01-02T03:04:05.250000Z"
    return schema.get("enum", [SCALARS[schema["type"]]])[0]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_no_field_of_a_status_is_pruned(resource: type[Resource], cluster: Cluster, good: Manifest) -> None:
    manifest = good if resource is ModelRoute else a_rollout()
    manifest["metadata"]["name"] = name = f"full-{resource.KIND.lower()}"
    whole = filled(schema(resource)["properties"]["status"])
    kind = resource.model_fields["status"].annotation
    assert kind is not None
    status = kind.model_validate(whole).to_wire()
    assert status == whole
    cluster.run("delete", resource.PLURAL, name, "-n", NAMESPACE)
    cluster.must("create", "-f", "-", manifest=manifest)

    cluster.must("replace", "--subresource=status", "-f", "-", manifest=manifest | {"status": status})

    stored = json.loads(cluster.must("get", resource.PLURAL, name, "-n", NAMESPACE, "-o", "json"))
    assert stored["status"] == status


def test_kubectl_get_shows_where_a_route_is(cluster: Cluster, good: Manifest) -> None:
    good["metadata"]["name"] = "columns"
    cluster.run("delete", "modelroutes", "columns", "-n", NAMESPACE)
    cluster.must("create", "-f", "-", manifest=good)
    status = {
        "phase": "Progressing",
        "step": "2/5",
        "live": "small 10 %, large 90 %",
        "verdict": "NotHarmful",
    }
    cluster.must("replace", "--subresource=status", "-f", "-", manifest=good | {"status": status})

    header, row = cluster.must("get", "mroute", "columns", "-n", NAMESPACE).splitlines()

    assert header.split() == ["NAME", "PHASE", "STEP", "LIVE", "VERDICT", "REASON", "AGE"]
    assert "Progressing   2/5    small 10 %, large 90 %   NotHarmful" in row


@pytest.mark.parametrize("kind", ["modelroutes", "modelrollouts"])
def test_every_field_is_explained(kind: str, cluster: Cluster) -> None:
    explained = cluster.must("explain", f"{kind}.status", "--recursive")

    assert "objectives" in explained
    assert "candidateInterval" in explained


def test_the_short_names_and_the_category_work(cluster: Cluster) -> None:
    for name in ("mroute", "mrollout", "modelrouting"):
        cluster.must("get", name, "-n", NAMESPACE)


def test_one_object_can_be_asked_for_by_the_singular_and_its_name(cluster: Cluster) -> None:
    for name in ("modelroute", "modelrollout"):
        cluster.must("get", name, "no-such-object", "-n", NAMESPACE, "--ignore-not-found")
