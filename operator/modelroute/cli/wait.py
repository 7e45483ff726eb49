"""`modelroute wait`: for pipelines; the exit code says how it ended.

0 promoted (or stable), 1 usage or API, 2 rolled back or stalled, 3 not in time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import click

from modelroute.cli.session import Json, Session, name_argument, on_cluster
from modelroute.errors import Conflict, Invalid, Unavailable

LOOK_EVERY_S: Final = 1.0
UNREACHABLE_FOR_S: Final = 60.0
"""How long the API server may be away before waiting is given up: an upgrade of a control plane takes less."""


class Outcome(IntEnum):
    """The exit codes."""

    DONE = 0
    ERROR = 1
    FAILED = 2
    TIMEOUT = 3


class BadUsage(click.UsageError):
    """Wrong options; 1 here, because 2 says that a rollout was rolled back."""

    exit_code = 1


class WaitCommand(click.Command):
    """A command whose usage errors are `BadUsage`."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **named)
        except click.UsageError as error:
            # Not its `message`, which is empty where an argument lacks: click makes up the sentence only here.
            raise BadUsage(error.format_message(), error.ctx) from error


@dataclass(frozen=True, slots=True)
class Ending:
    """How the waiting ends, with a sentence."""

    outcome: Outcome
    message: str


@click.command(cls=WaitCommand)
@name_argument
@click.option(
    "--for",
    "goal",
    type=click.Choice(["promoted", "stable"]),
    default="promoted",
    show_default=True,
    help="promoted: the split that the spec wants now is live. stable: nothing is under way, whatever the spec wants.",
)
@click.option("--timeout", default="1h", show_default=True, help="How long, for example 30m.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on standard output but how it ended.")
@on_cluster
def wait(session: Session, name: str, goal: str, timeout: str, quiet: bool) -> None:
    """Wait until a rollout is over.

    Exit codes: 0 promoted (or stable), 1 usage or API error, 2 rolled back or stalled, 3 not in time.
    """
    from modelroute.api.quantities import parse_duration

    try:
        timeout_s = parse_duration(timeout)
    except Invalid as error:
        raise BadUsage(f"--timeout: {error}") from error
    ending = follow(session, name, goal, timeout_s, say=(lambda _line: None) if quiet else click.echo)
    click.echo(ending.message, err=ending.outcome is not Outcome.DONE)
    click.get_current_context().exit(int(ending.outcome))


def follow(session: Session, name: str, goal: str, timeout_s: float, *, say: Any) -> Ending:
    """Look every second until it has ended; every new sentence of the status is said. Raises Invalid, Unavailable."""
    began = session.now()
    answered_at, revision, last, warned = began, "", "", False
    route = session.must_get(name)
    while True:
        status = route.get("status") or {}
        seen = status.get("observedGeneration") == route["metadata"].get("generation")
        if seen:
            if (ending := ending_of(status, name, goal, revision)) is not None:
                return ending
            revision = revision or status.get("revision") or ""
        line = f"{status.get('phase') or 'Pending'}: {status.get('message') or 'not seen by the operator yet'}"
        # Not every second of a countdown is news.
        news = str((status.get("step"), status.get("live"), re.sub(r"[0-9][0-9,.hms]*", "#", line)))
        if news != last:
            say(line)
            last = news
        silent = _silence(session, status)
        if silent and not warned:
            # Not by `say`: this is no progress, and quiet is no reason to keep it back.
            click.echo(f"Warning: {silent}", err=True)
        warned = bool(silent)
        if session.now() - began >= timeout_s:
            told = f"{line} {silent}" if silent else line
            return Ending(Outcome.TIMEOUT, f"{name} is not {goal} after {timeout_s:g} s; {told}")
        session.sleep(min(LOOK_EVERY_S, max(0.0, timeout_s - (session.now() - began)) + 0.001))
        try:
            route = session.must_get(name)
            answered_at = session.now()
        except (Unavailable, Conflict):
            if session.now() - answered_at >= UNREACHABLE_FOR_S:
                raise


def _silence(session: Session, status: Json) -> str | None:
    """What there is to warn of; nothing where the rollout cannot be read just now, which the next look finds out."""
    from modelroute.api.parse import parse
    from modelroute.api.resources import ModelRollout
    from modelroute.cli.silence import silence

    if not status.get("rollout"):
        return None
    try:
        found = session.cluster.rollout(session.namespace, status["rollout"])
    except (Unavailable, Conflict):
        return None
    return None if found is None else silence(parse(ModelRollout, found), session.now())


def ending_of(status: Json, name: str, goal: str, revision: str) -> Ending | None:
    """How it ended, of a status that is about the spec as it stands; None while it has not.

    `revision` is the one that was wanted when the waiting began, empty while that is not known.
    """
    phase, message = status.get("phase"), status.get("message")
    wanted = status.get("revision") or ""
    if goal == "promoted" and revision and wanted and wanted != revision:
        told = f"{name}: the spec changed meanwhile: revision {wanted} is wanted now, not {revision}; {message}"
        return Ending(Outcome.FAILED, told)
    if phase == "Stable":
        return Ending(Outcome.DONE, f"{name} is {'promoted' if goal == 'promoted' else 'stable'}: {message}")
    stalled = any(each["type"] == "Stalled" and each["status"] == "True" for each in status.get("conditions") or ())
    if phase == "RolledBack":
        return Ending(Outcome.FAILED, f"{name} is rolled back: {message}")
    if stalled:
        return Ending(Outcome.FAILED, f"{name} is stalled ({phase}): {message}")
    return None
