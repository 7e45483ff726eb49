"""One window of one route: the gateway's counts and the judge's, put together as the reading that the rollout
consumes.

Every (objective, arm) is either in `outcomes` or has an Unknown that says why: never neither, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from modelroute.analysis.design import Outcomes
from modelroute.metrics import counting, custom, cutting, judge, ledger, scrapes, tokens
from modelroute.metrics.reading import ArmQuery, Metric, ObjectiveQuery, RouteQuery, Unknown, WindowReading
from modelroute.metrics.sources import Preset, Samples, Source, Tally, seen_until
from modelroute.rollout.evidence import Tokens
from modelroute.rollout.reasons import Reason

JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class Reader:
    """Knows what to ask for a route, and turns the answers into readings. Pure: the same samples, the same
    readings.
    """

    preset: Preset
    judge: judge.Judge
    scrape_interval_s: float

    def sources(self, query: RouteQuery) -> Mapping[str, Source]:
        own = replace(query, arms=tuple(arm for arm in query.arms if not arm.is_closed))
        sources = {**custom.sources(own), **tokens.sources(own), **self.preset.sources(query)}
        if _wants_judge(own) and own.arms:
            sources[JUDGED] = self.judge.source(own)
        return sources

    def reach_s(self, query: RouteQuery) -> float:
        """How far before `since` samples are needed."""
        reach = scrapes.lookback_s(self.scrape_interval_s)
        if _wants_judge(query):
            reach += judge.coverage_span_s(query.window_s, self.scrape_interval_s)
        return reach

    def ripeness(
        self, samples: Mapping[str, Samples], start: float, end: float, *, gateway: Collection[str], now: float
    ) -> scrapes.Ripeness:
        """Whether the window can be read at `now` (unix seconds): the gateway is waited for until it is gone; `gateway`
        names the samples that are its.

        Others (a judge) are waited for no longer than their next scrape may take: one that went down with its backend
        must not keep the backend's failures from being seen.
        """
        interval_s, latest = self.scrape_interval_s, seen_until(samples)
        ripe = scrapes.Ripeness.RIPE

        def behind(of: Samples) -> bool:
            return ledger.behind(of.counters, of.targets, start, end, scrape_interval_s=interval_s)

        for name in gateway:
            each = samples[name]
            found = scrapes.ripeness(
                each.targets, start, end, now=now, scrape_interval_s=interval_s, behind=behind(each)
            )
            if found is scrapes.Ripeness.SPOILT:
                return found
            ripe = found if found is scrapes.Ripeness.UNRIPE else ripe
        if latest >= end + scrapes.JITTER * interval_s:
            return ripe
        others = [each for name, each in samples.items() if name not in gateway]
        if not any(
            scrapes.late(each.targets, start, end, scrape_interval_s=interval_s) or behind(each) for each in others
        ):
            return ripe
        patient = now - latest <= scrapes.GONE_AFTER_SCRAPES * interval_s
        return scrapes.Ripeness.UNRIPE if patient else scrapes.Ripeness.SPOILT

    def read(self, query: RouteQuery, samples: Mapping[str, Samples], start: float, end: float) -> WindowReading:
        tally = self._tally(query, samples, start, end)
        if tally.problem:
            return unknown_window(start, end, tally.problem)
        outcomes: dict[tuple[str, str], Outcomes] = {}
        unknown = [Unknown(problem.reason, problem.message, arm=arm) for arm, problem in tally.unknown.items()]
        boundaries: dict[str, tuple[float, ...]] = {}
        known = [arm for arm in query.arms if arm.name not in tally.unknown]
        own = [arm for arm in known if not arm.is_closed]
        taken: dict[str, Tokens] = {}
        since = min(start, tally.counted_from)
        for objective in query.objectives:
            match objective.metric:
                case Metric.ERROR_RATE:
                    found: Mapping[str, Outcomes | cutting.Problem] = _errors(tally, known)
                case Metric.LATENCY_ABOVE:
                    found = _latencies(tally, known, objective)
                    if any(isinstance(each, Outcomes) for each in found.values()):
                        boundaries[objective.name] = _boundaries(tally, objective)
                case Metric.SAFETY_VIOLATION_RATE:
                    found, judged_since = self._judged(query, samples, own, objective, span=(start, end))
                    since = min(since, judged_since)
                case Metric.CUSTOM:
                    interval = self.scrape_interval_s
                    found, custom_since = custom.outcomes(
                        query, objective, own, samples, start, end, scrape_interval_s=interval
                    )
                    since = min(since, custom_since)
                case Metric.TOKENS_PER_REQUEST | Metric.COST_PER_REQUEST:
                    found = self._tokens(query, samples, own, taken, span=(start, end))
            for arm, outcome in (*found.items(), *_not_read(objective, known)):
                if isinstance(outcome, Outcomes):
                    outcomes[objective.name, arm] = outcome
                else:
                    unknown.append(Unknown(outcome.reason, outcome.message, objective.name, arm))
        return WindowReading(
            start=start,
            end=end,
            outcomes=outcomes,
            completions={arm.name: math.fsum(_by_code(tally, arm).values()) for arm in known},
            unknown=tuple(unknown),
            slowest_p99_s=max((p99 for arm in known if (p99 := _p99(tally, arm)) is not None), default=None),
            boundaries=boundaries,
            tokens=taken,
            counted_from=since,
            gateways=tally.gateways,
            restarts=tally.restarts,
        )

    def _tally(self, query: RouteQuery, samples: Mapping[str, Samples], start: float, end: float) -> Tally:
        return self.preset.tally(query, samples, start, end, scrape_interval_s=self.scrape_interval_s)

    def _tokens(
        self,
        query: RouteQuery,
        samples: Mapping[str, Samples],
        arms: list[ArmQuery],
        taken: dict[str, Tokens],
        *,
        span: tuple[float, float],
    ) -> dict[str, Outcomes | cutting.Problem]:
        """Why an amount is not known, by arm; what is known is put into `taken`."""
        counted = tokens.counted(query, arms, samples, *span, scrape_interval_s=self.scrape_interval_s)
        taken |= {arm: found for arm, found in counted.items() if isinstance(found, Tokens)}
        return {arm: found for arm, found in counted.items() if isinstance(found, cutting.Problem)}

    def _judged(
        self,
        query: RouteQuery,
        samples: Mapping[str, Samples],
        arms: list[ArmQuery],
        objective: ObjectiveQuery,
        *,
        span: tuple[float, float],
    ) -> tuple[dict[str, Outcomes | cutting.Problem], float]:
        """The arms' outcomes, and since when the judges counted, in unix seconds."""
        start, end = span
        earliest = start
        span_start = end - judge.coverage_span_s(query.window_s, self.scrape_interval_s)
        lately = self._tally(query, samples, span_start, end)
        ambiguous = judge.same_service(query)
        latest = seen_until(samples)

        def one(arm: ArmQuery) -> Outcomes | cutting.Problem:
            nonlocal earliest
            problem = ambiguous.get(arm.name) or lately.problem or lately.unknown.get(arm.name)
            if problem:
                return problem
            judged, judged_lately = (
                self.judge.verdicts(
                    query, arm, samples[JUDGED], since, end, scrape_interval_s=self.scrape_interval_s, seen_until=latest
                )
                for since in (start, span_start)
            )
            answered = math.fsum(n for code, n in _by_code(lately, arm).items() if 200 <= code < 300)
            if isinstance(judged, cutting.Problem):
                return judge.silent(judged, arm, self.judge.metric)
            earliest = min(earliest, judged.counted_from)
            named = self.judge.named_for(query)
            return judge.coverage_problem(judged_lately, answered, objective.min_coverage, counter=named) or (
                counting.judged_outcomes(judged)
            )

        return {arm.name: one(arm) for arm in arms}, earliest


