"""The live screen of `watch`: drawn four times a second in the terminal's other screen, read in a thread beside it.

The lines are written over the old ones, never erased first, so that nothing flickers; a new size of the terminal is
found at the next drawing. However it ends, the terminal is as it was, with the last screen left on it.
"""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass, replace
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from modelroute.cli.screen import brief, screen
from modelroute.cli.session import Session
from modelroute.cli.view import View, read_view
from modelroute.cli.watch import EVENTS_READ, is_done
from modelroute.cli.words import ago
from modelroute.errors import Invalid, ModelRouteError

DRAW_EVERY_S: Final = 0.25
EVENTS_TRIED: Final = (8, 5, 3, 1)
BRIEF_EVENTS_TRIED: Final = (5, 3, 1, 0)


@dataclass(frozen=True, slots=True)
class Latest:
    """What was read last; `problem` is what the last look ended with, since `since` (unix seconds)."""

    view: View | None = None
    problem: ModelRouteError | None = None
    since: float = 0.0


class Looking(threading.Thread):
    """Reads the route every `interval_s` until the program ends; a slow API server does not stop the drawing."""

    def __init__(self, session: Session, name: str, interval_s: float) -> None:
        super().__init__(daemon=True, name="watch")
        self._session, self._name, self._interval_s = session, name, interval_s
        self.ended = threading.Event()
        self.looked = threading.Event()
        self.latest = Latest()

    def run(self) -> None:
        while not self.ended.is_set():
            self.latest = self._look()
            self.looked.set()
            self.ended.wait(self._interval_s)

    def _look(self) -> Latest:
        try:
            return Latest(read_view(self._session, self._name, events=EVENTS_READ))
        except ModelRouteError as problem:
            since = self.latest.since if self.latest.problem is not None else self._session.now()
            return Latest(self.latest.view, problem, since)


def watch_live(session: Session, name: str, *, interval_s: float, until_done: bool, program: str) -> None:
    """Draw until Ctrl-C, or with `until_done` until nothing is under way. Raises Invalid where the route is gone."""
    console = Console(highlight=False)
    looking = Looking(session, name, interval_s)
    looking.start()
    looking.looked.wait()
    if looking.latest.view is None and looking.latest.problem is not None:
        raise looking.latest.problem
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
            while not (until_done and _done(looking.latest)):
                live.update(frame(looking.latest, console, session.now(), program), refresh=True)
                time.sleep(DRAW_EVERY_S)
                if isinstance(looking.latest.problem, Invalid):
                    raise looking.latest.problem
    except KeyboardInterrupt:
        pass
    finally:
        looking.ended.set()
        signal.signal(signal.SIGTERM, before)
        if looking.latest.view is not None:
            console.print(screen(looking.latest.view, width=console.width, program=program))


def frame(latest: Latest, console: Console, now: float, program: str) -> RenderableType:
    """What fits on the terminal as it is now.

    Older events give way first, then bars, intervals and gaps; at last what stands lowest, with a word on how much of
    it there is, but never what can be done next.
    """
    assert latest.view is not None
    view, width = replace(latest.view, now=now), console.width
    banner = []
    if latest.problem is not None:
        banner = [Text(f"for {ago(now - latest.since)}: {latest.problem}", style="red", overflow="ellipsis")]
    for events in EVENTS_TRIED:
        drawn = Group(*banner, screen(view, width=width, program=program, events=events))
        if _rows(drawn, console) <= console.height:
            return drawn
    for events in BRIEF_EVENTS_TRIED:
        drawn = Group(*banner, *brief(view, width=width, program=program, events=events))
        if _rows(drawn, console) <= console.height:
            return drawn
    above, below = brief(view, width=width, program=program, events=BRIEF_EVENTS_TRIED[0])
    return _Cut(Group(*banner, above), below, console.height)


def _rows(drawn: RenderableType, console: Console) -> int:
    return len(console.render_lines(drawn, pad=False))


@dataclass(frozen=True, slots=True)
class _Cut:
    """`above` as far as there is room, how much of it is left out, and `below`: `height` rows in all."""

    above: RenderableType
    below: RenderableType
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self.above, options, pad=False)
        room = max(1, self.height - _rows(self.below, console) - 1)
        for line in lines[:room]:
            yield from line
            yield Segment.line()
        yield Text(f"… {len(lines) - room} lines more", style="dim")
        yield self.below


def _done(latest: Latest) -> bool:
    return latest.view is not None and latest.problem is None and is_done(latest.view)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
