"""An operator that began before its kinds were defined."""

from __future__ import annotations

import pytest
from kopf._cogs.structs.references import Insights, Resource

from modelroute.cluster.client import HTTP_ROUTES, MODEL_ROUTES, Kind
from modelroute.controller.definitions import EVERY_S, end_once_defined, unreadiness
from modelroute.errors import Unavailable


def watching(*kinds: Kind) -> Insights:
    insights = Insights()
    insights.ready_resources.set()
    insights.watched_resources.update(Resource(kind.group, kind.version, kind.plural) for kind in kinds)
    return insights


def test_the_operator_is_ready_once_it_knows_what_to_watch_and_watches_it() -> None:
    assert unreadiness(Insights()) == "the API server has not said yet what there is to watch"
    assert unreadiness(watching(MODEL_ROUTES, HTTP_ROUTES)) == ""


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (HTTP_ROUTES, "the API server knows no ModelRoutes: install the CRDs (crds/)"),
        (MODEL_ROUTES, "the API server knows no HTTPRoutes: install the Gateway API's CRDs"),
    ],
)
def test_what_is_not_defined_is_named_with_what_to_do(there: Kind, told: str) -> None:
    assert unreadiness(watching(there)) == f"{told}; this process begins anew once they are there"


@pytest.mark.parametrize(("namespaces", "asked"), [((), ""), (("chat", "mail"), "chat")])
async def test_it_ends_once_all_that_was_missing_is_defined_and_not_before(
    namespaces: tuple[str, ...], asked: str
) -> None:
    defined: set[Kind] = set()
    calls: list[tuple[Kind, str]] = []
    ended: list[float] = []
    slept: list[float] = []

    async def names(kind: Kind, namespace: str) -> None:
        calls.append((kind, namespace))
        if kind not in defined:
            raise Unavailable(f"GET {kind.plural}: 404: the server could not find the requested resource")

    async def sleep(seconds: float) -> None:
        assert not ended
        slept.append(seconds)
        # One comes after the other, as charts are installed.
        defined.update({3: {HTTP_ROUTES}, 5: {MODEL_ROUTES}}.get(len(slept), set()))

    await end_once_defined(watching(), names, namespaces, lambda: ended.append(sum(slept)), sleep=sleep)

    assert ended == [5 * EVERY_S]
    assert {namespace for _, namespace in calls} == {asked}


async def test_where_all_is_watched_nothing_is_asked_and_nothing_ends() -> None:
    async def names(kind: Kind, namespace: str) -> None:
        raise AssertionError(f"{kind.plural} were asked for in {namespace!r}")

    await end_once_defined(watching(MODEL_ROUTES, HTTP_ROUTES), names, (), lambda: pytest.fail("it ended"))
