"""In-memory stand-ins for what a tick speaks to: an API server of a few kinds, a gateway, a Prometheus and a clock.

They have what a tick depends on: resourceVersions, generations that only a changed spec moves, UIDs, and a journal of
every write. `World.faults` decides before and after each write whether it fails, and how.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelroute.analysis.design import Outcomes
from modelroute.api.rollout_status import ModelRolloutStatus
from modelroute.api.status import ModelRouteStatus
from modelroute.cluster.client import Json
from modelroute.controller.ports import Ports
from modelroute.controller.settings import AnalysisSettings, PrometheusSettings, Settings
from modelroute.controller.tick import Ticker
from modelroute.errors import Conflict, Invalid, ModelRouteError, Unavailable
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.routes import Routes
from modelroute.metrics.reading import RouteQuery
from modelroute.metrics.sampler import most_windows
from modelroute.metrics.tokens import AMOUNTS
from modelroute.rollout.decision import Announcement
from modelroute.rollout.evidence import Tokens, WindowReading
from modelroute.rollout.observation import Problem
from modelroute.rollout.split import Backend

NAMESPACE, NAME = "chat", "support"
T0 = 1_767_355_200.0
WINDOW_S = 5.0
STEP: Json = {"minDuration": "5s", "minRequests": 30}
TOKENS = {"large-v1": (1000.0, 200.0), "small-v1": (1000.0, 50.0), "small-v2": (1000.0, 60.0)}
"""Tokens that a request takes, read and generated, by Service."""


class Crash(Exception):
    """The operator dies here; nothing of ours may catch it."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write that reached (or would have reached) the API server."""

    kind: str
    verb: str
    name: str
    body: Json

    def __str__(self) -> str:
        return f"{self.verb} {self.kind}"


Fault = Callable[[Write], Exception | None]


def nothing_fails(_write: Write) -> Exception | None:
    return None


@dataclass(slots=True)
class Faults:
    """`before` a write keeps it from happening; `after` it has happened, and only the answer is lost."""

    before: Fault = nothing_fails
    after: Fault = nothing_fails


