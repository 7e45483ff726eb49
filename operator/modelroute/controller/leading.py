"""Being the one operator that works: waiting for the Lease, and ending the process hard when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from uuid import uuid4

from modelroute.cluster.client import LEASES, Objects
from modelroute.cluster.lease import Lease, LeaseTerms
from modelroute.cluster.store import KindStore
from modelroute.controller.settings import LeaderElectionSettings

log = logging.getLogger(__name__)

LOST_EXIT_CODE = 3


def lease_of(settings: LeaderElectionSettings, objects: Objects) -> Lease | None:
    """The Lease to work under; None where leader election is off. `objects` may write without it."""
    if not settings.enabled:
        return None
    host = os.environ.get("POD_NAME") or socket.gethostname()
    terms = LeaseTerms(settings.lease_duration_s, settings.renew_deadline_s, settings.retry_period_s)
    return Lease(
        KindStore(objects, LEASES),
        namespace=settings.namespace,
        name=settings.name,
        # Two of one name on one host, after a crash or by mistake, are two.
        identity=f"{host[:200]}_{uuid4().hex[:12]}",
        terms=terms,
        monotonic=time.monotonic,
        wall=time.time,
    )


def is_leading(lease: Lease | None) -> bool:
    """Whether this process may write: it holds the Lease, or works without one. Safe to ask from any thread."""
    return lease is None or lease.is_held()


async def lead(lease: Lease | None, stop: asyncio.Event) -> bool:
    """Wait until this process leads, or is to stop; whether it leads."""
    if lease is None:
        return True
    acquiring, stopping = asyncio.create_task(lease.acquire()), asyncio.create_task(stop.wait())
    await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not acquiring.done():
        acquiring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await acquiring
        return False
    await acquiring
    return True


async def keep(lease: Lease, *, end: Callable[[int], object] = os._exit) -> None:
    """Renew until the Lease is lost, then end the process at once: another one may be at work already."""
    await lease.keep()
    log.critical("the Lease is lost: this process ends, and stands by when it is started anew")
    for handler in logging.getLogger().handlers:
        handler.flush()
    end(LOST_EXIT_CODE)
