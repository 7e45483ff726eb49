"""Random people, verdicts, gateways, faults, restarts and time, played against what has to hold after every tick.

`MODELROUTE_LONG=1` plays more and longer, `MODELROUTE_EXAMPLES` of them (300), and others each time: `make plays`.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tests.fakes import NAME, NAMESPACE, STEP, WINDOW_S, Crash, Kind, Prometheus, World, Write
from tests.unit.test_adoption import ADOPTING, OWN, own_route, ref

from modelroute.cluster.client import Json
from modelroute.controller.kept import turn_of
from modelroute.controller.tick import Ticker
from modelroute.errors import Conflict, ModelRouteError, Unavailable
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.routes import Routes
from modelroute.metrics.reading import RouteQuery
from modelroute.rollout.attempt import Stage
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import TOTAL

LONG = bool(os.environ.get("MODELROUTE_LONG"))
EXAMPLES, RULES = (int(os.environ.get("MODELROUTE_EXAMPLES", "300")), 40) if LONG else (12, 16)
SETTLE_S = 5.0
LAG_S = 2.0
"""Two scrapes: no window that ended later than that is whole."""
SECRET = "Bearer s3cr3t-of-a-user"
SERVICES = ("large-v1", "small-v1", "extra-v1", "small-v2")
OBJECTIVES: list[Json] = [
    {"name": "errors", "metric": "ErrorRate", "max": "20%", "maxIncrease": "2pp"},
    {"name": "pausing", "metric": "ErrorRate", "maxIncrease": "2pp", "onBreach": "Pause"},
]
ENDED = frozenset({Stage.ROLLING_BACK, Stage.ROLLED_BACK, Stage.ABORTED, Stage.SUPERSEDED})


class Blind(Prometheus):
    """A Prometheus that may lose every sample of the objectives: its windows say so."""

    def __init__(self, world: Surroundings) -> None:
        super().__init__(world)
        self._surroundings = world

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        found = await super().read(query)
        if not self._surroundings.gap:
            return found
        why = (Unknown(Reason.SCRAPE_GAP, "a target was not scraped"),)
        return tuple(replace(each, outcomes={}, completions={}, unknown=why) for each in found)


class Snapshot(Kind):
    """Reads what there was a while ago, as a cache or an old leader does; writes are real."""

    def __init__(self, world: Surroundings, kind: str) -> None:
        super().__init__(world, kind)
        self._surroundings = world

    async def get(self, namespace: str, name: str) -> Json | None:
        with self._surroundings.as_it_was():
            return await super().get(namespace, name)

    async def list(self, namespace: str, *, labels: str) -> list[Json]:
        with self._surroundings.as_it_was():
            return await super().list(namespace, labels=labels)


class _Past:
    """While it is entered, the world's objects are those of `then`."""

    def __init__(self, world: Surroundings, then: dict[tuple[str, str, str], Json] | None) -> None:
        self._world, self._then, self._now = world, then, world.objects

    def __enter__(self) -> None:
        if self._then is not None:
            self._world.objects = self._then

    def __exit__(self, *_: object) -> None:
        self._world.objects = self._now


