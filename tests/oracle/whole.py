"""A whole attempt a second time: one objective, one candidate beside its reference, as STATISTICS.md and ADR 5 say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mpmath as mp  # type: ignore[import-untyped]
from tests.oracle.processes import Real, grid, log_ratio, one_arm, two_arm_factor, unspent, weights, with_odds


@dataclass
class Capital:
    """One process with its own capital: what is held, what is still to be spent, and how much a window may bring."""

    goal: Real
    cap: Real | None
    at_once: bool = False
    held: list[Real] = field(default_factory=lambda: [mp.mpf(0)] * 16)
    left: Real = field(default_factory=lambda: mp.mpf(1))
    windows: int = 0

    def bet(self, logs: Sequence[Real], *, step_begins: bool) -> None:
        keep = unspent(self.windows + 1) / unspent(self.windows)
        if step_begins and self.windows:
            keep *= mp.mpf("0.85")
        if self.at_once and not self.windows:
            keep = mp.mpf("0.1")
        for j, (share, log) in enumerate(zip(weights(), logs, strict=True)):
            before = self.held[j] + self.left * (1 - keep) * share
            gain = log if self.cap is None else _most(log, self.cap, self.goal - mp.log(before))
            self.held[j] = before * mp.exp(gain)
        self.left *= keep
        self.windows += 1

    @property
    def log_e(self) -> Real:
        return mp.log(mp.fsum(self.held) + self.left)


@dataclass(frozen=True)
class Known:
    """ln E for harm and for safety; the smallest margin of the grid from which on all are refuted."""

    log_e: Real
    log_safe: Real
    refuted: Real | None


MARGINS = [mp.mpf(each) / 10_000 for each in (2, 5, 10, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1_300, 2_000, 3_500)]


def attempt(
    windows: Sequence[Sequence[float]], steps: Sequence[int], *, ratio: float, margin: float, limit: float | None,
    alpha: float, beta: float, overdispersion: float,
) -> Known:  # fmt: skip
    """Windows (nC, xC, nB, xB), all settled and with traffic on both arms; a step begins before those in `steps`."""
    psis, d, p0 = grid(), mp.mpf(overdispersion), None if limit is None else mp.mpf(limit)
    forms = 1 if limit is None else 2
    form, cap = mp.mpf(9) / 10 / forms, mp.log((forms + 1) / mp.mpf(alpha)) / 3
    goal, safe_goal = -mp.log(alpha * form), -mp.log(mp.mpf(beta))
    # The fast path has no cap: nothing bounds what one of its windows brings.
    main, fast = Capital(goal, cap), Capital(-mp.log(mp.mpf(alpha) / 10), None)
    above, broken = Capital(goal, cap), Capital(goal, cap)
    safe = Capital(safe_goal, safe_goal / 2, at_once=True)
    sums = proof = mp.mpf(0)
    bounds = [mp.mpf(0)] * len(MARGINS)
    seen = gate = (mp.mpf(0),) * 4
    for index, window in enumerate(windows):
        begins = index in steps
        if begins:
            safe, gate, proof = Capital(safe_goal, safe_goal / 2, at_once=True), (mp.mpf(0),) * 4, mp.mpf(0)
            bounds = [mp.mpf(0)] * len(MARGINS)
        guess, own = (
            (mp.mpf(1) / 2 + seen[bad]) / (1 / (2 * mp.mpf(0.01)) + seen[total]) for bad, total in ((3, 2), (1, 0))
        )

        def against(r: float, delta: float, *, inverted: bool = False, guess: Real = guess) -> list[Real]:
            each = [1 / psi if inverted else psi for psi in psis]
            return [two_arm_factor(window, guess, psi, r, delta) / d for psi in each]  # noqa: B023

        main.bet(against(ratio, margin), step_begins=begins)
        fast.bet(against(ratio, max(0.2, margin)), step_begins=begins)
        safe.bet(against(ratio, margin, inverted=True), step_begins=False)
        n, x = map(mp.mpf, window[:2])
        if p0 is not None:
            above.bet(against(1, 0), step_begins=begins)
            logs = [log_ratio(x, n, with_odds(p0, psi), p0) / d for psi in psis]
            broken.bet(logs, step_begins=begins)
            sums += _most(_grown(seen, n, x, p0, d, safe=False), cap, goal - sums)
            proof += _most(_grown(gate, n, x, p0, d, safe=True), safe_goal / 2, safe_goal - proof)
        for at, each in enumerate(MARGINS):
            if own < guess + each < 1:
                value = two_arm_factor(window, guess, 0, 1, each, own) / d
                # Kept to six decimals, rounded down: two capped windows come to the goal but for this.
                grown = bounds[at] + _most(value, safe_goal / 2, safe_goal - bounds[at])
                bounds[at] = mp.floor(grown * 10**6) / 10**6
        seen, gate = (tuple(a + b for a, b in zip(of, window, strict=True)) for of in (seen, gate))
    harm = form * mp.exp(main.log_e) + mp.exp(fast.log_e) / 10
    log_safe = safe.log_e
    if p0 is not None:
        harm += form * min((mp.exp(sums) + mp.exp(broken.log_e)) / 2, mp.exp(above.log_e))
        log_safe = min(log_safe, proof)
    standing = [at for at, value in enumerate(bounds) if value < safe_goal]
    after = standing[-1] + 1 if standing else 0
    return Known(mp.log(harm), log_safe, MARGINS[after] if after < len(MARGINS) else None)


def _most(growth: Real, cap: Real, lacking: Real) -> Real:
    """What a window may bring at most: the cap, or a third of what is lacking."""
    return min(growth, max(cap, lacking / 3))


def _grown(of: Sequence[Real], n: Real, x: Real, p0: Real, d: Real, *, safe: bool) -> Real:
    then, now = ((of[0], of[1]), (of[0] + n, of[1] + x))
    before, after = (
        one_arm(*counts, p0, safe=safe, prior=None, overdispersion=d) for counts in (then, now)
    )  # fmt: skip
    return after - before
