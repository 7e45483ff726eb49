"""`modelroute import`: results that another tool wrote, into a results folder."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("lm-eval", "langsmith", "openevals", "wandb", "humanloop", "azure", "mlflow")
"""As in compare/importing/into.py, which --help need not load; a test holds them together."""


def _pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        left, equals, right = value.partition("=")
        if not (left and equals and right):
            raise click.BadParameter(f"{value!r} is not of the form NAME=NAME", param=parameter)
        found[left] = right
    return found


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The comparison that the results are for; models without an endpoint are welcome.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="Who wrote SOURCE.")
@click.option("--model", required=True, help="Whose answers they are: a model of the comparison.")
@click.option("--suite", help="Of which suite; lm-eval's files say it themselves.")
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="The results folder."
)
@click.option(
    "--rename", multiple=True, callback=_pairs, help="A score's new name: exact_match=accuracy. May be repeated."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_pairs,
    help="wandb, mlflow: where a field is: prompt=text. May be repeated.",
)
@click.option("--score", "scores", multiple=True, help="wandb, mlflow: a column that is a score. May be repeated.")
def bring_in(
    source: Path,
    file: Path,
    form: str,
    model: str,
    suite: str | None,
    folder: Path,
    rename: dict[str, str],
    columns: dict[str, str],
    scores: tuple[str, ...],
) -> None:
    """Read results that another tool wrote (SOURCE, a file, or for lm-eval and wandb a folder) into a results folder.

    The formats, and what each knows and does not, are in docs/evaluate.md.
    """
    # Here, because the other commands need none of it, and start faster without.
    from modelroute.compare.importing.into import Format, read_records
    from modelroute.compare.importing.into import bring_in as run
    from modelroute.compare.spec import read_comparison

    comparison = read_comparison(file)
    records = read_records(Format(form), source, columns, scores)
    told = run(comparison, folder, records, form=Format(form), model=model, suite=suite, rename=rename)
    for name, count in told.samples.items():
        click.echo(f"{model} · {name}: {count} new samples in {folder}")
    for note in told.notes:
        click.echo(f"Note: {note}", err=True)
