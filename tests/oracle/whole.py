"""A whole attempt a second time, as the decisions 5 and 8 say: each objective and candidate, the split, their sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import mpmath as mp
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
    hits: list[int] = field(default_factory=lambda: [0] * 16)

    def spend(self, *, step_begins: bool) -> None:
        keep = unspent(self.windows + 1) / unspent(self.windows)
        if step_begins and self.windows:
            keep *= mp.mpf("0.85")
        if self.at_once and not self.windows:
            keep = mp.mpf("0.1")
        self.held = [held + self.left * (1 - keep) * share for held, share in zip(self.held, weights(), strict=True)]
        self.left *= keep
        self.windows += 1

    def bet(self, logs: Sequence[Real], *, step_begins: bool) -> None:
        self.spend(step_begins=step_begins)
        for j, log in enumerate(logs):
            before, lacking = self.held[j], self.goal - mp.log(self.held[j])
            most = mp.inf if self.cap is None else max(self.cap, lacking / (3 if self.at_once else 3 - self.hits[j]))
            self.held[j] = before * mp.exp(min(log, most))
            self.hits[j] = min(self.hits[j] + 1, 2) if log >= most else 0

    def grown(self, before: Real, log: Real) -> Real:
        return before * mp.exp(log if self.cap is None else _most(log, self.cap, self.goal - mp.log(before)))

    @property
    def log_e(self) -> Real:
        return mp.log(mp.fsum(self.held) + self.left)


@dataclass
class Joint(Capital):
    """A `max` and the reference at once: the lesser of what both say of a block, until p0 of it would be three."""

    block: list[tuple[Sequence[float], Real]] = field(default_factory=list)
    began: list[Real] = field(default_factory=list)

    def look(self, window: Sequence[float], guess: Real, p0: Real, d: Real, *, step_begins: bool) -> None:
        if step_begins or mp.fsum(mp.mpf(each[0]) for each, _ in self.block) * p0 >= 3 - mp.mpf(10) ** -9:
            self.block = []
        if not self.block:
            self.spend(step_begins=step_begins)
            self.began = list(self.held)
        first = self.block[0][1] if self.block else guess
        self.block.append((window, first))
        for j, psi in enumerate(grid()):
            # The same bet against each of the two, at the rate that is above both.
            q = with_odds(max(p0, first), psi)
            own = mp.fsum(log_ratio(mp.mpf(each[1]), mp.mpf(each[0]), q, p0) for each, _ in self.block)
            against = mp.fsum(two_arm_factor(each, first, 0, 1, 0, q) for each, _ in self.block)
            self.held[j] = self.grown(self.began[j], min(own, against) / d)


@dataclass(frozen=True)
class Known:
    """ln E for harm, and for safety where there is something to prove; the smallest margin of the grid from which on
    all are refuted.
    """

    log_e: Real
    log_safe: Real | None
    refuted: Real | None


MARGINS = [mp.mpf(each) / 10_000 for each in (2, 5, 10, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1_300, 2_000, 3_500)]


@dataclass(frozen=True)
class Sum:
    """What an objective and candidate share α with: its `part` of the sum, and M, `gating` processes in all."""

    part: Real = 1
    gating: int | None = None


def attempt(
    windows: Sequence[Sequence[float]], steps: Sequence[int], *, ratio: float | None, margin: float | None,
    limit: float | None, alpha: float, beta: float, overdispersion: float, shared: Sum = Sum(),
    further: Sequence[Sequence[Sequence[float]]] = (), alone: bool = False,
) -> Known:  # fmt: skip
    """Windows (nC, xC, nB, xB), all settled and with traffic on both arms; a step begins before those in `steps`.

    `further`: the same windows at more boundaries of a latency. `alone`: there is no reference.
    """
    psis, d, p0 = grid(), mp.mpf(overdispersion), None if limit is None else mp.mpf(limit)
    compares = (ratio is not None or margin is not None) and not alone
    forms = compares + (limit is not None)
    levels = 1 + len(further)
    part = mp.mpf(shared.part)
    form = (1 if alone else mp.mpf(9) / 10) / mp.mpf(forms)
    gating = shared.gating or compares * levels + (limit is not None) + (not alone)
    cap, goal, safe_goal = mp.log(gating / mp.mpf(alpha)) / 3, -mp.log(alpha * form * part), -mp.log(mp.mpf(beta))
    mains = [Capital(-mp.log(alpha * form * part / levels), cap) for _ in range(levels)]
    # The fast path has no cap: nothing bounds what one of its windows brings.
    fast = Capital(-mp.log(alpha * part / 10), None)
    allowed = max(0.2, (margin or 0) if compares else (limit or 0))
    both, broken = Joint(goal, cap), Capital(goal, cap)
    safe = Capital(safe_goal, safe_goal / 2, at_once=True)
    sums = proof = mp.mpf(0)
    bounds = [mp.mpf(0)] * len(MARGINS)
    seen = gate = (mp.mpf(0),) * 4
    more = [(mp.mpf(0), mp.mpf(0)) for _ in further]
    for index, window in enumerate(windows):
        begins = index in steps
        if begins:
            safe, gate, proof = Capital(safe_goal, safe_goal / 2, at_once=True), (mp.mpf(0),) * 4, mp.mpf(0)
            bounds = [mp.mpf(0)] * len(MARGINS)
        guess, own = _guess(seen[3], seen[2]), _guess(seen[1], seen[0])

        def against(
            r: float, delta: float, *, inverted: bool = False, guess: Real = guess, window: Sequence[float] = window
        ) -> list[Real]:
            each = [1 / psi if inverted else psi for psi in psis]
            return [two_arm_factor(window, guess, psi, r, delta) / d for psi in each]

        if not alone:
            fast.bet(against(ratio or 1, allowed), step_begins=begins)
        if compares:
            mains[0].bet(against(ratio or 1, margin or 0), step_begins=begins)
            safe.bet(against(ratio or 1, margin or 0, inverted=True), step_begins=False)
            for at, (main, table) in enumerate(zip(mains[1:], further, strict=True)):
                there = against(ratio or 1, margin or 0, guess=_guess(*more[at]), window=table[index])
                main.bet(there, step_begins=begins)
                more[at] = (more[at][0] + table[index][3], more[at][1] + table[index][2])
            for at, each in enumerate(MARGINS):
                if own < guess + each < 1:
                    value = two_arm_factor(window, guess, 0, 1, each, own) / d
                    # Kept to six decimals, rounded down: two capped windows come to the goal but for this.
                    grown = bounds[at] + _most(value, safe_goal / 2, safe_goal - bounds[at])
                    bounds[at] = mp.floor(grown * 10**6) / 10**6
        n, x = map(mp.mpf, window[:2])
        if p0 is not None:
            if not alone:
                both.look(window, guess, p0, d, step_begins=begins)
            logs = [log_ratio(x, n, with_odds(p0, psi), p0) / d for psi in psis]
            broken.bet(logs, step_begins=begins)
            sums += _most(_grown(seen, n, x, p0, d, safe=False), cap, goal - sums)
            proof += _most(_grown(gate, n, x, p0, d, safe=True), safe_goal / 2, safe_goal - proof)
        seen, gate = (tuple(a + b for a, b in zip(of, window, strict=True)) for of in (seen, gate))
    harm = mp.mpf(0) if alone else mp.exp(fast.log_e) / 10
    proofs = []
    if compares:
        harm += form * mp.fsum(mp.exp(main.log_e) for main in mains) / levels
        proofs.append(safe.log_e)
    if p0 is not None:
        alone_broken = (mp.exp(sums) + mp.exp(broken.log_e)) / 2
        harm += form * (alone_broken if alone else mp.exp(both.log_e))
        proofs.append(proof)
    standing = [at for at, value in enumerate(bounds) if value < safe_goal]
    after = standing[-1] + 1 if standing else 0
    return Known(mp.log(harm), min(proofs, default=None), MARGINS[after] if after < len(MARGINS) else None)


def split(
    windows: Sequence[tuple[float, float]], asked: Sequence[float], *, alpha: float, overdispersion: float,
    shared: Sum,
) -> tuple[Real, Real]:  # fmt: skip
    """ln E of "more than 1.1 times the asked share" and of "less than 0.9 times", after windows of completions.

    `asked` is the candidate's share of what it and its reference are asked for; a step begins where it changes. Windows
    are of 15 s, and 20 of them at most: what a slow candidate completes was asked for within these five minutes.
    """
    cap = mp.log(mp.mpf(shared.gating or 1) / mp.mpf(alpha)) / 3
    many, few = Capital(-mp.log(mp.mpf(alpha)), None), Capital(-mp.log(alpha * mp.mpf(shared.part)), cap)
    level: list[float] = []
    for index, ((mine, theirs), share) in enumerate(zip(windows, asked, strict=True)):
        begins = index > 0 and share != asked[index - 1]
        level = [theirs] if begins else [*level, theirs]
        for process, times, inverted in ((many, "1.1", False), (few, "0.9", True)):
            bound = mp.mpf(times) * mp.mpf(share)
            beside = min(mp.mpf(theirs), _lowest(level)) if inverted else mp.mpf(theirs)
            logs = [
                log_ratio(mp.mpf(mine), mp.mpf(mine) + beside, with_odds(bound, 1 / psi if inverted else psi), bound)
                for psi in grid()
            ]
            process.bet([each / mp.mpf(overdispersion) for each in logs], step_begins=begins)
    return many.log_e, few.log_e


def _lowest(counts: Sequence[float]) -> Real:
    """The lowest mean of as many windows on end as hold 50 requests in the mean: what was asked for a while ago."""
    run = min(len(counts), math.ceil(50 * len(counts) / max(sum(counts), 1)))
    return min(mp.fsum(counts[at : at + run]) / run for at in range(len(counts) - run + 1))


def _guess(bad: Real, total: Real) -> Real:
    return (mp.mpf(1) / 2 + bad) / (1 / (2 * mp.mpf(0.01)) + total)


def _most(growth: Real, cap: Real, lacking: Real) -> Real:
    """What a window may bring at most: the cap, or a third of what is lacking."""
    return min(growth, max(cap, lacking / 3))


def _grown(of: Sequence[Real], n: Real, x: Real, p0: Real, d: Real, *, safe: bool) -> Real:
    then, now = ((of[0], of[1]), (of[0] + n, of[1] + x))
    before, after = (
        one_arm(*counts, p0, safe=safe, prior=None, overdispersion=d) for counts in (then, now)
    )  # fmt: skip
    return after - before
