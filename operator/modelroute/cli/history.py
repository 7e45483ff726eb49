"""`modelroute history`: the attempts at moving a route, and how each ended."""

from __future__ import annotations

import click

from modelroute.cli.session import Json, Session, name_argument, on_cluster


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Choice(["wide", "json", "yaml"]), help="With messages, or the objects.")
@on_cluster
def history(session: Session, name: str, output: str | None) -> None:
    """List the attempts of a ModelRoute, the newest last: what moved, how it ended and why."""
    from modelroute.cli.terminal import bare, console, print_object

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
    out.print(_table(owned, session.now(), wide=output == "wide"))


def _owned(rollout: Json, uid: str) -> bool:
    """Not what a ModelRoute of the same name left behind."""
    return any(owner.get("uid") == uid for owner in rollout["metadata"].get("ownerReferences") or ())


def _table(rollouts: list[Json], now: float, *, wide: bool) -> object:
    from rich.table import Table
    from rich.text import Text

    from modelroute.api.fields import parse_instant
    from modelroute.api.parse import parse
    from modelroute.api.resources import ModelRollout
    from modelroute.cli.words import STYLES, ago

    headers = ["ATTEMPT", "MOVE", "PHASE", "STEP", "WHY", "TOOK", "STARTED", *(["REVISION", "MESSAGE"] if wide else ())]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=header not in {"MOVE", "MESSAGE"})
    for raw in rollouts:
        rollout = parse(ModelRollout, raw)
        status = rollout.status
        started = None if status.started_at is None else parse_instant(status.started_at)
        ended = now if status.finished_at is None else parse_instant(status.finished_at)
        why = status.decision.reason if status.decision is not None else status.reason or ""
        cells = [
            Text(str(rollout.spec.attempt)),
            Text(status.move or ""),
            Text(status.phase or "not begun", STYLES.get(status.phase or "", "")),
            Text(status.step or ""),
            Text(why),
            Text("" if started is None else ago(ended - started)),
            Text("" if started is None else f"{ago(now - started)} ago"),
        ]
        if wide:
            decided = status.decision.message if status.decision is not None else None
            cells += [Text(rollout.spec.revision), Text(decided or status.message or "")]
        table.add_row(*cells)
    return table
