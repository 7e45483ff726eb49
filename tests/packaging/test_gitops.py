"""Every situation of a ModelRoute as GitOps tools read it: Argo CD's scripts, Flux's expressions, kstatus.

The statuses are the operator's own (phases.py). MODELROUTE_GOLDEN=write writes Argo CD's test data anew.
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from tests.packaging import argo_data, kstatus, lua, phases
from tests.packaging.argo_data import SCRIPTS
from tests.packaging.chart import REPOSITORY, Json

import argocd_cm
from modelroute.rollout.decision import Phase
from modelroute.rollout.verbs import Verb

FLUX = REPOSITORY / "examples" / "flux"
VERBS = [verb.value for verb in Verb]
# Argo CD's health; what kstatus says; which actions are offered.
READ_AS: dict[str, tuple[str, str, set[str]]] = {
    "new": ("Progressing", kstatus.CURRENT, set()),
    "pending": ("Progressing", kstatus.IN_PROGRESS, set()),
    "awaited_backend": ("Progressing", kstatus.IN_PROGRESS, set()),
    "missing_backend": ("Degraded", kstatus.FAILED, set()),
    "stable": ("Healthy", kstatus.CURRENT, set()),
    "new_spec": ("Progressing", kstatus.IN_PROGRESS, set()),
    "progressing": ("Progressing", kstatus.IN_PROGRESS, {"promote", "promote-full", "pause", "abort"}),
    "awaiting_approval": (
        "Suspended",
        kstatus.IN_PROGRESS,
        {"approve", "promote", "promote-full", "pause", "abort"},
    ),
    "paused_by_a_person": ("Suspended", kstatus.IN_PROGRESS, {"resume", "abort"}),
    "paused_by_the_spec": ("Suspended", kstatus.IN_PROGRESS, {"abort"}),
    "paused_by_a_breach": ("Suspended", kstatus.IN_PROGRESS, {"abort"}),
    "holding": ("Progressing", kstatus.IN_PROGRESS, {"promote", "promote-full", "pause", "abort"}),
    "overdue": ("Degraded", kstatus.FAILED, {"promote", "promote-full", "pause", "abort"}),
    "rolling_back": ("Progressing", kstatus.IN_PROGRESS, set()),
    "rolled_back": ("Degraded", kstatus.FAILED, {"retry"}),
    "aborted": ("Degraded", kstatus.FAILED, {"retry"}),
    "promoted": ("Healthy", kstatus.CURRENT, set()),
}


@pytest.fixture(scope="session")
def told() -> Mapping[str, tuple[Json, list[Json]]]:
    # In a thread of its own, because pytest-asyncio keeps this one's event loop.
    with ThreadPoolExecutor(max_workers=1) as aside:
        return aside.submit(lambda: asyncio.run(phases.told())).result()


@pytest.fixture(params=sorted(READ_AS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def obj(told: Mapping[str, tuple[Json, list[Json]]], name: str) -> Json:
    return copy.deepcopy(told[name][0])


def content(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def script(place: str) -> str:
    return (SCRIPTS / place).read_text()


# kstatus.


def test_every_situation_has_its_readings() -> None:
    assert READ_AS.keys() == phases.TELLINGS.keys()


def test_the_situations_lead_through_every_phase(told: Mapping[str, tuple[Json, list[Json]]]) -> None:
    seen = {each["status"]["phase"] for _, left in told.values() for each in left}

    assert {phase.value for phase in Phase} == seen


def test_kstatus_reads_every_situation_right(obj: Json, name: str) -> None:
    assert kstatus.status_of(obj) == READ_AS[name][1]


def test_no_tick_leaves_a_status_that_kstatus_would_misread(told: Mapping[str, tuple[Json, list[Json]]]) -> None:
    """On the whole way: failed where only a person can go on, current at rest, and never both signals at once."""
    for _, left in told.values():
        for each in left:
            status = each["status"]
            conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
            read = kstatus.status_of(each)
            assert (conditions["Reconciling"], conditions["Stalled"]) != ("True", "True")
            assert (read == kstatus.CURRENT) == (status["phase"] == Phase.STABLE), status
            assert (read == kstatus.FAILED) == (conditions["Stalled"] == "True"), status
            assert status["phase"] != Phase.ROLLED_BACK or read == kstatus.FAILED


def test_every_condition_has_words_of_its_own(told: Mapping[str, tuple[Json, list[Json]]]) -> None:
    """`kubectl describe` prints all six below the message: nobody is to read the same sentence again and again."""
    for _, left in told.values():
        for each in left:
            conditions = {condition["type"]: condition["message"] for condition in each["status"]["conditions"]}
            assert len(set(conditions.values())) == len(conditions), conditions
            assert [kind for kind, words in conditions.items() if len(words) > 256 and kind != "Stalled"] == []


# Argo CD.


def test_argo_cds_test_data_is_what_the_operator_writes(told: Mapping[str, tuple[Json, list[Json]]]) -> None:
    made = argo_data.files(
        {name: obj for name, (obj, _) in told.items()},
        {name: health for name, (health, _, _) in READ_AS.items()},
        {name: offered for name, (_, _, offered) in READ_AS.items()},
    )
    if os.environ.get("MODELROUTE_GOLDEN") == "write":
        for place, text in made.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    there = {place for folder in ("testdata", "actions/testdata") for place in (SCRIPTS / folder).glob("*")}
    assert there == {place for place in made if place.parent.name == "testdata"}
    assert [place.name for place, text in made.items() if place.read_text() != text] == []


def test_argo_cd_reads_every_situation_right(obj: Json, name: str) -> None:
    health = lua.run(script("health.lua"), obj)

    assert health["status"] == READ_AS[name][0]
    assert health["message"]


@pytest.mark.parametrize("case", content(SCRIPTS / "health_test.yaml")["tests"], ids=lambda case: case["inputPath"])
def test_argo_cds_own_health_tests_pass(case: Json) -> None:
    assert lua.run(script("health.lua"), content(SCRIPTS / case["inputPath"])) == case["healthStatus"]


def test_argo_cd_offers_what_can_be_asked(obj: Json, name: str) -> None:
    offered = lua.discover(script("actions/discovery.lua"), obj)

    assert {each["name"] for each in offered} == set(VERBS)
    assert {each["name"] for each in offered if not each["disabled"]} == READ_AS[name][2]


ACTIONS = content(SCRIPTS / "actions" / "action_test.yaml")


@pytest.mark.parametrize("case", ACTIONS["discoveryTests"], ids=lambda case: case["inputPath"])
def test_argo_cds_own_discovery_tests_pass(case: Json) -> None:
    offered = lua.discover(script("actions/discovery.lua"), content(SCRIPTS / "actions" / case["inputPath"]))

    assert sorted(offered, key=str) == sorted(case["result"], key=str)


@pytest.mark.parametrize("case", ACTIONS["actionTests"], ids=lambda case: case["action"])
def test_argo_cds_own_action_tests_pass(case: Json) -> None:
    given = content(SCRIPTS / "actions" / case["inputPath"])

    assert lua.run(script(f"actions/{case['action']}/action.lua"), given) == content(
        SCRIPTS / "actions" / case["expectedOutputPath"]
    )


@pytest.mark.parametrize("verb", VERBS)
def test_an_action_asks_for_its_verb_with_the_token_that_is_due(told: Mapping[str, Any], verb: str) -> None:
    given = copy.deepcopy(told["progressing"][0])
    given["metadata"]["annotations"] = {"team": "chat"}

    done = lua.run(script(f"actions/{verb}/action.lua"), given)

    asked = {"team": "chat", "modelroute.dev/action": f"{verb}@{given['status']['nextAction']}"}
    assert done == {**given, "metadata": {**given["metadata"], "annotations": asked}}


@pytest.mark.parametrize("verb", VERBS)
def test_an_action_that_is_not_due_changes_nothing_and_says_so(told: Mapping[str, Any], verb: str) -> None:
    with pytest.raises(lua.LuaError, match=f"{verb}: nothing is due"):
        lua.run(script(f"actions/{verb}/action.lua"), told["stable"][0])


@pytest.mark.parametrize("verb", ["approve", "pause", "abort", "promote", "promote-full"])
async def test_the_operator_takes_what_an_action_asks_for(verb: str) -> None:
    story = phases.Story()
    await phases.TELLINGS["awaiting_approval"](story)
    done = lua.run(script(f"actions/{verb}/action.lua"), copy.deepcopy(story.world.get("modelroutes")))
    story.world.act(done["metadata"]["annotations"]["modelroute.dev/action"])
    await story.run(30)

    assert len(story.world.said("ActionTaken")) == 1
    assert story.world.said("ActionRefused") == []


@pytest.mark.parametrize("library", ["string.format('%s', 1)", "math.floor(1.5)", "('x'):len()", "io.write('x')"])
def test_the_interpreter_has_no_library_that_argo_cd_does_not_open(library: str) -> None:
    with pytest.raises(lua.LuaError):
        lua.run(f"return {library}", {})


def without(obj: Json, pointers: list[str]) -> Json:
    """The object without what the JSON pointers name; they lead through mappings only."""
    left = copy.deepcopy(obj)
    for pointer in pointers:
        *parents, last = pointer.split("/")[1:]
        where = left
        for parent in parents:
            where = where.get(parent, {})
        where.pop(last, None)
    return left


def test_a_look_that_changes_nothing_refreshes_no_application(told: Mapping[str, tuple[Json, list[Json]]]) -> None:
    """Argo CD leaves resourceVersion out by itself."""
    ignored = argocd_cm.QUIET["ModelRoute"]
    assert ignored["jqPathExpressions"] == [".status.conditions[]?.message"]

    def compared(obj: Json) -> Json:
        left = without(obj, [*ignored["jsonPointers"], "/metadata/resourceVersion"])
        for condition in left["status"]["conditions"]:
            condition.pop("message")
        return left

    *_, before, after = told["progressing"][1]
    assert before["status"]["message"] != after["status"]["message"]
    assert compared(before) == compared(after)


def test_the_application_ignores_the_weights_and_nothing_else_of_a_route() -> None:
    spec = content(argocd_cm.ARGOCD / "application.yaml")["spec"]
    (ignored,) = spec["ignoreDifferences"]

    assert (ignored["group"], ignored["kind"]) == ("gateway.networking.k8s.io", "HTTPRoute")
    assert ignored["jqPathExpressions"] == [".spec.rules[]?.backendRefs[]?.weight"]
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]


# Flux.


def flux(file: str) -> dict[str, str]:
    """The expressions that a file gives for ModelRoutes."""
    (kustomization,) = (
        each for each in yaml.safe_load_all((FLUX / file).read_text()) if each["kind"] == "Kustomization"
    )
    (given,) = kustomization["spec"]["healthCheckExprs"]
    assert (given.pop("apiVersion"), given.pop("kind")) == ("modelroute.dev/v1alpha1", "ModelRoute")
    return dict(given)


def read_by_flux(expressions: Mapping[str, str], obj: Json) -> str:
    """As Flux does: in progress first, then failed, then current; what cannot be evaluated is waited for."""
    environment = celpy.Environment()
    given = {key: json_to_cel(value) for key, value in obj.items()}
    for outcome in ("inProgress", "failed", "current"):
        program = environment.program(environment.compile(expressions[outcome]))
        try:
            if program.evaluate(given):
                return outcome
        except CELEvalError:
            return "inProgress"
    return "inProgress"


def test_flux_that_waits_for_the_end_reads_what_kstatus_does(obj: Json, name: str) -> None:
    words = {kstatus.CURRENT: "current", kstatus.FAILED: "failed", kstatus.IN_PROGRESS: "inProgress"}
    # Without a status kstatus would call it current; the expressions wait.
    expected = "inProgress" if name == "new" else words[READ_AS[name][1]]

    assert read_by_flux(flux("wait-for-the-end.yaml"), obj) == expected


def test_flux_that_does_not_wait_lets_a_rollout_take_its_time_and_fails_where_a_person_is_needed(
    obj: Json, name: str
) -> None:
    if name in ("new", "new_spec", "pending", "awaited_backend"):
        expected = "inProgress"
    else:
        expected = "failed" if READ_AS[name][1] == kstatus.FAILED else "current"

    assert read_by_flux(flux("go-on-meanwhile.yaml"), obj) == expected