@dataclass(slots=True)
class Surroundings(World):
    """A world that keeps book of the route: every split that was written, and since when the present one is live."""

    adopted: bool = False
    gap: bool = False
    past: dict[tuple[str, str, str], Json] | None = None
    ordered: list[Mapping[str, int]] = field(default_factory=list)
    standing: list[Json | None] = field(default_factory=list)
    """For each order, the last ModelRollout that had begun when it was given, as it was written then."""
    carried: Mapping[str, int] = field(default_factory=dict)
    live_since: float | None = None

    @property
    def route(self) -> Json:
        return self.get("httproutes", OWN if self.adopted else NAME)

    def weights(self) -> dict[str, int]:
        rules = self.route.get("spec", {}).get("rules") or [{}]
        return {each["name"]: each.get("weight", 1) for each in rules[-1].get("backendRefs") or []}

    def as_it_was(self) -> _Past:
        return _Past(self, self.past)

    def operator(self, *, stale: bool = False) -> Ticker:
        ticker = self.ticker()
        kind = Snapshot if stale else Kind
        ports = replace(
            ticker.ports,
            model_routes=kind(self, "modelroutes"),
            model_rollouts=kind(self, "modelrollouts"),
            routes=Routes(kind(self, "httproutes")),
            adopted=AdoptedRoutes(kind(self, "httproutes")),
            readers={"default": Blind(self)},
        )
        return replace(ticker, ports=ports)

    def store(self, kind: str, body: Json) -> Json:
        stored = World.store(self, kind, body)
        if kind == "httproutes":
            self.note(accepted=self.gateway_takes and not self.gateway_rejects)
        return stored

    def note(self, *, accepted: bool) -> None:
        carried = {name: weight for name, weight in self.weights().items() if weight}
        if carried != self.carried:
            self.carried, self.live_since = carried, None
        if accepted and self.live_since is None:
            self.live_since = self.now

    def write(self, write: Write, do: Any) -> Json:
        if write.kind != "httproutes":
            return World.write(self, write, do)

        def noted() -> Json:
            answer: Json = do()
            # A route is made empty first, and serves nothing then.
            if weights := self.weights():
                self.ordered.append(weights)
                self.standing.append(copy.deepcopy(self.latest()))
            return answer

        return World.write(self, write, noted)

    def begun(self) -> Iterator[Json]:
        """In their turns: a promotion that the guard took back is the latest again."""
        begun = (each for each in self.rollouts() if (each.get("status") or {}).get("phase"))
        return iter(sorted(begun, key=turn_of))

    def latest(self) -> Json | None:
        """The last ModelRollout that has begun."""
        return ([None, *self.begun()])[-1]


def _version(body: Json | None) -> str:
    return str(((body or {}).get("metadata") or {}).get("resourceVersion", ""))


def _asked(record: Json, stage: Stage | None = None) -> dict[str, float]:
    """The weights, before they are rounded, that a ModelRollout asks for by Service: in its stage, or in another."""
    spec, stage = record["spec"], stage or Stage(record["status"]["phase"])
    progress = {Stage.PROGRESSING: spec["steps"][record["status"].get("stepIndex", 0)]["progress"], Stage.PROMOTED: 100}
    services = {arm["name"]: arm["backendRef"]["name"] for arm in spec["arms"]}
    start, end = ({share["arm"]: share["weight"] for share in spec[key]} for key in ("from", "to"))
    way = progress.get(stage, 0) / 100
    return {name: start.get(arm, 0) + way * (end.get(arm, 0) - start.get(arm, 0)) for arm, name in services.items()}


def _is_about(split: Mapping[str, int], asked: Mapping[str, float]) -> bool:
    return all(abs(split.get(name, 0) - weight) < 1 for name, weight in asked.items())


def _is_no_more_than_its_step(split: Mapping[str, int], record: Json | None) -> None:
    """(b): an order gives no candidate more than the step that is written down, which is left on a pass alone."""
    if record is None or Stage(record["status"]["phase"]) is not Stage.PROGRESSING:
        return
    asked, stable = _asked(record), _asked(record, Stage.ROLLING_BACK)
    more = {name: split[name] for name, weight in asked.items() if split.get(name, 0) >= max(weight, stable[name]) + 1}
    assert not more, f"more than its step gives: {more}, for {asked}"


