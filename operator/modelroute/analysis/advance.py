"""Folding windows into states: one window, or one of each of many attempts in a single stroke of arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelroute.analysis.bank import Bank, after_window, restarted
from modelroute.analysis.blocks import Block, Halves, base_of, guesses, log_e_halves, reopened, so_far
from modelroute.analysis.blocks import after as block_after
from modelroute.analysis.bounds import log_e_bounds
from modelroute.analysis.counts import Seen, recent_after, seen_by
from modelroute.analysis.design import Design, Window
from modelroute.analysis.evidence import Limited, State, Tally
from modelroute.analysis.layout import Kind, Layout, layout_of
from modelroute.analysis.limits import limited_after
from modelroute.analysis.mixture import Flags, Floats
from modelroute.analysis.one_arm import log_e_alternatives
from modelroute.analysis.two_arm import log_e_values

_TOGETHER: Final = 512


def advance(design: Design, state: State, window: Window) -> State:
    """`state` with `window` folded in. A window that ends at or before the last one changes nothing.

    While the window is not settled only the fast path sees it, with the candidate's total replaced by its asked share
    of the rule's requests: among early completions failures are over-represented. Where the asked split differs from
    the window before, a step begins: what proves safety starts afresh, and harm's processes spend a little more.
    """
    (after,) = advance_all([(design, state, window)])
    return after


def advance_all(attempts: Iterable[tuple[Design, State, Window]]) -> list[State]:
    """`advance` for many attempts at once: the same states, to the bit, in a fraction of the time."""
    given = list(attempts)
    due = [_Job.of(*each) for each in given if each[2].end > each[1].until]
    done = iter(_advanced(due)) if due else iter(())
    return [next(done) if window.end > state.until else state for _, state, window in given]


def start_gate(design: Design, state: State) -> State:
    """`state` with the proofs of safety starting afresh: for a gate that begins without a change of the split.

    A change of the split does the same by itself. Harm's processes go on: they cover the attempt whole.
    """
    layout = layout_of(design)
    return _gate_begins(layout, state, frozenset(range(len(layout.pairs))))


@dataclass(frozen=True, slots=True)
class _Job:
    design: Design
    layout: Layout
    state: State
    seen: Seen
    window: Window

    @classmethod
    def of(cls, design: Design, state: State, window: Window) -> _Job:
        layout = layout_of(design)
        asked = tuple(
            (window.asked.get(each.candidate, 0.0), window.asked.get(each.reference or "", 0.0))
            for each in design.comparisons
        )
        if state.asked and asked != state.asked:
            state = _step_begins(design, layout, state, asked)
        recent = recent_after(layout, state.recent, window)
        return cls(design, layout, replace(state, asked=asked, recent=recent), seen_by(layout, window, recent), window)


def _step_begins(
    design: Design, layout: Layout, state: State, asked: Sequence[tuple[float, float]]
) -> State:  # fmt: skip
    moved = {
        comparison
        for comparison, now, before in zip(design.comparisons, asked, state.asked, strict=True)
        if now != before
    }
    owners = frozenset(index for index, pair in enumerate(layout.pairs) if pair.comparison in moved)
    rows = [
        layout.checked[row.owner] in moved if row.kind in {Kind.MANY, Kind.FEW} else row.owner in owners
        for row in layout.rows
    ]
    bank = replace(state.bank, due=state.bank.due | np.asarray(rows, dtype=np.bool_))
    recent = tuple(
        () if comparison in moved else before for comparison, before in zip(layout.checked, state.recent, strict=True)
    )
    lines = (row.owner for row in layout.rows if row.kind is Kind.BOTH)
    open_ = tuple(None if owner in owners else block for owner, block in zip(lines, state.blocks, strict=True))
    return _gate_begins(layout, replace(state, bank=bank, recent=recent, blocks=open_), owners)


def _gate_begins(layout: Layout, state: State, owners: frozenset[int]) -> State:
    safe = np.asarray([row.kind is Kind.SAFE and row.owner in owners for row in layout.rows], dtype=np.bool_)
    comparing = [index in owners for index, pair in enumerate(layout.pairs) if pair.compares]
    limits = [index in owners for index, pair in enumerate(layout.pairs) if pair.limits]
    return replace(
        state,
        bank=restarted(state.bank, safe),
        bounds=np.where(np.asarray(comparing, dtype=np.bool_)[:, np.newaxis], 0.0, state.bounds),
        limited=tuple(
            replace(each, gate_bad=0.0, gate_total=0.0, log_safe=0.0) if begins else each
            for each, begins in zip(state.limited, limits, strict=True)
        ),
    )


def _advanced(jobs: Sequence[_Job]) -> list[State]:
    sizes = [len(job.layout.rows) for job in jobs]
    table = np.concatenate([job.seen.table for job in jobs])
    bank = _joined([job.state.bank for job in jobs])
    layouts = [job.layout for job in jobs]
    overdispersion = np.repeat([job.design.overdispersion for job in jobs], sizes)
    two_arm = np.concatenate([layout.two_arm for layout in layouts])
    both = np.concatenate([layout.both for layout in layouts])
    bets: Flags = (table[:, 0] > 0) & ((table[:, 2] > 0) | ~two_arm | both)
    ratios = _log_ratios(jobs, layouts, table, bank, bets)
    blocks = _Blocks.of(jobs, layouts, table, bank, bets & both)
    ratios[blocks.rows] = blocks.halves.lesser
    cap = np.concatenate([layout.cap for layout in layouts])
    log_goal = np.concatenate([layout.log_goal for layout in layouts])
    after = after_window(
        blocks.reopened(bank, overdispersion, cap, log_goal),
        ratios,
        bets=bets,
        overdispersion=overdispersion,
        cap=cap,
        log_goal=log_goal,
        at_once=np.concatenate([layout.at_once for layout in layouts]),
        spends=blocks.begin(len(table)),
        thirds=np.concatenate([layout.thirds for layout in layouts]),
    )
    after = replace(after, bad=after.bad + table[:, 3], total=after.total + table[:, 2])
    bounds = log_e_bounds([(job.design, job.layout, job.state, job.seen) for job in jobs])
    limited = limited_after([(job.design, job.layout, job.state, job.seen) for job in jobs])
    return [
        _put_together(*each)
        for each in zip(jobs, _parted(after, sizes), limited, bounds, blocks.after(table), strict=True)
    ]


def _log_ratios(jobs: Sequence[_Job], layouts: Sequence[Layout], table: Floats, bank: Bank, bets: Flags) -> Floats:
    """ℓ of every row and alternative; 0 for rows that do not bet, and for those of both, which bet in blocks."""
    alternatives = np.concatenate([layout.alternatives for layout in layouts])
    guess = bank.guess(np.concatenate([layout.prior_rate for layout in layouts]))
    ratio = np.concatenate([layout.ratio for layout in layouts])
    margin = np.concatenate([layout.margin for layout in layouts])
    limits = np.concatenate([job.seen.limits for job in jobs])
    found = np.zeros(alternatives.shape)
    both = np.concatenate([layout.both for layout in layouts])
    two_arm = np.concatenate([layout.two_arm for layout in layouts])
    two, one = two_arm & bets & ~both, ~two_arm & bets
    for rows in _chunks(np.flatnonzero(two)):
        found[rows] = log_e_values(
            *table[rows].T, guess=guess[rows], alternatives=alternatives[rows], ratio=ratio[rows], margin=margin[rows]
        )
    if one.any():
        found[one] = log_e_alternatives(
            table[one, 0], table[one, 1], limit=limits[one], alternatives=alternatives[one]
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The blocks of all attempts in a window: those `betting`, with their halves; `places`: their rows in the bank."""

    sizes: tuple[int, ...]
    found: tuple[Block | None, ...]
    places: NDArray[np.intp]
    betting: NDArray[np.intp]
    limits: Floats
    guess: Floats
    before: Halves
    halves: Halves

    @classmethod
    def of(cls, jobs: Sequence[_Job], layouts: Sequence[Layout], table: Floats, bank: Bank, bets: Flags) -> _Blocks:
        places = np.flatnonzero(np.concatenate([layout.both for layout in layouts]))
        found = tuple(block for job in jobs for block in job.state.blocks)
        betting = np.flatnonzero(bets[places])
        rows, mine = places[betting], [found[at] for at in betting]
        prior = np.concatenate([layout.prior_rate for layout in layouts])
        guess = guesses(mine, bank.guess(prior)[rows])
        limits = np.concatenate([job.seen.limits for job in jobs])[rows]
        alternatives = np.concatenate([layout.alternatives for layout in layouts])[rows]
        before = so_far(mine, table[rows], limits, alternatives)
        now = log_e_halves(table[rows], guess, limits, alternatives)
        halves = Halves(before.own + now.own, before.against + now.against)
        return cls(tuple(len(job.state.blocks) for job in jobs), found, places, betting, limits, guess, before, halves)

    @property
    def rows(self) -> NDArray[np.intp]:
        return self.places[self.betting]

    @property
    def open(self) -> Flags:
        return np.asarray([self.found[at] is not None for at in self.betting], dtype=np.bool_)

    def begin(self, size: int) -> Flags:
        """Which of the bank's `size` rows begin a bet with this window: all but those of open blocks."""
        begins = np.ones(size, dtype=np.bool_)
        begins[self.rows[self.open]] = False
        return begins

    def reopened(self, bank: Bank, overdispersion: Floats, cap: Floats, log_goal: Floats) -> Bank:
        open_ = self.open
        rows = self.rows[open_]
        lesser = self.before.lesser[open_] / overdispersion[rows, np.newaxis]
        return reopened(bank, rows, base_of(bank.log_capital[rows], lesser, cap[rows], log_goal[rows]))

    def after(self, table: Floats) -> Iterable[tuple[Block | None, ...]]:
        """Each attempt's blocks after the window."""
        found = list(self.found)
        for line, at in enumerate(self.betting):
            counts = table[self.places[at], :2].tolist()
            found[at] = block_after(
                found[at], counts, float(self.limits[line]), float(self.guess[line]), self.halves.against[line]
            )
        begin = 0
        for size in self.sizes:
            yield tuple(found[begin : begin + size])
            begin += size


