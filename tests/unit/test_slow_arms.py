"""Models that take a minute to answer: neither slowness nor a burst of requests is taken for silence or for failure."""

from __future__ import annotations

import pytest
from tests.slow_traffic import TRAEFIKS_OWN, WIDE, Traffic

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
