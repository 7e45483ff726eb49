"""What the engine bets on: a grid of alternatives, and when its capital is spent.

Mixing over alternatives makes one process good against small and large harm alike. Spending the capital over time makes
it good against harm that starts late: what was not spent yet has not been lost to the healthy hours before.
Source: Howard, Ramdas, McAuliffe & Sekhon, *Time-uniform confidence sequences* (mixtures); Shin, Ramdas & Rinaldo,
*E-detectors* (restarts).
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Direction(StrEnum):
    """What a process gathers evidence for: that the candidate is worse than allowed, or that it is not."""

    HARM = "harm"
    SAFE = "safe"


POINTS: Final = 16
ALTERNATIVES: Final[Floats] = np.exp(np.linspace(math.log(1.25), math.log(100.0), POINTS))
"""Odds ratios ψ > 1, evenly spaced in their logarithm. Shape (16,)."""

SAFE_ALTERNATIVES: Final[Floats] = 1 / ALTERNATIVES
"""The same grid turned round: odds ratios ψ < 1. Shape (16,)."""

_RAW = np.exp(-0.35 * np.arange(POINTS))
PRIOR: Final[Floats] = _RAW / _RAW.sum()
"""The part of what is spent that goes to each alternative. Shape (16,), sums to 1."""


def unspent(windows: int) -> float:
    """The part of the capital that is not spent yet after `windows` ≥ 0 windows; 1 before the first, then below ½."""
    if windows <= 0:
        return 1.0
    return 0.5 / math.sqrt(1.0 + (windows - 1) / 20.0)


def log_spent(windows: int) -> float:
    """The logarithm of the part that is spent on the next window, after `windows` ≥ 0 of them."""
    return math.log(unspent(windows) - unspent(windows + 1))
