"""The answers of `modelroute analyze`, for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TextIO

from rich.table import Table

from modelroute.cli.terminal import console

_MOST = 700.0
"""exp of more than this is no float."""


def print_table(found: dict[str, Any], file: TextIO) -> None:
    """`found` is an answer of `analyze`; what it holds tells which."""
    out = console(file, piped_width=110)
    for table in _tables(found):
        out.print(table)
    if "total" in found:
        out.print(f"total {found['total']:g}")
    if "decision" in found:
        out.print(_decision(found))


def _tables(found: dict[str, Any]) -> Iterator[Table]:
    if "deltas" in found:
        table = Table("series", "deltas")
        for index, deltas in enumerate(found["deltas"]):
            table.add_row(str(index), " ".join("missed" if delta is None else f"{delta:g}" for delta in deltas))
        yield table
        return
    yield _looks(found)
    if "objectives" in found:
        yield _objectives(found["objectives"])


def _looks(found: dict[str, Any]) -> Table:
    table = Table("window", "ln E", "E")
    extra = [name for name in ("p", "verdicts") if name in found]
    for name in extra:
        table.add_column(name)
    for index, log in enumerate(found["logE"]):
        told = [found[name][index] for name in extra]
        more = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in told]
        table.add_row(str(index), "ln 0" if log is None else f"{log:.4f}", _e(log), *more)
    return table


def _objectives(findings: list[dict[str, Any]]) -> Table:
    table = Table("objective", "candidate", "rate", "reference", "could be worse by", "E", "verdict")
    for each in findings:
        worse = each["couldBeWorseBy"]
        table.add_row(
            each["objective"],
            each["candidate"],
            _rate(each["rates"]["candidate"]),
            _rate(each["rates"]["reference"]),
            "not known" if worse is None else f"{100 * worse:.4g} pp",
            _e(each["logE"]),
            each["verdict"],
        )
    return table


def _rate(rate: dict[str, Any]) -> str:
    if rate["rate"] is None:
        return "nothing seen"
    low, high = rate["interval"]
    return f"{rate['rate']:.2%} ({low:.2%} to {high:.2%})"


def _e(log: float | None) -> str:
    return "0" if log is None else f"{math.exp(min(log, _MOST)):.3g}"


def _decision(found: dict[str, Any]) -> str:
    decision = found["decision"]
    if decision is None:
        return f"not decided: E has to reach {math.exp(found['logLimit']):.3g}"
    return f"{decision['verdict']} after window {decision['window']}: {decision['because']}"
