"""What happened in an attempt, out of its ModelRollout: when which split was live, and what was counted when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelroute.analysis.interval import Interval, time_uniform
from modelroute.api.fields import parse_instant
from modelroute.api.quantities import parse_percent, parse_points, parse_ratio
from modelroute.api.resources import ModelRollout
from modelroute.rollout.split import TOTAL, Arm, Backend, weights_at

Key = tuple[str, str]
"""Objective and arm."""
Counts = tuple[float, float]
"""Bad, of all."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one split was live, in unix seconds; `shares` by arm, each in [0, 1]. `label` names the step."""

    start: float
    end: float
    shares: Mapping[str, float]
    label: str


@dataclass(frozen=True, slots=True)
class Point:
    """What was known of one arm after the window that ended `at` (unix seconds): counts since the attempt began."""

    at: float
    bad: float
    total: float
    interval: Interval

    @property
    def rate(self) -> float:
        return self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """How the rates of one objective went, by arm; `allowed`: how high the candidate's may be, by time."""

    objective: str
    candidate: str
    reference: str
    points: Mapping[str, tuple[Point, ...]]
    allowed: tuple[tuple[float, float], ...]
    limit: float | None


@dataclass(frozen=True, slots=True)
class Story:
    """`start` and `end` in unix seconds; `partial`: how many windows were counted before the first one kept."""

    start: float
    end: float
    stretches: tuple[Stretch, ...]
    courses: tuple[Course, ...]
    partial: int


def story_of(rollout: ModelRollout, *, now: float) -> Story:
    """The story until its end, else until `now` (unix seconds)."""
    status = rollout.status
    ends = [status.finished_at, status.rolled_back_at] if status.finished_at else []
    start = parse_instant(status.started_at) if status.started_at else now
    end = (
        max([start + 1.0, *(parse_instant(each) for each in ends if each is not None)]) if ends else max(now, start + 1)
    )
    counted = sum(each.windows or 0 for each in status.sums or ())
    return Story(
        start=start,
        end=end,
        stretches=tuple(_stretches(rollout, start, end)),
        courses=tuple(_courses(rollout)),
        partial=max(0, counted - len(status.windows or ())),
    )


def _stretches(rollout: ModelRollout, start: float, end: float) -> Iterator[Stretch]:
    """The stable split until the first step is live, each step until the next one is, then what it came to."""
    status, steps = rollout.status, rollout.spec.steps
    arms = _arms(rollout)
    moves: list[tuple[float, int, str]] = [(start, 0, "before")]
    moves += [(at, steps[index].progress, f"step {index + 1}") for index, at in _live_times(rollout)]
    if status.phase in {"RollingBack", "RolledBack", "Aborted", "Superseded"}:
        back = status.rolled_back_at or status.decided_at
        moves.append((end if back is None else parse_instant(back), 0, "back"))
    for place, (at, progress, label) in enumerate(moves):
        until = moves[place + 1][0] if place + 1 < len(moves) else end
        weights = weights_at(arms, progress)
        if until > at:
            yield Stretch(at, until, {name: weight / TOTAL for name, weight in weights.items()}, label)


def _live_times(rollout: ModelRollout) -> Iterator[tuple[int, float]]:
    """Since when each step was live, in order; of an older operator's record: since its first window."""
    status = rollout.status
    known = {each.step: parse_instant(each.live_at) for each in status.sums or () if each.live_at is not None}
    for window in status.windows or ():
        known.setdefault(window.step, parse_instant(window.end) - rollout.spec.window_seconds)
    if status.step_live_at is not None and status.phase in {"Progressing", "Promoted"}:
        known.setdefault(status.step_index or 0, parse_instant(status.step_live_at))
    yield from sorted((index, at) for index, at in known.items() if index < len(rollout.spec.steps))


def _arms(rollout: ModelRollout) -> tuple[Arm, ...]:
    stable = {share.arm: share.weight for share in rollout.spec.from_}
    wanted = {share.arm: share.weight for share in rollout.spec.to}
    return tuple(
        Arm(
            arm.name,
            arm.model,
            Backend("", arm.backend_ref.name, arm.backend_ref.port),
            stable.get(arm.name, 0),
            wanted.get(arm.name, 0),
        )
        for arm in rollout.spec.arms
    )


def _courses(rollout: ModelRollout) -> Iterator[Course]:
    series = _series(rollout)
    for objective in rollout.spec.objectives:
        margin = None if objective.max_increase is None else parse_points(objective.max_increase)
        ratio = None if objective.max_ratio is None else parse_ratio(objective.max_ratio)
        for pair in rollout.spec.comparisons:
            own = series.get((objective.name, pair.candidate), ())
            theirs = series.get((objective.name, pair.reference or ""), ())
            allowed = tuple(
                (point.at, point.rate + margin if margin is not None else point.rate * (ratio or 1.0))
                for point in theirs
                if margin is not None or ratio is not None
            )
            if own:
                yield Course(
                    objective=objective.name,
                    candidate=pair.candidate,
                    reference=pair.reference or "",
                    points={
                        arm: points for arm, points in ((pair.reference or "", theirs), (pair.candidate, own)) if points
                    },
                    allowed=allowed,
                    limit=None if objective.max is None else parse_percent(objective.max),
                )


def _series(rollout: ModelRollout) -> dict[Key, tuple[Point, ...]]:
    """For each objective and arm a point after every window that is kept, with all that was counted until then."""
    windows = [(parse_instant(each.end), _read(each.counts)) for each in rollout.status.windows or ()]
    before = _before(rollout, [counts for _, counts in windows])
    series: dict[Key, list[Point]] = {}
    sums = dict(before)
    for at, counts in windows:
        for key, (bad, total) in counts.items():
            old = sums.get(key, (0.0, 0.0))
            sums[key] = old[0] + bad, old[1] + total
            if sums[key][1] > 0:
                interval = time_uniform(*sums[key], overdispersion=rollout.spec.overdispersion)
                series.setdefault(key, []).append(Point(at, *sums[key], interval))
    return {key: tuple(points) for key, points in series.items()}


def _before(rollout: ModelRollout, windows: list[dict[Key, Counts]]) -> dict[Key, Counts]:
    """What was counted before the first window that is kept."""
    left: dict[Key, Counts] = {}
    for step in rollout.status.sums or ():
        for tally in step.tallies:
            bad, total = left.get((tally.objective, tally.arm), (0.0, 0.0))
            left[tally.objective, tally.arm] = bad + tally.bad, total + tally.total
    for counts in windows:
        for key, (bad, total) in counts.items():
            old = left.get(key, (0.0, 0.0))
            left[key] = max(0.0, old[0] - bad), max(0.0, old[1] - total)
    return left


def _read(counts: str) -> dict[Key, Counts]:
    """'errors/small=3/120 errors/large=1/480'; what was cut off at the end is left out."""
    found: dict[Key, Counts] = {}
    for part in counts.split():
        name, _, numbers = part.partition("=")
        objective, _, arm = name.partition("/")
        bad, _, total = numbers.partition("/")
        try:
            found[objective, arm] = float(bad), float(total)
        except ValueError:
            continue
    return found
