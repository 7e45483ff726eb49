"""What a person may ask of a rollout, and what is due: the annotation `modelroute.dev/action: <verb>@<token>`.

A token names one moment of one revision, `<revision>.<n>`; n counts up with every step, every verb that was taken and
every end. So nobody approves a gate that they have not seen, and an annotation that stays does nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from modelroute.rollout.attempt import Record, Stage, Verdict, token_of
from modelroute.rollout.observation import Observation
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal, refusal_of


class Verb(StrEnum):
    """`promote` ends this step's waiting, `promote-full` that of all steps to come; neither goes past a breach."""

    APPROVE = "approve"
    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done; `message` says why, and what is due instead.

    `spent`: the token was the one that is due. Another is due then, or nobody could say the same again once what stood
    in its way is gone.
    """

    message: str
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """The record with the verb in it; with a `verdict` the attempt goes back."""

    record: Record
    message: str
    verdict: Verdict | None = None


def wants_retry(seen: Observation) -> bool:
    """Whether a person asks to try the refused revision again, with the token that is due.

    Not where the spec wants another one by now: a retry that waited would start it whenever the spec comes back to it.
    """
    return _retries(seen) and (seen.plan is None or refusal_against(seen) is not None)


def refusal_against(seen: Observation) -> Refusal | None:
    """What keeps the revision that the spec wants from being tried; where the record is gone, as the status knows."""
    found = [seen.refused] if seen.record is None else [refusal_of(each) for each in (seen.record, *seen.overtaken)]
    wanted = None if seen.plan is None else seen.plan.revision
    return next((each for each in found if each is not None and each.revision == wanted), None)


def _retries(seen: Observation) -> bool:
    verb, token = split_request(seen.request)
    return verb == Verb.RETRY and bool(seen.retry_token) and token == seen.retry_token


def split_request(text: str) -> tuple[str, str]:
    """'approve@1a2b.3' as verb and token; an absent part is empty."""
    verb, _, token = text.partition("@")
    return verb.strip(), token.strip()


def take(seen: Observation, record: Record, now: float) -> Taken | Refused | None:
    """What comes of the request while `record` is under way; None where there is none."""
    if not seen.request:
        return None
    named, token = split_request(seen.request)
    if (problem := _not_due(named, token, token_of(record))) is not None:
        return Refused(problem)
    if record.progress.stage is Stage.ROLLING_BACK:
        return Refused(f"{named}: attempt {record.attempt.number} is going back, which nothing stops")
    outcome = _taken(Verb(named), seen, record, now)
    return replace(outcome, spent=True) if isinstance(outcome, Refused) else outcome


def refusal_at_rest(seen: Observation) -> Refused:
    """Why a request does nothing while no attempt is under way."""
    named, token = split_request(seen.request)
    if (problem := _not_due(named, token, seen.retry_token or "")) is not None:
        return Refused(problem)
    if _retries(seen):
        return Refused("retry: the spec does not want what was rolled back any more", spent=True)
    return Refused(f"{named}: no rollout is under way; what can be done now is retry@{seen.retry_token}")


def _not_due(named: str, token: str, due: str) -> str | None:
    if named not in set(Verb):
        return f"{named or 'nothing'!r} is no action; there are {', '.join(Verb)}"
    if not due:
        return f"{named}: nothing is due: no rollout is under way and none was rolled back"
    if token != due:
        return f"{named}@{token}: that was for another moment; due now is {due} (status.nextAction)"
    return None


def _taken(verb: Verb, seen: Observation, record: Record, now: float) -> Taken | Refused:
    progress, step = record.progress, record.attempt.steps[record.progress.step]
    paused = progress.paused or (seen.plan is not None and seen.plan.paused)
    match verb:
        case Verb.APPROVE:
            if not step.approval or progress.approved:
                return Refused("approve: this step does not wait for an approval")
            return _with(record, seen, "approved: the step is left when all else is met too", approved=True)
        case Verb.PROMOTE | Verb.PROMOTE_FULL:
            if paused or progress.pause_breached:
                return Refused(f"{verb}: {_why_paused(seen, record)}")
            full = verb is Verb.PROMOTE_FULL
            what = "all steps to come" if full else "this step"
            told = f"promote: the waiting of {what} is over; the gateway and the evidence are still asked"
            return _with(record, seen, told, waived=True, waived_all=progress.waived_all or full)
        case Verb.PAUSE:
            return _with(record, seen, "paused: no promotion; harm still rolls back", paused=True)
        case Verb.RESUME:
            if not progress.paused:
                return Refused(f"resume: {_why_paused(seen, record)}")
            return _with(record, seen, "resumed", paused=False)
        case Verb.ABORT:
            verdict = Verdict(Reason.ABORTED, "a person aborted it", now)
            return replace(_with(record, seen, "aborted: it goes back"), verdict=verdict)
        case Verb.RETRY:
            return Refused("retry: this attempt is still under way; abort it first")
        case other:
            assert_never(other)


def _why_paused(seen: Observation, record: Record) -> str:
    if record.progress.pause_breached:
        return "an objective with onBreach: Pause is breached; abort, or change the spec"
    if seen.plan is not None and seen.plan.paused:
        return "spec.paused is true; set it to false"
    return "a person paused it; resume first" if record.progress.paused else "it is not paused"


def spent(record: Record, request: str) -> Record:
    """`record` after `request` was refused and its token is due no more."""
    progress = replace(record.progress, serial=record.progress.serial + 1, handled=request)
    return Record(record.attempt, progress)


def _with(record: Record, seen: Observation, message: str, **changes: bool) -> Taken:
    fields: dict[str, object] = {**changes, "serial": record.progress.serial + 1, "handled": seen.request}
    progress = replace(record.progress, **fields)  # type: ignore[arg-type]  # bools, an int and a text, by name
    return Taken(Record(record.attempt, progress), message)
