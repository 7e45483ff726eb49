"""Whether the windows of a route join: each begins with the scrapes that the one before ended with.

Of two Prometheus replicas behind one address, each has scrapes of its own, at other times. Where now the one answers
and now the other, what lies between their scrapes is in two windows, or in none, and no window alone shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelroute.metrics.cutting import Problem
from modelroute.metrics.scrapes import TargetId, name_of
from modelroute.metrics.sources import Samples
from modelroute.rollout.reasons import Reason

Route = tuple[str, str]
_Marks = Mapping[tuple[str, TargetId], float]


@dataclass(frozen=True, slots=True)
class _Seam:
    """The end of a window, and the last scrapes up to there: of each process, and of what each source counts there."""

    t: float
    marks: _Marks


class Seams:
    """The last window of each route that was read, by (namespace, name). Of an operator that was just started none is
    known.
    """

    def __init__(self) -> None:
        self._seams: dict[Route, _Seam] = {}

    def torn(self, route: Route, samples: Mapping[str, Samples], start: float, end: float) -> Problem | None:
        """Why the window (`start`, `end`] does not join the one that was read before it, if that ended at its start;
        it is the one before for the next.
        """
        before = self._seams.get(route)
        self._seams[route] = _Seam(end, _marks(samples, end))
        if before is None or before.t != start:
            return None
        now = _marks(samples, start)
        for (source, target), t in before.marks.items():
            if (there := now.get((source, target), t)) != t:
                how = "after" if there > t else "before"
                message = (
                    f"{name_of(target)} was scraped {abs(there - t):.1f} s {how} what was read as its last scrape:"
                    " do two Prometheus replicas answer at one address?"
                )
                return Problem(Reason.REPLICAS_DIFFER, message)
        return None

    def keep(self, routes: Iterable[Route]) -> None:
        """Forgets all others."""
        kept = set(routes)
        self._seams = {route: seam for route, seam in self._seams.items() if route in kept}


def _marks(samples: Mapping[str, Samples], edge: float) -> _Marks:
    marks: dict[tuple[str, TargetId], float] = {}
    for name, each in samples.items():
        for target, scrapes in each.targets.items():
            if seen := [scrape.t for scrape in scrapes if scrape.t <= edge]:
                marks["", target] = seen[-1]
        for counter in each.counters:
            if (last := counter.last_at(edge)) is not None:
                key = name, counter.target
                marks[key] = max(marks.get(key, last.t), last.t)
    return marks
