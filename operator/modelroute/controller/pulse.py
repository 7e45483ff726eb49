"""Whether the operator still looks: how long its looks take, how late they are, and which of them are missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from modelroute.controller import families
from modelroute.controller.loop import RETRY_MAX_S
from modelroute.controller.telemetry import Telemetry, word_for
from modelroute.errors import ModelRouteError

Key = tuple[str, str]

OVERDUE_FACTOR = 3.0
DUE_MIN_S = 30.0
"""A look that is due at once may take as long as one call to an API server that does not answer, and a bit more."""

BEAT_S = 5.0
NAMED_AT_MOST = 5
STUCK_FACTOR = 2.0
"""How many times longer than overdue all ModelRoutes must be for the operator itself to be what is stuck: a restart
mends that, and does nothing for one ModelRoute, or one server, that keeps its looks waiting."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The end of a ModelRoute's last look (or the start of its first), and when the next was due after it, seconds."""

    ended: float
    due_after_s: float

    def is_overdue(self, now: float, *, times: float = 1.0) -> bool:
        return now - self.ended > times * OVERDUE_FACTOR * max(self.due_after_s, DUE_MIN_S)


@dataclass(frozen=True, slots=True)
class _Looks:
    """The last look, and the last that did not fail: one that fails sees no harm, and a restart does not mend it."""

    last: _Look
    good: _Look


class Pulse:
    """Looks through `tick`, and keeps the time. `monotonic` gives seconds; it is read from other threads too."""

    def __init__(
        self,
        tick: Callable[[str, str], Awaitable[float | None]],
        telemetry: Telemetry,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tick = tick
        self._telemetry = telemetry
        self._now = monotonic
        self._looks: dict[Key, _Looks] = {}
        self._turned = monotonic()
        telemetry.gauge(families.TICKS_OVERDUE).set_function(lambda: float(len(self.overdue())))

    async def tick(self, namespace: str, name: str) -> float | None:
        """As the tick that it goes through: what that answers or raises is passed on."""
        key, began = (namespace, name), self._now()
        first = _Look(began, DUE_MIN_S)
        before = self._looks.setdefault(key, _Looks(first, first)).last
        late = began - before.ended - before.due_after_s
        if late >= 0:
            self._telemetry.histogram(families.TICK_LAG).observe(late)
        # What fails is looked at again within this.
        due_after_s: float | None = RETRY_MAX_S
        outcome = "unforeseen"
        try:
            due_after_s = await self._tick(namespace, name)
            outcome = "ok" if due_after_s is not None else "gone"
        except ModelRouteError as error:
            outcome = word_for(error)
            raise
        except asyncio.CancelledError:
            due_after_s, outcome = None, "gone"
            raise
        finally:
            self._note(key, outcome, began, due_after_s)
        return due_after_s

    def _note(self, key: Key, outcome: str, began: float, due_after_s: float | None) -> None:
        now = self._now()
        self._telemetry.counter(families.TICKS, outcome).inc()
        self._telemetry.histogram(families.TICK_DURATION).observe(now - began)
        if due_after_s is None:
            self._looks.pop(key, None)
            self._telemetry.forget(*key)
        else:
            look = _Look(now, due_after_s)
            self._looks[key] = _Looks(look, look if outcome == "ok" else self._looks[key].good)

    def overdue(self) -> list[Key]:
        """The ModelRoutes of which no look went well for three times as long as it should have taken until the next."""
        now = self._now()
        return sorted(key for key, looks in self._looks.copy().items() if looks.good.is_overdue(now))

    def problem(self) -> str:
        """Why the operator should be started anew, in a sentence; empty where it should not."""
        silent_s = self._now() - self._turned
        if silent_s > OVERDUE_FACTOR * max(BEAT_S, DUE_MIN_S):
            return f"the event loop has not turned for {silent_s:.0f} s"
        looks, now = self._looks.copy(), self._now()
        stuck = bool(looks) and all(each.last.is_overdue(now, times=STUCK_FACTOR) for each in looks.values())
        return self.remark() if stuck else ""

    def remark(self) -> str:
        """Which ModelRoutes are overdue, in a sentence; empty where none is."""
        late = self.overdue()
        if not late:
            return ""
        named = ", ".join("/".join(key) for key in late[:NAMED_AT_MOST])
        more = f" and {len(late) - NAMED_AT_MOST} more" if len(late) > NAMED_AT_MOST else ""
        return f"{len(late)} of {len(self._looks)} ModelRoutes are overdue: {named}{more}"

    async def beat(self) -> None:
        """Until cancelled: show that the event loop turns, also where there is nothing to look at."""
        while True:
            self._turned = self._now()
            await asyncio.sleep(BEAT_S)
