"""The evidence of a screen: for each candidate and objective the rates, what weighs for harm, what lacks to a proof."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from modelroute.api.objectives import Objective
from modelroute.api.status import Evidence
from modelroute.cli.bars import evidence_bar, interval_line, proof_bar
from modelroute.cli.view import View
from modelroute.cli.words import STYLES, evidence_parts, percent_parts, points, verdict_words

WIDE = 100
"""Columns from which on rates are drawn as well."""
BAR = 20


def evidence_block(view: View, width: int) -> Iterator[RenderableType]:
    """One table for each objective and candidate; nothing where no attempt was ever made."""
    objectives = {objective.name: objective for objective in view.route.spec.objectives}
    for place, entry in enumerate(view.route.status.objectives or ()):
        if place:
            yield Text(" ")
        yield _heading(entry)
        yield _table(entry, objectives.get(entry.name), drawn=width >= WIDE)


def brief_evidence(view: View) -> Iterator[RenderableType]:
    """A line for each objective and candidate, without bars and intervals, for a terminal with few rows."""
    for entry in view.route.status.objectives or ():
        told = Text.assemble((entry.name, "bold"), f" of {entry.candidate} ", no_wrap=True, overflow="ellipsis")
        told.append(verdict_words(entry.verdict), style=STYLES.get(entry.verdict or "", ""))
        told.append(f"  harm {entry.evidence}" if entry.evidence else "", style="dim")
        told.append(f"  {entry.candidate_rate or '–'} of {entry.candidate_requests or 0:,}")
        if entry.reference:
            told.append(f", {entry.reference} {entry.reference_rate or '–'} of {entry.reference_requests or 0:,}")
        yield told


def amounts_block(view: View) -> Iterator[RenderableType]:
    """What a request takes on average, of each arm; nothing where nobody asked for it."""
    entries = view.route.status.amounts or ()
    if not entries:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in range(6):
        table.add_column(justify="right" if column == 3 else "left")
    for entry in entries:
        sides = (
            (entry.candidate, entry.candidate_amount, entry.candidate_requests),
            (entry.reference, entry.reference_amount, entry.reference_requests),
        )
        for place, (arm, amount, requests) in enumerate(sides):
            if arm is None:
                continue
            times = f"{entry.ratio} times" if place == 0 and entry.ratio else ""
            table.add_row(
                "",
                Text("" if place else entry.name, "bold"),
                Text(arm),
                Text(amount or "–", "bold"),
                Text((entry.unit or "") if amount else "not known"),
                Text.assemble((f"{requests or 0:,} requests  ", "dim"), times),
            )
    yield table
    unknown = (entry.message for entry in entries if entry.ratio is None and entry.message)
    yield from (Text(message, "yellow") for message in dict.fromkeys(unknown))


def _heading(entry: Evidence) -> Text:
    against = f" against {entry.reference}" if entry.reference else ""
    told = Text.assemble((entry.name, "bold"), f" of {entry.candidate}{against}", (f"  {entry.bound or ''}  ", "dim"))
    told.append(verdict_words(entry.verdict), style=STYLES.get(entry.verdict or "", ""))
    return told


def _table(entry: Evidence, objective: Objective | None, *, drawn: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()  # the indentation
    table.add_column()
    table.add_column(justify="right")
    for _ in range(3):
        table.add_column()
    sides = (
        (
            entry.candidate,
            entry.candidate_rate,
            entry.candidate_interval,
            entry.candidate_bad,
            entry.candidate_requests,
        ),
        (
            entry.reference,
            entry.reference_rate,
            entry.reference_interval,
            entry.reference_bad,
            entry.reference_requests,
        ),
    )
    top = max((high for *_, text, _, _ in sides for high in percent_parts(text)), default=0.0)
    for (arm, rate, interval, bad, requests), style in zip(sides, ("cyan", "white"), strict=True):
        if arm is None:
            continue
        counted = f"{bad or 0:,.0f} of {requests or 0:,}"
        line = _drawn(rate, interval, top, style) if drawn else Text()
        table.add_row("", Text(arm), Text(rate or "–", "bold"), Text(interval or ""), Text(counted, "dim"), line)
    harm = evidence_parts(entry.evidence)
    if harm is not None:
        table.add_row("", Text("harm", "dim"), Text(""), evidence_bar(*harm, BAR), Text(entry.evidence or ""), Text())
    allowed = _allowed(entry, objective)
    if entry.could_be_worse_by is not None or allowed is not None:
        table.add_row("", Text("safe", "dim"), Text(""), *_proof(entry.could_be_worse_by, allowed), Text())
    return table


def _drawn(rate: str | None, interval: str | None, top: float, style: str) -> Text:
    bounds, middle = percent_parts(interval), percent_parts(rate)
    if len(bounds) != 2 or not middle or top <= 0:
        return Text()
    return interval_line(bounds[0], middle[0], bounds[1], top=top, width=30, style=style)


def _proof(could_be_worse_by: str | None, allowed: float | None) -> tuple[Text, Text]:
    """How near a proof of safety is: a bar where a margin says what is enough, and the same in words."""
    told = Text(f"could still be {could_be_worse_by} worse" if could_be_worse_by else "nothing shown yet")
    could_be = points(could_be_worse_by)
    if allowed is None:
        return Text(), told
    bar = proof_bar(math.inf if could_be is None else could_be, allowed, BAR)
    return bar, told.append(f", allowed {100 * allowed:.2g}pp")


def _allowed(entry: Evidence, objective: Objective | None) -> float | None:
    """How much worse than the reference is allowed, as a share; None where only `max` bounds it."""
    if objective is None:
        return None
    if objective.max_increase is not None:
        return points(objective.max_increase)
    reference = percent_parts(entry.reference_rate)
    if objective.max_ratio is None or not reference:
        return None
    return (float(objective.max_ratio) - 1) * reference[0]
