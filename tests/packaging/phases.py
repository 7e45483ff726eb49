"""ModelRoutes with the statuses that the operator itself writes, one for every situation that a tool must read right.

Each is driven by whole ticks on a fake clock (tests/fakes.py), so that nothing here repeats what the operator says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tests.fakes import NAME, NAMESPACE, STEP, World, in_phase, run_until

from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason

Json = dict[str, Any]

ENDLESS: Final = {"steps": [{"progress": 50, "minRequests": 10_000_000}, {**STEP, "progress": 100}]}
GATED: Final = {"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]}


@dataclass
class Watched:
    """A ticker that keeps every ModelRoute that a tick leaves behind."""

    world: World
    ticker: Ticker
    seen: list[Json] = field(default_factory=list)

    async def tick(self, namespace: str, name: str) -> float | None:
        delay = await self.ticker.tick(namespace, name)
        self.seen.append(self.world.get("modelroutes"))
        return delay


@dataclass
class Story:
    """A world and the operator in it; `until` and `run` let its time pass."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.operator = Watched(self.world, self.world.ticker())

    async def until(self, holds: Callable[[Json], bool]) -> None:
        await run_until(self.world, cast(Ticker, self.operator), holds, within_s=10 * 3600)

    async def run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            delay = await self.operator.tick(NAMESPACE, NAME)
            assert delay is not None
            self.world.now += min(delay, max(end - self.world.now, 0.05))

    async def start(self, **spec: Any) -> None:
        """A first split, then another one, whose first step is live and counted for a while."""
        self.world.apply(large=100, small=0, **spec)
        await self.until(in_phase("Stable"))
        self.world.apply(large=60, small=40, **spec)
        await self.until(lambda status: status.get("step") == "1/2")
        await self.run(30)


Telling = Callable[[Story], Awaitable[None]]
TELLINGS: Final[dict[str, Telling]] = {}


def situation(tell: Telling) -> Telling:
    """Adds `tell` to the situations, under its name."""
    TELLINGS[cast(Any, tell).__name__] = tell
    return tell


async def told() -> Mapping[str, tuple[Json, list[Json]]]:
    """For every situation: the ModelRoute at its end, and all that were left behind on the way."""
    found = {}
    for name, tell in TELLINGS.items():
        story = Story()
        await tell(story)
        found[name] = (story.world.get("modelroutes"), story.operator.seen)
    return found


@situation
async def new(story: Story) -> None:
    story.world.apply(large=100, small=0)


@situation
async def pending(story: Story) -> None:
    story.world.gateway_takes = False
    story.world.apply(large=100, small=0)
    await story.run(1)


@situation
async def awaited_backend(story: Story) -> None:
    missing = Problem(Reason.BACKEND_NOT_FOUND, "spec.models[1].backendRef: there is no Service chat/small-v1")
    story.world.backends.answer = lambda backend, _field: missing if backend.name == "small-v1" else None
    story.world.apply(large=60, small=40)
    await story.run(1)


@situation
async def missing_backend(story: Story) -> None:
    await awaited_backend(story)
    await story.run(6 * 60)


@situation
async def stable(story: Story) -> None:
    story.world.apply(large=100, small=0)
    await story.until(in_phase("Stable"))


@situation
async def new_spec(story: Story) -> None:
    await stable(story)
    story.world.apply(large=60, small=40)


@situation
async def progressing(story: Story) -> None:
    await story.start(rollout=ENDLESS)


@situation
async def awaiting_approval(story: Story) -> None:
    await story.start(rollout=GATED)
    await story.until(in_phase("AwaitingApproval"))


@situation
async def paused_by_a_person(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.act("pause")
    await story.until(in_phase("Paused"))


@situation
async def paused_by_the_spec(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.apply(large=60, small=40, rollout=ENDLESS, paused=True)
    await story.until(in_phase("Paused"))


@situation
async def paused_by_a_breach(story: Story) -> None:
    objectives = [{"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp", "onBreach": "Pause"}]
    await story.start(rollout=ENDLESS, objectives=objectives)
    story.world.bad_share["small-v1"] = 0.3
    await story.until(in_phase("Paused"))


@situation
async def holding(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.prometheus_problem = Unavailable("Prometheus default does not answer")
    await story.until(in_phase("Holding"))


@situation
async def overdue(story: Story) -> None:
    await story.start(rollout={**ENDLESS, "progressDeadline": "10m"})
    await story.run(900)


@situation
async def rolling_back(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.gateway_takes = False
    story.world.bad_share["small-v1"] = 0.3
    await story.until(in_phase("RollingBack"))


@situation
async def rolled_back(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.bad_share["small-v1"] = 0.3
    await story.until(in_phase("RolledBack"))
    await story.run(120)


@situation
async def aborted(story: Story) -> None:
    await story.start(rollout=ENDLESS)
    story.world.act("abort")
    await story.until(in_phase("RolledBack"))
    await story.run(120)


@situation
async def promoted(story: Story) -> None:
    await story.start()
    await story.until(in_phase("Stable"))