class Told(logging.Handler):
    """All that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Lifecycle(RuleBasedStateMachine):
    """One ModelRoute on a route of the operator's own."""

    adopted = False
    patience = 1500
    """Ticks within which every state has to be left."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Surroundings(adopted=self.adopted)
        self.loop = asyncio.new_event_loop()
        self.ticker, self.other = self.world.operator(), self.world.operator(stale=True)
        self.models: dict[str, tuple[str, int]] = {"large": ("large-v1", 100), "small": ("small-v1", 0)}
        self.spec: dict[str, Any] = {}
        self.told = Told()
        self.retried = False
        self.blind_since: float | None = None
        self.barred: set[str] = set()
        self.gone_back: set[str] = set()
        self.bytes: Json | None = None
        logging.getLogger("modelroute").addHandler(self.told)

    def teardown(self) -> None:
        try:
            if self.world.get("modelroutes"):
                self.leads_out()
        finally:
            logging.getLogger("modelroute").removeHandler(self.told)
            self.loop.close()

    # What people do.

    @initialize(
        approval=st.booleans(),
        deadline=st.sampled_from(["24h", "3m"]),
        action=st.sampled_from(["Hold", "RollBack"]),
        small=st.sampled_from([40, 40, 100, 0]),
    )
    def applied(self, approval: bool, deadline: str, action: str, small: int = 0) -> None:
        """Most plays begin with a rollout under way: what goes wrong goes wrong then."""
        steps = [{**STEP, "progress": 25, "approval": approval}, {**STEP, "progress": 60}, {**STEP, "progress": 100}]
        self.spec = {
            "objectives": OBJECTIVES,
            "rollout": {"steps": steps, "progressDeadline": deadline, "onDeadline": action},
            "guard": {"bake": "10m", "onBreach": "RollBack"},
        }
        header = {"name": "Authorization", "value": SECRET}
        filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [header]}}]
        if self.adopted:
            refs = [ref(name, 100 if name == "large-v1" else 0) for name in SERVICES]
            route = own_route()
            route["spec"]["rules"][-1] |= {"backendRefs": refs, "filters": filters}
            self.world.store("httproutes", route)
            self.bytes = self._bytes()
            self.spec |= ADOPTING
        else:
            self.spec["filters"] = filters
        self._apply()
        self._ticks(3)
        if small:
            self._change(large=100 - small, small=small)

    @rule(large=st.sampled_from([0, 30, 60, 100]), small=st.sampled_from([0, 30, 40, 100]))
    def weights_are_applied(self, large: int, small: int) -> None:
        if large + small == 0:
            large = 100
        self._change(large=large, small=small)

    @rule()
    def the_small_model_has_another_version(self) -> None:
        service, weight = self.models["small"]
        self.models["small"] = ("small-v2" if service == "small-v1" else "small-v1", weight)
        self._apply()
        self._tick()

    @rule(weight=st.sampled_from([0, 20, 50]))
    def a_third_model_is_there(self, weight: int) -> None:
        self.models["extra"] = ("extra-v1", weight)
        self._apply()
        self._tick()

    @precondition(lambda self: "extra" in self.models)
    @rule()
    def the_third_model_is_removed(self) -> None:
        del self.models["extra"]
        if not any(weight for _, weight in self.models.values()):
            self.models["large"] = ("large-v1", 100)
        self._apply()
        self._tick()

    @rule()
    def the_spec_is_reverted_to_what_is_stable(self) -> None:
        stable = {each["model"]: each for each in self.world.status.get("stable") or []}
        if stable and set(stable) <= set(self.models):
            for name, (service, _) in self.models.items():
                share = stable.get(name)
                self.models[name] = (share["backendRef"]["name"], share["weight"]) if share else (service, 0)
            self._apply()
            self._tick()

    @rule(paused=st.booleans())
    def the_spec_pauses(self, paused: bool) -> None:
        self.spec["paused"] = paused
        self._apply()
        self._tick()

    @rule(
        verb=st.sampled_from(["approve", "promote", "promote-full", "pause", "resume", "abort", "retry"]),
        stale=st.sampled_from([False, False, False, True]),
    )
    def a_verb_is_said(self, verb: str, stale: bool) -> None:
        if not self.world.get("modelroutes"):
            return
        self.retried = verb == "retry" and not stale
        self.world.act(f"{verb}@0000000000.1" if stale else verb)
        self._tick()

    @rule()
    def it_is_deleted_and_made_again(self) -> None:
        """What it owned goes with it; an adopted route stays, put back."""
        body = self.world.get("modelroutes")
        if body.get("metadata", {}).get("finalizers"):
            self.world.store("modelroutes", {**body, "metadata": {**body["metadata"], "deletionTimestamp": "now"}})
            for _ in range(20):
                self._tick()
                if not self.world.get("modelroutes"):
                    break
        for key in [key for key in self.world.objects if key[0] != "httproutes" or not self.adopted]:
            if key[0] == "modelroutes" and body.get("metadata", {}).get("finalizers"):
                # The faults of the API server kept it from going.
                self.world.faults.before = self.world.faults.after = lambda _write: None
                self._tick()
            self.world.objects.pop(key, None)
        self.world.note(accepted=False)
        self.world.ordered.clear()
        self.world.standing.clear()
        self.ticker = self.world.operator()
        self.barred.clear()
        self._apply()
        self._ticks(3)

    @precondition(lambda self: any(self.world.begun()))
    @rule()
    def somebody_deletes_the_record(self) -> None:
        latest = list(self.world.begun())[-1]
        del self.world.objects["modelrollouts", NAMESPACE, latest["metadata"]["name"]]
        self._ticks(3)

    # What the models, Prometheus, the gateway and the API server do.

    @rule(service=st.sampled_from(SERVICES), share=st.sampled_from([0.0, 0.0, 0.03, 0.3]), one=st.booleans())
    def failures_come_and_go(self, service: str, share: float, one: bool) -> None:
        self.world.bad_share[f"pausing/{service}" if one else service] = share
        self._ticks(4)

    @precondition(lambda self: any(self._candidates()))
    @rule(then=st.integers(4, 12))
    def every_candidate_fails(self, then: int) -> None:
        for service in self._candidates():
            self.world.bad_share[service] = 0.3
        self._ticks(then)

    @rule(requests=st.sampled_from([0.0, 20.0, 600.0]))
    def traffic_changes(self, requests: float) -> None:
        self.world.requests = requests
        self._ticks(2)

    @rule(down=st.booleans(), gap=st.booleans())
    def prometheus_is(self, down: bool, gap: bool) -> None:
        self.world.prometheus_problem = Unavailable("down") if down else None
        self.world.gap = gap
        self.blind_since = (self.blind_since or self.world.now) if down or gap else None
        self._ticks(4)

    @rule(how=st.sampled_from(["takes", "takes", "keeps silent", "rejects"]))
    def the_gateway(self, how: str) -> None:
        self.world.the_gateway(takes=how == "takes", rejects=how == "rejects")
        self._ticks(4)

    @rule(weight=st.integers(0, 9), times=st.sampled_from([1, 1, 7]))
    def somebody_edits_the_route(self, weight: int, times: int) -> None:
        for each in range(times):
            if self.world.route:
                route = copy.deepcopy(self.world.route)
                route["spec"]["rules"][-1]["backendRefs"][0]["weight"] = 4321 + weight * 10 + each
                self.world.store("httproutes", route)
            self._tick()

    @rule(
        kind=st.sampled_from(["modelroutes", "modelrollouts", "httproutes"]),
        how=st.sampled_from(["unavailable", "conflict", "crash"]),
        after=st.booleans(),
        times=st.integers(1, 4),
    )
    def writes_fail(self, kind: str, how: str, after: bool, times: int) -> None:
        left = [times]

        def fault(write: Write) -> Exception | None:
            if write.kind != kind or not left[0]:
                return None
            left[0] -= 1
            return {"unavailable": Unavailable("503"), "conflict": Conflict("409"), "crash": Crash()}[how]

        if after:
            self.world.faults.after = fault
        else:
            self.world.faults.before = fault
        self._ticks(3)

    @rule()
    def the_operator_is_restarted(self) -> None:
        self.ticker = self.world.operator()
        self._tick()

    @rule(first=st.integers(1, 3))
    def another_operator_acts_on_what_it_read_before(self, first: int) -> None:
        self.world.past = copy.deepcopy(self.world.objects)
        self._ticks(first)
        self._acts_on_the_past()
        self.world.past = None
        self._ticks(2)

    @rule(count=st.sampled_from([5, 20]))
    def time_passes(self, count: int) -> None:
        self._ticks(count)

    @rule()
    def the_operator_is_away_for_a_while(self) -> None:
        self.world.now += 400
        self._tick()

    # What has to hold.

    def _check(self, before: Mapping[str, Json], since: int) -> None:
        world = self.world
        for split in world.ordered[since:]:
            assert all(isinstance(weight, int) and weight >= 0 for weight in split.values()), split
            assert sum(split.values()) == TOTAL, split
        if self.bytes is not None:
            assert self._bytes() == self.bytes, "a byte of the adopted route that is no weight"
        told = [*self.told.lines, *(said.message for said in world.events), str(world.status)]
        told += [str(each.get("status")) for each in world.rollouts()]
        assert not any(SECRET in line for line in told), "a secret was told"
        self.told.lines.clear()
        for split, record in zip(world.ordered[since:], world.standing[since:], strict=True):
            _is_no_more_than_its_step(split, record)
        self._rises(before, since)

    def _rises(self, before: Mapping[str, Json], since: int) -> None:
        """(b), (c) and (e): what the operator ordered, against what this test knows of the traffic."""
        begun = list(self.world.begun())
        if not begun:
            return
        latest = begun[-1]
        uid, stage = latest["metadata"]["uid"], Stage(latest["status"]["phase"])
        was = before.get(uid)
        if was is None and latest["spec"]["revision"] in self._refused(begun[:-1]):
            assert latest["spec"]["trigger"] == "Retry", "a refused revision was tried again"
            assert self.retried, "nobody said retry"
        stable = {share["arm"]: share["weight"] for share in latest["spec"]["from"]}
        wanted = {share["arm"]: share["weight"] for share in latest["spec"]["to"]}
        services = {arm["name"]: arm["backendRef"]["name"] for arm in latest["spec"]["arms"]}
        candidates = {services[arm]: stable.get(arm, 0) for arm in wanted if wanted[arm] > stable.get(arm, 0)}
        if was is not None:
            self._is_not_undone(uid, {services[arm]: weight for arm, weight in stable.items()}, candidates, since)
        if stage in ENDED and was is not None:
            # Also in the tick that came to the verdict: after it there is no order but the way back.
            for split in self.world.ordered[since:]:
                risen = {name: split[name] for name in candidates if split.get(name, 0) > candidates[name]}
                assert not risen, f"risen after the verdict: {risen}"
        if stage in ENDED:
            self.barred.add(uid)
        else:
            assert uid not in self.barred, "an attempt that was given up goes on"
        if was is None:
            return
        if was["status"].get("step") == latest["status"].get("step") and was["status"]["phase"] == stage:
            return
        if stage in ENDED:
            return
        self._was_a_pass()

    def _acts_on_the_past(self) -> None:
        """(f): who read a record or a route that has changed since changes no weight, or takes a candidate's away."""
        world, since = self.world, len(self.world.ordered)
        carried, record, route = world.weights(), copy.deepcopy(world.latest()), _version(world.route)
        with world.as_it_was():
            read, is_late = world.latest(), route != _version(world.route)
            is_late = is_late or _version(record) != _version(read)
            back = None if read is None else _asked(read, Stage.ROLLING_BACK)
        now = None if record is None else _asked(record)
        self._tick(self.other)
        for split in world.ordered[since:] if is_late else ():
            right = split == carried or any(each is not None and _is_about(split, each) for each in (now, back))
            assert right, f"changed by who had read the past: {carried} to {split}"

    def _refused(self, earlier: list[Json]) -> set[str]:
        """What may not be tried again by itself: of the attempt before, or noted where its record is gone."""
        refused = {self._noted_before}
        if earlier and Stage(earlier[-1]["status"]["phase"]) in {Stage.ROLLED_BACK, Stage.ABORTED}:
            refused.add(earlier[-1]["spec"]["revision"])
        return refused

    def _is_not_undone(self, uid: str, back: Mapping[str, int], candidates: Mapping[str, int], since: int) -> None:
        """A rollback that reached the route stays, whether or not anything else of it could be written down."""
        for split in self.world.ordered[since:]:
            if uid in self.gone_back:
                risen = {name: split[name] for name in candidates if split.get(name, 0) > candidates[name]}
                assert not risen, f"a rollback was undone: {risen}"
            if all(split.get(name, 0) == weight for name, weight in back.items()):
                self.gone_back.add(uid)

    def _was_a_pass(self) -> None:
        assert self._live_before is not None, "a step was left that was never live"
        counted_s = self.world.now - LAG_S - self._live_before - SETTLE_S
        assert counted_s >= WINDOW_S, f"a step was left on {counted_s} s of evidence"
        assert self.world.prometheus_problem is None, "unknown was a pass"
        blind = self.world.gap and self.blind_since is not None and self.world.now - self.blind_since > 3 * WINDOW_S
        assert not blind, "windows without counts were a pass"

    def leads_out(self) -> None:
        """(h): with the faults lifted, time or what the message names leads to Stable."""
        world = self.world
        world.faults.before = world.faults.after = lambda _write: None
        world.prometheus_problem, world.gap, world.past, self.blind_since = None, False, None, None
        world.bad_share.clear()
        # Enough for the smallest share that a step can give: rounded to nothing it would be a model that is silent.
        world.requests = 60_000.0
        world.the_gateway(takes=True)
        for _ in range(self.patience):
            self._tick()
            status = world.status
            if status.get("phase") == "Stable":
                return
            self._do_as_told(status)
        raise AssertionError(f"no way out of {world.status.get('phase')}: {world.status.get('message')}")

    def _do_as_told(self, status: Json) -> None:
        phase, message = status.get("phase"), status.get("message", "")
        if "spec.paused" in message:
            self.spec["paused"] = False
            self._apply()
        elif phase in {"AwaitingApproval", "Paused", "Holding", "RolledBack"}:
            named = re.search(r"\b(approve|resume|promote|retry|abort)@[0-9a-f]+\.\d+", message)
            if named:
                self.retried = named[1] == "retry"
                self.world.act(named[0])

    # How it is done.

    def _change(self, **weights: int) -> None:
        for name, weight in weights.items():
            self.models[name] = (self.models[name][0], weight)
        self._apply()
        self._tick()

    def _apply(self) -> None:
        if not any(weight for _, weight in self.models.values()):
            self.models["large"] = (self.models["large"][0], 100)
        models = [
            {
                "name": name,
                "tier": "Large" if name == "large" else "Small",
                "weight": weight,
                "backendRef": {"name": service, "port": 8000},
            }
            for name, (service, weight) in self.models.items()
        ]
        self.world.apply(**{**self.spec, "models": models})

    def _bytes(self) -> Json:
        bare = copy.deepcopy(
            {"spec": self.world.route["spec"], "annotations": self.world.route["metadata"]["annotations"]}
        )
        for each in bare["spec"]["rules"][-1]["backendRefs"]:
            each.pop("weight", None)
        return bare

    def _ticks(self, count: int) -> None:
        for _ in range(count):
            self._tick()

    def _tick(self, ticker: Ticker | None = None) -> None:
        begun = {each["metadata"]["uid"]: copy.deepcopy(each) for each in self.world.begun()}
        since = len(self.world.ordered)
        self._live_before = self.world.live_since
        self._noted_before = str((self.world.status.get("refused") or {}).get("revision", ""))
        delay: float | None = 1.0
        try:
            delay = self.loop.run_until_complete((ticker or self.ticker).tick(NAMESPACE, NAME))
        except ModelRouteError:
            pass
        except Crash:
            self.ticker = self.world.operator()
        self._check(begun, since)
        self.world.now += min(delay or 1.0, 10.0)

    def _candidates(self) -> list[str]:
        """The Services of what the attempt that is under way gives more traffic."""
        latest = self.world.latest()
        if latest is None or not Stage(latest["status"]["phase"]).under_way:
            return []
        stable = {share["arm"]: share["weight"] for share in latest["spec"]["from"]}
        gaining = {share["arm"] for share in latest["spec"]["to"] if share["weight"] > stable.get(share["arm"], 0)}
        return [arm["backendRef"]["name"] for arm in latest["spec"]["arms"] if arm["name"] in gaining]


class AdoptedLifecycle(Lifecycle):
    """One ModelRoute on a rule of the user's own route."""

    adopted = True


@pytest.mark.parametrize("machine", [Lifecycle, AdoptedLifecycle])
def test_whatever_happens_the_invariants_hold_and_every_state_has_a_way_out(machine: type[Lifecycle]) -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if LONG else [])]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=RULES,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            derandomize=not LONG,
        ),
    )
