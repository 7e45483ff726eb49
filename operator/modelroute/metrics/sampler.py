"""The sampler: one per Prometheus; every route's loop asks it for windows, and it asks few, bounded questions.

    read() ─┐  wait a moment  ┌─ targets ─────→ process starts ─┐
    read() ─┼─ for others ────┤                                 ├─ split by question ─→ cut ─→ readings
    read() ─┘  (same windows) └─ counters, joined by metric ────┘

Windows come oldest first, only complete ones, and at most `MAX_WINDOWS` of them; whoever asked comes back for
the rest, also for one whose scrapes are not all there yet. A transport failure raises Unavailable and consumes
nothing: Prometheus keeps the samples. What the samples cannot tell is in the readings as Unknown.

A window later than any scrape is over once Prometheus's own clock says so: by an operator's clock that is ahead,
windows that are yet to come would be read as empty, and never again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import pairwise

from modelroute.errors import Unavailable
from modelroute.metrics import cutting, scrapes
from modelroute.metrics.asking import Asking, Found, Outage, SampleStore
from modelroute.metrics.judge import Judge
from modelroute.metrics.prometheus import (
    AnswerTooLarge,
    ClockBehind,
    Prometheus,
    PrometheusServer,
    QueryWarning,
    Unreachable,
)
from modelroute.metrics.reading import RouteQuery, WindowReading
from modelroute.metrics.scrapes import Series, window_end_for
from modelroute.metrics.seams import Seams
from modelroute.metrics.sources import Preset, Samples, Source
from modelroute.metrics.traefik import Traefik
from modelroute.metrics.windows import Reader, unknown_window
from modelroute.rollout.reasons import Reason

__all__ = ["Prometheus", "PrometheusServer", "SampleStore", "Sampler", "most_windows", "window_end_for"]

MAX_WINDOWS = 20
MAX_SPAN_S = 600.0
"""Of one read, whichever is less."""

CLOCK_OFF_S = 5.0
"""A scrape so much later than the operator's clock says that this is behind Prometheus's."""

IDENTITY_KEPT_S = 3600.0
"""How long a route is remembered after its last read, in case another one has the same name in the metrics."""


def most_windows(window_s: float) -> int:
    """How many windows one read brings at most."""
    return max(1, min(MAX_WINDOWS, math.floor(MAX_SPAN_S / window_s)))


class Sampler:
    """Windows of counts for routes. `clock` gives unix seconds; the blocking queries run in `executor`."""

    def __init__(
        self,
        server: PrometheusServer,
        executor: Executor,
        *,
        store: SampleStore | None = None,
        preset: Preset | None = None,
        judge: Judge | None = None,
        clock: Callable[[], float] = time.time,
        batch_wait_s: float = 0.05,
    ) -> None:
        self._scrape_interval_s = server.scrape_interval_s
        self._matchers = server.matchers
        self._executor = executor
        self._store = store or Prometheus(server)
        self._preset = preset or Traefik()
        self._reader = Reader(self._preset, judge or Judge(), server.scrape_interval_s)
        self._clock = clock
        self._batch_wait_s = batch_wait_s
        self._open: dict[tuple[float, float], _Batch] = {}
        self._in_flight = 0
        self._outage = Outage()
        self._routes: dict[tuple[str, str, str], float] = {}
        self._seams = Seams()
        self._swept = clock()

    async def read(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        """The complete windows of `query` from `since` on, in order; maybe fewer than asked for, maybe none.

        Raises Unavailable where Prometheus did not answer: nothing is lost, ask again. While it is known not to
        answer, one read at a time finds out whether it does again, and all others are told at once.
        """
        count = self._windows_now(query)
        while count > 0:
            part = replace(query, until=query.since + count * query.window_s)
            try:
                return await self._asked(part)
            except AnswerTooLarge:
                # Split by route already: what is left to ask for less of is time.
                if count == 1:
                    raise
            count //= 2
        return ()

    async def _asked(self, query: RouteQuery) -> tuple[WindowReading, ...]:
        """The windows of `query`, together with whoever else asks for the same."""
        self._remember(query)
        key = (query.since, query.until)
        batch = self._open.get(key)
        if batch is None:
            if self._in_flight and (known := self._outage.error) is not None:
                raise Unreachable(*known.args)
            self._in_flight += 1
            batch = self._open[key] = _Batch([])
            batch.task = asyncio.create_task(self._answer_soon(key, batch))
            batch.task.add_done_callback(self._done)
        batch.queries.append(query)
        place = len(batch.queries) - 1
        assert batch.task is not None
        answer = (await asyncio.shield(batch.task))[place]
        if isinstance(answer, Unavailable):
            raise type(answer)(*answer.args)
        return answer

    def _done(self, task: asyncio.Task[list[_Answer]]) -> None:
        self._in_flight -= 1
        # Where everyone who asked has been cancelled, nobody is left to look at a failure.
        _ = task.cancelled() or task.exception()

    def _windows_now(self, query: RouteQuery) -> int:
        until = min(query.until, window_end_for(self._clock(), query.window_s, self._scrape_interval_s))
        # A hair above a whole number of windows is that number; a window short of its end is none.
        return math.floor(min((until - query.since) / query.window_s + 1e-6, most_windows(query.window_s)))

    def _remember(self, query: RouteQuery) -> None:
        now = self._clock()
        if now - self._swept > IDENTITY_KEPT_S:
            self._swept = now
            self._routes = {route: asked for route, asked in self._routes.items() if now - asked <= IDENTITY_KEPT_S}
            self._seams.keep((namespace, name) for _, namespace, name in self._routes)
        self._routes[self._preset.identity(query), query.namespace, query.route] = now

    async def _answer_soon(self, key: tuple[float, float], batch: _Batch) -> list[_Answer]:
        await asyncio.sleep(self._batch_wait_s)
        del self._open[key]
        sources = [self._reader.sources(query) for query in batch.queries]
        since, until = key
        reach_s = max(self._reader.reach_s(query) for query in batch.queries)
        # What comes after the windows shows that they are whole; more than this shows nothing more. Not only up to
        # now: what is there later shows that our clock is behind.
        at = until + (scrapes.GONE_AFTER_SCRAPES + 1) * self._scrape_interval_s
        # In whole seconds, so that all reads begin at one place in the scrapes: Thanos takes whose come first there.
        at = max(until, math.floor(at))
        asking = Asking(
            self._store,
            self._executor,
            self._outage,
            range_s=at - since + reach_s,
            at=at,
            matchers=self._matchers,
        )
        every = [source for by_name in sources for source in by_name.values()]
        counters, targets = await asyncio.gather(asking.ask(source.counters for source in every), asking.targets(every))
        beside = await asking.beside({each.counters: counters[each.counters] for each in every if not each.targets})
        brought = _Brought(counters, targets, beside)
        now = self._clock()
        if (behind_s := brought.newest - now) > CLOCK_OFF_S:
            # When a split went live is known by the operator's clock: what came before would count as the split's.
            message = f"the operator's clock is at least {behind_s:.0f} s behind Prometheus's: nothing is counted"
            return [ClockBehind(message)] * len(batch.queries)
        if brought.newest <= until:
            # Nothing shows that the windows are over but the operator's clock, which may be ahead.
            try:
                now = min(now, await asking.server_time())
            except Unavailable as error:
                return [error] * len(batch.queries)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor,
            self._answers,
            batch.queries,
            sources,
            brought,
            self._by_identity(),
            now,
        )

    def _answers(
        self,
        queries: Sequence[RouteQuery],
        sources: Sequence[Mapping[str, Source]],
        brought: _Brought,
        routes: _Routes,
        now: float,
    ) -> list[_Answer]:
        return [
            self._answer(query, by_name, brought, self._two_routes_as_one(query, routes), now)
            for query, by_name in zip(queries, sources, strict=True)
        ]

    def _answer(
        self,
        query: RouteQuery,
        sources: Mapping[str, Source],
        brought: _Brought,
        problem: cutting.Problem | None,
        now: float,
    ) -> _Answer:
        samples: dict[str, Samples] = {}
        for name, source in sources.items():
            processes, series = brought.of(source)
            for found in (processes, series):
                if isinstance(found, QueryWarning):
                    problem = cutting.Problem(Reason.QUERY_WARNING, str(found))
                elif isinstance(found, Unavailable):
                    return found
            if not isinstance(processes, Unavailable) and not isinstance(series, Unavailable):
                samples[name] = (
                    Samples.beside(processes, series)
                    if source.targets is None
                    else Samples.of(processes, series, source.own)
                )
        windows = round((query.until - query.since) / query.window_s)
        cuts = [cut for place in range(windows + 1) if (cut := query.since + place * query.window_s) <= now]
        if problem:
            return tuple(unknown_window(start, end, problem) for start, end in pairwise(cuts))
        return tuple(self._ripe(query, samples, cuts, now))

    def _ripe(
        self, query: RouteQuery, samples: Mapping[str, Samples], cuts: Sequence[float], now: float
    ) -> Iterator[WindowReading]:
        """The windows up to the first whose scrapes are not all there yet at `now`, unix seconds."""
        gateway = self._preset.sources(query).keys()
        gateways = {name: samples[name] for name in gateway}
        for start, end in pairwise(cuts):
            match self._reader.ripeness(samples, start, end, gateway=gateway, now=now):
                case scrapes.Ripeness.RIPE:
                    torn = self._seams.torn((query.namespace, query.route), gateways, start, end)
                    yield unknown_window(start, end, torn) if torn else self._reader.read(query, samples, start, end)
                case scrapes.Ripeness.UNRIPE:
                    return
                case scrapes.Ripeness.SPOILT:
                    message = "no scrape came after this window: what was counted in it may be half of it"
                    yield unknown_window(start, end, cutting.Problem(Reason.STALE_DATA, message))

    def _by_identity(self) -> _Routes:
        routes: dict[str, set[tuple[str, str]]] = {}
        for identity, namespace, route in self._routes:
            routes.setdefault(identity, set()).add((namespace, route))
        return routes

    def _two_routes_as_one(self, query: RouteQuery, routes: _Routes) -> cutting.Problem | None:
        own = (query.namespace, query.route)
        others = sorted(route for route in routes.get(self._preset.identity(query), ()) if route != own)
        if not others:
            return None
        message = f"the gateway's metrics cannot tell this route from {'/'.join(others[0])}"
        return cutting.Problem(Reason.AMBIGUOUS_SERIES, message)


_Answer = tuple[WindowReading, ...] | Unavailable
_Routes = Mapping[str, set[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Brought:
    """What the questions of a batch brought; `beside`: the processes of counters whose targets nobody named."""

    counters: Found
    targets: Found
    beside: Found

    def of(self, source: Source) -> tuple[tuple[Series, ...] | Unavailable, tuple[Series, ...] | Unavailable]:
        """The processes and the counters of a source."""
        processes = self.beside[source.counters] if source.targets is None else self.targets[source.targets]
        return processes, self.counters[source.counters]

    @property
    def newest(self) -> float:
        """The latest scrape of anything, unix seconds."""
        found = (each for part in (self.targets, self.beside) for each in part.values() if isinstance(each, tuple))
        return max((series.samples[-1].t for each in found for series in each if series.samples), default=-math.inf)


@dataclass(slots=True)
class _Batch:
    """Routes that want the same windows at about the same time."""

    queries: list[RouteQuery]
    task: asyncio.Task[list[_Answer]] | None = None
