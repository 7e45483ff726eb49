"""The demo on a terminal: the plugin's own screen, live, with what the act is about and who answers the requests.

Between the acts there are plain lines, and each act leaves its events behind as such: what was on the live screen is
gone with it, and the story stays.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from demo.answers import OVER_S, Tail, drawn
from demo.story import RATE, ROUTE
from demo.teller import LOOK_EVERY_S, Teller
from devstack.scene import Load, Scene
from modelroute.cli.screen import screen
from modelroute.cli.session import Session
from modelroute.cli.view import Told, View
from modelroute.cli.watch_live import DRAW_EVERY_S, EVENTS_TRIED, Latest, Looking
from modelroute.cluster.reader import open_reader

LOOK_AT_THE_END_S: Final = 4.0
"""How long the last screen of an act stays."""
WIDEST_BAR: Final = 50


class Stage(Teller):
    """Draws while an act is played, and tells the rest in lines."""

    def __init__(self, console: Console) -> None:
        super().__init__(self._print)
        self._console = console
        self._title = ""
        self._began_at = time.time()
        self._seen: set[Told] = set()

    def act(self, title: str) -> None:
        self._title = title
        self._console.print()
        self._console.print(Rule(title, align="left", style="dim"))

    def follow(self, scene: Scene, load: Load, *, until: Callable[[dict[str, object]], bool], within_s: float) -> bool:
        session = Session(open_reader(str(scene.stack.kubeconfig), None), scene.namespace)
        looking = Looking(session, ROUTE, LOOK_EVERY_S)
        looking.start()
        try:
            return self._draw(looking, Tail(load.log), until, time.monotonic() + within_s)
        finally:
            looking.ended.set()
            self._leave_behind(looking.latest.view)

    def _draw(self, looking: Looking, tail: Tail, until: Callable[[dict[str, object]], bool], deadline: float) -> bool:
        done_at: float | None = None
        with Live(console=self._console, screen=True, auto_refresh=False, transient=True) as live:
            while time.monotonic() < deadline:
                answers = drawn(tail.answers(time.time()), width=min(WIDEST_BAR, self._console.width - 50))
                live.update(self._frame(looking.latest, answers), refresh=True)
                view = looking.latest.view
                if done_at is None and view is not None and until(view.raw.get("status") or {}):
                    done_at = time.monotonic()
                if done_at is not None and time.monotonic() > done_at + LOOK_AT_THE_END_S:
                    return True
                time.sleep(DRAW_EVERY_S)
        return done_at is not None

    def _leave_behind(self, view: View | None) -> None:
        """The events of the act as lines, each with when it happened."""
        for told in () if view is None else view.events or ():
            if told not in self._seen:
                self._seen.add(told)
                mark = "!" if told.warning else "·"
                self._print(f"{told.at - self._began_at:6.1f} s  {mark} {told.reason}: {told.message}")

    def _print(self, line: str) -> None:
        """Broken between words, and set in as far as what is said."""
        broken = textwrap.wrap(line, self._console.width, subsequent_indent=" " * 12, break_on_hyphens=False) or [""]
        for each in broken:
            self._console.print(each, markup=False, soft_wrap=True)

    def _frame(self, latest: Latest, answers: RenderableType) -> RenderableType:
        """What fits on the terminal as it is now: older events give way first."""
        head: list[RenderableType] = [
            Text.assemble((self._title, "bold"), (f"   {self.seconds():.0f} s since the beginning", "dim")),
            Text(f"{RATE:.0f} requests a second; of the last {OVER_S:.0f} s these were answered by", style="dim"),
            answers,
            Rule(style="dim"),
        ]
        if latest.problem is not None:
            head.append(Text(str(latest.problem), style="red"))
        if latest.view is None:
            return Group(*head)
        whole = Group(*head)
        for events in EVENTS_TRIED:
            whole = Group(*head, self._screen(latest.view, events))
            if len(self._console.render_lines(whole, pad=False)) <= self._console.height:
                break
        return whole

    def _screen(self, view: View, events: int) -> Group:
        return screen(view, width=self._console.width, program="kubectl modelroute", events=events)
