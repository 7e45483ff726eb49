"""`modelroute`: the operator and the tools around it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Final

import click

from modelroute import __version__
from modelroute.cli.act import VERBS
from modelroute.cli.analyze import analyze
from modelroute.cli.bring_in import bring_in
from modelroute.cli.compare import compare
from modelroute.cli.evaluate import evaluate
from modelroute.cli.explain import explain
from modelroute.cli.get import get
from modelroute.cli.history import history
from modelroute.cli.lint import lint
from modelroute.cli.log import log
from modelroute.cli.plan import plan
from modelroute.cli.report import report
from modelroute.cli.status import status
from modelroute.cli.wait import wait
from modelroute.cli.watch import watch
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl modelroute")
def plugin() -> None:
    """Watch and steer canary rollouts of language models."""


PLUGIN_COMMANDS: Final = (get, status, watch, *VERBS, history, explain, plan, wait, report, lint)
for command in PLUGIN_COMMANDS:
    cli.add_command(command)
    plugin.add_command(command)
cli.add_command(analyze)
cli.add_command(bring_in)
cli.add_command(compare)
cli.add_command(evaluate)
cli.add_command(log)


def main() -> None:
    """The entry point of `modelroute`."""
    run(cli, "modelroute")


def kubectl_main() -> None:
    """The entry point of `kubectl modelroute`: the same commands, without the operator."""
    run(plugin, "kubectl modelroute")


def run(group: click.Group, name: str) -> None:
    """Run `group` as the program `name`; what a person can mend is one sentence, not a traceback."""
    try:
        code = group(prog_name=name, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
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
