"""The answer of `modelroute plan`: as JSON's types, and from these as tables for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from modelroute.cli.plan_input import Asked
from modelroute.cli.terminal import console, has_room
from modelroute.planning.forecast import Forecast, HarmForecast, Range, StepForecast
from modelroute.planning.runs import ALL
from modelroute.planning.warnings import warnings_of
from modelroute.rollout.split import in_words
from modelroute.rollout.words import count, duration


def answer(asked: Asked, found: Forecast, *, runs: int, seed: int) -> dict[str, Any]:
    """As docs/plan.md describes it; what most runs do not get to is None."""
    setting, attempt = asked.setting, asked.setting.attempt
    return {
        "route": asked.name,
        "rps": setting.traffic.rps,
        "judged": asked.judged,
        "usualRates": dict(setting.traffic.rates),
        "runs": runs,
        "seed": seed,
        "from": in_words({arm.name: arm.stable for arm in attempt.arms}),
        "to": in_words({arm.name: arm.wanted for arm in attempt.arms}),
        "progressDeadlineSeconds": attempt.deadline.after_s,
        "steps": [_step(step) for step in found.steps],
        "harmless": {
            "promoted": found.promoted,
            "rolledBack": found.rolled_back,
            "paused": found.paused,
            "overdue": found.overdue,
            "seconds": _range(found.seconds),
        },
        "harms": [_harm(harm) for harm in found.harms],
        "warnings": [*_notes(asked), *warnings_of(setting, found, asked.coverage)],
    }


def _notes(asked: Asked) -> Iterator[str]:
    for gap in asked.gaps:
        stops = ": the rollout would not start" if gap.blocks else ""
        yield f"{gap.field}: {gap.message}{stops}"
    if asked.paused:
        yield "spec.paused is true: no step would be left; the figures are as if it were not"
    approvals = [str(index + 1) for index, step in enumerate(asked.setting.attempt.steps) if step.approval]
    if approvals:
        yield f"step {', '.join(approvals)} waits for a person's approval, which is not counted here"


def _step(step: StepForecast) -> dict[str, Any]:
    return {
        "step": step.index + 1,
        "progress": step.step.progress,
        "split": in_words(step.weights),
        "candidateRps": step.candidate_rps,
        "require": step.step.require.value,
        "reached": step.reached,
        "left": step.left,
        "seconds": _range(step.seconds),
        "requests": _range(step.requests),
        "waitsFor": None if step.waits_for is None else step.waits_for.value,
        "provenSafe": _proof(step) if step.proves else None,
    }


def _proof(step: StepForecast) -> dict[str, Any]:
    return {
        "proven": step.proven,
        "seconds": _range(step.proven_seconds),
        "requests": _range(step.proofs[ALL]) if ALL in step.proofs else _range(NEVER),
        "objectives": [
            {"objective": objective, "candidate": candidate, "requests": _range(requests)}
            for (objective, candidate), requests in step.proofs.items()
            if (objective, candidate) != ALL
        ],
    }


NEVER = Range(math.inf, math.inf, math.inf)


def _harm(harm: HarmForecast) -> dict[str, Any]:
    return {
        "objective": harm.objective.name,
        "candidate": harm.candidate,
        "onBreach": harm.objective.action.value,
        "rate": harm.rate,
        "times": harm.times,
        "worseRate": None if harm.times is None else harm.times * harm.rate,
        "caught": harm.caught,
        "promoted": harm.promoted,
        "requests": _range(harm.requests),
        "seconds": _range(harm.seconds),
        "badAnswers": _range(harm.bad),
        "badAnswersInExcess": _range(harm.in_excess),
        "steps": {str(step + 1): share for step, share in harm.steps.items()},
    }


def _range(found: Range) -> dict[str, float | None]:
    values = {"p10": found.low, "median": found.median, "p90": found.high}
    return {name: round(value, 1) if math.isfinite(value) else None for name, value in values.items()}


def print_plan(told: dict[str, Any], file: TextIO) -> None:
    """`told` is an `answer`."""
    out = console(file, piped_width=118)
    rates = ", ".join(f"{name} {_percent(rate)}" for name, rate in told["usualRates"].items())
    out.print(f"{told['route']}: from {told['from']} to {told['to']}, at {told['rps']:g} requests a second")
    out.print(f"usually bad: {rates}; judged: {_percent(told['judged'])}; {told['runs']} runs, seed {told['seed']}")
    out.print("\n[bold]If nothing is worse[/] (median and 10–90 % of the runs)")
    _print(out, _steps(told), _step_lines(told))
    out.print(_whole(told))
    out.print("\n[bold]If the candidate is worse from its first request on[/] (until it is caught)")
    _print(out, _harms(told), _harm_lines(told))
    for said in told["warnings"]:
        out.print(f"[bold yellow]warning:[/] {said}")


def _print(out: Console, table: Table, lines: Iterator[str]) -> None:
    if has_room(out, table):
        out.print(table)
        return
    for line in lines:
        out.print(line)


def _steps(told: dict[str, Any]) -> Table:
    table = _table("step", "split", "candidate", "lasts", "requests", "proven safe after", "left in time")
    late = _late(told)
    for step in told["steps"]:
        proof = step["provenSafe"]
        reached = bool(step["reached"])
        table.add_row(
            f"{step['step']}: {step['progress']} %",
            step["split"].replace(", ", "\n"),
            f"{step['candidateRps']:.3g}/s",
            _told(step["seconds"], _span, late) if reached else "–",
            _told(step["requests"], _count, late) if reached else "–",
            "–" if proof is None else _told(proof["requests"], _requests, late),
            f"{100 * step['left']:.0f} %" if reached else "not reached",
        )
    return table


def _step_lines(told: dict[str, Any]) -> Iterator[str]:
    """What `_steps` says, below each other."""
    late = _late(told)
    for step in told["steps"]:
        yield f"{step['step']}: {step['progress']} %: {step['split']}, {step['candidateRps']:.3g}/s to the candidate"
        if not step["reached"]:
            yield "  not reached"
            continue
        lasts, requests = _in_line(step["seconds"], _span, late), _in_line(step["requests"], _count, late)
        yield f"  lasts: {lasts}; requests: {requests}; left in time: {100 * step['left']:.0f} %"
        if (proof := step["provenSafe"]) is not None:
            yield f"  proven safe after: {_in_line(proof['requests'], _requests, late)}"


def _whole(told: dict[str, Any]) -> str:
    whole, late = told["harmless"], _late(told)
    endings = {
        "promoted": whole["promoted"],
        "rolled back by mistake": whole["rolledBack"],
        "paused by mistake": whole["paused"],
        f"not done within the progressDeadline of {late[1:]}": whole["overdue"],
    }
    shares = ", ".join(f"{100 * share:.0f} % {name}" for name, share in endings.items() if share or name == "promoted")
    return f"in all: {_told(whole['seconds'], _span, late).replace(chr(10), ', ')}; {shares}"


def _harms(told: dict[str, Any]) -> Table:
    table = _table(
        "objective", "candidate", "bad answers", "then", "caught in time", "after requests", "after", "bad until then"
    )  # fmt: skip
    late = _late(told)
    for harm in told["harms"]:
        name, rate = (harm["objective"], harm["candidate"]), _percent(harm["rate"])
        if harm["times"] is None:
            table.add_row(*name, f"from {rate}", harm["onBreach"], "never")
            continue
        extra = _one(harm["badAnswersInExcess"]["median"], _count, late)
        table.add_row(
            *name,
            f"{rate} →\n{_percent(harm['worseRate'])}",
            harm["onBreach"],
            f"{100 * harm['caught']:.0f} %",
            _told(harm["requests"], _count, late),
            _told(harm["seconds"], _span, late),
            f"{_told(harm['badAnswers'], _count, late)}\n{extra} too many",
        )
    return table


def _harm_lines(told: dict[str, Any]) -> Iterator[str]:
    """What `_harms` says, below each other."""
    late = _late(told)
    for harm in told["harms"]:
        name, rate = f"{harm['objective']} of {harm['candidate']}", _percent(harm["rate"])
        if harm["times"] is None:
            yield f"{name}, from {rate} bad: {harm['onBreach']}, never"
            continue
        yield f"{name}, {rate} → {_percent(harm['worseRate'])} bad: {harm['onBreach']}"
        yield f"  caught in time: {100 * harm['caught']:.0f} %; after: {_in_line(harm['seconds'], _span, late)}"
        extra = _one(harm["badAnswersInExcess"]["median"], _count, late)
        after, bad = _in_line(harm["requests"], _count, late), _in_line(harm["badAnswers"], _count, late)
        yield f"  requests until then: {after}; bad until then: {bad}, {extra} too many"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _late(told: dict[str, Any]) -> str:
    """What stands for all that does not happen before the deadline."""
    return f">{duration(told['progressDeadlineSeconds'])}"


def _told(found: dict[str, float | None], words: Callable[[float], str], late: str) -> str:
    """'12m', and below it '11m–14m' where the runs differ."""
    low, median, high = (_one(found[name], words, late) for name in ("p10", "median", "p90"))
    return median if low == median == high else f"{median}\n{low}–{high}"


def _in_line(found: dict[str, float | None], words: Callable[[float], str], late: str) -> str:
    """'12m (11m–14m)'."""
    median, *between = _told(found, words, late).splitlines()
    return f"{median} ({between[0]})" if between else median


def _one(value: float | None, words: Callable[[float], str], late: str) -> str:
    return late if value is None else words(value)


def _span(seconds: float) -> str:
    """From ten minutes on in whole minutes: nothing here is known to the second."""
    return duration(seconds if seconds < 600 else 60 * round(seconds / 60))


def _count(number: float) -> str:
    return count(round(number))


def _requests(number: float) -> str:
    return f"{_count(number)} requests"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
