"""Models that take a minute to answer: neither slowness nor a burst of requests is taken for silence or for failure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.slow_traffic import STEP_AT, TRAEFIKS_OWN, WIDE, Traffic, record_of

from modelroute.analysis.design import Objective, Outcomes
from modelroute.analysis.engine import assess
from modelroute.rollout.consume import consume, went_live
from modelroute.rollout.evidence import WindowReading

STEADY = ((1_800.0, 50.0),)


def decisions(traffic: Traffic, runs: int = 6, **more: float) -> list[tuple[str, float] | None]:
    return [traffic.decided(seed, **more) for seed in range(runs)]


@pytest.mark.parametrize("boundaries", [TRAEFIKS_OWN, WIDE], ids=["Traefik's own boundaries", "wide boundaries"])
def test_arms_alike_that_are_slower_than_the_last_boundary_are_not_taken_for_silence(
    boundaries: tuple[float, ...],
) -> None:
    """Nobody can tell how slow: the split settles for as long as it ever does."""
    found = decisions(Traffic(STEADY, (0.0, 0.05), (60.0, 60.0), boundaries=boundaries))

    assert found == [None] * 6


@pytest.mark.parametrize(
    ("shares", "bad"), [((0.5, 1.0), 0.4), ((0.05, 0.9), 0.4)], ids=["to all of it", "from 5 % to 90 %"]
)
def test_when_both_arms_fail_alike_while_the_split_settles_the_growing_one_is_not_to_blame(
    shares: tuple[float, float], bad: float
) -> None:
    """Failures are quick and successes take 20 s: the reference still finishes well what it took before the step."""
    alike = Traffic(((1_300.0, 100.0),), shares, (20.0, 20.0), spread=0.6, bad=bad)

    assert decisions(alike) == [None] * 6


@pytest.mark.parametrize(
    ("window_s", "rates", "median"),
    [(15.0, (20.0, 60.0), 90.0), (5.0, (50.0, 100.0), 45.0), (5.0, (50.0, 150.0), 90.0)],
)
def test_a_slow_candidate_answers_though_its_fast_reference_shows_a_burst_of_requests_first(
    window_s: float, rates: tuple[float, float], median: float
) -> None:
    burst = Traffic(((STEP_AT, rates[0]), (240.0, rates[1])), (0.25, 0.25), (median, 5.0), spread=0.4)

    assert decisions(burst, window_s=window_s) == [None] * 6


def test_a_slow_candidate_that_hangs_is_still_found_out_once_what_it_had_begun_is_done() -> None:
    hangs = Traffic(((1_500.0, 50.0),), (0.25, 0.25), (20.0, 5.0), spread=0.4, hangs_from=STEP_AT)
    found = decisions(hangs)

    assert [why for why, _ in filter(None, found)] == ["silence"] * 6
    assert max(after for _, after in filter(None, found)) <= 120


def test_a_window_after_missed_scrapes_that_counts_from_before_the_step_shows_nothing() -> None:
    """Scrapes at −5 and 55 s, the step at 0: what the window from 45 s holds is mostly of the old split."""
    record = went_live(record_of((0.05, 0.05), 15.0), 30.0)
    record = replace(record, progress=replace(record.progress, live_at=30.0, consumed_until=45.0))
    counts = {("errors", arm): Outcomes(total, (bad,), bad) for arm, bad, total in (("new", 60, 60), ("old", 0, 900))}
    whole = WindowReading(45.0, 60.0, counts, {"new": 60.0, "old": 900.0}, ())

    after_gap = consume(record, [replace(whole, counted_from=25.0)], 15.0)
    neighbour = consume(record, [replace(whole, counted_from=44.0)], 15.0)

    assert after_gap.progress.engine.bank == record.progress.engine.bank
    assert after_gap.progress.engine.tallies[0].skipped == 1
    assert after_gap.progress.consumed_until == 60.0
    assert after_gap.progress.step_counts == {}
    assert neighbour.progress.engine.bank != record.progress.engine.bank


def test_a_window_that_counts_from_before_the_split_had_settled_is_one_that_settles() -> None:
    record = record_of((0.05, 0.05), 15.0)
    counts = {("errors", arm): Outcomes(total, (0.0,), 0.0) for arm, total in (("new", 60.0), ("old", 900.0))}
    reading = WindowReading(45.0, 60.0, counts, {"new": 60.0, "old": 900.0}, ())

    assert consume(record, [reading], 15.0).progress.engine.tallies[0].windows == 1
    assert consume(record, [replace(reading, counted_from=29.0)], 15.0).progress.engine.tallies[0].windows == 0


@pytest.mark.parametrize(("delay_s", "proven"), [(0.0, 8), (120.0, 0)])
def test_a_judge_that_counts_violations_late_proves_nothing_while_its_delay_is_waited_for(
    delay_s: float, proven: int
) -> None:
    """From 5 to 50 %, 1.5 % beside 0.5 %: violations are counted two minutes late, those of the old split at first."""
    found = 0
    for seed in range(8):
        chance = np.random.default_rng(seed)
        record = record_of((0.05, 0.5), 15.0, Objective("unsafe", margin=0.002))
        record = replace(record, attempt=replace(record.attempt, judge_delay_s=delay_s))
        record = replace(record, progress=replace(record.progress, step=1, live_at=None))
        record = went_live(record, 0.0)
        for at in np.arange(0.0, 240.0, 15.0):
            then = 0.5 if at >= 120 else 0.05
            counts = {}
            for arm, now, before, rate in (("new", 0.5, then, 0.015), ("old", 0.5, 1 - then, 0.005)):
                late = float(chance.binomial(round(1_500 * before), rate))
                counts["unsafe", arm] = Outcomes(chance.binomial(round(1_500 * now), 1 - rate) + late, (late,), late)
            record = consume(record, [WindowReading(at, at + 15, counts, {"new": 750.0, "old": 750.0}, ())], 15.0)
            if assess(record.attempt.design, record.progress.engine).proven_safe:
                found += 1
                break
    assert found == proven
