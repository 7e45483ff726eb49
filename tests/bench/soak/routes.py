"""One route of the soak, from change to change: what was asked of it, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.bench.soak.judging import Ended, Verdict, judged, named_rightly
from tests.bench.soak.plan import LARGE, START, Change, Doing, Json, Truth, Wanted, draw_change
from tests.bench.soak.world import Key, World

FINAL = frozenset({"Promoted", "RolledBack", "Superseded", "Aborted"})
AT_REST = frozenset({"Stable", "RolledBack"})
ACTION = "modelroute.dev/action"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rollout that ended. Times are seconds: from the change to its decision and to its end, None if not told.

    `rollout`: the ModelRollout's status with its evidence, where the end is not justified.
    """

    key: Key
    number: int
    truth: Truth
    doing: Doing
    ended: Ended
    verdict: Verdict
    named_rightly: bool
    message: str
    decided_after_s: float | None
    ended_after_s: float
    rollout: Json | None = None


@dataclass(slots=True)
class UnderWay:
    """A change that was applied. `generation` is that of the last write, `attempts` the attempts before it."""

    change: Change
    generation: int
    attempts: int
    began_at: float
    done: Doing = Doing.NOTHING
    paused: bool = False


@dataclass(slots=True)
class Route:
    """`stable` is the split that was last promoted, `asked` what the spec says."""

    key: Key
    seed: int
    stable: Wanted = START
    asked: Wanted = START
    changes: int = 0
    under_way: UnderWay | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def expected_weights(self) -> dict[str, int]:
        """Of the route at rest, by Service, without those that get nothing."""
        split = {LARGE: 10_000 - 100 * self.stable.share, self.stable.service: 100 * self.stable.share}
        return {service: weight for service, weight in split.items() if weight}

    def begin(self, world: World, status: Json, now: float) -> None:
        """Apply the next change; unix seconds `now`."""
        change = self._next()
        made = world.apply(self.key, change.wanted)
        self.asked = change.wanted
        self.under_way = UnderWay(change, made["metadata"]["generation"], int(status.get("attempt") or 0), now)

    def _next(self) -> Change:
        while True:
            self.changes += 1
            change = draw_change(self.seed, self.key[1], self.changes, self.stable)
            # What was just refused is refused for good: asking for it again starts nothing.
            if change.wanted != self.asked:
                return change

    def go_on(self, world: World, status: Json, now: float) -> Outcome | None:
        """Do what a person would now do; the outcome once there is one."""
        under_way = self.under_way
        assert under_way is not None
        since = now - under_way.began_at
        change = under_way.change
        if under_way.paused and since > change.after_s + change.pause_s:
            self._write(world, {"spec": {"paused": False}})
            under_way.paused = False
            return None
        outcome = None if under_way.paused else self._ended(world, status, now)
        if outcome is None and under_way.done is Doing.NOTHING and since > change.after_s:
            self._interfere(world, status)
        return outcome

    def _interfere(self, world: World, status: Json) -> None:
        under_way = self.under_way
        assert under_way is not None
        match under_way.change.doing:
            case Doing.NOTHING:
                return
            case Doing.REVERT:
                made = world.apply(self.key, self.stable)
                under_way.generation, self.asked = made["metadata"]["generation"], self.stable
            case Doing.PAUSE:
                self._write(world, {"spec": {"paused": True}})
                under_way.paused = True
            case Doing.ABORT:
                token = str(status.get("nextAction") or "").rpartition("@")[2]
                if not token:
                    return
                self._write(world, {"metadata": {"annotations": {ACTION: f"abort@{token}"}}})
        under_way.done = under_way.change.doing

    def _write(self, world: World, change: Json) -> None:
        assert self.under_way is not None
        self.under_way.generation = world.patch(self.key, change)["metadata"]["generation"]

    def _ended(self, world: World, status: Json, now: float) -> Outcome | None:
        under_way = self.under_way
        assert under_way is not None
        if int(status.get("observedGeneration") or 0) < under_way.generation or status.get("phase") not in AT_REST:
            return None
        rollout: Json = {}
        if int(status.get("attempt") or 0) > under_way.attempts:
            rollout = world.get("modelrollouts", (self.key[0], str(status["rollout"]))).get("status") or {}
            if rollout.get("phase") not in FINAL:
                return None
        elif under_way.done is not Doing.REVERT:
            return None  # the attempt has yet to begin
        outcome = self._outcome(rollout, now)
        if outcome.ended.outcome == "Promoted":
            self.stable = under_way.change.wanted
        self.outcomes.append(outcome)
        self.under_way = None
        return outcome

    def _outcome(self, rollout: Mapping[str, Json | str], now: float) -> Outcome:
        under_way = self.under_way
        assert under_way is not None
        decision = rollout.get("decision") or {}
        assert isinstance(decision, dict)
        ended = Ended(str(rollout.get("phase") or ""), decision.get("reason") or "", decision.get("objective") or "")
        truth = under_way.change.wanted.truth
        verdict = judged(truth, under_way.done, ended)
        decided_at = rollout.get("decidedAt")
        return Outcome(
            key=self.key,
            number=self.changes,
            truth=truth,
            doing=under_way.done,
            ended=ended,
            verdict=verdict,
            named_rightly=named_rightly(truth, ended),
            message=str(decision.get("message") or rollout.get("message") or ""),
            decided_after_s=_at(str(decided_at)) - under_way.began_at if decided_at else None,
            ended_after_s=now - under_way.began_at,
            rollout=None if verdict is Verdict.JUSTIFIED else dict(rollout),
        )


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def weights_of(route: Json) -> dict[str, int]:
    """The weights of a rule, by Service."""
    return {ref["name"]: ref["weight"] for ref in route["spec"]["rules"][0].get("backendRefs") or []}
