"""`kubectl_complete-modelroute`: what kubectl runs when somebody presses tab after `kubectl modelroute`.

kubectl gives the words after the plugin's name, the last of them perhaps empty or half written, and expects one
suggestion a line, with a tab before its description, then a line with a colon and a number that says what the shell is
to do with them (Cobra's directives).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

NO_FILES = 4
DEFAULT = 0
"""Let the shell complete names of files."""


def main() -> None:
    """The entry point; a shell shows no errors, so there are none."""
    from modelroute.cli.main import plugin

    click.echo("\n".join(answer(plugin, sys.argv[1:])))


def answer(group: click.Command, words: Sequence[str]) -> list[str]:
    """The lines for kubectl; `words` are those after `kubectl modelroute`, the last one being written."""
    *before, incomplete = words or ("",)
    items = ShellComplete(group, {}, "kubectl modelroute", "").get_completions(list(before), incomplete)
    files = any(item.type in {"file", "dir"} for item in items)
    return [*(_line(item) for item in items if item.type == "plain"), f":{DEFAULT if files else NO_FILES}"]


def _line(item: CompletionItem) -> str:
    return f"{item.value}\t{item.help}" if item.help else str(item.value)
