"""Which pages the operator answers, and where: as its settings say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from modelroute.controller.serving import Page, health_page, metrics_page, serving
from modelroute.controller.settings import TelemetrySettings
from modelroute.controller.telemetry import Telemetry

log = logging.getLogger(__name__)


@contextmanager
def endpoints(
    settings: TelemetrySettings,
    telemetry: Telemetry,
    problem: Callable[[], str],
    unreadiness: Callable[[], str],
    remark: Callable[[], str] = str,
) -> Iterator[None]:
    """Answer /metrics, /healthz and /readyz while the block runs. Raises Invalid where an address is taken.

    `problem` and `unreadiness` say what is wrong in a sentence, empty where nothing is, and `remark` what needs no
    restart; they are called from threads.
    """
    metrics: dict[str, Page] = {"/metrics": metrics_page(telemetry.registry)}
    health: dict[str, Page] = {"/healthz": health_page(problem, remark), "/readyz": health_page(unreadiness)}
    if (settings.metrics.host, settings.metrics.port) == (settings.health.host, settings.health.port):
        metrics, health = metrics | health, {}
    with ExitStack() as stack:
        for name, where, pages in (("metrics", settings.metrics, metrics), ("health", settings.health, health)):
            if where.port and pages:
                stack.enter_context(serving(where.host, where.port, pages, field=f"telemetry.{name}.port"))
                log.info("%s at http://%s:%d", ", ".join(pages), where.host or "*", where.port)
        yield
