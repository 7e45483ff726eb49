"""`modelroute`: the operator and the tools around it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from modelroute import __version__
from modelroute.cli.analyze import analyze
from modelroute.errors import ModelRouteError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="modelroute")
def cli() -> None:
    """Canary rollouts of language models on a Gateway API gateway."""


@cli.command()
@click.option(
    "--config",
    "config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The operator's configuration (YAML): Prometheus servers and analysis settings.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="How to reach the API server; default: the pod's ServiceAccount, else $KUBECONFIG.",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def operator(config: Path, kubeconfig: str | None, log_level: str) -> None:
    """Run the operator until it is told to stop."""
    # Here, because the other commands need neither kopf nor the kubernetes client, and start faster without.
    from modelroute.controller.run import run
    from modelroute.controller.settings import read_settings

    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    run(read_settings(config), kubeconfig=kubeconfig)


cli.add_command(analyze)


def main() -> None:
    """The entry point; what a person can mend is one sentence, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ModelRouteError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
