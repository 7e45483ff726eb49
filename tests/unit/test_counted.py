"""What is counted of the calls to others, and that counting changes nothing about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from modelroute.cluster.client import MODEL_ROUTES, Json, NotFound
from modelroute.controller.counted import CountedEvents, CountedObjects, CountedSamples
from modelroute.controller.telemetry import Telemetry
from modelroute.errors import Conflict, Invalid, Unavailable
from modelroute.metrics.prometheus import QueryWarning
from modelroute.metrics.scrapes import Series
from modelroute.rollout.decision import Announcement
from modelroute.rollout.reasons import Reason

ROUTE: Json = {"kind": "ModelRoute"}
Call = Callable[[CountedObjects], Any]

CALLS: dict[str, Call] = {
    "get": lambda objects: objects.get(MODEL_ROUTES, "chat", "support"),
    "list": lambda objects: objects.list(MODEL_ROUTES, "chat", labels="a=b"),
    "create": lambda objects: objects.create(MODEL_ROUTES, "chat", ROUTE),
    "update_status": lambda objects: objects.replace_status(MODEL_ROUTES, "chat", "support", ROUTE),
    "apply": lambda objects: objects.apply(MODEL_ROUTES, "chat", "support", ROUTE),
    "patch": lambda objects: objects.json_patch(MODEL_ROUTES, "chat", "support", []),
    "delete": lambda objects: objects.delete(MODEL_ROUTES, "chat", "support", uid="u"),
}


class Answering(CountedObjects):
    """An API server that gives one answer, or one error, to everything."""

    def __init__(self, telemetry: Telemetry, answer: Json | Exception) -> None:
        super().__init__(client.Configuration(), telemetry)
        self._answer = answer

    async def _call(self, *_: Any, **__: Any) -> Json:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def read(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"modelroute_{name}", labels)


def requests(telemetry: Telemetry, verb: str, outcome: str) -> float | None:
    return read(telemetry, "api_requests_total", verb=verb, resource="modelroutes", outcome=outcome)


@pytest.mark.parametrize("verb", CALLS)
async def test_every_call_is_counted_by_its_verb_and_timed(verb: str) -> None:
    telemetry = Telemetry()
    objects = Answering(telemetry, {"items": []})

    await CALLS[verb](objects)

    assert requests(telemetry, verb, "ok") == 1
    assert read(telemetry, "api_request_duration_seconds_count", verb=verb) == 1
    objects.close()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Conflict("409"), "conflict"), (Invalid("422"), "invalid"), (Unavailable("503"), "unavailable")],
)
async def test_a_call_that_fails_is_counted_by_what_can_be_done_about_it_and_fails(
    error: Exception, outcome: str
) -> None:
    telemetry = Telemetry()
    objects = Answering(telemetry, error)

    with pytest.raises(type(error)):
        await CALLS["apply"](objects)

    assert requests(telemetry, "apply", outcome) == 1
    objects.close()


async def test_an_object_that_is_not_there_is_an_answer_and_no_error() -> None:
    telemetry = Telemetry()
    objects = Answering(telemetry, NotFound("404"))

    assert await CALLS["get"](objects) is None

    assert requests(telemetry, "get", "ok") == 1
    objects.close()


class Samples:
    """A Prometheus that gives one answer, or one error."""

    def __init__(self, answer: tuple[Series, ...] | Exception) -> None:
        self._answer = answer

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def server_time(self) -> float:
        return 7.0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [((), "ok"), (QueryWarning("part is missing"), "warning"), (Unavailable("no answer"), "unavailable")],
)
def test_a_query_is_counted_by_its_server_and_how_it_ended(answer: Any, outcome: str) -> None:
    telemetry = Telemetry()
    counted = CountedSamples(Samples(answer), "default", telemetry)

    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            counted.samples("up[1m]", 0.0)
    else:
        assert counted.samples("up[1m]", 0.0) == answer

    assert read(telemetry, "prometheus_queries_total", server="default", outcome=outcome) == 1
    assert read(telemetry, "prometheus_query_duration_seconds_count", server="default") == 1


def test_a_question_for_the_servers_time_is_counted_as_a_query() -> None:
    telemetry = Telemetry()

    assert CountedSamples(Samples(()), "default", telemetry).server_time() == 7.0
    assert read(telemetry, "prometheus_queries_total", server="default", outcome="ok") == 1


class Announcing:
    """An announcer that fails with `error`, where there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.said: list[Announcement] = []

    async def announce(self, about: Json, said: Announcement, *, now: float) -> None:
        if self.error is not None:
            raise self.error
        self.said.append(said)


async def test_events_are_counted_by_reason_and_whether_they_were_written() -> None:
    telemetry, said = Telemetry(), Announcement(Reason.PROMOTED, "done")
    there = Announcing()
    await CountedEvents(there, telemetry).announce(ROUTE, said, now=0.0)
    with pytest.raises(Unavailable):
        await CountedEvents(Announcing(Unavailable("no answer")), telemetry).announce(ROUTE, said, now=0.0)

    assert there.said == [said]
    assert read(telemetry, "events_total", reason="Promoted", outcome="written") == 1
    assert read(telemetry, "events_total", reason="Promoted", outcome="failed") == 1
