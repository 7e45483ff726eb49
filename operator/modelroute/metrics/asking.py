"""The questions of one batch of routes: joined, asked side by side, and their answers split again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from modelroute.errors import Unavailable
from modelroute.metrics import scrapes
from modelroute.metrics.prometheus import AnswerTooLarge, Unreachable
from modelroute.metrics.scrapes import Series
from modelroute.metrics.selectors import Question, joined, merged, re2_quote, selector
from modelroute.metrics.sources import PROCESS_START, Source

MAX_QUESTION_SIZE = 16_000
"""Characters of patterns in one query: some 70 routes of two arms."""

MAX_INSTANCES = 200
"""Above it, the processes of whole jobs are asked for, and those of other instances thrown away."""

Answer = TypeVar("Answer")
Found = Mapping[Question, tuple[Series, ...] | Unavailable]


class SampleStore(Protocol):
    """Where raw samples are; `Prometheus` is one. Blocking: called in the executor."""

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        """The samples of a range selector at unix seconds `at`; raises Unavailable."""

    def server_time(self) -> float:
        """What the server's own clock says, unix seconds; raises Unavailable."""


class Outage:
    """Whether the server was last seen not to answer; told and read in the threads of the queries, too."""

    def __init__(self) -> None:
        self.error: Unreachable | None = None
        self.count = 0

    def began(self, error: Unreachable) -> None:
        self.error, self.count = error, self.count + 1

    def ended(self) -> None:
        self.error = None


class Asking:
    """The questions of one batch: one range of time, up to `at`; all of them of series with the labels `matchers`."""

    def __init__(
        self,
        store: SampleStore,
        executor: Executor,
        outage: Outage,
        *,
        range_s: float,
        at: float,
        matchers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._store = store
        self._executor = executor
        self._outage = outage
        self._outages_before = outage.count
        self._range = f"[{math.ceil(range_s) + 1}s]"
        self._at = at
        self._matchers = matchers

    async def ask(self, questions: Iterable[Question]) -> dict[Question, tuple[Series, ...] | Unavailable]:
        """Each question's series, or why there are none."""
        wide = joined(questions, max_size=MAX_QUESTION_SIZE)
        answered = await asyncio.gather(*(self._ask_joined(union, parts) for union, parts in wide))
        return {question: series for part in answered for question, series in part.items()}

    async def targets(self, sources: Iterable[Source]) -> dict[Question, tuple[Series, ...] | Unavailable]:
        """The process starts of each source's targets, by the question that finds the targets."""
        own = {source.targets: source.own for source in sources if source.targets is not None}
        found = await self.ask(own)
        answers: dict[Question, tuple[Series, ...] | Unavailable] = {}
        for question, seen in found.items():
            if question.metric == PROCESS_START or isinstance(seen, Unavailable):
                answers[question] = seen
            else:
                answers[question] = await self._processes(seen, own[question])
        return answers

    async def beside(self, found: Found) -> Found:
        """The process starts of the jobs and instances that each question's series were seen on, by that question."""
        wanted = {
            question: _processes_of(seen)
            for question, seen in found.items()
            if seen and not isinstance(seen, Unavailable)
        }
        started = await self.ask(wanted.values())
        return {question: started[wanted[question]] if question in wanted else seen for question, seen in found.items()}

    async def server_time(self) -> float:
        """What the server's own clock says, unix seconds. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._unless_out, self._store.server_time)

    async def _processes(self, seen: Sequence[Series], own: frozenset[str]) -> tuple[Series, ...] | Unavailable:
        if not seen:
            return ()
        question = _processes_of(seen)
        found = (await self.ask([question]))[question]
        if isinstance(found, Unavailable):
            return found
        wanted = {scrapes.target_of(series.labels, own) for series in seen}
        started = {
            target: {scrape.t: scrape.started for scrape in scrapes}
            for target, scrapes in scrapes.timelines(found, own).items()
        }
        # A scrape without its process' start stays in sight, so that it is unknown and not merely absent.
        return tuple(
            Series(
                dict(target),
                tuple(
                    scrapes.Sample(sample.t, started.get(target, {}).get(sample.t, math.nan))
                    for series in seen
                    if scrapes.target_of(series.labels, own) == target
                    for sample in series.samples
                ),
            )
            for target in wanted
        )

    async def _ask_joined(
        self, union: Question, parts: tuple[Question, ...]
    ) -> dict[Question, tuple[Series, ...] | Unavailable]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._fetch, union, parts)
        except AnswerTooLarge as error:
            if len(parts) == 1:
                return dict.fromkeys(parts, error)
        except Unavailable as error:
            return dict.fromkeys(parts, error)
        half = len(parts) // 2
        halves = await asyncio.gather(*(self._ask_joined(merged(part), part) for part in (parts[:half], parts[half:])))
        return {**halves[0], **halves[1]}

    def _fetch(self, union: Question, parts: tuple[Question, ...]) -> dict[Question, tuple[Series, ...] | Unavailable]:
        series = self._unless_out(lambda: self._store.samples(selector(union, self._matchers) + self._range, self._at))
        # Many series differ in nothing that is asked for: each combination is looked at once.
        alike: dict[tuple[str, ...], list[Series]] = {}
        for each in series:
            alike.setdefault(tuple(each.labels.get(label, "") for label in union.labels), []).append(each)

        def admitted(part: Question) -> tuple[Series, ...]:
            exact = part.exact
            if exact is not None:
                # Of hundreds of routes that ask for their own, going through all for each would be most of the work.
                return tuple(alike.get(exact, ()))
            return tuple(each for group in alike.values() if part.admits(group[0].labels) for each in group)

        return {part: admitted(part) for part in parts}

    def _unless_out(self, ask: Callable[[], Answer]) -> Answer:
        if (known := self._outage.error) is not None and self._outage.count > self._outages_before:
            # It stopped answering while this one stood in the queue: asking would only keep the others waiting.
            raise Unreachable(*known.args)
        try:
            answer = ask()
        except Unreachable as error:
            self._outage.began(error)
            raise
        self._outage.ended()
        return answer


def _processes_of(seen: Sequence[Series]) -> Question:
    """The processes of the jobs and, where they are not too many, the instances that series were seen on."""
    jobs = sorted({series.labels.get("job", "") for series in seen})
    instances = sorted({series.labels.get("instance", "") for series in seen})
    matchers = [("job", tuple(re2_quote(job) for job in jobs))]
    if len(instances) <= MAX_INSTANCES:
        matchers.append(("instance", tuple(re2_quote(instance) for instance in instances)))
    return Question(PROCESS_START, tuple(matchers))