def unknown_window(start: float, end: float, problem: cutting.Problem) -> WindowReading:
    """A window of which nothing is known."""
    return WindowReading(start, end, {}, {}, (Unknown(problem.reason, problem.message),))


def _wants_judge(query: RouteQuery) -> bool:
    return any(objective.metric is Metric.SAFETY_VIOLATION_RATE for objective in query.objectives)


def _not_read(objective: ObjectiveQuery, arms: list[ArmQuery]) -> Iterator[tuple[str, cutting.Problem]]:
    """Why nothing is known of the arms whose own counters are not the route's to read."""
    for arm in arms:
        if arm.is_closed and objective.metric not in {Metric.ERROR_RATE, Metric.LATENCY_ABOVE}:
            message = f"what {arm.service} counts is not read without a ReferenceGrant in namespace {arm.namespace}"
            yield arm.name, cutting.Problem(Reason.REF_NOT_PERMITTED, message)


def _by_code(tally: Tally, arm: ArmQuery) -> dict[int, float]:
    return {code: count for (name, code), count in tally.requests.items() if name == arm.name}


def _errors(tally: Tally, arms: list[ArmQuery]) -> dict[str, Outcomes | cutting.Problem]:
    return {arm.name: counting.error_outcomes(_by_code(tally, arm)) for arm in arms}


def _boundaries(tally: Tally, objective: ObjectiveQuery) -> tuple[float, ...]:
    return counting.boundaries_from(objective.threshold_s or 0.0, tally.boundaries)


def _latencies(tally: Tally, arms: list[ArmQuery], objective: ObjectiveQuery) -> dict[str, Outcomes | cutting.Problem]:
    problem = tally.timing_problem
    boundaries = _boundaries(tally, objective)
    if problem is None and not boundaries:
        message = f"no histogram boundary at or above {objective.threshold_s:g} s"
        problem = cutting.Problem(Reason.NO_DATA, message)
    if problem:
        return {arm.name: problem for arm in arms}
    return {arm.name: counting.latency_outcomes(_buckets(tally, arm), boundaries) for arm in arms}


def _buckets(tally: Tally, arm: ArmQuery) -> dict[tuple[int, float], float]:
    return {(code, le): count for (name, code, le), count in tally.durations.items() if name == arm.name}


def _p99(tally: Tally, arm: ArmQuery) -> float | None:
    return counting.quantile(_buckets(tally, arm), 0.99) if tally.timing_problem is None else None
