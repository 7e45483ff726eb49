"""Safety violations, as a judge beside each backend counts them: judged answers, violations, coverage.

The judge's targets are those whose `namespace` and `service` labels are the backend's; there is one counter,
`modelroute_judge_total{verdict="pass"|"violation"|"error"}`, for all routes of that Service or, with a route label, for
each of them. A judge's error is not a pass, and its silence is not safety.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelroute.metrics import checks, cutting, ledger
from modelroute.metrics.counting import Judged
from modelroute.metrics.reading import ArmQuery, RouteQuery
from modelroute.metrics.selectors import Question, re2_quote
from modelroute.metrics.sources import PROCESS_START, Samples, Source
from modelroute.rollout.reasons import Reason

COVERAGE_S = 60.0
"""Coverage is measured over this time before a window's end: within one window, late would be missing."""

MOST_JUDGED, SPILLED_OVER = 1.5, 10.0
"""More verdicts than that many times the answers, and so many of answers before, are of another route's answers: a
judge counts by Service, and then neither coverage nor violations are this route's."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Names of the judge's counter and of the labels of its targets. `route_label`: the counter's own label that says
    of which HTTPRoute an answer is, as `namespace/name`; empty where the judge does not tell them apart.
    """

    metric: str = "modelroute_judge_total"
    verdict_label: str = "verdict"
    namespace_label: str = "namespace"
    service_label: str = "service"
    route_label: str = ""

    def source(self, query: RouteQuery) -> Source:
        matchers = (
            (self.namespace_label, tuple(re2_quote(arm.namespace) for arm in query.arms)),
            (self.service_label, tuple(re2_quote(arm.service) for arm in query.arms)),
        )
        of_route = tuple((label, (re2_quote(value),)) for label, value in self._of_route(query))
        return Source(
            counters=Question(self.metric, (*matchers, *of_route)),
            targets=Question(PROCESS_START, matchers),
            own=frozenset({self.verdict_label, *(label for label, _ in self._of_route(query))}),
        )

    def _of_route(self, query: RouteQuery) -> tuple[tuple[str, str], ...]:
        return ((self.route_label, f"{query.namespace}/{query.route}"),) if self.route_label else ()

    def named_for(self, query: RouteQuery) -> str:
        """The counter that is looked for, as PromQL has it, without the labels of its targets."""
        of_route = ", ".join(f'{label}="{value}"' for label, value in self._of_route(query))
        return f"{self.metric}{{{of_route}}}" if of_route else self.metric

    def verdicts(
        self,
        query: RouteQuery,
        arm: ArmQuery,
        samples: Samples,
        start: float,
        end: float,
        *,
        scrape_interval_s: float,
        seen_until: float = -math.inf,
    ) -> Judged | cutting.Problem:
        """What was said of an arm's answers in (`start`, `end`]; `seen_until` is the latest scrape of anything."""
        wanted = {(self.namespace_label, arm.namespace), (self.service_label, arm.service)}
        targets = {target: scrapes for target, scrapes in samples.targets.items() if wanted <= target}
        of_route = self._of_route(query)
        found = [
            counter
            for counter in samples.counters
            if wanted <= counter.target and all(counter.labels.get(label) == value for label, value in of_route)
        ]
        window = checks.cut(found, targets, start, end, scrape_interval_s=scrape_interval_s, seen_until=seen_until)
        if window.problem:
            return window.problem
        by_verdict: dict[str, float] = {}
        for counter in found:
            if torn := ledger.torn(counter, window.spans):
                return torn
            verdict = counter.labels.get(self.verdict_label, "")
            by_verdict[verdict] = by_verdict.get(verdict, 0.0) + ledger.increase(counter, window.spans)
        if math.isnan(math.fsum(by_verdict.values())):
            return cutting.Problem(Reason.NOT_A_NUMBER, f"{self.metric} has a value that is not a count")
        return Judged(
            passes=by_verdict.get("pass", 0.0),
            violations=by_verdict.get("violation", 0.0),
            errors=by_verdict.get("error", 0.0),
            counted_from=cutting.counted_from(window.spans, start),
        )


def coverage_span_s(window_s: float, scrape_interval_s: float) -> float:
    return max(COVERAGE_S, window_s, 4 * scrape_interval_s)


def coverage_problem(
    judged: Judged | cutting.Problem, answered: float, min_coverage: float | None, *, counter: str
) -> cutting.Problem | None:
    """Is too little judged to say anything? `answered` are the answers (2xx) there were to judge in the same
    span, `counter` is what should have counted verdicts on them.
    """
    if isinstance(judged, cutting.Problem):
        return judged
    if answered > 0 and judged.total + judged.errors == 0:
        return cutting.Problem(
            Reason.JUDGE_SILENT, f"{counter} says nothing of {answered:.0f} answers in the last minute"
        )
    said = judged.total + judged.errors
    if said > MOST_JUDGED * answered + SPILLED_OVER:
        message = (
            f"{said:.0f} verdicts on {answered:.0f} answers in the last minute: who else sends it answers to judge?"
        )
        return cutting.Problem(Reason.AMBIGUOUS_SERIES, message)
    if min_coverage is not None and judged.total < min_coverage * answered:
        share = 100 * judged.total / answered
        wanted = f"{100 * min_coverage:g} %"
        message = f"{share:.0f} % of {answered:.0f} answers judged in the last minute, {wanted} wanted"
        return cutting.Problem(Reason.LOW_COVERAGE, message)
    return None


def silent(problem: cutting.Problem, arm: ArmQuery, metric: str) -> cutting.Problem:
    """No target at all is a silent judge, and says where it is expected."""
    if problem.reason is not Reason.NO_DATA:
        return problem
    message = f"no scraped target of service {arm.namespace}/{arm.service} for {metric}: {problem.message}"
    return cutting.Problem(Reason.JUDGE_SILENT, message)


def same_service(query: RouteQuery) -> Mapping[str, cutting.Problem]:
    """Arms that share a Service (by two ports): a judge of the Service cannot tell them apart."""
    services: dict[tuple[str, str], list[str]] = {}
    for arm in query.arms:
        services.setdefault((arm.namespace, arm.service), []).append(arm.name)
    message = "another arm has the same service, whose judge cannot tell them apart"
    return {
        arm: cutting.Problem(Reason.AMBIGUOUS_SERIES, message)
        for arms in services.values()
        if len(arms) > 1
        for arm in arms
    }
