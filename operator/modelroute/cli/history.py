"""`modelroute history`: the attempts at moving a route, and how each ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from modelroute.cli.session import Json, Session, name_argument, on_cluster

if TYPE_CHECKING:
    from rich.table import Table

NARROW: Final = 100
"""Columns below which nothing would be left for what moved, because nothing else is broken."""


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Choice(["wide", "json", "yaml"]), help="With messages, or the objects.")
@on_cluster
def history(session: Session, name: str, output: str | None) -> None:
    """List the attempts of a ModelRoute, the newest last: what moved, how it ended and why."""
    from modelroute.cli.terminal import bare, console, has_room, print_object

    route = session.must_get(name)
    found = sorted(
        session.cluster.rollouts(session.namespace, name), key=lambda each: int(each["spec"].get("attempt", 0))
    )
    owned = [each for each in found if _owned(each, route["metadata"]["uid"])]
    if output in {"json", "yaml"}:
        print_object({"apiVersion": "v1", "kind": "List", "items": [bare(each) for each in owned]}, output)
        return
    if not owned:
        click.echo(f"{name} was never rolled out.", err=True)
        return
    out = console()
    table = _table(owned, session.now(), wide=output == "wide")
    if has_room(out, table, least=NARROW):
        out.print(table)
        return
    for line in _lines(owned, session.now(), wide=output == "wide"):
        out.print(line)


def _owned(rollout: Json, uid: str) -> bool:
    """Not what a ModelRoute of the same name left behind."""
    return any(owner.get("uid") == uid for owner in rollout["metadata"].get("ownerReferences") or ())


def _table(rollouts: list[Json], now: float, *, wide: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    from modelroute.cli.words import STYLES

    headers = ["ATTEMPT", "MOVE", "PHASE", "STEP", "WHY", "TOOK", "STARTED", *(["REVISION", "MESSAGE"] if wide else ())]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=header not in {"MOVE", "MESSAGE"})
    for raw in rollouts:
        told = _told(raw, now)
        cells = [Text(told[header]) for header in headers]
        cells[headers.index("PHASE")].stylize(STYLES.get(told["PHASE"], ""))
        table.add_row(*cells)
    return table


def _lines(rollouts: list[Json], now: float, *, wide: bool) -> Iterator[object]:
    """The same where a table has no room: what moved stands below how it ended."""
    from rich.padding import Padding
    from rich.text import Text

    from modelroute.cli.words import STYLES

    for raw in rollouts:
        told = _told(raw, now)
        line = Text.assemble((told["ATTEMPT"], "bold"), "  ", (told["PHASE"], STYLES.get(told["PHASE"], "")))
        line.append(f"  {told['STEP']}  {told['WHY']}")
        if told["TOOK"]:
            line.append(f", took {told['TOOK']}, started {told['STARTED']}")
        yield line
        for header in ("MOVE", *(("REVISION", "MESSAGE") if wide else ())):
            if told[header]:
                yield Padding(Text(told[header]), (0, 0, 0, 3), expand=False)


def _told(raw: Json, now: float) -> dict[str, str]:
    """By column, what there is to say of one attempt."""
    from modelroute.api.fields import parse_instant
    from modelroute.api.parse import parse
    from modelroute.api.resources import ModelRollout
    from modelroute.cli.words import ago

    rollout = parse(ModelRollout, raw)
    status, decision = rollout.status, rollout.status.decision
    started = None if status.started_at is None else parse_instant(status.started_at)
    ended = now if status.finished_at is None else parse_instant(status.finished_at)
    return {
        "ATTEMPT": str(rollout.spec.attempt),
        "MOVE": status.move or "",
        "PHASE": status.phase or "not begun",
        "STEP": status.step or "",
        "WHY": decision.reason if decision is not None else status.reason or "",
        "TOOK": "" if started is None else ago(ended - started),
        "STARTED": "" if started is None else f"{ago(now - started)} ago",
        "REVISION": rollout.spec.revision,
        "MESSAGE": (decision.message if decision is not None else None) or status.message or "",
    }
