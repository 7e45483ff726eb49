"""`modelroute get`: which routes there are, and where each stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from modelroute.cli.completing import complete_names
from modelroute.cli.session import Json, Session, on_cluster


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["wide", "name", "json", "yaml"]), help="More columns, names only, or objects."
)
@on_cluster
def get(session: Session, names: tuple[str, ...], all_namespaces: bool, output: str | None) -> None:
    """List ModelRoutes: phase, step, live split, verdict and age."""
    from modelroute.cli.terminal import bare, print_object

    if all_namespaces and names:
        raise click.UsageError("NAME and -A exclude each other: leave one away")
    namespace = "" if all_namespaces else session.namespace
    if output in {"json", "yaml"}:
        found = [session.must_get(name) for name in names] if names else session.cluster.routes(namespace)
        items = [bare(each) for each in found]
        one = len(names) == 1
        print_object(items[0] if one else {"apiVersion": "v1", "kind": "List", "items": items}, output)
        return
    columns, rows = _chosen(session, session.cluster.table(namespace), names)
    if output == "name":
        for row in rows:
            click.echo(f"modelroute.modelroute.dev/{row['cells'][0]}")
        return
    if not rows:
        click.echo(f"No ModelRoutes found{'' if all_namespaces else f' in namespace {namespace}'}.", err=True)
        return
    _print(columns, rows, wide=output == "wide", with_namespace=all_namespaces)


def _chosen(session: Session, table: Json, names: tuple[str, ...]) -> tuple[list[Json], list[Json]]:
    """The columns, and the rows of `names` in that order; all of them where there are none."""
    rows: list[Json] = table.get("rows") or []
    if names:
        by_name = {row["cells"][0]: row for row in rows}
        for name in names:
            if name not in by_name:
                session.must_get(name)
        rows = [by_name[name] for name in names if name in by_name]
    return table.get("columnDefinitions") or [], rows


def _print(columns: list[Json], rows: list[Json], *, wide: bool, with_namespace: bool) -> None:
    """As kubectl prints it, a line for each, never wrapped. By hand, because rich takes seconds for 10,000 rows."""
    from modelroute.cli.terminal import colour
    from modelroute.cli.words import STYLES

    shown = [index for index, column in enumerate(columns) if wide or not column.get("priority")]
    lines = [[str(columns[index]["name"]).upper() for index in shown], *(list(_cells(row, shown)) for row in rows)]
    if with_namespace:
        places = [str(row.get("object", {}).get("metadata", {}).get("namespace", "")) for row in rows]
        lines = [[place, *line] for place, line in zip(["NAMESPACE", *places], lines, strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    printed = []
    for cells in lines:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[-1] = cells[-1]
        printed.append("  ".join(_styled(text, STYLES.get(cell, "")) for text, cell in zip(padded, cells, strict=True)))
    click.echo("\n".join(line.rstrip() for line in printed), color=colour())


def _styled(text: str, style: str) -> str:
    """`text` in a style of rich's words, for example "bold red"."""
    return click.style(text, fg=style.rsplit(maxsplit=1)[-1], bold="bold" in style) if style else text


def _cells(row: Json, shown: list[int]) -> Iterator[str]:
    cells: list[Any] = row["cells"]
    for index in shown:
        cell = cells[index] if index < len(cells) else None
        yield "" if cell is None else str(cell)
