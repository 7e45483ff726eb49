"""`modelroute analyze`: the engine on a table, to check a decision or to try one's own numbers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click


class BadTable(click.ClickException):
    """The table is wrong: one sentence, exit code 2."""

    exit_code = 2


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--table", "as_table", is_flag=True, help="For people: a table instead of JSON.")
def analyze(file: TextIO, as_table: bool) -> None:
    """Run the engine on a table of counts: FILE is JSON, - is standard input.

    The tables are described in docs/analyze.md: "two-arm", "one-arm", "shares", "counters", "rollout".
    """
    # Here, because scipy and pydantic take a while to load, and `modelroute --help` needs neither.
    from modelroute.cli.tables import Wrong, read_table

    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise BadTable(f"the input is not UTF-8: {error.reason}") from error
    try:
        table = read_table(text)
    except Wrong as error:
        raise BadTable(str(error)) from error
    found = analyzed(table)
    if as_table:
        from modelroute.cli.analysis_tables import print_table

        print_table(found, sys.stdout)
    else:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))


def analyzed(table: Any) -> dict[str, Any]:
    """The answer to a table that was read, as JSON's types; ln 0 is None."""
    from modelroute.analysis.audit import TwoArm, log_e_one_arm, log_e_two_arm
    from modelroute.analysis.one_arm import Direction
    from modelroute.analysis.shares import always_valid_p, log_e_shares
    from modelroute.cli import tables
    from modelroute.metrics.ledger import counter_deltas

    match table:
        case tables.TwoArmTable():
            test = TwoArm(
                direction=Direction(table.direction),
                ratio=table.ratio,
                margin=table.margin,
                prior_rate=table.prior_rate,
                overdispersion=table.overdispersion,
                cap=math.inf if table.cap is None else table.cap,
                alternatives=table.alternatives,
                weights=table.prior_weights,
                onset={int(at): part for at, part in table.onset.items()} if isinstance(table.onset, dict) else None,
            )
            return {"logE": _logs(log_e_two_arm(test, table.windows))}
        case tables.OneArmTable():
            return {"logE": _logs(log_e_one_arm(table.limit, Direction(table.direction), table.prior, table.windows))}
        case tables.SharesTable():
            log_e = log_e_shares(table.windows, table.shares)
            return {"logE": _logs(log_e.tolist()), "p": always_valid_p(log_e).tolist()}
        case tables.CountersTable():
            counted = [counter_deltas(series.samples, new=series.new) for series in table.series]
            return {
                "deltas": [[None if each is None else _plain(each) for each in deltas] for deltas, _ in counted],
                "total": _plain(math.fsum(total for _, total in counted)),
            }
        case _:
            from modelroute.cli.analysis_rollout import rollout_answer

            return rollout_answer(table)


def _logs(values: Sequence[float]) -> list[float | None]:
    return [None if value == -math.inf else value for value in values]


def _plain(value: float) -> float:
    """Counts are read as floats; whole ones are told as what they are."""
    return int(value) if value.is_integer() else value
