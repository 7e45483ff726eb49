"""The guard's detectors: how often they cry wolf, how soon they see harm, and what survives a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelroute.analysis.detector import (
    Detector,
    Guard,
    GuardState,
    Watched,
    advance_guard,
    alarms,
    decode_guard,
    encode_guard,
    start_guard,
)
from modelroute.analysis.mixture import PRIOR

SLOW = Watched("slow", "small", 0.05)
GUARD = Guard((SLOW,), window_s=15.0)


def after(*windows: tuple[float, float], guard: Guard = GUARD, state: GuardState | None = None) -> GuardState:
    """(bad, total) of each window, 15 s apart."""
    state = state or start_guard(guard)
    end = 0.0 if state.until == -math.inf else state.until
    for index, counts in enumerate(windows, 1):
        state = advance_guard(guard, state, end=end + 15 * index, counts={("slow", "small"): counts})
    return state


def test_the_threshold_is_the_looks_between_false_alarms_shared_over_what_is_watched() -> None:
    looks = 365.25 * 86_400 / 15
    other = Watched("errors", "small", 0.01)

    assert GUARD.log_threshold == pytest.approx(math.log(looks))
    assert Guard((SLOW, other), 15.0, 4.0).log_threshold == pytest.approx(math.log(looks * 2 / 4))


def test_where_nothing_is_watched_or_alarms_are_cheap_the_threshold_is_still_one() -> None:
    assert Guard((), window_s=15.0).log_threshold == pytest.approx(math.log(365.25 * 86_400 / 15))
    assert Guard((SLOW,), window_s=3_600.0, false_alarms_per_year=10_000.0).log_threshold == pytest.approx(math.log(2))


def test_a_window_brings_at_most_a_third_of_the_way() -> None:
    (once,) = after((100, 100)).detectors
    (twice,) = after((100, 100), (100, 100)).detectors

    assert max(once.log_r) == pytest.approx(GUARD.log_threshold / 3, abs=2e-9)
    assert max(twice.log_r) == pytest.approx(2 * GUARD.log_threshold / 3, abs=0.01)


def test_it_counts_what_it_was_shown_and_what_it_was_not() -> None:
    state = advance_guard(GUARD, after((5, 100), (2, 80)), end=99.0, counts={})
    state = advance_guard(GUARD, state, end=120.0, counts={("slow", "small"): (1, 40)})
    (detector,) = state.detectors

    assert (detector.bad, detector.total, detector.windows, detector.skipped) == (8, 220, 3, 1)
    assert state.until == 120.0
    assert (Detector().bad, Detector().total, Detector().windows, Detector().skipped) == (0, 0, 0, 0)


def test_an_alarm_tells_the_level_and_what_it_crossed() -> None:
    state = after(*[(100, 100)] * 4)
    (alarm,) = alarms(GUARD, state)

    assert alarm.watched == SLOW
    assert alarm.log_level >= alarm.log_threshold == GUARD.log_threshold
    assert alarm.detector == state.detectors[0]
    assert alarm.log_level == pytest.approx(
        math.log(float(PRIOR @ np.exp(np.asarray(state.detectors[0].log_r)))), rel=1e-12
    )


def test_a_level_grows_as_it_is_written_down() -> None:
    """R ← (R + 1)·e^ℓ, one alternative at a time."""
    psi = np.exp(np.linspace(math.log(1.25), math.log(100), 16))
    theta = psi * 0.05 / (0.95 + psi * 0.05)
    r = np.zeros(16)
    for bad, total in ((5, 100), (9, 80), (0, 3)):
        r = (r + 1) * (theta / 0.05) ** bad * ((1 - theta) / 0.95) ** (total - bad)

    (detector,) = after((5, 100), (9, 80), (0, 3)).detectors

    assert np.exp(detector.log_r) == pytest.approx(r, rel=1e-6)


def test_harm_after_a_day_of_health_is_seen_as_soon_as_harm_at_once() -> None:
    """Each window twice the bound."""
    day = after(*[(3, 100)] * 5_760)

    def windows_to_alarm(state: GuardState) -> int:
        for count in range(1, 200):
            state = after((10, 100), state=state)
            if alarms(GUARD, state):
                return count
        return 200

    at_once, later = windows_to_alarm(start_guard(GUARD)), windows_to_alarm(day)

    assert alarms(GUARD, day) == ()
    assert later <= at_once < 40


def test_one_bad_window_raises_no_alarm() -> None:
    assert not alarms(GUARD, after(*[(2, 100)] * 20, (100, 100)))
    assert alarms(GUARD, after(*[(2, 100)] * 20, *[(100, 100)] * 4))


@pytest.mark.parametrize("requests", [3, 40])
def test_at_the_limit_the_mean_time_to_a_false_alarm_is_at_least_what_is_promised(requests: int) -> None:
    """A threshold of 40 looks; runs are cut at 400, which only makes the mean smaller."""
    guard = Guard((SLOW,), window_s=15.0, false_alarms_per_year=365.25 * 86_400 / 15 / 40)
    chance = np.random.default_rng(5)
    times = []
    for _ in range(60):
        state = start_guard(guard)
        for look in range(1, 401):
            bad = float(chance.binomial(requests, 0.05))
            counts = {("slow", "small"): (bad, float(requests))}
            state = advance_guard(guard, state, end=float(look), counts=counts)
            if alarms(guard, state):
                break
        times.append(look)

    assert float(np.mean(times)) >= 40


def test_what_is_unknown_moves_no_level_and_is_counted() -> None:
    state = advance_guard(GUARD, after((5, 100)), end=99.0, counts={})

    assert state.detectors[0].log_r == after((5, 100)).detectors[0].log_r
    assert state.detectors[0].skipped == 1


def test_a_window_seen_twice_changes_nothing() -> None:
    state = after((5, 100))

    assert advance_guard(GUARD, state, end=15.0, counts={("slow", "small"): (90, 90)}) == state


def test_a_restart_after_any_window_gives_the_same_state_to_the_byte() -> None:
    windows = [(float(k % 7), 100.0 + k) for k in range(20)]
    whole = encode_guard(after(*windows))
    for cut in range(len(windows)):
        read = decode_guard(encode_guard(after(*windows[:cut])))
        assert encode_guard(after(*windows[cut:], state=read)) == whole


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "of version None"),
        ('{"v":"0"}', "of version '0'"),
        ('{"v":"1"}', "cannot be read"),
        ('{"v":"1","until":null,"detectors":[[[],0,0,0,0]]}', "0 alternatives"),
    ],
)
def test_a_state_that_is_not_this_guards_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode_guard(text)


def test_ten_million_requests_are_finite() -> None:
    state = after((10**7, 10**7), (0, 10**7))

    assert np.all(np.isfinite(state.detectors[0].log_r))
    assert Detector().log_level == -math.inf
