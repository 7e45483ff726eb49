"""One tick of one ModelRoute: observe, decide, persist, act, announce."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from modelroute.controller.act import act
from modelroute.controller.announce import announce, tell
from modelroute.controller.observe import Seen, observe
from modelroute.controller.persist import persist, tidy_history
from modelroute.controller.ports import Ports
from modelroute.errors import ModelRouteError
from modelroute.metrics.ledger import window_end_for
from modelroute.rollout.decision import Decision
from modelroute.rollout.machine import decide
from modelroute.rollout.observation import Terms

log = logging.getLogger(__name__)

SOON_S = 0.05


@dataclass(frozen=True, slots=True)
class Ticker:
    """Ticks any ModelRoute. `clock` gives unix seconds."""

    ports: Ports
    clock: Callable[[], float]

    async def tick(self, namespace: str, name: str) -> float | None:
        """Look once, do what is due; the seconds until the next look, or None where the ModelRoute is gone.

        Raises what the tree of `errors` has: the caller looks again later. What was decided in between is lost with it
        and decided again from what is written down.
        """
        seen = await observe(self.ports, namespace, name, now=self.clock())
        if seen is None:
            self.ports.routes.forget(namespace, name)
            return None
        decision = decide(seen.observation, self.clock())
        await self._write_down(seen, decision)
        try:
            decision = await act(self.ports, seen, decision)
        except ModelRouteError:
            # It is written down, and the next tick carries it out without deciding it again: now or never.
            await tell(self.ports, seen, decision.announcements, self.clock())
            raise
        await announce(self.ports, seen, decision, now=self.clock())
        if not decision.fresh:
            await tidy_history(self.ports, seen)
        return self._until_next_look(seen.observation.terms, decision)

    async def _write_down(self, seen: Seen, decision: Decision) -> None:
        try:
            await persist(self.ports, seen, decision)
        except ModelRouteError:
            if decision.order is not None and decision.order.rollback_of:
                # Nothing stands in a rollback's way: it is noted on the route itself until it can be written down.
                log.warning("%s: the rollback cannot be written down yet, it is carried out", seen.key)
                await act(self.ports, seen, decision)
            raise

    def _until_next_look(self, terms: Terms, decision: Decision) -> float:
        if decision.wake_after_s <= 0:
            return SOON_S
        if decision.record is None or not decision.record.progress.stage.under_way:
            return decision.wake_after_s
        now = self.clock()
        until = window_end_for(now, terms.window_s, terms.scrape_interval_s)
        # The moment at which one more window will be whole.
        next_window = terms.window_s - (now - 2 * terms.scrape_interval_s - until)
        return max(SOON_S, min(decision.wake_after_s, next_window + SOON_S))
