"""What the evidence says after a look: about each objective and candidate, and about the attempt as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np

from modelroute.analysis.bounds import smallest_refuted
from modelroute.analysis.design import Action, Design
from modelroute.analysis.evidence import Limited, State, Tally
from modelroute.analysis.interval import Interval, time_uniform
from modelroute.analysis.lacking import Forecast
from modelroute.analysis.layout import FAST_SHARE, Kind, Layout, Pair, form_share, layout_of
from modelroute.analysis.limits import log_broken


class Knowledge(StrEnum):
    """What the evidence shows of one objective and candidate."""

    UNKNOWN = "Unknown"
    NO_HARM_SHOWN = "NoHarmShown"
    HARMFUL = "Harmful"
    SAFE = "Safe"
    REFERENCE_TOO = "ReferenceToo"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one objective and candidate. `log_e` is ln of their own evidence of harm, before sharing.

    `knowledge` is one of Unknown, NoHarmShown and Harmful; `proven_safe` and `reference_too` are told beside it, and
    `verdict` puts them together. `reference` is "" where the candidate has none.
    `contributions`: ln of what each process adds to `log_e`, by name: "margin",
    "margin@1" for further boundaries, "fast", "max".
    `reference_too`: process B alone crosses 1/α: a reason to hold, which takes nothing from α.
    `log_safe`: ln E of the proof of safety since the gate began, None where there is nothing to prove it by.
    `worst_difference`: "could still be up to this much worse", a share (0.004: 0.4 pp); None where nothing is refuted.
    """

    objective: str
    candidate: str
    reference: str
    action: Action
    tally: Tally
    log_e: float
    knowledge: Knowledge
    contributions: tuple[tuple[str, float], ...]
    log_safe: float | None
    proven_safe: bool
    reference_too: bool
    worst_difference: float | None
    overdispersion: float
    forecast: Forecast

    @property
    def verdict(self) -> Knowledge:
        """The one word for people: harm first, then what the reference breaks too, then a proof of safety."""
        if self.knowledge is Knowledge.HARMFUL:
            return Knowledge.HARMFUL
        if self.reference_too:
            return Knowledge.REFERENCE_TOO
        return Knowledge.SAFE if self.proven_safe else self.knowledge

    @property
    def strongest_process(self) -> str:
        """Which process contributes most to the evidence of harm."""
        return max(self.contributions, key=lambda each: each[1], default=("", 0.0))[0]

    @property
    def candidate_interval(self) -> Interval:
        """The candidate's rate since the attempt began, at 95 % and at every look at once."""
        return time_uniform(self.tally.candidate_bad, self.tally.candidate_total, overdispersion=self.overdispersion)

    @property
    def reference_interval(self) -> Interval:
        """The reference's, likewise."""
        return time_uniform(self.tally.reference_bad, self.tally.reference_total, overdispersion=self.overdispersion)

    @property
    def requests_lacking(self) -> float | None:
        """About how many more of the candidate's requests prove it safe at the rates seen so far: no guarantee.

        0 once it is proven; None where such requests would not prove it, or nothing was counted.
        """
        if self.proven_safe:
            return 0.0
        if self.log_safe is None:
            return None
        return self.forecast.requests_lacking(self.tally, self.log_safe)

    def in_words(self) -> str:
        """'35 of 125 bad against 0 of 377 by large'."""
        tally = self.tally
        own = f"{tally.candidate_bad:,.0f} of {tally.candidate_total:,.0f} bad"
        if not self.reference or not tally.reference_total:
            return own
        return f"{own} against {tally.reference_bad:,.0f} of {tally.reference_total:,.0f} by {self.reference}"


@dataclass(frozen=True, slots=True)
class Answering:
    """Whether the split on the wire is the one asked for, of one candidate; `log_few` and `log_many` are ln E.

    `mismatch`: it completes more than 1.1 times its share (hold, SampleRatioMismatch); α of its own.
    `silent`: it completes less than 0.9 times its share, and that alone is enough to go back.
    """

    candidate: str
    reference: str
    log_many: float
    log_few: float
    mismatch: bool
    silent: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """Where the two sums stand. `log_limit` is ln(1/α), which a sum crosses with probability at most α if nothing is
    worse than allowed, over the whole attempt. A breach is to be latched by the caller: later windows may take it away.
    """

    rollback_log_evidence: float
    pause_log_evidence: float
    log_limit: float
    findings: tuple[Finding, ...]
    answering: tuple[Answering, ...] = ()

    @property
    def rollback_breached(self) -> bool:
        return self.rollback_log_evidence >= self.log_limit

    @property
    def pause_breached(self) -> bool:
        return self.pause_log_evidence >= self.log_limit

    @property
    def proven_safe(self) -> bool:
        """Is every RollBack objective of every candidate proven safe since the gate began? Not where there is none."""
        gating = [finding.proven_safe for finding in self.findings if finding.action is Action.ROLL_BACK]
        return bool(gating) and all(gating)

    @property
    def strongest(self) -> Finding | None:
        """Of the findings that can roll back, the one with the most evidence for harm."""
        gating = (finding for finding in self.findings if finding.action is Action.ROLL_BACK)
        return max(gating, key=lambda finding: finding.log_e, default=None)

    @property
    def most_silent(self) -> Answering | None:
        """The candidate that answers too few requests, where that is more evidence for harm than any finding's."""
        worst = max(self.answering, key=lambda each: each.log_few, default=None)
        if worst is None or (self.strongest is not None and self.strongest.log_e >= worst.log_few):
            return None
        return worst


