"""`modelroute watch`: a route as it moves. On a terminal a screen that is drawn anew, in a pipe a line for all news."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from modelroute.cli.session import Json, Session, name_argument, on_cluster, program_name
from modelroute.errors import Unavailable

if TYPE_CHECKING:
    from modelroute.cli.view import Told, View

EVENTS_READ: Final = 50


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Choice(["json"]), help="One JSON object a line, for programs.")
@click.option(
    "--interval", type=click.FloatRange(min=0.2, max=60), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--until-done", is_flag=True, help="Leave when no rollout is under way any more.")
@on_cluster
def watch(session: Session, name: str, output: str | None, interval: float, until_done: bool) -> None:
    """Watch a rollout: split, steps, evidence, events. Ctrl-C leaves; nothing is changed by that."""
    if output is None and sys.stdout.isatty():
        from modelroute.cli.watch_live import watch_live

        watch_live(session, name, interval_s=interval, until_done=until_done, program=program_name())
        return
    write = _write_json if output == "json" else _write_plain
    try:
        follow(session, name, interval_s=interval, until_done=until_done, write=write)
    except KeyboardInterrupt:
        return


@dataclass(slots=True)
class News:
    """What was told already, so that everything is told once."""

    status: Json = field(default_factory=dict)
    events: set[Told] = field(default_factory=set)
    silent: bool = False

    def of(self, view: View) -> Iterator[Told | View]:
        """What is new in `view`: events in order, then the view itself if the status says something else, and last a
        warning where nothing is written any more."""
        from modelroute.cli.silence import silence
        from modelroute.cli.view import Told

        for told in view.events or ():
            if told not in self.events:
                self.events.add(told)
                yield told
        status = {key: value for key, value in (view.raw.get("status") or {}).items() if key not in _NOISE}
        if status != self.status:
            self.status = status
            yield view
        silent = silence(view.rollout, view.now)
        if silent is not None and not self.silent:
            yield Told(at=view.now, reason="Silent", message=silent, warning=True)
        self.silent = silent is not None


_NOISE: Final = frozenset({"conditions", "observedGeneration", "message", "lacking"})
"""What says the same in other words, or counts down second by second."""


def follow(
    session: Session, name: str, *, interval_s: float, until_done: bool, write: Callable[[Told | View], None]
) -> None:
    """Write what is new, look after look, for ever without `until_done`. Raises Invalid where the route is gone."""
    from modelroute.cli.view import read_view

    news, complained = News(), ""
    while True:
        try:
            view = read_view(session, name, events=EVENTS_READ)
            complained = ""
        except Unavailable as error:
            if str(error) != complained:
                complained = str(error)
                click.echo(f"Error: {complained}; trying again", err=True)
        else:
            for each in news.of(view):
                write(each)
            if until_done and is_done(view):
                return
        session.sleep(interval_s)


def is_done(view: View) -> bool:
    """Whether nothing is under way, of a status that is about the spec as it stands."""
    status = view.route.status
    return status.phase in {"Stable", "RolledBack"} and status.observed_generation == view.route.metadata.generation


def _write_plain(news: Told | View) -> None:
    from modelroute.cli.view import View

    if not isinstance(news, View):
        click.echo(f"{_clock(news.at)}  {'!' if news.warning else '·'} {news.reason}: {news.message}")
        return
    status = news.route.status
    parts = [f"{status.phase or 'Pending'}"]
    parts += [f"step {status.step}"] if status.step else []
    parts += [f"live {status.live}"] if status.live else []
    if news.under_way:
        parts += [
            f"{each.name} of {each.candidate} {each.candidate_rate or '–'} ({each.candidate_requests or 0:,})"
            + (f" against {each.reference_rate or '–'} ({each.reference_requests or 0:,})" if each.reference else "")
            + f", evidence {each.evidence}"
            for each in status.objectives or ()
        ]
    click.echo(f"{_clock(news.now)}    {'; '.join(parts)}")


def _write_json(news: Told | View) -> None:
    from modelroute.api.fields import format_instant
    from modelroute.cli.view import View

    if isinstance(news, View):
        found = {"at": format_instant(news.now), "type": "Status", "status": news.raw.get("status") or {}}
    else:
        found = {"at": format_instant(news.at), "type": "Event", "reason": news.reason, "message": news.message}
        found["warning"] = news.warning
    click.echo(json.dumps(found, ensure_ascii=False))
    sys.stdout.flush()


def _clock(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")