class Kind:
    """Objects of one kind, as `cluster.store.KindStore` has them."""

    def __init__(self, world: World, kind: str) -> None:
        self._world, self._kind = world, kind

    async def get(self, namespace: str, name: str) -> Json | None:
        self._world.read(self._kind)
        return copy.deepcopy(self._world.objects.get((self._kind, namespace, name)))

    async def list(self, namespace: str, *, labels: str) -> list[Json]:
        self._world.read(self._kind)
        key, _, value = labels.partition("=")
        return [
            copy.deepcopy(each)
            for (kind, where, _), each in self._world.objects.items()
            if (kind, where) == (self._kind, namespace) and (each["metadata"].get("labels") or {}).get(key) == value
        ]

    async def create(self, namespace: str, body: Json) -> Json:
        name = body["metadata"]["name"]

        def do() -> Json:
            if (self._kind, namespace, name) in self._world.objects:
                raise Conflict(f"{self._kind} {name} already exists")
            # Like any kind with a status subresource: what is created has none.
            return self._world.store(self._kind, {**body, "status": {}})

        return self._world.write(Write(self._kind, "create", name, body), do)

    async def apply(self, namespace: str, name: str, body: Json) -> Json:
        def do() -> Json:
            before = self._world.objects.get((self._kind, namespace, name), {})
            self._check_version(before, body)
            return self._world.store(self._kind, {**body, "status": before.get("status", {})})

        return self._world.write(Write(self._kind, "apply", name, body), do)

    async def replace_status(self, namespace: str, name: str, body: Json) -> Json:
        def do() -> Json:
            before = self._world.objects.get((self._kind, namespace, name))
            if before is None:
                raise Unavailable("404")
            self._check_version(before, body)
            _check_schema(self._kind, body["status"])
            return self._world.store(self._kind, {**before, "status": body["status"]})

        return self._world.write(Write(self._kind, "status", name, body), do)

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json:
        """The operations that the operator uses, `test`, `add` and `remove`, as RFC 6902 has them."""

        def do() -> Json:
            before = self._world.objects.get((self._kind, namespace, name))
            if before is None:
                raise Unavailable("404")
            patched = copy.deepcopy(before)
            for operation in operations:
                _patched(patched, operation)
            stored = self._world.store(self._kind, patched)
            if patched["metadata"].get("deletionTimestamp") and not patched["metadata"].get("finalizers"):
                self._world.objects.pop((self._kind, namespace, name), None)
            return stored

        return self._world.write(Write(self._kind, "patch", name, {"operations": list(operations)}), do)

    async def delete(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        def do() -> Json:
            found = self._world.objects.get((self._kind, namespace, name))
            if found is not None and found["metadata"]["uid"] != uid:
                raise Conflict("the UID is another one")
            if found is not None and version not in {None, found["metadata"]["resourceVersion"]}:
                raise Conflict("the object has been modified")
            self._world.objects.pop((self._kind, namespace, name), None)
            return {}

        self._world.write(Write(self._kind, "delete", name, {}), do)

    @staticmethod
    def _check_version(before: Json, body: Json) -> None:
        version = body["metadata"].get("resourceVersion")
        if version is not None and version != before.get("metadata", {}).get("resourceVersion"):
            raise Conflict("the object has been modified")


def _patched(document: Json, operation: Json) -> None:
    *parents, last = [int(part) if part.isdecimal() else part for part in operation["path"].split("/")[1:]]
    where: Any = document
    for part in parents:
        where = where[part] if isinstance(where, list) else where.get(part, {})
    match operation["op"]:
        case "test":
            found = where[last] if isinstance(where, list) else where.get(last)
            if found != operation["value"]:
                raise Invalid(f"422: testing path {operation['path']} failed")
        case "add" if isinstance(where, list) and last == "-":
            where.append(operation["value"])
        case "add":
            where[last] = operation["value"]
        case "remove":
            del where[last]
        case other:
            raise Invalid(f"422: {other}")


def _check_schema(kind: str, status: Json) -> None:
    """Refuse what the API server would refuse: texts and lists that are too long, which our types cut."""
    of = ModelRouteStatus if kind == "modelroutes" else ModelRolloutStatus
    if of.model_validate(status).to_wire() != status:
        raise Invalid("422: Too long: may not be more than what the schema says")


class Backends:
    """Every Service is there and ready, unless `answer` says otherwise; the Services of `closing` may not be named."""

    def __init__(self) -> None:
        self.answer: Callable[[Backend, str], Problem | None] = lambda _backend, _field: None
        self.closing: dict[str, Problem] = {}

    async def closed(self, backends: Iterable[Backend], *, to: str) -> Mapping[Backend, Problem]:
        return {each: self.closing[each.name] for each in backends if each.name in self.closing}

    async def problem_with(self, backend: Backend, *, field: str) -> Problem | None:
        return self.answer(backend, field)


class Events:
    def __init__(self, world: World) -> None:
        self._world = world

    async def announce(self, about: Json, said: Announcement, *, now: float) -> None:
        def do() -> Json:
            self._world.events.append(said)
            self._world.told_at.append(now)
            return {}

        self._world.write(Write("events", "create", said.reason.value, {"message": said.message}), do)


class Counting(Protocol):
    """What counts are made of: requests a window, which part of an arm's is bad, and the weights on the route.

    `bad_share` is by Service; of one objective alone by `objective/Service`.
    """

    requests: float
    bad_share: dict[str, float]
    prometheus_problem: Exception | None

    def weights_at(self, at: float) -> dict[str, int]:
        """The weights that the route had at `at` (unix seconds)."""
        ...


class Prometheus:
    """Counts for every window: each arm that the route gives traffic gets its share of the requests."""

    def __init__(self, world: Counting) -> None:
        self._world = world

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        if self._world.prometheus_problem is not None:
            raise self._world.prometheus_problem
        return tuple(self._windows(query))

    def _windows(self, query: RouteQuery) -> Iterator[WindowReading]:
        # No more at once than the sampler gives.
        until = query.until - getattr(self._world, "late_s", 0.0) // query.window_s * query.window_s
        count = min(round((until - query.since) / query.window_s), most_windows(query.window_s))
        for index in range(count):
            start = query.since + index * query.window_s
            weights = self._world.weights_at(start)
            outcomes, completions, tokens = {}, {}, {}
            for arm in query.arms:
                total = float(round(self._world.requests * weights.get(arm.service, 0) / 10_000))
                shares = self._world.bad_share
                completions[arm.name] = total
                for objective in query.objectives:
                    if objective.metric in AMOUNTS:
                        read, generated = TOKENS[arm.service]
                        tokens[arm.name] = Tokens(read * total, generated * total, total)
                        continue
                    share = shares.get(f"{objective.name}/{arm.service}", shares.get(arm.service, 0.0))
                    if start < getattr(self._world, "bad_since", -math.inf):
                        share = 0.0
                    bad = float(round(total * share))
                    outcomes[objective.name, arm.name] = Outcomes(total, (bad,), bad)
            yield WindowReading(start, start + query.window_s, outcomes, completions, (), tokens=tokens)


@dataclass(slots=True)
class World:
    """Everything outside of the operator. The gateway takes a route at once unless `gateway_takes` is False.

    It rejects every route where `gateway_rejects`, else one that lists a Service of `unresolved`.
    """

    now: float = T0
    requests: float = 600.0
    bad_share: dict[str, float] = field(default_factory=dict)
    bad_since: float = -math.inf
    """From which window on `bad_share` holds; before it nothing was bad."""
    gateway_takes: bool = True
    gateway_rejects: bool = False
    unresolved: set[str] = field(default_factory=set)
    prometheus_problem: Exception | None = None
    late_s: float = 0.0
    """How much later than usual samples arrive, in whole windows."""
    read_problem: Callable[[str], Exception | None] = lambda _kind: None
    faults: Faults = field(default_factory=Faults)
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    journal: list[Write] = field(default_factory=list)
    events: list[Announcement] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)
    served: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """The weights of the route, and since when it had them."""
    backends: Backends = field(default_factory=Backends)
    _version: int = 0

    # What the operator does.

    def ticker(self) -> Ticker:
        """A fresh operator: it remembers nothing."""
        settings = Settings(
            prometheus={"default": PrometheusSettings.model_validate({"url": "http://p", "scrapeInterval": "1s"})},
            analysis=AnalysisSettings.model_validate({"window": f"{WINDOW_S:.0f}s", "settleMin": "5s"}),
        )
        return Ticker(
            Ports(
                model_routes=Kind(self, "modelroutes"),
                model_rollouts=Kind(self, "modelrollouts"),
                routes=Routes(Kind(self, "httproutes")),
                adopted=AdoptedRoutes(Kind(self, "httproutes")),
                backends=self.backends,
                events=Events(self),
                readers={"default": Prometheus(self)},
                settings=settings,
            ),
            lambda: self.now,
        )

    def read(self, kind: str) -> None:
        problem = self.read_problem(kind)
        if problem is not None:
            raise problem

    def write(self, write: Write, do: Callable[[], Json]) -> Json:
        if (problem := self.faults.before(write)) is not None:
            raise problem
        answer = copy.deepcopy(do())
        self.journal.append(write)
        if (problem := self.faults.after(write)) is not None:
            raise problem
        return answer

    def store(self, kind: str, body: Json) -> Json:
        """Keep an object as the API server would, with a new resourceVersion and, for a new spec, generation."""
        stored = copy.deepcopy(body)
        metadata = stored["metadata"]
        key = kind, metadata.setdefault("namespace", NAMESPACE), metadata["name"]
        before = self.objects.get(key)
        self._version += 1
        same = before is not None and before.get("spec") == stored.get("spec")
        generation = 0 if before is None else before["metadata"]["generation"]
        metadata["uid"] = before["metadata"]["uid"] if before else f"uid-{self._version}"
        metadata["generation"] = generation if same else generation + 1
        metadata["resourceVersion"] = str(self._version)
        if kind == "httproutes" and (self.gateway_rejects or self._unresolved(stored)):
            stored["status"] = {"parents": [_rejecting(each) for each in self._taken(stored)]}
        elif kind == "httproutes" and self.gateway_takes:
            stored["status"] = {"parents": self._taken(stored)}
        self.objects[key] = stored
        if kind == "httproutes":
            self.served.append((self.now, self.weights()))
        return stored

    @staticmethod
    def _taken(route: Json) -> list[Json]:
        generation = route["metadata"]["generation"]
        conditions = [
            {"type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation}
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = route["spec"].get("parentRefs") or []
        return [{"parentRef": ref, "controllerName": "example.com/gw", "conditions": conditions} for ref in parents]

    def _unresolved(self, route: Json) -> set[str]:
        rules = route["spec"].get("rules") or []
        return self.unresolved & {ref["name"] for rule in rules for ref in rule.get("backendRefs") or []}

    def the_gateway(self, *, takes: bool = False, rejects: bool = False) -> None:
        """From now on; the routes that are there are looked at anew."""
        self.gateway_takes, self.gateway_rejects = takes, rejects
        for (kind, _, _), route in list(self.objects.items()):
            if kind == "httproutes":
                self.store(kind, {**route, "status": {}})

    # What a person does and sees.

    def apply(self, *, large: int = 60, small: int = 40, small_service: str = "small-v1", **spec: Any) -> None:
        """`kubectl apply` of a ModelRoute with two models."""
        body = manifest(large=large, small=small, small_service=small_service, **spec)
        before = self.objects.get(("modelroutes", NAMESPACE, NAME), {})
        kept = {
            key: before["metadata"][key] for key in ("annotations", "finalizers") if key in before.get("metadata", {})
        }
        self.store(
            "modelroutes", {**body, "metadata": {**body["metadata"], **kept}, "status": before.get("status", {})}
        )

    def act(self, request: str) -> None:
        """`kubectl annotate --overwrite … modelroute.dev/action=request`; a bare verb gets the token that is due."""
        body = self.get("modelroutes")
        if "@" not in request:
            request = f"{request}@{self.status.get('nextAction', '')}"
        metadata = {**body["metadata"], "annotations": {"modelroute.dev/action": request}}
        self.store("modelroutes", {**body, "metadata": metadata})

    def said(self, reason: str) -> list[str]:
        """The messages of the events with that reason."""
        return [event.message for event in self.events if event.reason == reason]

    def delete(self) -> None:
        """The ModelRoute, and by its owner references all that it owns."""
        self.objects.clear()

    def get(self, kind: str, name: str = NAME) -> Json:
        return self.objects.get((kind, NAMESPACE, name), {})

    @property
    def status(self) -> Json:
        status: Json = self.get("modelroutes").get("status") or {}
        return status

    def rollouts(self) -> list[Json]:
        found = [each for (kind, _, _), each in self.objects.items() if kind == "modelrollouts"]
        return sorted(found, key=lambda each: int(each["spec"]["attempt"]))

    def weights(self) -> dict[str, int]:
        """The weights that the HTTPRoute carries, by Service."""
        rules = self.get("httproutes").get("spec", {}).get("rules") or [{}]
        return {ref["name"]: ref["weight"] for ref in rules[0].get("backendRefs") or []}

    def weights_at(self, at: float) -> dict[str, int]:
        """What the route had at `at`; before the world began, what it began with: nobody is born without a past."""
        before = next((weights for _, weights in self.served if weights), {})
        return next((weights for since, weights in reversed(self.served) if since <= at), before)

    def splits(self) -> list[Mapping[str, int]]:
        """Every split that was ordered, in order, without repetitions."""
        found: list[Mapping[str, int]] = []
        for write in self.journal:
            if str(write) != "apply httproutes":
                continue
            refs = write.body["spec"]["rules"][0]["backendRefs"]
            split = {ref["name"]: ref["weight"] for ref in refs if ref["weight"]}
            if not found or found[-1] != split:
                found.append(split)
        return found


def _rejecting(parent: Json) -> Json:
    conditions = [{**each, "status": "False", "message": "no such listener"} for each in parent["conditions"]]
    return {**parent, "conditions": conditions}


def manifest(*, large: int, small: int, small_service: str = "small-v1", **spec: Any) -> Json:
    """A ModelRoute of two models, with two steps of seconds; a field of `spec` that is None is left away."""
    body: Json = {
        "apiVersion": "modelroute.dev/v1alpha1",
        "kind": "ModelRoute",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "inference"}],
            "models": [
                {"name": "large", "tier": "Large", "weight": large, "backendRef": {"name": "large-v1", "port": 8000}},
                {
                    "name": "small",
                    "tier": "Small",
                    "weight": small,
                    "backendRef": {"name": small_service, "port": 8000},
                },
            ],
            "objectives": [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}],
            "rollout": {"steps": [{**STEP, "progress": 50}, {**STEP, "progress": 100}]},
            **spec,
        },
    }
    body["spec"] = {field: value for field, value in body["spec"].items() if value is not None}
    return body


