"""The operator as a process: kopf watches, our tasks tick."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import kopf

# kopf takes these as arguments and exports no names for them; its own ready_flag is raised before it has asked
# anything.
from kopf._cogs.structs.references import Insights
from kopf._core.engines.peering import Identity

from modelroute.cluster.backends import Backends
from modelroute.cluster.client import (
    HTTP_ROUTES,
    MODEL_ROLLOUTS,
    MODEL_ROUTES,
    Objects,
)
from modelroute.cluster.credentials import configuration, connection
from modelroute.cluster.events import Events
from modelroute.cluster.store import KindStore
from modelroute.controller import families
from modelroute.controller.beside import Beside
from modelroute.controller.counted import CountedEvents, CountedObjects, CountedSamples
from modelroute.controller.definitions import end_once_defined, unreadiness
from modelroute.controller.endpoints import endpoints
from modelroute.controller.handlers import configure, register
from modelroute.controller.leading import is_leading, keep, lead, lease_of
from modelroute.controller.loop import Loop
from modelroute.controller.notifying import Notifier
from modelroute.controller.ports import Ports
from modelroute.controller.pulse import Pulse
from modelroute.controller.resync import resync
from modelroute.controller.settings import Settings
from modelroute.controller.telemetry import Telemetry
from modelroute.controller.tick import Ticker
from modelroute.gateway.adopted_routes import AdoptedRoutes
from modelroute.gateway.routes import Routes
from modelroute.metrics.judge import Judge
from modelroute.metrics.prometheus import Prometheus, PrometheusServer
from modelroute.metrics.sampler import Sampler
from modelroute.metrics.traefik import Traefik

log = logging.getLogger(__name__)


def run(settings: Settings, *, kubeconfig: str | None) -> None:
    """Run until SIGTERM or SIGINT. Raises Invalid where no way to the API server is configured."""
    asyncio.run(_run(settings, kubeconfig))


async def _run(settings: Settings, kubeconfig: str | None) -> None:
    telemetry = Telemetry()
    # Its own client: the Lease is renewed while sixteen other calls hang, and before anything else may be written.
    terms = settings.leader_election
    lease = lease_of(terms, Objects(configuration(kubeconfig), workers=1, timeout_s=terms.renew_deadline_s / 3))
    objects = CountedObjects(configuration(kubeconfig), telemetry, may_write=partial(is_leading, lease))
    telemetry.gauge(families.LEADING).set_function(lambda: float(is_leading(lease)))
    # Of its own for each server: one that hangs keeps no thread from the others.
    queries = {
        name: ThreadPoolExecutor(max_workers=4, thread_name_prefix=f"prometheus-{name}") for name in settings.prometheus
    }
    notifier = Notifier(settings.notifications, telemetry)
    ports = replace(_ports(objects, settings, queries, telemetry), messenger=notifier)
    pulse = Pulse(Ticker(ports, time.time).tick, telemetry)
    loop = Loop(pulse.tick)
    registry = kopf.OperatorRegistry()
    register(registry, loop, ports.overlaps)
    _sign_in(registry, kubeconfig)
    kopf_settings = kopf.OperatorSettings()
    configure(kopf_settings)
    stop, insights = asyncio.Event(), Insights()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("modelroute starts; Prometheus servers: %s", ", ".join(settings.prometheus) or "none")
    leading = False

    def not_ready() -> str:
        if leading:
            return unreadiness(insights)
        # One that stands by is ready to: else a Deployment would wait for ever for it.
        return lease.problem if lease is not None else ""

    notifier.start()
    beside = Beside(stop.set)
    beside.start(pulse.beat(), name="pulse")
    try:
        with endpoints(settings.telemetry, telemetry, pulse.problem, not_ready, pulse.remark):
            leading = await lead(lease, stop)
            if not leading:
                return
            if lease is not None:
                beside.start(keep(lease), name="lease")
            names = partial(objects.names, MODEL_ROUTES)
            beside.start(resync(loop, names, settings.namespaces), name="resync")
            defined = end_once_defined(insights, objects.names, settings.namespaces, stop.set)
            beside.start(defined, name="definitions")
            await kopf.operator(
                registry=registry,
                settings=kopf_settings,
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                stop_flag=stop,
                insights=insights,
                # Without peering nobody reads it; but kopf would ask for the user's name, and in a pod there is none.
                identity=Identity("modelroute"),
            )
    finally:
        await loop.stop()
        beside.stop()
        await notifier.stop()
        if lease is not None:
            await lease.release()
        objects.close()
        for pool in queries.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _sign_in(registry: kopf.OperatorRegistry, kubeconfig: str | None) -> None:
    """How kopf reaches the API server: as the operator's own client does."""

    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.ConnectionInfo:
        # Read anew each time: kopf asks again when the API server refuses a token that was rotated.
        now = connection(kubeconfig)
        return kopf.ConnectionInfo(
            server=now.server, ca_path=now.ca_path, insecure=now.insecure, scheme="Bearer", token=now.token,
            certificate_path=now.certificate_path, private_key_path=now.private_key_path,
        )  # fmt: skip


def _ports(
    objects: Objects, settings: Settings, queries: Mapping[str, ThreadPoolExecutor], telemetry: Telemetry
) -> Ports:  # fmt: skip
    servers = {
        name: PrometheusServer(
            name=name,
            url=server.url,
            scrape_interval_s=server.scrape_interval_s,
            ca_file=None if server.ca_file is None else str(server.ca_file),
            token_file=None if server.token_file is None else str(server.token_file),
            matchers=tuple(sorted(server.matchers.items())),
        )
        for name, server in settings.prometheus.items()
    }
    readers = {
        name: Sampler(
            server,
            queries[name],
            store=CountedSamples(Prometheus(server), name, telemetry),
            preset=Traefik(service_label=settings.prometheus[name].service_label),
            judge=Judge(**settings.prometheus[name].judge.model_dump()),
        )
        for name, server in servers.items()
    }
    return Ports(
        model_routes=KindStore(objects, MODEL_ROUTES),
        model_rollouts=KindStore(objects, MODEL_ROLLOUTS),
        routes=Routes(KindStore(objects, HTTP_ROUTES)),
        adopted=AdoptedRoutes(KindStore(objects, HTTP_ROUTES)),
        backends=Backends(objects),
        events=CountedEvents(Events(objects), telemetry),
        readers=readers,
        settings=settings,
        telemetry=telemetry,
    )
