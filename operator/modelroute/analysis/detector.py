"""The guard: after a promotion, has an absolute bound been broken since some moment that nobody knows?

Evidence is gathered from every window on as if the harm began there (Shiryaev–Roberts): hours of health cost nothing.
What is promised is not a chance of error, which over years would reach 1, but the time between false alarms.
Source: Shin, Ramdas & Rinaldo, *E-detectors*.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from modelroute.analysis.mixture import ALTERNATIVES, POINTS, PRIOR, Floats
from modelroute.analysis.one_arm import log_e_alternatives

DETECTOR_VERSION: Final = "1"
_LOG_PRIOR: Final[Floats] = np.log(PRIOR)
_GRAINS: Final = 1e9
SECONDS_A_YEAR: Final = 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class Watched:
    """One objective of one arm that is guarded; `limit` p0 in (0, 1)."""

    objective: str
    arm: str
    limit: float


@dataclass(frozen=True, slots=True)
class Guard:
    """What a guard watches, and how seldom it may cry wolf.

    `window_s` > 0 seconds between looks; `false_alarms_per_year` > 0, shared over all that is `watched`;
    `overdispersion` D ≥ 1 as in the design.
    """

    watched: tuple[Watched, ...]
    window_s: float
    false_alarms_per_year: float = 1.0
    overdispersion: float = 1.0

    @property
    def log_threshold(self) -> float:
        """ln of the looks that there must be between two false alarms of one detector, in the mean; at least ln 2."""
        looks = SECONDS_A_YEAR / self.window_s * max(len(self.watched), 1) / self.false_alarms_per_year
        return math.log(max(looks, 2.0))

    @property
    def cap(self) -> float:
        """κ: what one window can bring at most, a third of the way, so that one bad half-minute raises no alarm."""
        return self.log_threshold / 3


@dataclass(frozen=True, slots=True)
class Detector:
    """ln R_j for each alternative, −inf before the first window; `bad` of `total` of the `windows` seen.

    `skipped` windows brought nothing.
    """

    log_r: tuple[float, ...] = (-math.inf,) * POINTS
    bad: float = 0.0
    total: float = 0.0
    windows: int = 0
    skipped: int = 0

    @property
    def log_level(self) -> float:
        """ln Σ w_j·R_j. While the rate is at most p0 its mean after n windows is at most n."""
        return float(np.logaddexp.reduce(_LOG_PRIOR + np.asarray(self.log_r)))


@dataclass(frozen=True, slots=True)
class GuardState:
    """`until` (unix seconds): the end of the last window that was folded in; `detectors` in the order of `watched`."""

    until: float
    detectors: tuple[Detector, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A bound that is broken: ln of the level against that of the threshold, and what was counted since the start."""

    watched: Watched
    log_level: float
    log_threshold: float
    detector: Detector


def start_guard(guard: Guard) -> GuardState:
    """Nothing seen yet."""
    return GuardState(-math.inf, (Detector(),) * len(guard.watched))


def advance_guard(
    guard: Guard, state: GuardState, *, end: float, counts: Mapping[tuple[str, str], tuple[float, float]]
) -> GuardState:
    """`state` with the window that ends at `end` (unix seconds) folded in; one that was seen before changes nothing.

    `counts` by (objective, arm): (bad, total), 0 ≤ bad ≤ total, by the definition of bad for `max`. What is absent is
    unknown: it moves no level and is counted. `Guard.overdispersion` divides the evidence, `Guard.cap` bounds it.
    """
    if end <= state.until:
        return state
    return GuardState(
        end,
        tuple(
            _next(guard, watched.limit, detector, counts.get((watched.objective, watched.arm)))
            for watched, detector in zip(guard.watched, state.detectors, strict=True)
        ),
    )


def alarms(guard: Guard, state: GuardState) -> tuple[Alarm, ...]:
    """The bounds that are shown to be broken now.

    Guarantee: while every rate is at most its limit in every window, the mean time to the first alarm of each is at
    least `len(watched) / false_alarms_per_year` years, and so of all of them together 1 / `false_alarms_per_year`. To
    start afresh after an alarm is `start_guard`.
    """
    return tuple(
        Alarm(watched, detector.log_level, guard.log_threshold, detector)
        for watched, detector in zip(guard.watched, state.detectors, strict=True)
        if detector.log_level >= guard.log_threshold
    )


def _next(guard: Guard, limit: float, detector: Detector, counts: tuple[float, float] | None) -> Detector:
    if counts is None:
        return replace(detector, skipped=detector.skipped + 1)
    bad, total = counts
    factors = log_e_alternatives(total, bad, limit=limit, alternatives=ALTERNATIVES)
    tempered = np.minimum(factors / guard.overdispersion, guard.cap)
    level = np.logaddexp(np.asarray(detector.log_r), 0.0) + tempered
    # Rounded down, it is short to write, and the promise only gets better.
    level = np.floor(level * _GRAINS) / _GRAINS
    return Detector(
        tuple(level.tolist()), detector.bad + bad, detector.total + total, detector.windows + 1, detector.skipped
    )


def encode_guard(state: GuardState) -> str:
    """`decode_guard` gives the same state back, bit for bit."""
    content = {
        "v": DETECTOR_VERSION,
        "until": _finite(state.until),
        "detectors": [
            [[_finite(value) for value in each.log_r], each.bad, each.total, each.windows, each.skipped]
            for each in state.detectors
        ],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def decode_guard(text: str) -> GuardState:
    """The state that `encode_guard` wrote. Raises ValueError where it is of another version or shape."""
    content = json.loads(text)
    written = content.get("v") if isinstance(content, dict) else None
    if written != DETECTOR_VERSION:
        raise ValueError(f"the guard's state is of version {written!r}, and this engine reads {DETECTOR_VERSION!r}")
    try:
        detectors = tuple(_detector(values) for values in content["detectors"])
        until = _infinite(content["until"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the guard's state cannot be read: {error}") from error
    return GuardState(until, detectors)


def _detector(values: list[Any]) -> Detector:
    levels, bad, total, windows, skipped = values
    if len(levels) != POINTS:
        raise ValueError(f"{len(levels)} alternatives instead of {POINTS}")
    return Detector(tuple(_infinite(each) for each in levels), float(bad), float(total), int(windows), int(skipped))


def _finite(value: float) -> float | None:
    return None if value == -math.inf else value


def _infinite(value: float | None) -> float:
    return -math.inf if value is None else float(value)
