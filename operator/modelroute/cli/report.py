"""`modelroute report`: one page about one attempt, to keep, to send and to print."""

from __future__ import annotations

from pathlib import Path

import click

from modelroute.cli.completing import complete_attempts
from modelroute.cli.session import Json, Session, name_argument, on_cluster
from modelroute.controller.kept import turn_of
from modelroute.errors import Invalid


@click.command()
@name_argument
@click.option(
    "--attempt",
    type=click.IntRange(min=1),
    shell_complete=complete_attempts,
    help="Number of the attempt; default: the last one.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The file; - for standard output; default: NAME-ATTEMPT.html.",
)
@on_cluster
def report(session: Session, name: str, attempt: int | None, output: str | None) -> None:
    """Write an HTML page about a rollout: its split over time, rates, evidence, verdicts. It loads nothing else."""
    # Here, because the template's language and the intervals take a while to load.
    from modelroute.api.parse import parse
    from modelroute.api.resources import ModelRollout
    from modelroute.cli.reporting.page import page
    from modelroute.cli.view import read_events

    route = session.must_get(name)
    raw = _chosen(session, route, attempt)
    rollout = parse(ModelRollout, raw)
    text = page(rollout, read_events(session, route, 1_000) or (), now=session.now())
    if output == "-":
        click.echo(text, nl=False)
        return
    file = Path(output or f"{name}-{rollout.spec.attempt}.html")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file}: attempt {rollout.spec.attempt} of {name}, {rollout.status.phase}")


def _chosen(session: Session, route: Json, attempt: int | None) -> Json:
    """The attempt of that number, else the last; its record may be gone. Raises Invalid."""
    name, uid = route["metadata"]["name"], route["metadata"]["uid"]
    found = {
        int(each["spec"]["attempt"]): each
        for each in session.cluster.rollouts(session.namespace, name)
        if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences") or ())
    }
    if not found:
        raise Invalid(f"{name} was never rolled out, so there is nothing to report")
    wanted = int(max(found.values(), key=turn_of)["spec"]["attempt"]) if attempt is None else attempt
    if wanted not in found:
        kept = ", ".join(str(number) for number in sorted(found))
        raise Invalid(f"attempt {wanted} of {name} is not kept (spec.historyLimit); there are {kept}")
    return found[wanted]
