"""What there is to say of an attempt: what is known, when it was decided, and what it would have taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelroute.analysis.design import Action
from modelroute.analysis.engine import Answering, Assessment, Finding, assess, encode, start_gate
from modelroute.analysis.layout import shares
from modelroute.explaining.counterfactual import (
    Subject,
    fewer_bad,
    fewer_to_go_on,
    is_breached,
    more_answers,
    more_bad,
    requests_until_breach,
)
from modelroute.explaining.kept import Kept, Look, looks_at
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.lack import LEANING


@dataclass(frozen=True, slots=True)
class Item:
    """One objective and candidate. `log_weight`: ln of what it adds to the sum that decides, to be held to the limit.

    Of the kept windows: with `fewer` bad answers of the candidate nothing would have been breached by then, and with
    `fewer_to_go_on` the evidence would not even have leaned to harm; with `more` it would have been breached. After
    `requests` more of the candidate it will be, if they go on as they were in the last step. Each is None where that
    does not apply, or no number would have done it.
    """

    finding: Finding
    log_weight: float
    fewer: int | None = None
    fewer_to_go_on: int | None = None
    more: int | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A candidate that was tested for whether it answers; `more` completions would have spared it."""

    answering: Answering
    log_weight: float
    more: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """`final`: what is known after the last window. `looks`: after each that can be gone through, none without `kept`.

    `decided`: the first of them with a breach. `agrees`: the engine came to the very state that is kept.
    """

    record: Record
    final: Assessment
    items: tuple[Item, ...]
    silences: tuple[Silence, ...]
    kept: Kept | None
    looks: tuple[Look, ...] = ()
    decided: Look | None = None
    agrees: bool | None = None


def account_of(record: Record, kept: Kept | None) -> Account:
    """The account of `record`, with what can be gone through again where there is something."""
    design = record.attempt.design
    final = assess(design, record.progress.engine)
    looks: tuple[Look, ...] = ()
    agrees = None
    if kept is not None:
        looks, state = looks_at(design, kept)
        if record.progress.live_at is None and record.progress.step != kept.steps[-1]:
            state = start_gate(design, state)
        agrees = encode(state) == encode(record.progress.engine)
    breached = {
        action: any(is_breached(look.assessment, action) for look in looks)
        for action in (Action.ROLL_BACK, Action.PAUSE)
    }
    decided = next((look for look in looks if is_breached(look.assessment, Action.ROLL_BACK)), None)
    if decided is None:
        decided = next((look for look in looks if is_breached(look.assessment, Action.PAUSE)), None)
    part = math.log(max(shares(design, Action.ROLL_BACK), 1))
    return Account(
        record=record,
        final=final,
        items=tuple(_item(record, kept, finding, breached.get(finding.action, False)) for finding in final.findings),
        silences=tuple(
            Silence(
                each,
                each.log_few - part,
                more_answers(design, kept, each.candidate) if kept is not None and breached[Action.ROLL_BACK] else None,
            )
            for each in final.answering
        ),
        kept=kept,
        looks=looks,
        decided=decided,
        agrees=agrees,
    )


def _item(record: Record, kept: Kept | None, finding: Finding, breached: bool) -> Item:
    design = record.attempt.design
    weight = finding.log_e - math.log(max(shares(design, finding.action), 1))
    if kept is None or finding.action is Action.REPORT:
        return Item(finding, weight)
    subject = Subject(finding.objective, finding.candidate, finding.action)
    if breached:
        fewer = fewer_bad(design, kept, subject)
        onward = None if fewer is None else fewer_to_go_on(design, kept, subject, LEANING)
        return Item(finding, weight, fewer=fewer, fewer_to_go_on=onward)
    under_way = record.progress.stage is Stage.PROGRESSING
    return Item(
        finding,
        weight,
        more=more_bad(design, kept, subject),
        requests=requests_until_breach(design, record.progress.engine, kept, subject) if under_way else None,
    )
