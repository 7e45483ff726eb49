"""Where answers go: a terminal with colours and its own width, or a pipe with neither.

NO_COLOR and COLUMNS are honoured by rich.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click
from rich.console import Console

PIPED_WIDTH = 120


def console() -> Console:
    """Standard output."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPED_WIDTH if piped else None, highlight=False, soft_wrap=False)


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
