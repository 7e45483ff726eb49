"""Simulated rollouts: what both arms would have counted, look by look. Everything follows from the seed.

Counts have the shape (runs, looks, objectives, 4): nC, xC, nB, xB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BASES = np.asarray([0.01, 0.05, 0.001, 0.02])
"""The four objectives' base rates."""
STEPS = np.asarray([1, 2, 5, 10, 15, 20, 25, 30, 40, 50]) / 100
LOOKS_PER_STEP = 10
REQUESTS = 3_000
"""A look."""
SESSION = 10
"""Requests of the largest session."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """`shares` (looks,): the candidate's part of the traffic; `counts` (runs, looks, objectives, 4)."""

    shares: Floats
    counts: Floats


def step_shares(looks: int) -> Floats:
    """The candidate's share at each look: ten looks a step, and the last step goes on."""
    return STEPS[np.minimum(np.arange(looks) // LOOKS_PER_STEP, len(STEPS) - 1)]


def drawn(chance: np.random.Generator, shares: Floats, candidate: Floats, reference: Floats, runs: int) -> Rollouts:
    """Independent requests; rates broadcast to (runs, looks, objectives)."""
    shape = (runs, len(shares), len(BASES))
    n_c = np.repeat(chance.binomial(REQUESTS, shares, size=(runs, len(shares)))[..., np.newaxis], len(BASES), axis=2)
    n_b = REQUESTS - n_c
    x_c = chance.binomial(n_c, np.broadcast_to(candidate, shape))
    x_b = chance.binomial(n_b, np.broadcast_to(reference, shape))
    return Rollouts(shares, np.stack([n_c, x_c, n_b, x_b], axis=-1).astype(np.float64))


def nothing(chance: np.random.Generator, runs: int, looks: int = 100) -> Rollouts:
    """Both arms alike, always."""
    return drawn(chance, step_shares(looks), BASES, BASES, runs)


def drifting(chance: np.random.Generator, runs: int) -> Rollouts:
    """Both arms drift to three times their rates."""
    rates = BASES * np.linspace(1, 3, 100)[:, np.newaxis]
    return drawn(chance, step_shares(100), rates, rates, runs)


def shared_outages(chance: np.random.Generator, runs: int) -> Rollouts:
    """In 2 % of the looks both arms fail twenty times as often."""
    out = chance.random((runs, 100, 1)) < 0.02
    rates = np.where(out, np.minimum(20 * BASES, 0.9), BASES)
    return drawn(chance, step_shares(100), rates, rates, runs)


def at_the_margin(chance: np.random.Generator, runs: int) -> Rollouts:
    """The candidate is exactly as much worse as is allowed: by half its base rate."""
    return drawn(chance, step_shares(100), BASES * 1.5, BASES, runs)


def sessions(chance: np.random.Generator, runs: int) -> Rollouts:
    """Whole sessions of 10 requests are assigned, and most sessions are good or bad as a whole (ρ = 0.3)."""
    shares = step_shares(100)
    s_c = np.repeat(chance.binomial(REQUESTS // SESSION, shares, size=(runs, 100))[..., np.newaxis], len(BASES), axis=2)
    s_b = REQUESTS // SESSION - s_c
    return Rollouts(shares, np.stack([*_by_session(chance, s_c), *_by_session(chance, s_b)], axis=-1))


def _by_session(chance: np.random.Generator, sessions_: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(n, x): with a probability of √0.3 a request does as its session does, so that two of one correlate by 0.3."""
    follows = np.sqrt(0.3)
    bad_sessions = chance.binomial(sessions_, np.broadcast_to(BASES, sessions_.shape))
    in_bad = chance.binomial(bad_sessions * SESSION, np.broadcast_to(follows + (1 - follows) * BASES, sessions_.shape))
    rest = (sessions_ - bad_sessions) * SESSION
    in_good = chance.binomial(rest, np.broadcast_to((1 - follows) * BASES, sessions_.shape))
    return (sessions_ * SESSION).astype(np.float64), (in_bad + in_good).astype(np.float64)


def shocks(chance: np.random.Generator, runs: int) -> Rollouts:
    """For one look of the rollout one arm, either one, fails 15 % in every objective."""
    hit = np.arange(100)[:, np.newaxis] == chance.integers(0, 100, size=(runs, 1, 1))
    whose = chance.random((runs, 1, 1)) < 0.5
    candidate = np.where(hit & whose, np.maximum(BASES, 0.15), BASES)
    reference = np.where(hit & ~whose, np.maximum(BASES, 0.15), BASES)
    return drawn(chance, step_shares(100), candidate, reference, runs)


@dataclass(frozen=True, slots=True)
class Change:
    """From `before` to `after` in the objective with that base rate."""

    before: float
    after: float

    @property
    def objective(self) -> int:
        return int(np.flatnonzero(np.isclose(BASES, self.before))[0])


def changed(chance: np.random.Generator, runs: int, change: Change, shares: Floats, onset: int) -> Rollouts:
    """The candidate is worse in one objective from the look `onset` on."""
    rates = np.tile(BASES, (len(shares), 1))
    rates[onset:, change.objective] = change.after
    return drawn(chance, shares, rates, np.tile(BASES, (len(shares), 1)), runs)


def always_failing(chance: np.random.Generator, runs: int, others: int, onset: int) -> Rollouts:
    """Ten of the candidate's requests a look beside `others` of the reference; from `onset` on the first objective is
    missed by all ten.
    """
    shares = np.full(onset + 6, 10 / (10 + others))
    counts = np.zeros((runs, len(shares), len(BASES), 4))
    counts[..., 0], counts[..., 2] = 10, others
    counts[..., 1] = chance.binomial(10, np.broadcast_to(BASES, counts.shape[:3]))
    counts[..., 3] = chance.binomial(others, np.broadcast_to(BASES, counts.shape[:3]))
    counts[:, onset:, 0, 1] = 10
    return Rollouts(shares, counts)
