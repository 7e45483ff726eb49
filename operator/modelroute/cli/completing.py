"""What a shell suggests for the words of a command, read from the cluster that its options choose.

A shell shows no errors, so where nothing can be read nothing is suggested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from modelroute.errors import ModelRouteError

if TYPE_CHECKING:
    from modelroute.cli.session import Session

COMPLETES_WITHIN_S: Final = 3.0
"""Of silence of the API server; nobody waits longer for a tab."""


def complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of ModelRoutes, each with its phase, but for those that are written already."""
    written = context.params.get(parameter.name or "") if parameter.nargs == -1 else ()
    return _beginning(incomplete, _phases(context, "table"), but=written or ())


def complete_explained(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of ModelRoutes and, behind them, of their attempts."""
    return _beginning(incomplete, _phases(context, "table", "rollout_table"))


def complete_attempts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of the attempts that are kept of the ModelRoute that is named before; the newest first."""
    # click gives no argument its value where the last option still lacks one.
    route = context.params.get("name") or next(iter(context.args), None)
    found = sorted((row for row in _attempts(context) if row.route == route), key=lambda row: -row.attempt)
    return _beginning(incomplete, {str(row.attempt): row.phase for row in found})


def complete_namespaces(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    found = _asked(context, lambda session: session.cluster.namespaces())
    return _beginning(incomplete, dict.fromkeys(found, ""))


def complete_contexts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    if _lost(context):
        return []
    # Here, because the kubernetes client takes half a second to load.
    from modelroute.cluster.credentials import contexts_of

    return _beginning(incomplete, dict.fromkeys(contexts_of(context.params.get("kubeconfig")), ""))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A ModelRollout, as the table of them shows it."""

    route: str
    attempt: int
    phase: str


def _phases(context: click.Context, *tables: str) -> dict[str, str]:
    """The phase of each object in these tables, by name."""
    return {str(row["Name"]): str(row.get("Phase") or "") for row in _rows(context, *tables)}


def _attempts(context: click.Context) -> list[_Attempt]:
    return [
        _Attempt(str(row.get("Route")), int(row.get("Attempt") or 0), str(row.get("Phase") or ""))
        for row in _rows(context, "rollout_table")
    ]


def _rows(context: click.Context, *tables: str) -> list[dict[str, Any]]:
    """The cells of each row by the column's name, of one table after the other."""

    def read(table: str) -> Callable[[Session], list[Any]]:
        return lambda session: [getattr(session.cluster, table)(session.namespace)]

    found = _asked(context, *map(read, tables))
    return [
        dict(zip((column["name"] for column in each["columnDefinitions"]), row["cells"], strict=True))
        for each in found
        for row in each["rows"]
    ]


def _asked(context: click.Context, *questions: Callable[[Session], list[Any]]) -> list[Any]:
    """The answers to all of these, in one session: a login that a program has to make is made once.

    Up to the first that fails: a cluster that is silent is waited for once.
    """
    found: list[Any] = []
    if _lost(context):
        return found
    # Here, because the session's options are completed by what is in this module.
    from modelroute.cli.session import open_session

    try:
        session = open_session(context, timeout_s=COMPLETES_WITHIN_S)
        for ask in questions:
            found += ask(session)
    except ModelRouteError:
        pass
    return found


def _lost(context: click.Context) -> bool:
    """Whether a kubeconfig is named that is not there: click drops it, and another cluster's names would be shown."""
    given = context.get_parameter_source("kubeconfig") is ParameterSource.COMMANDLINE
    return given and context.params.get("kubeconfig") is None


def _beginning(incomplete: str, found: dict[str, str], *, but: Sequence[str] = ()) -> list[CompletionItem]:
    """What of `found`, values with what is said of each, begins like that and is not in `but`."""
    return [
        CompletionItem(value, help=said or None)
        for value, said in found.items()
        if value.startswith(incomplete) and value not in but
    ]
