"""What many runs of an attempt say: how long its steps last, and when a change for the worse is caught."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelroute.analysis.design import Action, Objective
from modelroute.analysis.layout import Pair, pairs_of
from modelroute.planning.runs import ALL, Ending, Run, Setting, Stay
from modelroute.planning.simulation import simulate
from modelroute.planning.traffic import Change, harmful_times
from modelroute.rollout.attempt import Requirement, Step
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import TOTAL, weights_at

CAUGHT = {Action.ROLL_BACK: Ending.ROLLED_BACK, Action.PAUSE: Ending.PAUSED, Action.REPORT: Ending.CAUGHT}


@dataclass(frozen=True, slots=True)
class Range:
    """The 10th, 50th and 90th of 100 runs; `math.inf` where that many do not get there."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One step, if the candidate is as good as its reference. `index` from 0; `weights` of all arms sum to 10,000.

    `candidate_rps`: requests per second of the candidates. Of the runs that `reached` it (a share): `seconds` and
    candidate `requests` until it is left, `left` in time (a share of them). `proofs`: candidate requests since the
    step began until safety is shown, by (objective, candidate) and together under `ALL`; `proven` in time (a share).
    `waits_for`: what most runs that did not leave it lacked.
    """

    index: int
    step: Step
    weights: Mapping[str, int]
    candidate_rps: float
    reached: float
    left: float
    seconds: Range
    requests: Range
    proven: float
    proven_seconds: Range
    proofs: Mapping[tuple[str, str], Range]
    waits_for: Reason | None

    @property
    def proves(self) -> bool:
        return self.step.require is Requirement.PROVEN_SAFE


@dataclass(frozen=True, slots=True)
class HarmForecast:
    """A candidate that is worse in one objective: `times` its `rate` from the first request on.

    `times` is None where no rate would be a breach. `doubling_allowed`: twice the rate breaches no bound, so more was
    simulated. `caught`: the share of runs in which it is, before the attempt would be `promoted`; what is in neither
    runs out of time. `requests`, `seconds`, `bad` answers and those `in_excess` of the usual rate until it is caught,
    in promoted runs as if the last step had gone on until the deadline. `steps`: in which step, by index, as shares of
    the runs.
    """

    objective: Objective
    candidate: str
    rate: float
    times: float | None
    doubling_allowed: bool
    caught: float
    promoted: float
    requests: Range
    seconds: Range
    bad: Range
    in_excess: Range
    steps: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`promoted`, `rolled_back`, `paused`, `overdue`: shares of the runs in which nothing is worse; `seconds` of those
    until they are promoted.
    """

    steps: tuple[StepForecast, ...]
    harms: tuple[HarmForecast, ...]
    promoted: float
    rolled_back: float
    paused: float
    overdue: float
    seconds: Range


def forecast(
    setting: Setting, *, runs: int, seed: int, tell: Callable[[str, float], None] = lambda _what, _done: None
) -> Forecast:
    """Simulate `runs` ≥ 1 harmless attempts, and as many for each objective and candidate that can be worse.

    The same `seed` gives the same numbers. `tell` hears what is being simulated and which part of it is done.
    """
    chance = np.random.default_rng([seed, 0])
    harmless = simulate(setting, None, runs=runs, chance=chance, tell=lambda done: tell(HARMLESS, done))
    harms = [
        _harm(setting, pair, runs, np.random.default_rng([seed, 1 + index]), tell)
        for index, pair in enumerate(pairs_of(setting.attempt.design))
    ]
    endings = Counter(run.ending for run in harmless)
    return Forecast(
        steps=tuple(_step(setting, harmless, index) for index in range(len(setting.attempt.steps))),
        harms=tuple(harms),
        promoted=endings[Ending.PROMOTED] / runs,
        rolled_back=endings[Ending.ROLLED_BACK] / runs,
        paused=endings[Ending.PAUSED] / runs,
        overdue=endings[Ending.OVERDUE] / runs,
        seconds=range_of(run.seconds if run.ending is Ending.PROMOTED else math.inf for run in harmless),
    )


HARMLESS = "nothing is worse"


