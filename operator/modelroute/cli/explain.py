"""`modelroute explain`: why an attempt went back, and what it would have taken."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TextIO

import click

from modelroute.cli.completing import complete_attempts, complete_explained
from modelroute.cli.session import choosing


@click.command()
@click.argument("name", required=False, shell_complete=complete_explained)
@click.option("-f", "--filename", "file", type=click.File("r", encoding="utf-8", lazy=True),
              help="A ModelRollout in a file instead of a cluster; - is standard input.")  # fmt: skip
@click.option("--attempt", type=click.IntRange(min=1), default=None, shell_complete=complete_attempts,
              help="Of a ModelRoute: which; default: the latest.")  # fmt: skip
@click.option("--windows", type=click.IntRange(min=0), default=8, show_default=True, help="How many to show.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@choosing
def explain(
    name: str | None, namespace: str | None, file: TextIO | None, attempt: int | None, windows: int,
    kubeconfig: str | None, kube_context: str | None, output: str,
) -> None:  # fmt: skip
    """Why a rollout went back, or has not, and what it would have taken: NAME is a ModelRoute or a ModelRollout.

    The numbers are computed again by the engine, from the windows that the ModelRollout keeps; see docs/explain.md.
    """
    # Here, because scipy and pydantic take a while to load, and `modelroute --help` needs neither.
    from modelroute.cli.explain_answer import answer
    from modelroute.cli.explain_input import from_cluster, from_file, held_by, told_by
    from modelroute.cli.explain_tables import print_account
    from modelroute.cli.silence import silence
    from modelroute.explaining.account import account_of

    route = None
    if file is not None:
        body = from_file(file, name=name, attempt=attempt)
    elif name is None:
        raise click.UsageError("say which: the name of a ModelRoute or of a ModelRollout, or -f FILE")
    else:
        where = {"namespace": namespace, "kubeconfig": kubeconfig, "context": kube_context}
        body, route = asyncio.run(from_cluster(name, **where, attempt=attempt))
    told = told_by(body)
    found = answer(told, account_of(told.record, told.kept))
    found["held"] = held_by(route, told.rollout.metadata.name)
    # Not of a file: it may have been kept long ago.
    found["warning"] = silence(told.rollout, time.time()) if file is None else None
    if output == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_account(found, sys.stdout, windows=windows)
