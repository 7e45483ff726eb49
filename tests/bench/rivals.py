"""How others decide on the same rollouts. Each returns for every run whether it ever rolled back, shape (runs,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import mannwhitneyu
from tests.bench.rollouts import BASES, LOOKS_PER_STEP, STEPS, Floats

Flags = NDArray[np.bool_]


def fixed_thresholds(counts: Floats) -> Flags:
    """Twice the base rate in a look is a failure; the sixth failure rolls back."""
    failures = counts[..., 1] > 2 * BASES * np.maximum(counts[..., 0], 1)
    return np.asarray((failures.sum(axis=1) > 5).any(axis=-1))


def z_every_look(counts: Floats) -> Flags:
    """Pooled since the start, one-sided, p < 5 % at any look."""
    return np.asarray((_z_p(np.cumsum(counts, axis=1)) < 0.05).any(axis=(1, 2)))


def z_every_step(counts: Floats, level: float = 0.05) -> Flags:
    """Each step's counts, once, at its end."""
    return np.asarray((_z_p(_by_step(counts)) < level).any(axis=(1, 2)))


def bonferroni(counts: Floats) -> Flags:
    """The same at 5 % divided by steps × objectives."""
    return z_every_step(counts, 0.05 / (len(STEPS) * len(BASES)))


def mann_whitney(counts: Floats) -> Flags:
    """As Kayenta's judge: the looks' rates of a step, of both arms, at every look from the fourth of a step on.

    High where the lower end of the Hodges–Lehmann shift's 98 % interval is above a quarter of the shift itself; that is
    the test of the shifted rates at 1 %.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        candidate, reference = counts[..., 1] / counts[..., 0], counts[..., 3] / counts[..., 2]
    candidate, reference = np.nan_to_num(candidate), np.nan_to_num(reference)
    crossed = np.zeros(len(counts), dtype=np.bool_)
    for begin in range(0, counts.shape[1], LOOKS_PER_STEP):
        for end in range(begin + 4, begin + LOOKS_PER_STEP + 1):
            a, b = candidate[:, begin:end], reference[:, begin:end]
            shift = np.median(a[:, :, np.newaxis] - b[:, np.newaxis], axis=(1, 2))
            tolerated = 0.25 * np.abs(shift)[:, np.newaxis]
            p = mannwhitneyu(a - tolerated, b, axis=1, alternative="greater", method="asymptotic").pvalue
            crossed |= (p < 0.01).any(axis=-1)
    return crossed


def _by_step(counts: Floats) -> Floats:
    return np.asarray(counts.reshape(len(counts), -1, LOOKS_PER_STEP, *counts.shape[2:]).sum(axis=2))


def _z_p(counts: Floats) -> Floats:
    n_c, x_c, n_b, x_b = np.moveaxis(counts, -1, 0)
    pooled = (x_c + x_b) / np.maximum(n_c + n_b, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x_c / n_c - x_b / n_b) / np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_b))
    return np.asarray(ndtr(-np.nan_to_num(z, posinf=0.0, neginf=0.0)))
