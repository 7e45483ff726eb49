"""One tick of one ModelRoute: observe, decide, persist, act, announce."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from modelroute.controller.act import act
from modelroute.controller.announce import announce, tell, write_status
from modelroute.controller.finalizer import hold, release
from modelroute.controller.observe import Seen, observe
from modelroute.controller.persist import persist, tidy_history, with_evidence
from modelroute.controller.ports import Ports
from modelroute.controller.returning import take_back
from modelroute.errors import Conflict, ModelRouteError, Unavailable
from modelroute.metrics.scrapes import window_end_for
from modelroute.rollout.attempt import Stage
from modelroute.rollout.changed import carries
from modelroute.rollout.decision import Decision, Phase
from modelroute.rollout.looked import looked
from modelroute.rollout.machine import decide, token_due
from modelroute.rollout.observation import Terms
from modelroute.rollout.reasons import Reason

log = logging.getLogger(__name__)

SOON_S = 0.05


class _Overtaken(Conflict):
    """A rollback could not be written down, because the ModelRollout changed since it was read."""


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
        try:
            return await self._tick(namespace, name, insist=False)
        except _Overtaken:
            # Somebody wrote first, and a rollback is due: on what is there now, it waits for nobody.
            return await self._tick(namespace, name, insist=True)

    async def _tick(self, namespace: str, name: str, *, insist: bool) -> float | None:
        started = self.clock()
        seen = await observe(self.ports, namespace, name, now=started)
        if seen is not None and await take_back(self.ports, seen):
            seen = await observe(self.ports, namespace, name, now=started)
        if seen is None:
            await release(self.ports, namespace, name)
            self._forget(namespace, name)
            return None
        self._note(seen, started)
        decision = decide(seen.observation, self.clock())
        await self._write_down(seen, decision, insist=insist)
        try:
            seen = await hold(self.ports, seen, decision)
            decision = await act(self.ports, seen, decision, now=self.clock())
        except Unavailable as error:
            # A missing right, an admission policy: in the API server's words.
            message = f"the HTTPRoute cannot be written: {error}"
            await self._tell(seen, _untaken(decision, Reason.ROUTE_NOT_WRITTEN, message))
            raise
        except ModelRouteError:
            # It is written down, and the next tick carries it out without deciding it again: now or never.
            await tell(self.ports, seen, decision.announcements, self.clock())
            raise
        await announce(self.ports, seen, decision, now=self.clock())
        try:
            await tidy_history(self.ports, seen, decision)
        except ModelRouteError as error:
            log.warning("%s: the history could not be tidied: %s", seen.key, error)
        return self._until_next_look(seen.observation.terms, decision)

    async def _tell(self, seen: Seen, told: Decision) -> None:
        """Say what keeps a decision from being carried out; where not even that can be written, the log says it."""
        try:
            await announce(self.ports, seen, told, now=self.clock())
        except ModelRouteError as error:
            log.warning("%s: the status cannot be written either: %s", seen.key, error)

    async def _write_down(self, seen: Seen, decision: Decision, *, insist: bool) -> None:
        going_back = decision.order is not None and bool(decision.order.rollback_of)
        try:
            await persist(self.ports, seen, decision)
        except ModelRouteError as error:
            if not going_back:
                await self._go_on_unwritten(seen, decision, error)
                raise
            if isinstance(error, Conflict) and not insist:
                raise _Overtaken(str(error)) from error
            await self._carry_out_unwritten(seen, decision)
            raise
        self.ports.unwritten.forget(_key(seen))

    async def _go_on_unwritten(self, seen: Seen, decision: Decision, error: ModelRouteError) -> None:
        """What was counted is kept, so that the next look finds harm that begins later; and from the second failure on
        people are told, for one alone says little.
        """
        again = self.ports.unwritten.failed(_key(seen), with_evidence(seen, looked(seen.observation, self.clock())))
        if again and not isinstance(error, Conflict):
            message = f"the ModelRollout cannot be written, and no traffic rises before it is: {error}"
            told = _untaken(decision, Reason.ROLLOUT_NOT_WRITTEN, message)
            # Nothing of it is done; it is decided again, and told then. A breach that moves nothing is told now.
            breaches = tuple(said for said in decision.announcements if said.reason is Reason.GUARD_BREACHED)
            told = replace(told, order=None, record=None, fresh=False, announcements=breaches, handled="")
            await self._tell(seen, replace(told, next_action=token_due(seen.observation, told)))

    async def _carry_out_unwritten(self, seen: Seen, decision: Decision) -> None:
        """Nothing stands in a rollback's way: until it can be written down it is noted wherever else it can be."""
        log.warning("%s: the rollback cannot be written down yet, it is carried out", seen.key)
        if decision.record is not None:
            self.ports.sightings.went_back(_key(seen), decision.record)
        try:
            await act(self.ports, seen, decision, now=self.clock())
        finally:
            # What happened is told once it is written down; a restarted operator goes by the phase.
            try:
                await write_status(self.ports, seen, decision, now=self.clock())
            except ModelRouteError as error:
                log.warning("%s: the status cannot be written either: %s", seen.key, error)

    def _note(self, seen: Seen, at: float) -> None:
        record = seen.observation.record
        if record is not None and record.progress.stage is Stage.PROGRESSING and carries(seen.observation, record):
            self.ports.sightings.carried(_key(seen), record, at)

    def _forget(self, namespace: str, name: str) -> None:
        self.ports.routes.forget(namespace, name)
        self.ports.adopted.forget(namespace, name)
        self.ports.contention.forget((namespace, name))
        self.ports.sightings.forget((namespace, name))
        self.ports.repeats.forget((namespace, name))
        self.ports.unwritten.forget((namespace, name))

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


def _key(seen: Seen) -> tuple[str, str]:
    return seen.route.metadata.namespace, seen.route.metadata.name


def _untaken(decision: Decision, reason: Reason, message: str) -> Decision:
    """How things stand where `decision` could not be carried out."""
    phase = decision.phase if decision.phase is Phase.ROLLING_BACK else Phase.HOLDING
    return replace(decision, phase=phase, reason=reason, message=message, lacking=(message,))
