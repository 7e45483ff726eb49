"""`modelroute plan`: what a rollout would take, before it is applied."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import click


@click.command()
@click.option("-f", "--filename", "file", type=click.File("r", encoding="utf-8", lazy=True), required=True,
              help="The ModelRoute (YAML or JSON); - is standard input.")  # fmt: skip
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), required=True, help="Requests per second.")
@click.option("--judged", default="100%", show_default=True, help="Share of the answers that a judge looks at.")
@click.option("--base", "bases", multiple=True, metavar="OBJECTIVE=RATE",
              help="The usual rate of bad answers, for example errors=0.8%; may be repeated.")  # fmt: skip
@click.option("--live", type=click.File("r", encoding="utf-8", lazy=True),
              help="The ModelRoute as it is live now; default: a first rollout.")  # fmt: skip
@click.option("--runs", type=click.IntRange(10, 10_000), default=60, show_default=True, help="Simulated attempts.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Same seed, same numbers.")
@click.option("--scrape-interval", default="15s", show_default=True, help="Prometheus' scrape interval.")
@click.option("--window", default=None, help="The operator's analysis.window.  [default: the scrape interval]")
@click.option("--settle-min", default="30s", show_default=True, help="The operator's analysis.settleMin.")
@click.option("--p99", default="10s", show_default=True, help="99th percentile of an answer's duration.")
@click.option("--overdispersion", type=click.FloatRange(min=1), default=1.0, show_default=True,
              help="The operator's analysis.overdispersion.")  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def plan(file: TextIO, live: TextIO | None, output: str, runs: int, seed: int, **given: Any) -> None:
    """How long a rollout's steps last at this traffic, and how soon it would catch a version that is worse.

    By simulation with the engine that decides; see docs/plan.md.
    """
    # Here, because scipy and pydantic take a while to load, and `modelroute --help` needs neither.
    from modelroute.cli.plan_input import Assumed, read_setting
    from modelroute.cli.plan_progress import shown
    from modelroute.cli.plan_tables import answer, print_plan
    from modelroute.planning.forecast import forecast, scenarios_of

    asked = read_setting(file, live, Assumed(**given))
    with shown(scenarios_of(asked.setting)) as tell:
        found = forecast(asked.setting, runs=runs, seed=seed, tell=tell)
    told = answer(asked, found, runs=runs, seed=seed)
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_plan(told, sys.stdout)
