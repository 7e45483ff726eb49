"""The decision in a terminal, and in Markdown."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from modelroute.compare.decide import Decision
from modelroute.compare.examples import Told
from modelroute.compare.tables import Table, tables

WIDE = 140
"""Columns that the tables want."""

_COLOURS = {"✓": "green", "✗": "red", "?": "yellow", "pays": "green", "does not pay": "red", "inferior": "red"}


def print_decision(decision: Decision, console: Console) -> None:
    """For a person, as wide as the console is; below `WIDE` columns words are broken."""
    console.print(Text(decision.headline, style="bold"))
    for sentence in (*decision.caveats, *decision.notes):
        console.print(Text(f"! {sentence}", style="yellow"))
    for table in tables(decision):
        console.print(Text(f"\n{table.title}", style="bold"))
        console.print(_rich(table))
        for remark in table.remarks:
            console.print(Text(f"  {remark}", style="dim"))


def to_markdown(decision: Decision) -> str:
    """For a pull request or a wiki; ends with a newline."""
    lines = [f"# {decision.comparison.name}", "", f"**{_escaped(decision.headline)}**", ""]
    lines += [f"- {_escaped(sentence)}" for sentence in (*decision.caveats, *decision.notes)]
    for table in tables(decision):
        lines += ["", f"## {table.title}", "", _row(table.header), _row(("---",) * len(table.header))]
        lines += [_row(row) for row in table.rows]
        lines += ["", *(f"- {_escaped(remark)}" for remark in table.remarks)] if table.remarks else []
    if decision.examples:
        lines += ["", f"## Where {decision.winner or decision.comparison.baseline} did worst"]
    for example in decision.examples:
        lines += ["", f"**{example.suite} / {example.item}**", "", *_quoted(example.prompt), ""]
        if example.expected is not None:
            lines += [f"- expected: {_inline(example.expected)}"]
        lines += [f"- {told.model}: {_told(told)}" for told in example.told]
    return "\n".join(lines) + "\n"


def _rich(table: Table) -> RichTable:
    found = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in table.header:
        found.add_column(Text(name), overflow="fold")
    for row in table.rows:
        found.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    return found


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _quoted(text: str) -> list[str]:
    return [f"> {_escaped(line)}" for line in text.splitlines()]


def _inline(text: str) -> str:
    return " ".join(_escaped(text).split())


def _told(told: Told) -> str:
    marks = [] if told.score is None else [f"score {told.score:.2f}"]
    marks += ["violation"] if told.violation else []
    said = f"failed ({told.error})" if told.error is not None else _inline(told.answer or "")
    return f"{said} ({', '.join(marks)})" if marks else said
