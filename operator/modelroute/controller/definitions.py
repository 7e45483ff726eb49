"""Kinds that are defined after the operator began: kopf looks for them once, at its start, so it begins anew then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from kopf._cogs.structs.references import Insights

from modelroute.cluster.client import HTTP_ROUTES, MODEL_ROUTES, Kind
from modelroute.errors import ModelRouteError

log = logging.getLogger(__name__)

EVERY_S = 10.0
WATCHED: Final[Mapping[Kind, str]] = {
    MODEL_ROUTES: "the API server knows no ModelRoutes: install the CRDs (crds/)",
    HTTP_ROUTES: "the API server knows no HTTPRoutes: install the Gateway API's CRDs",
}
"""What has to be watched, and what to do where it is not defined."""


def unreadiness(insights: Insights) -> str:
    """Why routes are not watched yet, in a sentence; empty where they are."""
    if not insights.ready_resources.is_set():
        return "the API server has not said yet what there is to watch"
    missing = _missing(insights)
    return f"{WATCHED[missing[0]]}; this process begins anew once they are there" if missing else ""


async def end_once_defined(
    insights: Insights,
    names: Callable[[Kind, str], Awaitable[object]],
    namespaces: Sequence[str],
    end: Callable[[], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Calls `end` when all is defined that was not when kopf looked; returns at once where nothing was missing.

    `names` lists a kind in a namespace, "" for all, and raises ModelRouteError where it is not defined.
    """
    await insights.ready_resources.wait()
    while missing := _missing(insights):
        await sleep(EVERY_S)
        try:
            for kind in missing:
                await names(kind, namespaces[0] if namespaces else "")
        except ModelRouteError:
            continue
        plurals = " and ".join(kind.plural for kind in missing)
        log.warning("%s are defined now: this process ends, for the next one to watch them", plurals)
        end()
        return


def _missing(insights: Insights) -> list[Kind]:
    watched = {(each.group, each.plural) for each in frozenset(insights.watched_resources)}
    return [kind for kind in WATCHED if (kind.group, kind.plural) not in watched]
