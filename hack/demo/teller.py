"""Telling what happens as it happens: plain lines, one for each thing that is new."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from demo.story import ROUTE
from devstack.load_report import between
from devstack.scene import Load, Scene

LOOK_EVERY_S = 1.0
TRAFFIC_EVERY_S = 5.0


class Teller:
    """Prints lines with the seconds since the demo began."""

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out
        self._began = time.monotonic()
        self._told: set[tuple[str, str]] = set()
        self._line = ""

    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def say(self, line: str = "") -> None:
        self._out(f"{self.seconds():6.1f} s  {line}" if line else "")

    def act(self, title: str) -> None:
        """A new act begins."""
        self.say()
        self.say(title)

    def follow(self, scene: Scene, load: Load, *, until: Callable[[dict[str, object]], bool], within_s: float) -> bool:
        """Tell of the route and its traffic until the status says so; False if it does not within `within_s`."""
        deadline = time.monotonic() + within_s
        next_traffic = time.monotonic() + TRAFFIC_EVERY_S
        while time.monotonic() < deadline:
            status = scene.status(ROUTE)
            self._tell_events(scene)
            self._tell_status(status)
            if time.monotonic() >= next_traffic:
                next_traffic += TRAFFIC_EVERY_S
                self._tell_traffic(load)
            if until(status):
                self._tell_events(scene)
                return True
            time.sleep(LOOK_EVERY_S)
        return False

    def _tell_events(self, scene: Scene) -> None:
        for kind, reason, note in scene.events():
            if (reason, note) not in self._told:
                self._told.add((reason, note))
                self.say(f"{'!' if kind == 'Warning' else '·'} {reason}: {note}")

    def _tell_status(self, status: dict[str, object]) -> None:
        objectives = status.get("objectives") or []
        assert isinstance(objectives, list)
        evidence = "; ".join(map(evidence_line, objectives))
        step = f"step {status['step']}, " if status.get("step") else ""
        line = f"  {status.get('phase', '-')}: {step}live {status.get('live', '-')}" + (
            f" | {evidence}" if evidence else ""
        )
        if line != self._line:
            self._line = line
            self.say(line)

    def _tell_traffic(self, load: Load) -> None:
        now = time.time()
        recent = between(load.records(), since=now - TRAFFIC_EVERY_S - 1, until=now - 1)
        total = Counter(record.arm or "nobody" for record in recent)
        bad = Counter(record.arm or "nobody" for record in recent if record.bad)
        words = ", ".join(f"{arm} {count} ({bad[arm]} bad)" for arm, count in sorted(total.items()))
        self.say(f"    traffic of 5 s by who answered: {words or 'none'}")


def evidence_line(objective: Mapping[str, object]) -> str:
    """One objective of the status in words; what was not counted yet is said, not marked."""
    head = f"{objective['name']} of {objective['candidate']}: "
    if not objective.get("candidateRequests"):
        return f"{head}nothing was counted yet"
    told = f"{head}{objective['candidateRate']} of {objective['candidateRequests']}"
    if objective.get("referenceRequests"):
        told += f" against {objective['referenceRate']} of {objective['referenceRequests']}"
    return f"{told}, evidence {objective['evidence']}" if objective.get("evidence") else told
