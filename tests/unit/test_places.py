"""Rules and backends that change places: what was counted under the old positions is read under those. Whole ticks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.fakes import NAME, NAMESPACE, WINDOW_S, Prometheus, World, in_phase, run_until
from tests.unit.test_adoption import ADOPTING, OWN, own_route, ref

from modelroute.analysis.design import Outcomes
from modelroute.cluster.client import Json
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.metrics.reading import ArmQuery, RouteQuery
from modelroute.rollout.evidence import WindowReading
from modelroute.rollout.observation import Acceptance, Gateway
from modelroute.rollout.places import place_of, positions
from modelroute.rollout.split import Arm, Backend

EMBEDDINGS = {"name": "embeddings", "backendRefs": [ref("large-v1", 50), ref("small-v1", 50)]}


@dataclass(slots=True)
class Positional(World):
    """A world whose gateway names what it counts by the positions of then: rule, backend, and the Service there."""

    routed: list[tuple[float, list[Json]]] = field(default_factory=list)
    bad: Callable[[float, str], float] = lambda _at, _service: 0.0
    route: str = OWN

    def store(self, kind: str, body: Json) -> Json:
        stored = World.store(self, kind, body)
        if kind == "httproutes":
            self.routed.append((self.now, copy.deepcopy(stored["spec"].get("rules") or [])))
        return stored

    def positional(self) -> Ticker:
        ticker = self.ticker()
        return replace(ticker, ports=replace(ticker.ports, readers={"default": ByPosition(self)}))

    def counted(self, at: float, rule: int, arm: ArmQuery) -> tuple[float, float]:
        """(bad, total) of that name. Only `embeddings` fails, and as often as ours is asked."""
        rules = next((rules for since, rules in reversed(self.routed) if since <= at), [])
        refs = rules[rule]["backendRefs"] if rule < len(rules) else []
        if arm.index is None or arm.index >= len(refs) or refs[arm.index]["name"] != arm.service:
            return 0.0, 0.0
        whole = sum(each["weight"] for each in refs)
        total = float(round(self.requests * refs[arm.index]["weight"] / whole)) if whole else 0.0
        if rules[rule].get("name") == "embeddings":
            return total, total
        return float(round(total * self.bad(at, arm.service))), total


class ByPosition(Prometheus):
    def __init__(self, world: Positional) -> None:
        super().__init__(world)
        self._of = world

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        return tuple(self._by_position(each, query) for each in await super().read(query))

    def _by_position(self, reading: WindowReading, query: RouteQuery) -> WindowReading:
        counts = {arm.name: self._of.counted(reading.start, query.rule, arm) for arm in query.arms}
        outcomes = {
            (objective.name, arm): Outcomes(total, (bad,), bad)
            for arm, (bad, total) in counts.items()
            for objective in query.objectives
        }
        return replace(reading, outcomes=outcomes, completions={arm: total for arm, (_, total) in counts.items()})


STEPS: dict[str, Any] = {
    "rollout": {"steps": [{"progress": 50, "minDuration": "2m"}, {"progress": 100, "minDuration": "10s"}]}
}


async def under_way() -> tuple[Positional, Ticker]:
    """A minute into the first step, on the first of two rules; then half a minute without Prometheus."""
    world = Positional()
    route = own_route()
    route["spec"]["rules"] = [route["spec"]["rules"][1], EMBEDDINGS]
    world.store("httproutes", route)
    ticker = world.positional()
    world.apply(large=100, small=0, **ADOPTING)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=50, small=50, **ADOPTING, **STEPS)
    await run_until(world, ticker, lambda status: status.get("step") == "1/2")
    await pass_by(world, ticker, 60)
    world.now = float(round(world.now / WINDOW_S)) * WINDOW_S
    return world, ticker


async def pass_by(world: Positional, ticker: Ticker, seconds: float) -> None:
    end = world.now + seconds
    while world.now < end:
        await ticker.tick(NAMESPACE, NAME)
        world.now += 1.0


def a_rule_in_front(route: Json) -> None:
    front = {"name": "front", "matches": [{"path": {"value": "/x"}}], "backendRefs": [ref("cdn", 1)]}
    route["spec"]["rules"].insert(0, front)


def the_other_rule_in_front(route: Json) -> None:
    route["spec"]["rules"].reverse()


def a_backend_between(route: Json) -> None:
    route["spec"]["rules"][0]["backendRefs"].insert(1, ref("spare", 0))


async def moved(world: Positional, ticker: Ticker, change: Callable[[Json], None]) -> None:
    """`change` befalls the route after half a minute that nobody could read."""
    world.prometheus_problem = Unavailable("down")
    await pass_by(world, ticker, 30)
    route = copy.deepcopy(world.get("httproutes", OWN))
    change(route)
    world.store("httproutes", route)
    world.prometheus_problem = None


MOVES = [a_rule_in_front, the_other_rule_in_front, a_backend_between]


@pytest.mark.parametrize("change", MOVES)
async def test_what_was_counted_before_a_move_is_not_taken_from_another_place(change: Callable[[Json], None]) -> None:
    world, ticker = await under_way()
    await moved(world, ticker, change)
    await run_until(world, ticker, in_phase("Stable"))

    (rollout,) = world.rollouts()
    assert rollout["status"]["phase"] == "Promoted"
    for window in rollout["status"]["windows"]:
        assert "errors/small=0/" in window["counts"]
        assert "small=0" not in window.get("completions", "").split()


@pytest.mark.parametrize("change", MOVES)
async def test_harm_that_was_counted_before_a_move_still_rolls_back(change: Callable[[Json], None]) -> None:
    world, ticker = await under_way()
    began = world.now
    world.bad = lambda at, service: 0.5 if service == "small-v1" and began <= at < began + 25 else 0.0
    await moved(world, ticker, change)
    await pass_by(world, ticker, 5)

    assert world.status["phase"] in {"RollingBack", "RolledBack"}


async def test_the_guard_reads_a_promoted_split_where_it_stands_after_its_route_was_tidied() -> None:
    """The old backend goes from the front of the list, so that the new one moves up."""
    spec: dict[str, Any] = {
        "objectives": [{"name": "errors", "metric": "ErrorRate", "max": "5%"}],
        "guard": {"bake": "1m", "onBreach": "Report"},
    }
    world = Positional(route=NAME)
    ticker = world.positional()
    world.apply(large=100, small=0, **spec)
    await run_until(world, ticker, in_phase("Stable"))
    world.apply(large=0, small=100, **spec)
    await run_until(world, ticker, lambda status: "promoted" in status.get("message", ""))
    await pass_by(world, ticker, 400)
    assert [each["name"] for each in world.get("httproutes")["spec"]["rules"][0]["backendRefs"]] == ["small-v1"]
    world.bad = lambda _at, _service: 0.5
    await pass_by(world, ticker, 60)

    assert len(world.said("GuardBreached")) >= 1


def test_a_place_is_read_as_it_was_written_and_nothing_else_is_one() -> None:
    backends = [Backend("chat", name, 8000) for name in ("a", "b", "c")]
    arms = [Arm(each.name, each.name, each, 0, 0) for each in backends[:2]]
    for order in itertools.permutations(backends):
        gateway = Gateway(Acceptance.LIVE, weights=dict.fromkeys(order, 1), rule=3)
        expected = {arm.backend: order.index(arm.backend) for arm in arms}
        assert positions(place_of(gateway, arms), arms) == (3, expected)
    assert positions("2:-,0", arms) == (2, {backends[0]: None, backends[1]: 0})
    for text in ("", "1", "1:", "1:0", "1:0,1,2", "x:0,1", "1:0,-1"):
        assert positions(text, arms) is None
