"""The operator as a process: kopf watches, our tasks tick."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import kopf

from modelroute.cluster.backends import Backends
from modelroute.cluster.client import (
    HTTP_ROUTES,
    MODEL_ROLLOUTS,
    MODEL_ROUTES,
    Objects,
    configuration,
    connection,
)
from modelroute.cluster.events import Events
from modelroute.cluster.store import KindStore
from modelroute.controller.handlers import configure, register
from modelroute.controller.leading import keep, lead, lease_of
from modelroute.controller.loop import Loop
from modelroute.controller.ports import Ports
from modelroute.controller.resync import resync
from modelroute.controller.settings import Settings
from modelroute.controller.tick import Ticker
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.routes import Routes
from modelroute.metrics.prometheus import PrometheusServer
from modelroute.metrics.sampler import Sampler

log = logging.getLogger(__name__)


def run(settings: Settings, *, kubeconfig: str | None) -> None:
    """Run until SIGTERM or SIGINT. Raises Invalid where no way to the API server is configured."""
    asyncio.run(_run(settings, kubeconfig))


async def _run(settings: Settings, kubeconfig: str | None) -> None:
    # Its own client: the Lease is renewed while sixteen other calls hang, and before anything else may be written.
    terms = settings.leader_election
    lease = lease_of(terms, Objects(configuration(kubeconfig), workers=1, timeout_s=terms.renew_deadline_s / 3))
    objects = Objects(configuration(kubeconfig), may_write=lambda: lease is None or lease.is_held())
    queries = ThreadPoolExecutor(max_workers=4, thread_name_prefix="prometheus")
    loop = Loop(Ticker(_ports(objects, settings, queries), time.time).tick)
    registry = kopf.OperatorRegistry()
    register(registry, loop)

    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.ConnectionInfo:
        # Read anew each time: kopf asks again when the API server refuses a token that was rotated.
        now = connection(kubeconfig)
        return kopf.ConnectionInfo(
            server=now.server, ca_path=now.ca_path, insecure=now.insecure, scheme="Bearer", token=now.token,
            certificate_path=now.certificate_path, private_key_path=now.private_key_path,
        )  # fmt: skip

    kopf_settings = kopf.OperatorSettings()
    configure(kopf_settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("modelroute starts; Prometheus servers: %s", ", ".join(settings.prometheus) or "none")
    keeping = listing = None
    try:
        if not await lead(lease, stop):
            return
        if lease is not None:
            keeping = asyncio.create_task(keep(lease), name="lease")
        listing = asyncio.create_task(
            resync(loop, lambda namespace: objects.names(MODEL_ROUTES, namespace), settings.namespaces), name="resync"
        )
        await kopf.operator(
            registry=registry,
            settings=kopf_settings,
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
        )
    finally:
        if listing is not None:
            listing.cancel()
        await loop.stop()
        if lease is not None and keeping is not None:
            keeping.cancel()
            await lease.release()
        objects.close()
        queries.shutdown(wait=False, cancel_futures=True)


def _ports(objects: Objects, settings: Settings, queries: ThreadPoolExecutor) -> Ports:
    readers = {
        name: Sampler(
            PrometheusServer(
                name=name,
                url=server.url,
                scrape_interval_s=server.scrape_interval_s,
                ca_file=None if server.ca_file is None else str(server.ca_file),
                token_file=None if server.token_file is None else str(server.token_file),
            ),
            queries,
        )
        for name, server in settings.prometheus.items()
    }
    return Ports(
        model_routes=KindStore(objects, MODEL_ROUTES),
        model_rollouts=KindStore(objects, MODEL_ROLLOUTS),
        routes=Routes(KindStore(objects, HTTP_ROUTES)),
        adopted=AdoptedRoutes(KindStore(objects, HTTP_ROUTES)),
        backends=Backends(objects),
        events=Events(objects),
        readers=readers,
        settings=settings,
    )
