"""`modelroute compare`: from a results folder to a decision, for a terminal, a program, a pull request or a boss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from modelroute.compare.decide import Decision


@click.command()
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The comparison: models, constraints, criteria, volume (YAML).",
)
@click.option(
    "--results",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The folder that `modelroute evaluate` or an import has written.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "markdown", "html"]),
    default="table",
    show_default=True,
    help="html is one page that needs nothing else.",
)
@click.option(
    "--emit",
    type=click.Choice(["modelroute"]),
    default=None,
    help="Instead of a report: a ModelRoute manifest from baseline to winner, with bounds from what was measured.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Default: standard output.")
def compare(file: Path, results: Path, output: str, emit: str | None, out: Path | None) -> None:
    """Decide between models by what they answered."""
    # Here, because numpy and scipy take a while to load, and `modelroute --help` needs neither.
    from modelroute.compare.decide import decide
    from modelroute.compare.results import read_results
    from modelroute.compare.spec import read_comparison
    from modelroute.errors import Invalid

    comparison = read_comparison(file)
    found = read_results(results)
    try:
        decision = decide(comparison, found)
    except Invalid as error:
        raise Invalid(f"{file}: {error}") from error
    if emit is None and output == "table" and out is None:
        from modelroute.cli.terminal import console
        from modelroute.compare.as_text import WIDE, print_decision

        print_decision(decision, console(piped_width=WIDE))
        return
    if emit is not None:
        from modelroute.compare.emit import to_manifest

        text = to_manifest(decision)
    else:
        text = _written(decision, output)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{out} cannot be written: {error.strerror}") from error
        click.echo(f"wrote {out}", err=True)


def _written(decision: Decision, output: str) -> str:
    match output:
        case "json":
            from modelroute.compare.as_json import to_json

            return to_json(decision)
        case "markdown":
            from modelroute.compare.as_text import to_markdown

            return to_markdown(decision)
        case "html":
            from modelroute.compare.page import to_html

            return to_html(decision)
        case _:
            from io import StringIO

            from rich.console import Console

            from modelroute.compare.as_text import WIDE, print_decision

            buffer = StringIO()
            print_decision(decision, Console(file=buffer, width=WIDE, highlight=False))
            return buffer.getvalue()
