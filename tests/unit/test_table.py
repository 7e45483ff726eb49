"""Every cell of the table of states: a whole operator is brought into the state, the event happens, and what it shows
next is compared. Whole ticks, fakes, a fake clock."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, STEP, World

import states_page
from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.rollout.attempt import Stage
from modelroute.rollout.decision import Phase
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend
from modelroute.rollout.table import COLUMNS, EXITS, TABLE, Event, State, state_of

LONG: Json = {"minDuration": "5m", "minRequests": 30}
ERRORS: Json = {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}
PAUSING: Json = {"name": "pausing", "metric": "ErrorRate", "maxIncrease": "0.5pp", "onBreach": "Pause"}
BOUNDED: Json = {"name": "bounded", "metric": "ErrorRate", "max": "1%"}
TWO_STEPS = {"steps": [{**LONG, "progress": 50}, {**LONG, "progress": 100}]}
LAST_STEP = {"steps": [{**LONG, "progress": 100}]}
APPROVAL = {"steps": [{**STEP, "progress": 50, "approval": True}, {**LONG, "progress": 100}]}
PROOF = {"steps": [{**STEP, "progress": 50, "require": "ProvenSafe"}, {**LONG, "progress": 100}]}
BAKING = {"bake": "30m", "onBreach": "RollBack"}


@dataclass(slots=True)
class Scene(World):
    """A world that remembers what was applied."""

    wanted: dict[str, Any] = field(default_factory=dict)
    each_step: Json = field(default_factory=dict)

    def want(self, **changes: Any) -> None:
        """`kubectl apply` with these changes."""
        rollout = {**self.wanted.get("rollout", {}), **changes.pop("rollout", {})}
        if "steps" in rollout:
            rollout["steps"] = [{**self.each_step, **step} for step in rollout["steps"]]
        self.wanted = {"objectives": [ERRORS], **self.wanted, **changes, "rollout": rollout}
        self.apply(**self.wanted)

    def edit(self, weight: int) -> None:
        """Somebody writes another weight for the small model on the route."""
        route = copy.deepcopy(self.get("httproutes"))
        if route:
            route["spec"]["rules"][0]["backendRefs"][-1]["weight"] = weight
            self.store("httproutes", route)

    @property
    def state(self) -> State:
        if not self.get("modelroutes"):
            return State.GONE
        begun = [each for each in self.rollouts() if (each.get("status") or {}).get("phase")]
        under_way = bool(begun) and Stage(begun[-1]["status"]["phase"]).under_way
        return state_of(Phase(self.status["phase"]), under_way=under_way)


async def until(scene: Scene, ticker: Ticker, holds: Callable[[], bool], *, within_s: float = 600.0) -> bool:
    """Tick as often as the ticks ask for, until it `holds`; whether it came to hold."""
    end = scene.now + within_s
    while True:
        try:
            delay = await ticker.tick(NAMESPACE, NAME)
        except Unavailable:
            delay = 1.0
        if holds():
            return True
        if delay is None or scene.now >= end:
            return False
        scene.now += min(delay, max(end - scene.now, 0.05))


async def come(scene: Scene, state: State) -> None:
    """Let time pass until it shows `state`."""
    assert await until(scene, scene.ticker(), lambda: scene.state is state), f"never {state}: {scene.status}"


# The scenes of each state.

Build = Callable[[Scene], Awaitable[None]]


async def new(scene: Scene, *, small: int = 0) -> None:
    """Just applied; the gateway has not answered."""
    scene.the_gateway()
    scene.want(large=100 - small, small=small, rollout=TWO_STEPS)
    await come(scene, State.PENDING)


async def new_and_wants_more(scene: Scene) -> None:
    await new(scene, small=40)


async def new_without_a_backend(scene: Scene) -> None:
    backend_gone(scene)
    scene.want(large=60, small=40, rollout=TWO_STEPS)
    await come(scene, State.PENDING)


async def resting(scene: Scene, **spec: Any) -> None:
    """All of the traffic is on the large model, as the spec wants it."""
    scene.want(large=100, small=0, **{"rollout": TWO_STEPS, **spec})
    await come(scene, State.STABLE)


async def promoted(scene: Scene, **spec: Any) -> None:
    """The small model was given all of the traffic a moment ago, and is watched."""
    quick = {"steps": [{**STEP, "progress": 100, "require": "NotHarmful"}]}
    await resting(scene, objectives=[BOUNDED], guard=BAKING, **{"rollout": quick, **spec})
    scene.want(large=0, small=100)
    await come(scene, State.PROGRESSING)
    await come(scene, State.STABLE)


async def paused_before(scene: Scene) -> None:
    await resting(scene)
    scene.want(large=60, small=40, paused=True)
    await come(scene, State.PAUSED_BEFORE)


async def held_before(scene: Scene) -> None:
    await resting(scene)
    scene.prometheus_problem = Unavailable("down")
    scene.want(large=60, small=40)
    await come(scene, State.HELD_BEFORE)


async def progressing(scene: Scene, **spec: Any) -> None:
    """The first step is live, settled and counted; it lacks time."""
    await resting(scene, **spec)
    scene.want(large=60, small=40)
    await come(scene, State.PROGRESSING)
    await until(scene, scene.ticker(), lambda: False, within_s=30)
    assert scene.state is State.PROGRESSING


async def at_the_last_step(scene: Scene) -> None:
    await progressing(scene, rollout=LAST_STEP)


async def awaiting_approval(scene: Scene) -> None:
    await resting(scene, rollout=APPROVAL)
    scene.want(large=60, small=40)
    await come(scene, State.AWAITING_APPROVAL)


async def awaiting_approval_for_long(scene: Scene) -> None:
    await awaiting_approval(scene)
    scene.now += 60
    await come(scene, State.AWAITING_APPROVAL)


async def paused_by_a_person(scene: Scene) -> None:
    await progressing(scene)
    scene.act("pause")
    await come(scene, State.PAUSED)


async def paused_by_the_spec(scene: Scene) -> None:
    await progressing(scene)
    scene.want(paused=True)
    await come(scene, State.PAUSED)


async def paused_by_a_breach(scene: Scene) -> None:
    await progressing(scene, objectives=[ERRORS, PAUSING])
    scene.bad_share["pausing/small-v1"] = 0.5
    await come(scene, State.PAUSED)


async def holding(scene: Scene) -> None:
    """Prometheus is down."""
    await progressing(scene)
    scene.prometheus_problem = Unavailable("down")
    await come(scene, State.HOLDING)


async def overdue(scene: Scene) -> None:
    await progressing(scene, rollout={**TWO_STEPS, "progressDeadline": "4m"})
    await come(scene, State.HOLDING)


async def rolling_back(scene: Scene) -> None:
    """Harm was shown; the gateway has not answered."""
    await progressing(scene)
    scene.the_gateway()
    scene.bad_share["small-v1"] = 0.5
    await come(scene, State.ROLLING_BACK)


async def superseded(scene: Scene) -> None:
    """The spec changed; the gateway has not answered."""
    await progressing(scene)
    scene.the_gateway()
    scene.want(large=70, small=30)
    await come(scene, State.ROLLING_BACK)


async def taken_back(scene: Scene) -> None:
    """The spec went back to the stable split; the gateway has not answered."""
    await progressing(scene)
    scene.the_gateway()
    scene.want(large=100, small=0)
    await come(scene, State.ROLLING_BACK)


async def rolled_back(scene: Scene) -> None:
    await progressing(scene)
    scene.bad_share["small-v1"] = 0.5
    await come(scene, State.ROLLED_BACK)
    scene.bad_share.clear()


async def aborted(scene: Scene) -> None:
    await progressing(scene)
    scene.act("abort")
    await come(scene, State.ROLLED_BACK)


SCENES: Mapping[State, tuple[Build, ...]] = {
    State.PENDING: (new, new_and_wants_more, new_without_a_backend),
    State.STABLE: (resting, promoted),
    State.PAUSED_BEFORE: (paused_before,),
    State.HELD_BEFORE: (held_before,),
    State.PROGRESSING: (progressing, at_the_last_step),
    State.AWAITING_APPROVAL: (awaiting_approval, awaiting_approval_for_long),
    State.PAUSED: (paused_by_a_person, paused_by_the_spec, paused_by_a_breach),
    State.HOLDING: (holding, overdue),
    State.ROLLING_BACK: (rolling_back, superseded, taken_back),
    State.ROLLED_BACK: (rolled_back, aborted),
}


# The events.


def long(scene: Scene) -> None:
    scene.now += 301


def all_met(scene: Scene) -> None:
    scene.the_gateway(takes=True)
    scene.prometheus_problem = None
    scene.backends.answer = lambda _backend, _field: None
    long(scene)


def harm(scene: Scene) -> None:
    scene.bad_share["errors/small-v1"] = 0.5


def pause_breach(scene: Scene) -> None:
    scene.bad_share["pausing/small-v1"] = 0.5


def unknown(scene: Scene) -> None:
    scene.prometheus_problem = Unavailable("down")


def route_deleted(scene: Scene) -> None:
    scene.objects.pop(("httproutes", NAMESPACE, NAME), None)


def route_foreign(scene: Scene) -> None:
    route = scene.get("httproutes")
    spec = route["spec"] if route else {"parentRefs": [{"name": "inference"}], "rules": []}
    scene.store("httproutes", {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec})


def spec_changed_back(scene: Scene) -> None:
    stable = {each["model"]: each["weight"] for each in scene.status.get("stable") or [{"model": "large", "weight": 1}]}
    scene.want(large=stable.get("large", 0), small=stable.get("small", 0))


def spec_impossible(scene: Scene) -> None:
    backend_gone(scene)
    scene.want(large=20, small=80)


def backend_gone(scene: Scene) -> None:
    def answer(backend: Backend, where: str) -> Problem | None:
        return Problem(Reason.BACKEND_NOT_FOUND, f"{where}: gone") if backend.name == "small-v1" else None

    scene.backends.answer = answer


def few_requests(scene: Scene) -> None:
    scene.requests = 5
    long(scene)


def deadline_passed(scene: Scene) -> None:
    scene.now += 601


def guard_breach(scene: Scene) -> None:
    scene.bad_share["bounded/small-v1"] = 0.5


def guard_breach_after(scene: Scene) -> None:
    if scene.state is State.STABLE:
        scene.now += 1801
    guard_breach(scene)


def record_deleted(scene: Scene) -> None:
    for each in scene.rollouts()[-1:]:
        del scene.objects["modelrollouts", NAMESPACE, each["metadata"]["name"]]


def nothing(_scene: Scene) -> None:
    """A new operator is what every scene goes on with."""


def verb(name: str) -> Callable[[Scene], None]:
    return lambda scene: scene.act(name)


HAPPENS: Mapping[Event, Callable[[Scene], None]] = {
    Event.ALL_MET: all_met,
    Event.LONG: long,
    Event.HARM: harm,
    Event.PAUSE_BREACH: pause_breach,
    Event.PROOF_LACKING: few_requests,
    Event.UNKNOWN: unknown,
    Event.GATEWAY_SILENT: lambda scene: scene.the_gateway(),
    Event.GATEWAY_REJECTS: lambda scene: scene.the_gateway(rejects=True),
    Event.ROUTE_CHANGED: lambda scene: scene.edit(77),
    Event.ROUTE_DELETED: route_deleted,
    Event.ROUTE_FOREIGN: route_foreign,
    Event.SPEC_CHANGED: lambda scene: scene.want(large=20, small=80),
    Event.SPEC_CHANGED_BACK: spec_changed_back,
    Event.SPEC_IMPOSSIBLE: spec_impossible,
    Event.SPEC_PAUSED: lambda scene: scene.want(paused=True),
    Event.SPEC_UNPAUSED: lambda scene: scene.want(paused=False),
    Event.BACKEND_GONE: backend_gone,
    Event.DEADLINE_HOLD: deadline_passed,
    Event.DEADLINE_ROLL_BACK: deadline_passed,
    Event.APPROVE: verb("approve"),
    Event.PROMOTE: verb("promote"),
    Event.PROMOTE_FULL: verb("promote-full"),
    Event.PAUSE: verb("pause"),
    Event.RESUME: verb("resume"),
    Event.ABORT: verb("abort"),
    Event.RETRY: verb("retry"),
    Event.STALE_TOKEN: verb("abort@0000000000.1"),
    Event.GUARD_BREACH_BAKING: guard_breach,
    Event.GUARD_BREACH_AFTER: guard_breach_after,
    Event.RECORD_DELETED: record_deleted,
    Event.RESTARTED: nothing,
    Event.DELETED: lambda scene: scene.delete(),
}


def prepared(event: Event) -> Scene:
    """An empty world, for a spec that the event needs."""
    match event:
        case Event.PROOF_LACKING:
            strict = [{**ERRORS, "maxIncrease": "0.05pp"}]
            return Scene(wanted={"objectives": strict}, each_step={"require": "ProvenSafe"})
        case Event.PAUSE_BREACH:
            return Scene(wanted={"objectives": [ERRORS, PAUSING]})
        case Event.DEADLINE_HOLD:
            return Scene(wanted={"rollout": {"progressDeadline": "10m"}})
        case Event.DEADLINE_ROLL_BACK:
            return Scene(wanted={"rollout": {"progressDeadline": "10m", "onDeadline": "RollBack"}})
        case _:
            return Scene()


_built: dict[tuple[Build, str], Scene] = {}


async def built(build: Build, event: Event) -> Scene:
    """The scene as `build` makes it. Made once for all events that need the same; every cell has a copy of its own."""
    scene = prepared(event)
    key = build, repr((scene.wanted, scene.each_step))
    if key not in _built:
        await build(scene)
        _built[key] = scene
    return copy.deepcopy(_built[key])


async def happening(scene: Scene, event: Event) -> State:
    """The first other state that `scene` shows after `event`, else the one that it was in."""
    was, ticker = scene.state, scene.ticker()
    await ticker.tick(NAMESPACE, NAME)
    if event is Event.ROUTE_CONTENDED:
        return await contended(scene, ticker)
    HAPPENS[event](scene)
    # A gateway is waited for a minute before its silence is called one.
    within_s = 65 if event is Event.GATEWAY_SILENT else 20
    await until(scene, ticker, lambda: scene.state is not was and not catching_up(scene), within_s=within_s)
    return scene.state


def catching_up(scene: Scene) -> bool:
    """After a leap in time windows are read in several looks, one right after the other: nobody is to see that."""
    return "reading what was counted meanwhile" in scene.status.get("message", "")


async def contended(scene: Scene, ticker: Ticker) -> State:
    """Other weights again and again, until nothing is restored any more."""
    for weight in range(71, 78):
        scene.edit(weight)
        await until(scene, ticker, lambda: False, within_s=2)
    return scene.state


CANNOT_BE: frozenset[tuple[Build, Event]] = frozenset(
    {
        # With onDeadline: RollBack nothing is held for being overdue, and what is not proven is not approved.
        (overdue, Event.DEADLINE_ROLL_BACK),
        *((build, Event.PROOF_LACKING) for build in (overdue, rolling_back, superseded, taken_back)),
        (awaiting_approval, Event.PROOF_LACKING),
        (awaiting_approval_for_long, Event.PROOF_LACKING),
        (paused_by_a_breach, Event.PROOF_LACKING),
    }
)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", COLUMNS)
async def test_what_happens_is_what_the_table_says(state: State, event: Event) -> None:
    scenes = [build for build in SCENES[state] if (build, event) not in CANNOT_BE]
    found = {await happening(await built(build, event), event) for build in scenes} or {state}

    assert found == TABLE[state, event]


def test_the_table_has_every_state_and_every_event() -> None:
    assert set(TABLE) == {(state, event) for state in COLUMNS for event in Event}
    assert all(TABLE.values())


@pytest.mark.parametrize("state", COLUMNS)
def test_every_state_has_a_way_out_that_leads_out(state: State) -> None:
    assert EXITS[state]
    assert [leads.how for leads in EXITS[state] if TABLE[state, leads.event] == {state}] == []


def test_the_page_shows_the_table() -> None:
    text = states_page.PAGE.read_text(encoding="utf-8")

    assert states_page.written(text) == text