def assess(design: Design, state: State) -> Assessment:
    """What is known after the windows folded in so far. A function of the state; α, β in (0, 1) from the design."""
    return assess_all([(design, state)])[0]


def assess_all(attempts: Iterable[tuple[Design, State]]) -> list[Assessment]:
    """`assess` for many attempts at once: the same, to the bit, in less time."""
    given = list(attempts)
    worst: dict[int, list[float]] = {}
    for level in {design.beta for design, _ in given}:
        places = [at for at, (design, _) in enumerate(given) if design.beta == level]
        refuted = iter(smallest_refuted(np.concatenate([given[at][1].bounds for at in places]), level).tolist())
        worst |= {at: list(islice(refuted, len(given[at][1].bounds))) for at in places}
    return [_assessed(design, state, worst[at]) for at, (design, state) in enumerate(given)]


def _assessed(design: Design, state: State, worst: Sequence[float]) -> Assessment:
    """`worst`: of each pair that compares, the smallest margin that was refuted; NaN where there is none."""
    layout = layout_of(design)
    limit = -math.log(design.alpha)
    log_e: list[float] = state.bank.log_e.tolist()
    answering = tuple(_answering(layout, log_e, limit))
    findings = tuple(_findings(design, layout, state, log_e, limit, worst))
    sums = {}
    for action in (Action.ROLL_BACK, Action.PAUSE):
        logs = [finding.log_e for finding in findings if finding.action is action]
        if action is Action.ROLL_BACK:
            logs += [each.log_few for each in answering]
        sums[action] = _log_sum(logs) - math.log(len(logs)) if logs else 0.0
    return Assessment(sums[Action.ROLL_BACK], sums[Action.PAUSE], limit, findings, answering)


def _log_sum(logs: Iterable[float]) -> float:
    """ln Σ e^log of one or more; for so few a loop takes a fifth of the time that an array does."""
    values = list(logs)
    most = max(values)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(value - most) for value in values))


def _answering(layout: Layout, log_e: Sequence[float], limit: float) -> Iterator[Answering]:
    part = layout.log_parts[Action.ROLL_BACK]
    for index, comparison in enumerate(layout.checked):
        (many,), (few,) = layout.of(Kind.MANY, index), layout.of(Kind.FEW, index)
        yield Answering(
            comparison.candidate,
            comparison.reference or "",
            log_e[many],
            log_e[few],
            mismatch=log_e[many] >= limit,
            silent=log_e[few] - part >= limit,
        )


def _findings(
    design: Design, layout: Layout, state: State, log_e: Sequence[float], limit: float, worst: Sequence[float]
) -> Iterator[Finding]:
    limited, refuted = iter(state.limited), iter(worst)
    for index, pair in enumerate(layout.pairs):
        yield _finding(
            design, layout, index, pair,
            state=state,
            log_e=log_e,
            limit=limit,
            own=next(limited) if pair.limits else None,
            worst=next(refuted) if pair.compares else math.nan,
        )  # fmt: skip


def _finding(
    design: Design, layout: Layout, index: int, pair: Pair, *,
    state: State, log_e: Sequence[float], limit: float, own: Limited | None, worst: float,
) -> Finding:  # fmt: skip
    part = layout.log_parts[pair.objective.action]
    form = math.log(form_share(pair))
    contributions, broken = [], -math.inf
    mains = layout.of(Kind.MAIN, index)
    for at, row in enumerate(mains):
        name = "margin" if at == 0 else f"margin@{at}"
        contributions.append((name, form - math.log(len(mains)) + log_e[row]))
    contributions += [("fast", math.log(FAST_SHARE) + log_e[row]) for row in layout.of(Kind.FAST, index)]
    if own is not None:
        (row,) = layout.of(Kind.LIMIT, index)
        broken = log_broken(own, log_e[row])
        both = next((log_e[i] for i in layout.of(Kind.BOTH, index)), broken)
        contributions.append(("max", form + both))
    evidence = _log_sum(value for _, value in contributions)
    tally = state.tallies[index]
    harmful = evidence - part >= limit
    seen = Knowledge.NO_HARM_SHOWN if tally.windows else Knowledge.UNKNOWN
    safe = _log_safe(layout, index, log_e, own)
    proven = safe is not None and safe >= -math.log(design.beta)
    return Finding(
        objective=pair.objective.name,
        candidate=pair.comparison.candidate,
        reference=pair.comparison.reference or "",
        action=pair.objective.action,
        tally=tally,
        log_e=evidence,
        knowledge=Knowledge.HARMFUL if harmful else seen,
        contributions=tuple(contributions),
        log_safe=safe,
        proven_safe=proven,
        reference_too=not harmful and broken >= limit,
        worst_difference=None if math.isnan(worst) else worst,
        overdispersion=design.overdispersion,
        forecast=Forecast(pair.objective, pair.compares, own, design.beta, design.overdispersion),
    )


def _log_safe(layout: Layout, index: int, log_e: Sequence[float], own: Limited | None) -> float | None:
    """ln E of the weakest of what must be proven (intersection–union: the level is not split)."""
    proofs = [log_e[row] for row in layout.of(Kind.SAFE, index)]
    if own is not None:
        proofs.append(own.log_safe)
    return min(proofs, default=None)
