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
