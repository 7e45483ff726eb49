"""`modelroute evaluate`: ask the models, keep the answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelroute.errors import Invalid

if TYPE_CHECKING:
    from modelroute.compare.domain import Comparison


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
    help="The results folder; what is already answered there is not asked again.",
)
@click.option("--model", "models", multiple=True, help="Ask this model alone; may be repeated.")
@click.option("--max-cost", help="Ask nothing that could bring the cost above this, in place of evaluation.maxCost.")
@click.option(
    "--check",
    is_flag=True,
    help="Only look at the endpoints, by two small questions each: do they answer, stream, count tokens, and tell "
    "log-probabilities that can be right?",
)
def evaluate(file: Path, folder: Path | None, models: tuple[str, ...], max_cost: str | None, check: bool) -> None:
    """Ask every model every item of the suites, and measure answers, latency, tokens, cost, errors and refusals.

    Stop it with Ctrl-C whenever you like, and run the same command again to go on. See docs/evaluate.md.
    """
    if check:
        _check(file, models, max_cost)
        return
    if folder is None:
        raise click.MissingParameter(param_type="option", param_hint="--out")
    # Here, because the other commands need none of it, and start faster without.
    from modelroute.compare.extras import need

    need("eval")
    from modelroute.cli.evaluate_progress import Progress, summary
    from modelroute.compare.evaluation.run import evaluate as run
    from modelroute.compare.spec import read_comparison

    comparison = _with_ceiling(read_comparison(file), max_cost)
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


def _with_ceiling(comparison: Comparison, max_cost: str | None) -> Comparison:
    from modelroute.api.quantities import parse_money

    if max_cost is None:
        return comparison
    ceiling: Decimal = parse_money(max_cost, field="--max-cost")
    return replace(comparison, evaluation=replace(comparison.evaluation, max_cost=ceiling))


def _check(file: Path, models: tuple[str, ...], max_cost: str | None) -> None:
    from modelroute.cli.evaluate_progress import checked_table
    from modelroute.compare.evaluation.ceiling import Ceiling
    from modelroute.compare.evaluation.preflight import check
    from modelroute.compare.evaluation.targets import chosen, endpoint_of
    from modelroute.compare.spec import read_comparison

    comparison = _with_ceiling(read_comparison(file), max_cost)
    ceiling = Ceiling(comparison.evaluation.max_cost)
    asked = [(model, endpoint_of(model, comparison)) for model in chosen(comparison, models)]
    found = {model.name: check(endpoint, model, ceiling) for model, endpoint in asked}
    checked_table(comparison, found, sys.stdout)
    if not all(each.answers for each in found.values()):
        sys.exit(1)
