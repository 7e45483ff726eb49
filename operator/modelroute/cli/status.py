"""`modelroute status`: one route, on one screen."""

from __future__ import annotations

import click

from modelroute.cli.session import Session, name_argument, on_cluster, program_name


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="The route, its rollout and its events.")
@on_cluster
def status(session: Session, name: str, output: str | None) -> None:
    """Show where a ModelRoute stands: split, steps, evidence, what is lacking, events."""
    from modelroute.cli.terminal import console, print_object
    from modelroute.cli.view import read_view

    view = read_view(session, name)
    if output is not None:
        print_object(view.to_json(), output)
        return
    from modelroute.cli.screen import screen

    out = console()
    out.print(screen(view, width=out.width, program=program_name()))