async def run_for(world: World, ticker: Ticker, seconds: float, *, retry_s: float = 15.0) -> int:
    """Tick for that long as often as the ticks themselves ask for, after one that failed in `retry_s`; how many."""
    end, ticks = world.now + seconds, 0
    while world.now < end:
        ticks += 1
        try:
            delay = await ticker.tick(NAMESPACE, NAME)
        except ModelRouteError:
            delay = retry_s
        assert delay is not None, "the ModelRoute is gone"
        world.now += min(delay, max(end - world.now, 0.05))
    return ticks


async def run_until(world: World, ticker: Ticker, holds: Callable[[Json], bool], *, within_s: float = 600.0) -> None:
    """Tick as often as the ticks themselves ask for, until the status `holds`."""
    end = world.now + within_s
    while world.now < end:
        delay = await ticker.tick(NAMESPACE, NAME)
        if holds(world.status):
            return
        assert delay is not None, "the ModelRoute is gone"
        assert math.isfinite(delay)
        assert delay > 0
        world.now += delay
    raise AssertionError(f"never; last: {world.status.get('phase')}: {world.status.get('message')}")


def in_phase(phase: str, *, attempt: int | None = None) -> Callable[[Json], bool]:
    return lambda status: status.get("phase") == phase and attempt in (None, status.get("attempt"))
