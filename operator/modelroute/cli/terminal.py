"""Where answers go: a terminal with colours and its own width, or a pipe with neither.

NO_COLOR and COLUMNS are honoured by rich.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final, TextIO

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

PIPED_WIDTH: Final = 120
NARROW: Final = 90
"""Columns below which our tables break words, where they have to break lines."""


def console(file: TextIO | None = None, *, piped_width: int = PIPED_WIDTH) -> Console:
    """`file`, or standard output; `piped_width` where that is no terminal and COLUMNS does not say otherwise."""
    piped = not (file or sys.stdout).isatty() and "COLUMNS" not in os.environ
    return Console(file=file, width=piped_width if piped else None, highlight=False, soft_wrap=False)


def has_room(out: Console, table: Table, *, least: int = NARROW) -> bool:
    """Whether `table` can be read on `out`, whole or on `least` columns; else lines had better say the same."""
    return out.width >= least or Measurement.get(out, out.options.update(max_width=1_000), table).maximum <= out.width


def colour() -> bool | None:
    """For click, which does not know NO_COLOR: False where that is set, else None: as the terminal is."""
    return False if os.environ.get("NO_COLOR") else None


def print_object(found: Any, output: str) -> None:
    """As "json" or "yaml", as kubectl prints it."""
    if output == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    # Here, because most answers are not YAML.
    import yaml

    click.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110), nl=False)


def bare(found: dict[str, Any]) -> dict[str, Any]:
    """An object without `managedFields`, which nobody reads, as kubectl prints it."""
    metadata = {key: value for key, value in found.get("metadata", {}).items() if key != "managedFields"}
    return {**found, "metadata": metadata}
