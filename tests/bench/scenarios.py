"""Seeded rollouts for the bench: what each arm was sent and what of it was bad, for many runs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARES = np.repeat([0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50], 10)
"""The candidate's share at each of the 100 looks: ten steps of ten."""

REQUESTS = 3000
BASES = np.asarray([0.01, 0.05, 0.001, 0.02])
MARGINS = np.asarray([0.005, 0.01, 0.001, 0.005])
SESSION = 8
"""The largest number of requests of one session, for the null of session clusters."""


@dataclass(frozen=True, slots=True)
class Runs:
    """`sent` (runs, looks, 2) and `bad` (runs, looks, objectives, 2); the candidate first, then its reference."""

    sent: Floats
    bad: Floats
    shares: Floats

    def only(self, runs: slice) -> Runs:
        return Runs(self.sent[runs], self.bad[runs], self.shares)


Rates = Callable[[np.random.Generator, int], Floats]
"""(chance, runs) → rates of shape (runs or 1, looks, objectives, 2)."""


def drawn(chance: np.random.Generator, runs: int, rates: Floats, shares: Floats = SHARES) -> Runs:
    """Independent requests, each assigned on its own."""
    looks = len(shares)
    candidate = chance.binomial(REQUESTS, shares, (runs, looks))
    sent = np.stack([candidate, REQUESTS - candidate], axis=-1)
    full = np.broadcast_to(rates, (runs, looks, rates.shape[2], 2))
    bad = chance.binomial(sent[:, :, np.newaxis, :], full)
    return Runs(sent.astype(np.float64), bad.astype(np.float64), shares)


def same(chance: np.random.Generator, runs: int) -> Floats:
    """Nothing changed."""
    return np.broadcast_to(BASES[np.newaxis, np.newaxis, :, np.newaxis], (1, 100, 4, 2)).copy()


def drift(chance: np.random.Generator, runs: int) -> Floats:
    """Both arms drift to three times their rates."""
    return same(chance, runs) * np.linspace(1, 3, 100)[np.newaxis, :, np.newaxis, np.newaxis]


def outage(chance: np.random.Generator, runs: int) -> Floats:
    """Both arms drift to three times their rates, and 4 looks of 100 are an outage of 20 times for both."""
    hit = chance.random((runs, 100)) < 0.04
    return np.minimum(drift(chance, runs) * np.where(hit, 20, 1)[:, :, np.newaxis, np.newaxis], 0.95)


def at_margin(chance: np.random.Generator, runs: int) -> Floats:
    """The candidate is worse by just what the objectives allow (MARGINS)."""
    rates = same(chance, runs)
    rates[..., 0] += MARGINS
    return rates


def shocks(chance: np.random.Generator, runs: int) -> Floats:
    """In 2 looks of 100 on average, one of the two arms, either, fails 15 % of one objective's requests."""
    rates = np.broadcast_to(same(chance, runs), (runs, 100, 4, 2)).copy()
    hit = chance.random((runs, 100)) < 0.02
    run, look = np.nonzero(hit)
    objective, arm = chance.integers(0, 4, len(run)), chance.integers(0, 2, len(run))
    rates[run, look, objective, arm] = 0.15
    return rates


def sessions(chance: np.random.Generator, runs: int) -> Runs:
    """1 to 8 requests of a session go to one arm, and share their luck: its rate is Beta with correlation 0.1."""
    sent = np.zeros((runs, 100, 2))
    bad = np.zeros((runs, 100, 4, 2))
    spread = (1 - 0.1) / 0.1
    for run in range(runs):
        for look, share in enumerate(SHARES):
            sizes = chance.integers(1, SESSION + 1, int(REQUESTS / ((SESSION + 1) / 2)))
            arm = (chance.random(len(sizes)) >= share).astype(int)
            luck = chance.beta(BASES[:, np.newaxis] * spread, (1 - BASES[:, np.newaxis]) * spread, (4, len(sizes)))
            failed = chance.binomial(sizes, luck)
            for which in (0, 1):
                sent[run, look, which] = sizes[arm == which].sum()
                bad[run, look, :, which] = failed[:, arm == which].sum(axis=1)
    return Runs(sent, bad, SHARES)


def changed(objective: int, to: float, onset: int, looks: int = 100) -> Rates:
    """One objective of the candidate changes to the rate `to` at look `onset`."""

    def rates(chance: np.random.Generator, runs: int) -> Floats:
        found = np.broadcast_to(BASES[np.newaxis, np.newaxis, :, np.newaxis], (1, looks, 4, 2)).copy()
        found[:, onset:, objective, 0] = to
        return found

    return rates
