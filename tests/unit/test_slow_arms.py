"""Models that take a minute to answer: neither slowness nor a burst of requests is taken for silence or for failure."""

from __future__ import annotations

import pytest
from tests.slow_traffic import STEP_AT, TRAEFIKS_OWN, WIDE, Traffic

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