def _chunks(rows: NDArray[np.intp]) -> Iterable[NDArray[np.intp]]:
    """In parts whose arithmetic stays in the processor's cache: many attempts at once take half the time so."""
    return (rows[begin : begin + _TOGETHER] for begin in range(0, len(rows), _TOGETHER))


def _put_together(
    job: _Job, bank: Bank, limited: tuple[Limited, ...], bounds: Floats, blocks: tuple[Block | None, ...]
) -> State:
    return State(
        until=job.window.end,
        asked=job.state.asked,
        bank=bank,
        tallies=tuple(_tallied(job, index, tally) for index, tally in enumerate(job.state.tallies)),
        limited=limited,
        bounds=bounds,
        recent=job.state.recent,
        blocks=blocks,
    )


def _tallied(job: _Job, index: int, tally: Tally) -> Tally:
    if job.seen.unknown[index]:
        return replace(tally, skipped=tally.skipped + 1)
    counts = job.seen.pairs[index]
    if counts is None:
        return tally
    total, bad, reference_total, reference_bad = counts
    return Tally(
        tally.candidate_bad + bad,
        tally.candidate_total + total,
        tally.reference_bad + reference_bad,
        tally.reference_total + reference_total,
        tally.windows + 1,
        tally.skipped,
    )


def _joined(banks: Sequence[Bank]) -> Bank:
    if len(banks) == 1:
        return banks[0]
    return Bank(*(np.concatenate([getattr(bank, name) for bank in banks]) for name in Bank.__slots__))


def _parted(bank: Bank, sizes: Sequence[int]) -> Iterable[Bank]:
    columns = [getattr(bank, name) for name in Bank.__slots__]
    for column in columns:
        column.flags.writeable = False
    begin = 0
    for size in sizes:
        yield Bank(*(column[begin : begin + size] for column in columns))
        begin += size
