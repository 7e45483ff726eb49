"""`modelroute lint`: what the API server and the operator would say to manifests, before anybody applies them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from modelroute.errors import ModelRouteError

if TYPE_CHECKING:
    from modelroute.cli.linting.check import Report


@click.command()
@click.option(
    "-f",
    "--filename",
    "places",
    multiple=True,
    required=True,
    type=click.Path(exists=True, allow_dash=True),
    help="A file, a folder with all below it, or - for standard input; may be given several times.",
)
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="One JSON object a line, for programs.")
def lint(places: tuple[str, ...], strict: bool, output: str | None) -> None:
    """Check ModelRoute manifests without a cluster: schema, rules, and what would only show later.

    Objects of other kinds are passed over, and folders called testdata below a given one.

    Exit codes: 0 nothing found but warnings, 1 errors.
    """
    # Here, because the rules' language and the operator's own reading of a spec take a second to load.
    from modelroute.cli.linting.check import Report, check_all, is_compared
    from modelroute.cli.linting.finding import Severity, warning
    from modelroute.cli.linting.source import documents_in, testdata_in

    try:
        documents = [document for place in places for document in documents_in(place)]
        reports, routes = check_all(documents)
        passed_over = sum(testdata_in(place) for place in places)
    except ModelRouteError as problem:
        raise click.ClickException(str(problem)) from problem
    if not routes and not reports:
        # Nothing checked is not a pass: the path may be the wrong one.
        reports = [
            Report(", ".join(places), 1, "", warning("", "there is no ModelRoute in it, so nothing was checked"))
        ]
    for report in reports:
        _print_json(report) if output == "json" else _print(report)
    errors = sum(each.finding.severity is Severity.ERROR for each in reports)
    warnings = len(reports) - errors
    if output is None:
        counted = f"{_some(routes, 'ModelRoute')}: {_some(errors, 'error')}, {_some(warnings, 'warning')}"
        compared = sum(is_compared(document.content) for document in documents)
        counted += f"; passed over: {_some(compared, 'file')} for modelroute compare" if compared else ""
        counted += f"; passed over: {_some(passed_over, 'file')} in testdata" if passed_over else ""
        click.echo(counted, err=True)
    click.get_current_context().exit(1 if errors or (strict and warnings) else 0)


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print(report: Report) -> None:
    from modelroute.cli.terminal import colour

    finding = report.finding
    style = "red" if finding.severity == "error" else "yellow"
    where = click.style(f"{report.file}:{report.line}", bold=True)
    path = f"{finding.path}: " if finding.path else ""
    click.echo(f"{where}: {click.style(finding.severity, fg=style)}: {path}{finding.message}", color=colour())


def _print_json(report: Report) -> None:
    finding = report.finding
    told = {
        "file": report.file,
        "line": report.line,
        "object": report.about,
        "severity": finding.severity.value,
        "field": finding.path,
        "message": finding.message,
    }
    click.echo(json.dumps(told, ensure_ascii=False))
