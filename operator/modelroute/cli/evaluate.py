"""`modelroute evaluate`: ask the models, keep the answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import click

from modelroute.errors import Invalid


@click.command()
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The comparison (comparison.yaml): models, suites, what matters.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The results folder; what is already answered there is not asked again.",
)
@click.option("--model", "models", multiple=True, help="Ask this model alone; may be repeated.")
@click.option("--max-cost", help="Ask nothing that could bring the cost above this, in place of evaluation.maxCost.")
def evaluate(file: Path, folder: Path, models: tuple[str, ...], max_cost: str | None) -> None:
    """Ask every model every item of the suites, and measure answers, latency, tokens, cost, errors and refusals.

    Stop it with Ctrl-C whenever you like, and run the same command again to go on. See docs/evaluate.md.
    """
    # Here, because the other commands need none of it, and start faster without.
    from modelroute.compare.extras import need

    need("eval")
    from modelroute.api.quantities import parse_money
    from modelroute.cli.evaluate_progress import Progress, summary
    from modelroute.compare.evaluation.run import evaluate as run
    from modelroute.compare.spec import read_comparison

    comparison = read_comparison(file)
    if max_cost is not None:
        ceiling: Decimal = parse_money(max_cost, field="--max-cost")
        comparison = replace(comparison, evaluation=replace(comparison.evaluation, max_cost=ceiling))
    again = "run the same command again to go on"
    with Progress(sys.stderr) as progress:
        try:
            outcome = run(comparison, folder, watcher=progress, only=models)
        except KeyboardInterrupt:
            progress.close()
            click.echo(f"Stopped. {progress.written} new answers are in {folder}; {again}.", err=True)
            sys.exit(130)
        except Invalid as error:
            progress.close()
            told = str(error)
            raise Invalid(told if told.startswith(str(file)) else f"{file}: {told}") from error
    summary(comparison, folder, sys.stdout)
    if not outcome.complete:
        click.echo(f"Error: not everything was asked; {again}.", err=True)
        sys.exit(1)
