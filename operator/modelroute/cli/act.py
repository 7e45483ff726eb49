"""The verbs: `approve`, `promote`, `pause`, `resume`, `abort`, `retry`.

Each writes `modelroute.dev/action: <verb>@<token>` with the token that is due, so that it means the moment that the
person saw, and then waits until the operator has dealt with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from modelroute.cli.session import Json, Session, name_argument, on_cluster, program_name
from modelroute.errors import Conflict, Invalid

if TYPE_CHECKING:
    from modelroute.cli.view import Told

ANSWER_WITHIN_S: Final = 10.0
EVENT_WITHIN_S: Final = 2.0
LOOK_EVERY_S: Final = 0.3
EVENTS_READ: Final = 100
WRITES: Final = 20
"""How often a write is tried anew when the operator wrote in between, which it does every few seconds."""


class NotTaken(click.ClickException):
    """The operator refused it: exit code 1."""


class NoAnswer(click.ClickException):
    """The operator did not answer in time: exit code 3, as of `wait`."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator said to a request; `taken` None where no event says so."""

    taken: bool | None
    message: str


def perform(session: Session, name: str, verb: str, token: str | None) -> Answer:
    """Ask for `verb` and wait for the answer. Raises NotTaken, NoAnswer, Invalid, Unavailable."""
    before = session.must_get(name)
    known = frozenset(_answers(session, before))
    asked = _ask(session, name, verb, token)
    if (before.get("status") or {}).get("lastAction") == asked:
        said = f": {max(known, key=lambda each: each.at).message}" if known else ""
        raise NotTaken(f"{asked} was asked before, at this very moment, and nothing came of it{said}")
    until = session.now() + ANSWER_WITHIN_S
    while True:
        route = session.must_get(name)
        status = route.get("status") or {}
        if status.get("lastAction") == asked:
            return _answer(session, route, known, min(until, session.now() + EVENT_WITHIN_S))
        if session.now() >= until:
            raise NoAnswer(
                f"{asked} is written down, and the operator has not taken it within {ANSWER_WITHIN_S:.0f} s: is it "
                "running? It takes it when it comes back, if it is still due then"
            )
        session.sleep(LOOK_EVERY_S)


def _ask(session: Session, name: str, verb: str, token: str | None) -> str:
    """Write the annotation for the token that is due, or for `token` if it still is; the value."""
    from modelroute.api.resources import ACTION_ANNOTATION

    meant = token
    for _ in range(WRITES):
        route = session.must_get(name)
        due = _due(route, verb)
        if meant is not None and due != meant:
            raise Invalid(
                f"{verb}@{meant} is not due any more, because the rollout has gone on: due now is {due}; look again "
                f"with `{program_name()} status {name}`"
            )
        meant = due
        try:
            version = route["metadata"]["resourceVersion"]
            value = f"{verb}@{due}"
            session.cluster.annotate(session.namespace, name, ACTION_ANNOTATION, value, version=version)
        except Conflict:
            # The operator wrote a status meanwhile. The same moment is meant, whatever it wrote.
            continue
        return value
    raise Invalid(f"{name} is being changed faster than this can be written: try again")


def _due(route: Json, verb: str) -> str:
    status = route.get("status") or {}
    due = status.get("nextAction")
    if not due:
        phase = status.get("phase") or "not visited by the operator yet"
        raise Invalid(
            f"{verb}: nothing is due: {route['metadata']['name']} is {phase}, so no rollout is under way, and none "
            "was rolled back"
        )
    return str(due)


def _answer(session: Session, route: Json, known: frozenset[Told], until: float) -> Answer:
    """What the event says that comes with the answer; it is written just after the status."""
    while True:
        new = [told for told in _answers(session, route) if told not in known]
        if new:
            last = max(new, key=lambda each: each.at)
            return Answer(last.reason == "ActionTaken", last.message)
        if session.now() >= until:
            return Answer(None, "it was dealt with; no event says how")
        session.sleep(LOOK_EVERY_S)


def _answers(session: Session, route: Json) -> list[Told]:
    from modelroute.cli.view import read_events

    events = read_events(session, route, EVENTS_READ) or ()
    return [told for told in events if told.reason in {"ActionTaken", "ActionRefused"}]


def _run(session: Session, name: str, verb: str, token: str | None) -> None:
    answer = perform(session, name, verb, token)
    if answer.taken is False:
        raise NotTaken(f"refused: {answer.message}")
    click.echo(answer.message)
    status = session.must_get(name).get("status") or {}
    click.echo(f"{name} is {status.get('phase')}: {status.get('message')}")


_token = click.option("--token", help="Only at this moment: the token that `status` showed, for example 1a2b3c.4.")


@click.command()
@name_argument
@_token
@on_cluster
def approve(session: Session, name: str, token: str | None) -> None:
    """Let the step that waits for a person be left."""
    _run(session, name, "approve", token)


@click.command()
@name_argument
@_token
@click.option("--full", is_flag=True, help="End the waiting of all steps to come as well.")
@on_cluster
def promote(session: Session, name: str, token: str | None, full: bool) -> None:
    """End the waiting of this step; never past a breach."""
    _run(session, name, "promote-full" if full else "promote", token)


@click.command()
@name_argument
@_token
@on_cluster
def pause(session: Session, name: str, token: str | None) -> None:
    """Stop where it is; harm still rolls back."""
    _run(session, name, "pause", token)


@click.command()
@name_argument
@_token
@on_cluster
def resume(session: Session, name: str, token: str | None) -> None:
    """Go on after `pause`."""
    _run(session, name, "resume", token)


@click.command()
@name_argument
@_token
@on_cluster
def abort(session: Session, name: str, token: str | None) -> None:
    """Go back to the stable split."""
    _run(session, name, "abort", token)


@click.command()
@name_argument
@_token
@on_cluster
def retry(session: Session, name: str, token: str | None) -> None:
    """Try a revision again that was rolled back."""
    _run(session, name, "retry", token)


VERBS: Final = (approve, promote, pause, resume, abort, retry)
