"""From a window to what each row of the bank is shown: the candidate's counts and its reference's, or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from modelroute.analysis.design import Comparison, Outcomes, Window
from modelroute.analysis.layout import TOO_FEW, TOO_MANY, Kind, Layout, Pair
from modelroute.analysis.mixture import Floats

Counts = tuple[float, float, float, float]
"""(nC, xC, nB, xB)."""

_NOTHING: Counts = (0.0, 0.0, 0.0, 0.0)

RECENT_S: Final = 300.0
"""Seconds: what completes now was asked for within the last five minutes. No step settles for longer either."""

_ENOUGH: Final = 50
"""Requests whose number tells how much traffic there was, to 15 %."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one window shows. `table` (P, 4): a row's counts, 0 where it sees nothing; one-arm rows have nB = xB = 0.

    `limits` (P,): the bound p0 of a one-arm row, and of one of both, in this window. A row of both has nB = xB = 0
    where the reference is asked for no traffic: there its bound stands alone. `pairs`: each pair's counts for people
    and for the bounds, None where the window is unsettled or unknown for it; `absolute`: the candidate's (n, x) for
    `max`, so too. `unknown`: the pairs that should have been seen and were not. `alone`: the pairs whose reference has
    no traffic.
    """

    table: Floats
    limits: Floats
    pairs: tuple[Counts | None, ...]
    absolute: tuple[tuple[float, float] | None, ...]
    unknown: tuple[bool, ...]
    alone: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _PairSeen:
    """`alone`: the reference is asked for no traffic, and what it still completes is compared with nothing.

    `asked_total`, `asked_reference`: the asked shares of the rule's requests, of the candidate and of its reference.
    """

    candidate: Outcomes | None
    reference: Outcomes | None
    alone: bool
    asked_total: float
    asked_reference: float


Recent = tuple[tuple[float, ...], ...]
"""By checked candidate: what its reference completed in each window of the last five minutes of this step."""


def recent_after(layout: Layout, recent: Recent, window: Window) -> Recent:
    """`recent` with `window`, which may not have settled yet; what is unknown adds nothing."""
    most = math.ceil(RECENT_S / max(window.end - window.start, 1.0))
    known = (window.completions.get(comparison.reference or "") for comparison in layout.checked)
    return tuple(
        before if count is None else (*before, count)[-most:] for before, count in zip(recent, known, strict=True)
    )


def least_level(recent: Sequence[float]) -> float:
    """The least that was completed in a window, of as many windows on end as `_ENOUGH` requests take.

    One window alone says too little where it holds few requests: the least of many would be next to nothing.
    """
    together = min(math.ceil(_ENOUGH * len(recent) / max(sum(recent), 1.0)), len(recent))
    sums = np.convolve(np.asarray(recent, dtype=np.float64), np.ones(together), mode="valid")
    return float(sums.min()) / together


def seen_by(layout: Layout, window: Window, recent: Recent) -> Seen:
    """What `window` shows to each row of `layout`. An absent key shows nothing to any row that would need it.

    `recent` is the one after this window.
    """
    requests: dict[str, float] = {}
    for (objective, _), outcomes in window.outcomes.items():
        requests[objective] = requests.get(objective, 0.0) + outcomes.total
    pairs = tuple(_pair_seen(pair, window, requests.get(pair.objective.name, 0.0)) for pair in layout.pairs)
    table: list[Counts] = []
    limits = layout.margin.copy()
    for index, row in enumerate(layout.rows):
        if row.kind is Kind.MANY or row.kind is Kind.FEW:
            counts, limits[index] = _completed(layout.checked[row.owner], row.kind, window, recent[row.owner])
        else:
            pair = layout.pairs[row.owner]
            counts = _counts(pair, pairs[row.owner], row.kind, row.boundary, window.settled)
            if row.kind is Kind.BOTH and pair.objective.limit is not None:
                limits[index] = pair.objective.limit
        table.append(counts)
    usable = tuple(seen if window.settled and _known(seen) else None for seen in pairs)
    return Seen(
        table=np.asarray(table, dtype=np.float64).reshape(-1, 4),
        limits=limits,
        pairs=tuple(
            _told(pair, seen) if seen is not None else None for pair, seen in zip(layout.pairs, usable, strict=True)
        ),
        absolute=tuple(
            (seen.candidate.total, seen.candidate.absolute) if seen is not None and seen.candidate is not None else None
            for seen in usable
        ),
        unknown=tuple(
            not _known(seen) and (not seen.alone or pair.limits) for pair, seen in zip(layout.pairs, pairs, strict=True)
        ),
        alone=tuple(seen.alone for seen in pairs),
    )


def _known(seen: _PairSeen) -> bool:
    """Is there all that the pair needs? A reference that is asked for no traffic is not needed."""
    return seen.candidate is not None and (seen.alone or seen.reference is not None)


def _pair_seen(pair: Pair, window: Window, requests: float) -> _PairSeen:
    """`requests`: those of the objective by all arms."""
    name, comparison = pair.objective.name, pair.comparison
    candidate = _usable(window.outcomes.get((name, comparison.candidate)), pair)
    alone = comparison.reference is None or not window.asked.get(comparison.reference, 0.0) > 0
    reference = (
        None if comparison.reference is None else _usable(window.outcomes.get((name, comparison.reference)), pair)
    )
    asked, rest = (window.asked.get(arm or "", 0.0) for arm in (comparison.candidate, comparison.reference))
    return _PairSeen(candidate, reference, alone, asked * requests, rest * requests)


def _usable(outcomes: Outcomes | None, pair: Pair) -> Outcomes | None:
    """Other boundaries than the attempt was frozen with are as good as no counts: none is guessed, in either direction.

    With one more, the first could be another threshold than the one that was asked for.
    """
    if outcomes is None or (pair.compares and len(outcomes.compared) != pair.objective.boundaries):
        return None
    return outcomes


def _counts(pair: Pair, seen: _PairSeen, kind: Kind, boundary: int, settled: bool) -> Counts:
    """What a row of a pair is shown of a window.

    Early completions are failures more often than not, so until the split has settled only the fast path looks. A
    growing candidate has failed and not yet finished, so its total is at least the asked share of the rule's requests;
    a shrinking reference still finishes what it took before the change, so its own is at most that. Both take evidence
    away. A reference that is asked for nothing shows nothing: its backlog ends well, and has no failures of today.
    """
    candidate, reference = seen.candidate, seen.reference
    if candidate is None or (not settled and kind is not Kind.FAST):
        return _NOTHING
    if kind is Kind.LIMIT:
        return (candidate.total, candidate.absolute, 0.0, 0.0) if _known(seen) else _NOTHING
    if kind is Kind.BOTH and seen.alone:
        return candidate.total, candidate.absolute, 0.0, 0.0
    if reference is None or seen.alone:
        return _NOTHING
    if kind is Kind.BOTH:
        # A reference that is asked for traffic and completes none is nothing to compare with, and no excuse either.
        if not reference.total > 0:
            return _NOTHING
        return candidate.total, candidate.absolute, reference.total, reference.absolute
    bad, reference_bad = (
        (candidate.compared[boundary], reference.compared[boundary])
        if pair.compares
        else (candidate.absolute, reference.absolute)
    )
    if settled:
        return candidate.total, bad, reference.total, reference_bad
    total = max(candidate.total, seen.asked_total)
    reference_total = max(reference_bad, min(reference.total, seen.asked_reference))
    return total, bad, reference_total, reference_bad


def _told(pair: Pair, seen: _PairSeen) -> Counts:
    """The counts that people are told of: those against the reference where there is one, else those for `max`."""
    candidate, reference = seen.candidate, None if seen.alone else seen.reference
    assert candidate is not None, "only what is known is told"
    if pair.compares:
        base = (reference.total, reference.compared[0]) if reference is not None else (0.0, 0.0)
        return candidate.total, candidate.compared[0], *base
    base = (reference.total, reference.absolute) if reference is not None else (0.0, 0.0)
    return candidate.total, candidate.absolute, *base


def _completed(
    comparison: Comparison, kind: Kind, window: Window, recent: Sequence[float]
) -> tuple[Counts, float]:  # fmt: skip
    """(n, x) and the bound on the candidate's share of what it and its reference completed; nothing at first.

    What a slow candidate completes now was asked for minutes ago. Where the load has risen since, a fast reference
    completes more already and the candidate not yet, so for "too few" the reference's completions count at most as
    many as they were in the quietest part of the last five minutes. With ψ < 1 the window's factor rises in them, so
    that only shrinks it: what was an e-process is one still. And while the load rises: given independent arrivals
    (Poisson) the candidate completes at least 0.9 of its share of that quietest part, which is all that is asked of it.

    A gateway that goes round its backends sends the one with the least share its first request last, and a process that
    begins anew forgets whose turn it was. So whoever would have too little is credited a request for each restart; like
    the above, that only shrinks a factor.
    """
    assert comparison.reference is not None, "only a candidate with a reference is checked"
    asked, rest = (window.asked.get(arm, 0.0) for arm in (comparison.candidate, comparison.reference))
    mine, theirs = (window.completions.get(arm) for arm in (comparison.candidate, comparison.reference))
    if not window.settled or mine is None or theirs is None or not asked > 0 or not rest > 0:
        return _NOTHING, 0.5
    share = asked / (asked + rest)
    bound = share * (TOO_MANY if kind is Kind.MANY else TOO_FEW)
    if kind is Kind.FEW:
        mine, theirs = mine + window.restarts, min(theirs, least_level(recent))
    else:
        theirs += window.restarts
    return (mine + theirs, mine, 0.0, 0.0) if bound < 1 else _NOTHING, bound
