"""What is assumed of the traffic: how many requests come, and how many of them are bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelroute.analysis.design import Objective

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

BELOW_MAX: Final = 2 / 3
"""Where an objective has a `max`, its usual rate is assumed to be this part of it: a doubling is a third above it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """`rps` > 0: requests per second at the route. `rates` in (0, 1): the share of bad ones, by objective, of every arm
    that is as good as the reference. `judged` in (0, 1]: the share of requests that is looked at, by objective.
    """

    rps: float
    rates: Mapping[str, float]
    judged: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Change:
    """The candidate is worse than the reference in one objective: `times` > 1 its rate, from the first request on."""

    objective: str
    candidate: str
    times: float


def allowed(objective: Objective, rate: float, *, compares: bool) -> float:
    """The highest rate of a candidate that breaches no bound of `objective` where its reference has `rate`."""
    bounds = [] if objective.limit is None else [max(objective.limit, rate)]
    if compares and (objective.margin is not None or objective.ratio is not None):
        bounds.append((objective.ratio or 1.0) * rate + (objective.margin or 0.0))
    return min(bounds, default=1.0)


def harmful_times(objective: Objective, rate: float, *, compares: bool) -> float | None:
    """2 where twice `rate` is more than is allowed, else the smallest of 4, 8, 16, … that is; None where none is."""
    bound, times = allowed(objective, rate, compares=compares), 2.0
    while times * rate <= bound * (1 + 1e-9):
        times *= 2
    return times if times * rate < 1 else None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one window of each run brought. `answered` (runs, arms); `bad` of all of them, `seen` and `seen_bad` of
    those that were judged, (runs, objectives, arms).
    """

    answered: Counts
    bad: Counts
    seen: Counts
    seen_bad: Counts


def draw(
    chance: np.random.Generator, traffic: Traffic, seconds: Floats, shares: Floats, rates: Floats, names: Sequence[str]
) -> Drawn:
    """Independent requests: `seconds` (runs,) long, split by `shares` (runs, arms), bad by `rates` (objectives, arms).

    `names` of the objectives, in the order of `rates`.
    """
    answered = chance.poisson(traffic.rps * seconds[:, np.newaxis] * shares)
    every = np.broadcast_to(answered[:, np.newaxis, :], (len(seconds), *rates.shape))
    bad = chance.binomial(every, rates)
    judged = np.asarray([traffic.judged.get(name, 1.0) for name in names])[:, np.newaxis]
    if np.all(judged >= 1):
        return Drawn(answered, bad, every, bad)
    seen_bad = chance.binomial(bad, judged)
    return Drawn(answered, bad, seen_bad + chance.binomial(every - bad, judged), seen_bad)