def scenarios_of(setting: Setting) -> tuple[str, ...]:
    """What `tell` of `forecast` will hear of, in order."""
    return (HARMLESS, *(_name(pair) for pair in pairs_of(setting.attempt.design)))


def range_of(values: Iterable[float]) -> Range:
    """Of at least one value, `math.inf` among them; all `math.inf` where there is none."""
    found = list(values)
    if not found:
        return Range(math.inf, math.inf, math.inf)
    low, median, high = np.quantile(found, [0.1, 0.5, 0.9], method="inverted_cdf")
    return Range(float(low), float(median), float(high))


def _name(pair: Pair) -> str:
    return f"{pair.comparison.candidate} is worse on {pair.objective.name}"


def _step(setting: Setting, runs: Sequence[Run], index: int) -> StepForecast:
    attempt = setting.attempt
    weights = weights_at(attempt.arms, attempt.steps[index].progress)
    # Of runs that end in a step by mistake nothing is known of how long it would have lasted.
    stays = [
        stay
        for run in runs
        for stay in run.stays
        if stay.step == index and (stay.seconds is not None or run.ending is Ending.OVERDUE)
    ]
    keys = {key for stay in stays for key in stay.proofs}
    lacking = Counter(stay.lacking[0] for stay in stays if stay.seconds is None and stay.lacking)
    left = [stay for stay in stays if stay.seconds is not None]
    return StepForecast(
        index=index,
        step=attempt.steps[index],
        weights=weights,
        candidate_rps=setting.traffic.rps * sum(weights[arm.name] for arm in attempt.candidates) / TOTAL,
        reached=sum(any(stay.step == index for stay in run.stays) for run in runs) / len(runs),
        left=len(left) / len(stays) if stays else 0.0,
        seconds=range_of(math.inf if stay.seconds is None else stay.seconds for stay in stays),
        requests=range_of(math.inf if stay.seconds is None else stay.requests for stay in stays),
        proven=sum(ALL in stay.proofs for stay in stays) / len(stays) if stays else 0.0,
        proven_seconds=range_of(stay.proofs[ALL].seconds if ALL in stay.proofs else math.inf for stay in stays),
        proofs={key: _proof(stays, key) for key in sorted(keys)},
        waits_for=lacking.most_common(1)[0][0] if lacking else None,
    )


def _proof(stays: Sequence[Stay], key: tuple[str, str]) -> Range:
    return range_of(stay.proofs[key].requests if key in stay.proofs else math.inf for stay in stays)


def _harm(
    setting: Setting, pair: Pair, runs: int, chance: np.random.Generator, tell: Callable[[str, float], None]
) -> HarmForecast:
    objective, candidate, rate = pair.objective, pair.comparison.candidate, setting.traffic.rates[pair.objective.name]
    times = harmful_times(objective, rate, compares=pair.compares)
    found: tuple[Run, ...] = ()
    if times is not None:
        change = Change(objective.name, candidate, times)
        found = simulate(setting, change, runs=runs, chance=chance, tell=lambda done: tell(_name(pair), done))
    tell(_name(pair), 1.0)
    # An objective can be caught by the sum of all that rolls back, before its own action is due.
    caught = [run.ending in {CAUGHT[objective.action], Ending.ROLLED_BACK} for run in found]
    in_time = [run for run, is_caught in zip(found, caught, strict=True) if is_caught and not run.passed]
    where = Counter(run.stays[-1].step for run in in_time)

    def over(value: Callable[[Run], float]) -> Range:
        return range_of(value(run) if is_caught else math.inf for run, is_caught in zip(found, caught, strict=True))

    return HarmForecast(
        objective=objective,
        candidate=candidate,
        rate=rate,
        times=times,
        doubling_allowed=times is None or times > 2,
        caught=len(in_time) / runs,
        promoted=sum(run.passed for run in found) / runs,
        requests=over(lambda run: run.requests),
        seconds=over(lambda run: run.seconds),
        bad=over(lambda run: run.bad),
        in_excess=over(lambda run: max(0.0, run.bad - rate * run.requests)),
        steps={step: count / runs for step, count in sorted(where.items())},
    )
