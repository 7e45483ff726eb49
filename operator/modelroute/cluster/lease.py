"""One leader among several operators: a coordination.k8s.io Lease, as client-go's leader election uses it.

Clocks of different machines are never compared: a holder counts as gone when its Lease was not seen to change for
`duration_s` on our own monotonic clock, and holds it itself for no longer than `renew_within_s` after the last renewal
that was answered. So there is a gap between one leader's last write and the next one's first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from modelroute.cluster.client import Json
from modelroute.errors import Conflict, ModelRouteError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Seconds: how long a silent holder is waited for, how long a holder may go without an answer, how often to try.

    `renew_within_s` < `duration_s`, and `retry_s` well below it.
    """

    duration_s: float = 15.0
    renew_within_s: float = 10.0
    retry_s: float = 2.0


class Store(Protocol):
    """What a Lease needs of the API server; `cluster.store.KindStore` bound to Leases has it."""

    async def get(self, namespace: str, name: str) -> Json | None: ...

    async def create(self, namespace: str, body: Json) -> Json: ...

    async def replace(self, namespace: str, name: str, body: Json) -> Json: ...


class Lease:
    """The Lease `namespace/name`, wanted by `identity`, which no other process may have.

    `monotonic` gives seconds that never go back and go on while the process is stopped; `wall` unix seconds, which
    nobody but people reads.
    """

    def __init__(
        self,
        store: Store,
        *,
        namespace: str,
        name: str,
        identity: str,
        terms: LeaseTerms,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._namespace, self._name = store, namespace, name
        self._identity, self._terms = identity, terms
        self._monotonic, self._wall, self._sleep = monotonic, wall, sleep
        self._renewed_at: float | None = None
        self._seen: tuple[str, float] | None = None
        self._holder = ""
        self._unread: str | None = "the API server has not answered yet"

    def is_held(self) -> bool:
        """Whether this process may write. Safe to ask from any thread; false from the moment it cannot be sure."""
        renewed_at = self._renewed_at
        return renewed_at is not None and self._monotonic() - renewed_at < self._terms.renew_within_s

    @property
    def problem(self) -> str:
        """Why this process can neither lead nor stand by, in a sentence; empty for good once a try got through.

        An outage later on is no reason: whoever stood by before it does so after it. Safe to ask from any thread.
        """
        unread = self._unread
        return f"the Lease {self._namespace}/{self._name} could not be had yet: {unread}" if unread is not None else ""

    async def acquire(self) -> None:
        """Return as the leader. Waits for as long as another one is there, or the API server cannot be asked."""
        told = ""
        while not await self._tried():
            holder = f"waiting: {self._holder} leads" if self._holder else "waiting for the Lease"
            if holder != told:
                log.info("%s/%s: %s", self._namespace, self._name, holder)
                told = holder
            await self._sleep(self._terms.retry_s)
        log.info("%s/%s: %s leads", self._namespace, self._name, self._identity)

    async def keep(self) -> None:
        """Renew for as long as that is answered; returns when the Lease is lost."""
        while self.is_held():
            await self._sleep(self._terms.retry_s)
            await self._tried()

    async def release(self) -> None:
        """Let the next one take over at once; where that fails, it does after `duration_s`."""
        if not self.is_held():
            return
        self._renewed_at = None
        try:
            found = await self._store.get(self._namespace, self._name)
            if found is not None and found["spec"].get("holderIdentity") == self._identity:
                await self._store.replace(self._namespace, self._name, {**found, "spec": {**found["spec"], **_FREE}})
        except ModelRouteError as error:
            log.info("the Lease could not be given back: %s", error)

    async def _tried(self) -> bool:
        """Take or renew the Lease where it is ours to take; whether we hold it now."""
        # Before the question: an answer that took long makes the hold shorter, not longer.
        asked_at = self._monotonic()
        try:
            found = await self._store.get(self._namespace, self._name)
            if found is None:
                await self._store.create(self._namespace, self._made())
            elif self._may_take(found):
                await self._store.replace(self._namespace, self._name, self._renewed(found))
            else:
                self._renewed_at = self._unread = None
                return False
        except Conflict:
            # Somebody else was faster; the next try sees who.
            return self.is_held()
        except ModelRouteError as error:
            log.warning("the Lease %s/%s cannot be read or renewed: %s", self._namespace, self._name, error)
            if self._unread is not None:
                self._unread = str(error)
            return self.is_held()
        self._renewed_at, self._unread = asked_at, None
        return self.is_held()

    def _may_take(self, found: Json) -> bool:
        spec = found.get("spec") or {}
        self._holder = str(spec.get("holderIdentity") or "")
        if self._holder in {"", self._identity}:
            return True
        version, now = str(found["metadata"]["resourceVersion"]), self._monotonic()
        if self._seen is None or self._seen[0] != version:
            self._seen = version, now
        waits_s = max(self._terms.duration_s, float(spec.get("leaseDurationSeconds") or 0))
        return now - self._seen[1] >= waits_s

    def _made(self) -> Json:
        now = _instant(self._wall())
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": {**self._held(now), "acquireTime": now, "leaseTransitions": 0},
        }

    def _renewed(self, found: Json) -> Json:
        now, spec = _instant(self._wall()), found.get("spec") or {}
        taken = spec.get("holderIdentity") != self._identity
        changed = {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1} if taken else {}
        return {**found, "spec": {**spec, **self._held(now), **changed}}

    def _held(self, now: str) -> Json:
        duration_s = round(self._terms.duration_s)
        return {"holderIdentity": self._identity, "leaseDurationSeconds": duration_s, "renewTime": now}


_FREE: Json = {"holderIdentity": "", "leaseDurationSeconds": 1}


def _instant(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
