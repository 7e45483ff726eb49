"""What the engine bets on: a grid of alternatives, and when its capital is spent.

Mixing over alternatives makes one process good against small and large harm alike. Spending the capital over time makes
it good against harm that starts late: what was not spent yet has not been lost to the healthy hours before.
Source: Howard, Ramdas, McAuliffe & Sekhon, *Time-uniform confidence sequences* (mixtures); Shin, Ramdas & Rinaldo,
*E-detectors* (restarts).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

POINTS: Final = 16
ALTERNATIVES: Final[Floats] = np.exp(np.linspace(math.log(1.25), math.log(100.0), POINTS))
"""Odds ratios ψ > 1, evenly spaced in their logarithm: worse than allowed. Shape (16,)."""

INVERTED: Final[Floats] = 1.0 / ALTERNATIVES
"""Odds ratios ψ < 1: better than the bound, for proofs of safety. Shape (16,)."""

_RAW = np.exp(-0.35 * np.arange(POINTS))
PRIOR: Final[Floats] = _RAW / _RAW.sum()
"""The part of what is spent that goes to each alternative. Shape (16,), sums to 1."""

STEP_SHARE: Final = 0.15
"""The part of what is unspent that the first window of a new step spends in addition: harm likes to begin there."""


def unspent(windows: ArrayLike) -> Floats:
    """The part of the capital that is not spent yet after `windows` ≥ 0 windows; 1 before the first, then at most ½."""
    seen = np.asarray(windows, dtype=np.float64)
    return np.where(seen <= 0, 1.0, 0.5 / np.sqrt(1.0 + np.maximum(seen - 1.0, 0.0) / 20.0))


SAFE_SHARE: Final = 0.9
"""The part that a proof of safety spends on its first window: it has no onset to wait for. The rest is for candidates
that get better."""


def kept(windows: ArrayLike, step_begins: ArrayLike, at_once: ArrayLike = False) -> Floats:
    """The part of what is unspent after `windows` windows that the next one leaves unspent, in (0, 1).

    `at_once`: `SAFE_SHARE` is spent on the first window. A predictable choice: it may hang on anything but the outcomes
    of the window itself (see `STEP_SHARE`).
    """
    seen = np.asarray(windows, dtype=np.float64)
    usual = unspent(seen + 1.0) / unspent(seen)
    spread = np.where(np.asarray(step_begins, dtype=np.bool_) & (seen > 0), usual * (1.0 - STEP_SHARE), usual)
    return np.where(np.asarray(at_once, dtype=np.bool_) & (seen <= 0), 1.0 - SAFE_SHARE, spread)
