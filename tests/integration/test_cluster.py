"""The adapters on the real API server, with the operator's own rights: errors, the route, statuses, events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from devstack.stack import Stack
from devstack.waiting import wait_until
from modelroute.analysis.design import Design
from modelroute.analysis.engine import start
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout, ModelRoute, identity
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.cluster.backends import Backends
from modelroute.cluster.client import (
    HTTP_ROUTES,
    MODEL_ROLLOUTS,
    MODEL_ROUTES,
    Kind,
    Objects,
)
from modelroute.cluster.credentials import configuration
from modelroute.cluster.events import Events
from modelroute.cluster.store import KindStore
from modelroute.controller.announce import status_of as route_status_of
from modelroute.controller.evidence import evidence_of
from modelroute.controller.kept import kept_of
from modelroute.controller.observe import Seen
from modelroute.controller.records import spec_of, status_of, updated
from modelroute.controller.routed import Routed
from modelroute.controller.spec import Gap, plan_of, template_of
from modelroute.errors import Conflict, Invalid, Unavailable
from modelroute.gateway.observe import observe
from modelroute.gateway.render import LABEL_ROUTE, Template, owner_reference
from modelroute.gateway.routes import Routes
from modelroute.rollout.attempt import Attempt, Progress, Record, Stage, Verdict, comparisons_of
from modelroute.rollout.decision import Announcement, Decision, Phase, RouteOrder
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.observation import Acceptance, Gateway, Look, Observation, Problem, Terms
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend, Share, Split, arms_between

Json = dict[str, Any]
NAME = "support"
NOON = 1_767_355_200.0
WORDS = "Waiting: minDuration 10m"


@pytest.fixture
def objects(stack: Stack) -> Iterator[Objects]:
    made = Objects(configuration(str(stack.operator_kubeconfig())))
    yield made
    made.close()


def manifest(namespace: str, **spec: Any) -> Json:
    return {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "models": [
                {"name": "large", "tier": "Large", "weight": 60, "backendRef": {"name": "large-v1", "port": 8000}},
                {"name": "small", "tier": "Small", "weight": 40, "backendRef": {"name": "small-v1", "port": 8000}},
            ],
            "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
            **spec,
        },
    }


@pytest.fixture
async def route(stack: Stack, namespace: str, objects: Objects) -> Json:
    """A ModelRoute as the API server has it."""
    stack.apply(manifest(namespace))
    found = await objects.get(MODEL_ROUTES, namespace, NAME)
    assert found is not None
    return found


# Errors.


async def test_what_does_not_exist_is_none(objects: Objects, namespace: str) -> None:
    assert await objects.get(MODEL_ROUTES, namespace, "nobody") is None
    assert await objects.get(MODEL_ROUTES, "no-such-namespace", "nobody") is None
    assert await objects.list(MODEL_ROLLOUTS, namespace, labels="a=b") == []
    await objects.delete(MODEL_ROLLOUTS, namespace, "nobody", uid="u")


async def test_a_status_over_a_newer_one_is_a_conflict_and_changes_nothing(objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    first = await objects.replace_status(MODEL_ROUTES, namespace, NAME, {**route, "status": {"phase": "Pending"}})

    with pytest.raises(Conflict, match="409"):
        await objects.replace_status(MODEL_ROUTES, namespace, NAME, {**route, "status": {"phase": "Stable"}})

    assert await objects.get(MODEL_ROUTES, namespace, NAME) == first


async def test_a_status_write_does_not_touch_the_spec(objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    body = {**route, "spec": {**route["spec"], "paused": True}, "status": {"phase": "Pending"}}

    after = await objects.replace_status(MODEL_ROUTES, namespace, NAME, body)

    assert (after["spec"], after["status"]) == (route["spec"], {"phase": "Pending"})
    assert after["metadata"]["generation"] == route["metadata"]["generation"]


async def test_what_the_schema_refuses_is_invalid_and_names_the_field(objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]

    with pytest.raises(Invalid, match=r"422: .*status\.phase"):
        await objects.replace_status(MODEL_ROUTES, namespace, NAME, {**route, "status": {"phase": "x" * 300}})


async def test_a_name_that_is_taken_is_a_conflict(objects: Objects, namespace: str) -> None:
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME},
        "spec": {},
    }
    await objects.create(HTTP_ROUTES, namespace, body)

    with pytest.raises(Conflict, match="already exists"):
        await objects.create(HTTP_ROUTES, namespace, body)


async def test_what_the_role_does_not_give_is_unavailable_and_says_so(objects: Objects, namespace: str) -> None:
    with pytest.raises(Unavailable, match=r"403: .*secrets"):
        await objects.get(Kind("", "v1", "secrets"), namespace, "token")


async def test_another_object_of_the_same_name_is_not_deleted(stack: Stack, objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    rollout, _ = written(route)
    made = await objects.create(MODEL_ROLLOUTS, namespace, rollout)

    with pytest.raises(Conflict):
        await objects.delete(MODEL_ROLLOUTS, namespace, made["metadata"]["name"], uid="another")
    await objects.delete(MODEL_ROLLOUTS, namespace, made["metadata"]["name"], uid=made["metadata"]["uid"])

    assert await attempts(objects, namespace) == []


async def test_a_service_is_a_backend_once_an_endpoint_of_it_is_ready(
    stack: Stack, objects: Objects, namespace: str
) -> None:
    backends, backend = Backends(objects), Backend(namespace, "small-v1", 8000)

    async def reason(of: Backend = backend) -> Reason | None:
        problem = await backends.problem_with(of, field="spec.models[1].backendRef")
        return None if problem is None else problem.reason

    assert await reason() is Reason.BACKEND_NOT_FOUND
    ip = stack.create_service(namespace, "small-v1", port=8000, ready=False)
    assert await reason() is Reason.NO_READY_ENDPOINTS
    stack.create_service(namespace, "small-v1", ip=ip, port=8000)
    assert await reason() is None
    assert await reason(replace(backend, port=9000)) is Reason.BACKEND_NOT_FOUND


# The route.


def template(route: Json, **spec: Any) -> Template:
    parsed = parse(ModelRoute, {**route, "spec": {**route["spec"], **spec}})
    metadata = route["metadata"]
    return template_of(parsed.spec, namespace=metadata["namespace"], name=NAME, uid=metadata["uid"])


def order(route: Json, *, small: int, rollback_of: str = "") -> RouteOrder:
    def split(weight: int) -> Split:
        namespace = route["metadata"]["namespace"]
        large = Share("large", Backend(namespace, "large-v1", 8000), 10_000 - weight)
        return large, Share("small", Backend(namespace, "small-v1", 8000), weight)

    return RouteOrder(split(small), split(0), rollback_of)


async def read(objects: Objects, route: Json) -> Json:
    live = await objects.get(HTTP_ROUTES, route["metadata"]["namespace"], NAME)
    assert live is not None
    return live


async def test_a_route_is_written_once_and_the_servers_defaults_are_no_change(objects: Objects, route: Json) -> None:
    routes = Routes(KindStore(objects, HTTP_ROUTES))
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    matches = [{"headers": [{"name": "x-tier", "value": "gold"}]}]
    what = template(route, filters=filters, matches=matches, timeouts={"request": "30s"}, hostnames=["a.example.com"])
    await routes.ensure(what, order(route, small=1_000), None)
    first = await read(objects, route)

    for _ in range(3):
        await routes.ensure(what, order(route, small=1_000), await read(objects, route))

    after = await read(objects, route)
    assert after["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert not routes.was_changed(what, after)
    rule = after["spec"]["rules"][0]
    assert (rule["filters"], rule["timeouts"]) == (filters, {"request": "30s"})
    assert rule["matches"][0]["path"] == {"type": "PathPrefix", "value": "/"}, "the server's default"
    assert [ref["weight"] for ref in rule["backendRefs"]] == [9_000, 1_000]


async def test_a_restarted_operator_changes_nothing_on_a_route_that_is_right(objects: Objects, route: Json) -> None:
    store = KindStore(objects, HTTP_ROUTES)
    first = await Routes(store).ensure(template(route), order(route, small=0), None)

    after = await Routes(store).ensure(template(route), order(route, small=0), await read(objects, route))

    assert after["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "change",
    [
        [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 9}],
        [{"op": "add", "path": "/spec/hostnames", "value": ["theirs.example.com"]}],
        [{"op": "add", "path": "/spec/rules/0/timeouts", "value": {"request": "1s"}}],
        [{"op": "add", "path": "/spec/rules/-", "value": {"backendRefs": [{"name": "theirs", "port": 80}]}}],
        [{"op": "add", "path": "/spec/parentRefs/-", "value": {"name": "theirs"}}],
        [{"op": "replace", "path": "/metadata/annotations/modelroute.dev~1stable", "value": "theirs"}],
    ],
    ids=["a weight", "a hostname", "a timeout", "a rule", "a parent", "our note"],
)
async def test_what_somebody_else_changed_is_put_back(
    stack: Stack, objects: Objects, route: Json, change: list[Json]
) -> None:
    routes, namespace = Routes(KindStore(objects, HTTP_ROUTES)), route["metadata"]["namespace"]
    first = await routes.ensure(template(route), order(route, small=1_000), None)
    stack.kubectl("patch", "httproute", NAME, "-n", namespace, "--type=json", "-p", json.dumps(change))

    await routes.ensure(template(route), order(route, small=1_000), await read(objects, route))

    after = await read(objects, route)
    assert after["spec"] == first["spec"]
    assert after["metadata"]["annotations"] == first["metadata"]["annotations"]


async def test_labels_and_annotations_of_others_are_left_alone(stack: Stack, objects: Objects, route: Json) -> None:
    routes, namespace = Routes(KindStore(objects, HTTP_ROUTES)), route["metadata"]["namespace"]
    first = await routes.ensure(template(route), order(route, small=0), None)
    stack.kubectl("label", "httproute", NAME, "-n", namespace, "team=chat")

    await routes.ensure(template(route), order(route, small=0), await read(objects, route))
    await routes.ensure(template(route), order(route, small=500), await read(objects, route))

    after = await read(objects, route)
    assert after["metadata"]["labels"] == {**first["metadata"]["labels"], "team": "chat"}


async def test_what_is_taken_out_of_the_spec_is_taken_off_the_route(objects: Objects, route: Json) -> None:
    routes = Routes(KindStore(objects, HTTP_ROUTES))
    full = template(route, hostnames=["chat.example.com"], timeouts={"request": "30s"})
    await routes.ensure(full, order(route, small=500, rollback_of="support-1"), None)

    after = await routes.ensure(template(route), order(route, small=500), await read(objects, route))

    assert not after["spec"].get("hostnames")
    assert "timeouts" not in after["spec"]["rules"][0]
    assert "modelroute.dev/rollback-of" not in after["metadata"]["annotations"]


async def test_a_route_that_somebody_else_made_is_not_taken_over(stack: Stack, objects: Objects, route: Json) -> None:
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME, "namespace": route["metadata"]["namespace"]},
        "spec": {"hostnames": ["theirs.example.com"]},
    }
    stack.apply(theirs)
    before = await read(objects, route)

    assert observe(before, template(route)).acceptance is Acceptance.FOREIGN
    with pytest.raises(Conflict):
        await Routes(KindStore(objects, HTTP_ROUTES)).ensure(template(route), order(route, small=0), None)
    assert await read(objects, route) == before


async def test_weights_do_not_rise_over_a_change_that_was_not_seen_but_a_rollback_does_not_ask(
    stack: Stack, objects: Objects, route: Json
) -> None:
    routes, namespace = Routes(KindStore(objects, HTTP_ROUTES)), route["metadata"]["namespace"]
    stale = await routes.ensure(template(route), order(route, small=500), None)
    stack.kubectl("label", "httproute", NAME, "-n", namespace, "team=chat")

    with pytest.raises(Conflict):
        await routes.ensure(template(route), order(route, small=2_500), stale)
    after = await routes.ensure(template(route), order(route, small=0, rollback_of="support-1"), stale, fenced=False)

    assert [ref["weight"] for ref in after["spec"]["rules"][0]["backendRefs"]] == [10_000, 0]


async def test_a_filter_that_gateway_api_does_not_know_is_invalid_and_the_route_stays(
    objects: Objects, route: Json
) -> None:
    routes = Routes(KindStore(objects, HTTP_ROUTES))
    before = await routes.ensure(template(route), order(route, small=0), None)

    with pytest.raises(Invalid, match="filters"):
        await routes.ensure(template(route, filters=[{"type": "Nonsense"}]), order(route, small=0), before)

    assert (await read(objects, route))["spec"] == before["spec"]


async def test_the_route_and_the_history_go_with_the_modelroute(stack: Stack, objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    await Routes(KindStore(objects, HTTP_ROUTES)).ensure(template(route), order(route, small=0), None)
    rollout, _ = written(route)
    await objects.create(MODEL_ROLLOUTS, namespace, rollout)

    stack.kubectl("delete", "modelroute", NAME, "-n", namespace)

    left = ("get", "httproutes,modelrollouts", "-n", namespace, "-o", "name")
    wait_until(lambda: stack.kubectl(*left) == "", what="the garbage collector took both")


# Statuses.


def written(route: Json) -> tuple[Json, Record]:
    """A ModelRollout with everything in it that the operator writes, and the record that it keeps."""
    parsed, namespace = parse(ModelRoute, route), route["metadata"]["namespace"]
    plan = plan_of(parsed.spec, namespace).with_boundaries({"errors": (2.0,)})
    stable = (Share("large", Backend(namespace, "large-v1", 8000), 10_000),)
    arms = arms_between(stable, plan.split)
    design = Design(plan.objectives, comparisons_of(arms, stable, plan.reference), plan.alpha, plan.beta)
    attempt = Attempt(f"{NAME}-1", 1, plan.revision, arms, plan.steps, design, 5.0, 5.0)
    progress = Progress(
        stage=Stage.ROLLING_BACK,
        step=1,
        started_at=NOON + 0.000001,
        step_at=NOON + 1,
        live_at=NOON + 2.5,
        consumed_until=NOON + 5,
        engine=start(design),
        requests={"small": 123.0},
        slowest_p99_s=1.25,
        unknown=(Unknown(Reason.NO_DATA, "nothing", "errors", "small"),),
        verdict=Verdict(Reason.HARM_DETECTED, "small is worse", NOON + 4, "errors", "small"),
        finished_at=NOON + 9,
    )
    spec = spec_of(attempt, parsed.spec, route=NAME, namespace=namespace, boundaries=plan.boundaries)
    body = {
        **identity(ModelRollout),
        "metadata": {
            "name": attempt.name,
            "namespace": namespace,
            "labels": {LABEL_ROUTE: NAME},
            "ownerReferences": [owner_reference(NAME, route["metadata"]["uid"])],
        },
        "spec": spec.to_wire(),
    }
    return body, Record(attempt, progress)


async def attempts(objects: Objects, namespace: str) -> list[Json]:
    return await objects.list(MODEL_ROLLOUTS, namespace, labels=f"{LABEL_ROUTE}={NAME}")


async def test_nothing_of_a_modelrollout_is_pruned(objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    body, record = written(route)
    made = await objects.create(MODEL_ROLLOUTS, namespace, body)
    status = status_of(record, ModelRolloutStatus())
    objectives = evidence_of(record, parse(ModelRoute, route).spec.objectives)
    told = {"reason": "RollingBack", "message": WORDS, "lacking": [WORDS], "objectives": objectives}
    status_wire = updated(status, told).to_wire()

    await objects.replace_status(MODEL_ROLLOUTS, namespace, record.attempt.name, {**made, "status": status_wire})

    (back,) = await attempts(objects, namespace)
    assert back["status"] == status_wire
    assert {key: back["spec"][key] for key in body["spec"]} == body["spec"]


async def test_nothing_of_a_modelroutes_status_is_pruned(objects: Objects, route: Json) -> None:
    namespace = route["metadata"]["namespace"]
    live = [{"arm": "large", "model": "large", "backend": f"{WORDS[:200]}:8000", "weight": 10_000}]
    parsed = parse(ModelRoute, {**route, "status": {"liveWeights": live}})
    _, record = written(route)
    observation = Observation(
        name=NAME,
        plan=plan_of(parsed.spec, namespace),
        problems=(Problem(Reason.NO_READY_ENDPOINTS, WORDS),),
        record=record,
        attempts=1,
        noted=None,
        gateway=Gateway(Acceptance.REJECTED, WORDS, {}, record.attempt.stable),
        look=Look(NOON, (WindowReading(NOON - 5, NOON, {}, {}, (Unknown(Reason.NO_DATA, WORDS),)),)),
        terms=Terms(5.0, 5.0, 1.0),
    )
    objectives = tuple(parsed.spec.objectives)
    gaps = (Gap("spec.metrics.source", WORDS, True),)
    there = Routed(template(route), None, None, observation.gateway, (), None)
    seen = Seen(route, parsed, there, kept_of(parsed, []), gaps, objectives, observation)
    split = order(route, small=2_500)
    decision = Decision(Phase.HOLDING, Reason.NO_DATA, WORDS, split, lacking=(WORDS, WORDS), stalled=True)
    status = route_status_of(seen, decision, now=NOON).to_wire()

    await objects.replace_status(MODEL_ROUTES, namespace, NAME, {**route, "status": status})

    back = await objects.get(MODEL_ROUTES, namespace, NAME)
    assert back is not None
    assert back["status"] == status
    assert set(status) >= {"phase", "message", "step", "live", "liveWeights", "stable", "verdict", "rollout", "attempt",
                           "revision", "lacking", "notInForce", "objectives", "conditions"}  # fmt: skip


# Events.


async def test_events_show_in_kubectl_describe_in_their_order(stack: Stack, objects: Objects, route: Json) -> None:
    namespace, events = route["metadata"]["namespace"], Events(objects)
    await events.announce(route, Announcement(Reason.STEP_STARTED, "step 1/2: small 20 %, large 80 %"), now=NOON)
    await events.announce(route, Announcement(Reason.HARM_DETECTED, "worse " * 400, warning=True), now=NOON + 1)

    described = stack.kubectl("describe", "modelroute", NAME, "-n", namespace)

    lines = described[described.index("Events:") :].splitlines()
    (started,) = [line for line in lines if "StepStarted" in line]
    (harm,) = [line for line in lines if "HarmDetected" in line]
    assert "Normal" in started
    assert "step 1/2: small 20 %, large 80 %" in started
    assert "Warning" in harm
    assert lines.index(started) < lines.index(harm)
