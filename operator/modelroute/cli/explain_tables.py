"""The answer of `modelroute explain`, for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TextIO

from rich import box
from rich.markup import escape
from rich.table import Table

from modelroute.cli.terminal import console, has_room
from modelroute.rollout.words import count, evidence

_NOTHING = -math.inf


def print_account(told: dict[str, Any], file: TextIO, *, windows: int) -> None:
    """`told` is an `answer`; `windows` ≥ 0: how many of the last ones are shown."""
    out = console(file, piped_width=118)
    if told["warning"] is not None:
        out.print(escape(told["warning"]), style="bold red")
    if (held := told["held"]) is not None:
        reason = f" ({held['reason']})" if held["reason"] else ""
        out.print(escape(f"{told['route']} now: {held['phase']}{reason}: {held['message']}"))
    for line in _head(told):
        out.print(escape(line))
    out.print()
    if has_room(out, table := _objectives(told)):
        out.print(table)
    else:
        for line in _objective_lines(told):
            out.print(escape(line))
        out.print()
    for line in _would_have_taken(told):
        out.print(escape(line))
    out.print()
    out.print(escape(_recomputed(told)))
    if windows and told["windows"]:
        if has_room(out, table := _windows(told, windows)):
            out.print(table)
        else:
            for cells in _window_rows(told, windows):
                out.print(escape("{}, step {}: {}; evidence {} (ln E {})".format(*cells)))


def _head(told: dict[str, Any]) -> Iterator[str]:
    step = told["step"]
    yield f"{told['rollout']}, attempt {told['attempt']} of {told['route']} ({told['move']}): {told['phase']}"
    yield f"in step {step['step']}/{step['of']}, {step['progress']} % of the way: {step['split']}"
    decision = told["decision"]
    if decision is not None:
        yield f"{_time(decision['at'])} {decision['reason']}: {decision['message']}"
    for lacking in told["lacking"]:
        yield f"waits for: {lacking}"
    limit = evidence(told["logLimit"])
    told_sum = f"evidence of harm {_evidence(told['logE'])} of the {limit} that roll back"
    if any(each["onBreach"] == "Pause" for each in told["objectives"]):
        told_sum += f", {_evidence(told['pauseLogE'])} of the {limit} that pause"
    yield told_sum


def _objectives(told: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in ("objective", "candidate", "reference", "allowed", "ln E / limit", "could be worse by", "verdict"):
        table.add_column(column, overflow="fold")
    for each in told["objectives"]:
        table.add_row(
            f"{each['objective']}\n({each['onBreach']})",
            f"{each['candidate']}\n{_rate(each['rates']['candidate'])}",
            f"{each['reference']}\n{_rate(each['rates']['reference'])}" if each["reference"] else "–",
            escape(each["bound"]),
            f"{_log(each['logWeight'])} / {told['logLimit']:.2f}",
            _worse(each) if each["compares"] else "–",
            each["verdict"],
        )
    for each in told["answering"]:
        table.add_row(
            "answers at all", each["candidate"], "–", "at least 0.9 of its share",
            f"{_log(each['logWeight'])} / {told['logLimit']:.2f}", "–",
            "Harmful" if each["tooFew"] else "TooMany" if each["tooMany"] else "NoHarmShown",
        )  # fmt: skip
    return table


def _objective_lines(told: dict[str, Any]) -> Iterator[str]:
    """What `_objectives` says, below each other."""
    limit = f"{told['logLimit']:.2f}"
    for each in told["objectives"]:
        yield f"{each['objective']} of {each['candidate']} ({each['onBreach']}): {each['verdict']}"
        for side in ("candidate", "reference"):
            if each[side]:
                yield f"  {each[side]} {_rate(each['rates'][side])}".replace("\n", ", ")
        yield f"  allowed: {each['bound']}"
        worse = f", could be worse by: {_worse(each)}" if each["compares"] else ""
        yield f"  ln E / limit: {_log(each['logWeight'])} / {limit}{worse}"
    for each in told["answering"]:
        verdict = "Harmful" if each["tooFew"] else "TooMany" if each["tooMany"] else "NoHarmShown"
        yield f"{each['candidate']} answers at all: {verdict}, ln E / limit: {_log(each['logWeight'])} / {limit}"


def _worse(each: dict[str, Any]) -> str:
    worse = each["couldBeWorseBy"]
    return "nothing refuted" if worse is None else f"{100 * worse:.4g} pp"


def _would_have_taken(told: dict[str, Any]) -> Iterator[str]:
    """What it would have taken, a sentence for each number that there is."""
    decided = told["decidedIn"]
    if decided is not None:
        what = "Rolled back" if decided["action"] == "RollBack" else "Paused"
        yield f"{what} by the window that ended at {_time(decided['end'])}, in step {decided['step']}{_most(decided)}."
    for each in told["objectives"]:
        yield from _of(each)
    for each in told["answering"]:
        more = each["wouldHaveTaken"]["moreAnswers"]
        if more is not None:
            yield f"{each['candidate']}: with {_some(more, 'answer')} more it would not have gone back by then."


def _of(each: dict[str, Any]) -> Iterator[str]:
    took, name = each["wouldHaveTaken"], f"{each['objective']} of {each['candidate']}"
    bad, total = (each["rates"]["candidate"][field] for field in ("bad", "total"))
    rolls_back = each["onBreach"] == "RollBack"
    does, did = ("a rollback", "gone back") if rolls_back else ("a pause", "paused")
    if took["fewerBad"] is not None:
        yield (
            f"{name}: with {_some(took['fewerBad'], 'bad answer')} fewer than {count(bad)} of {count(total)} it would"
            f" not have {did} by then."
        )
    if took["fewerBadToGoOn"] is not None:
        yield f"{name}: with {_some(took['fewerBadToGoOn'], 'bad answer')} fewer nothing would speak against going on."
    if took["moreBad"] is not None:
        yield f"{name}: {_some(took['moreBad'], 'bad answer')} more would have been {does}."
    if took["moreRequests"] is not None:
        yield f"{name}: if it goes on like this, {does} comes after about {count(took['moreRequests'])} more requests."
    if each["onBreach"] == "RollBack" and each["requestsToProof"]:
        yield f"{name}: at these rates it is proven safe after about {count(each['requestsToProof'])} more requests."


_BY = {
    "margin": "worse than the margin allows",
    "fast": "far worse, seen by the fast path",
    "max": "above max, and above the reference",
}


def _most(decided: dict[str, Any]) -> str:
    if decided["objective"] is None:
        return f": {decided['candidate']} does not answer"
    process = (decided["mostBy"] or "").partition("@")
    by = f", {_BY[process[0]]}" if process[0] in _BY else ""
    slower = ", at a higher boundary than the threshold" if process[2] else ""
    return f", most of it on {decided['objective']} of {decided['candidate']}{by}{slower}"


def _some(number: float, what: str) -> str:
    return f"{count(number)} {what}" + ("s" if number != 1 else "")


def _recomputed(told: dict[str, Any]) -> str:
    again = told["recomputed"]
    if not again["windows"]:
        return f"Not computed again, the numbers are those of the operator: {again['why']}."
    since = "since the attempt began" if again["whole"] else f"since {_time(again['since'])}"
    agrees = (
        "and came to the same as the operator" if again["agrees"] else "AND DID NOT COME TO WHAT THE OPERATOR WROTE"
    )
    return f"Computed again from {_some(again['windows'], 'window')} {since}, {agrees}."


def _windows(told: dict[str, Any], most: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in ("window until", "step", f"{_followed(told)}: bad of all", "evidence", "ln E"):
        table.add_column(column, overflow="fold")
    for cells in _window_rows(told, most):
        table.add_row(*cells)
    return table


def _window_rows(told: dict[str, Any], most: int) -> Iterator[tuple[str, ...]]:
    name, limit = _followed(told), evidence(told["logLimit"])
    pauses = (told["decidedIn"] or {}).get("action") == "Pause"
    for look in told["windows"][-most:]:
        arms = look["counts"].get(name, {})
        counts = ", ".join(f"{arm} {count(each['bad'])}/{count(each['total'])}" for arm, each in sorted(arms.items()))
        counts = counts or "not known"
        counts += "" if look["settled"] else " (settling: fast path only)"
        log = look["pauseLogE"] if pauses else look["logE"]
        yield _time(look["end"]), str(look["step"]), counts, f"{_evidence(log)} of {limit}", _log(log)


def _followed(told: dict[str, Any]) -> str:
    """The objective whose counts are shown: the one that decided, else the one with the most evidence."""
    decided = (told["decidedIn"] or {}).get("objective")
    strongest = max(told["objectives"], key=lambda each: _NOTHING if each["logWeight"] is None else each["logWeight"])
    return str(decided or strongest["objective"])


def _rate(rate: dict[str, Any]) -> str:
    if rate["rate"] is None:
        return "none settled"
    low, high = rate["interval"]
    return f"{rate['rate']:.2%} ({low:.2%}–{high:.2%})\n{count(rate['bad'])} of {count(rate['total'])}"


def _evidence(log: float | None) -> str:
    return evidence(_NOTHING if log is None else log)


def _log(value: float | None) -> str:
    return "ln 0" if value is None else f"{value:.2f}"


def _time(instant: str) -> str:
    """'2026-01-02 12:00:05', in UTC."""
    return instant[:19].replace("T", " ")
