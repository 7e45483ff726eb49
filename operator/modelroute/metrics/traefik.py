"""Traefik's metrics (3.7.6 and later) of an HTTPRoute: one service per router and backendRef.

The label, as the provider builds it, without a port anywhere:

    httproute-NS-ROUTE-gw-GWNS-GW-ep-ENTRYPOINT-RULE-HASH-svc-BNS-BACKEND-INDEX@kubernetesgateway

Up to RULE it is normalised: runs of anything but letters and digits become one dash. (`ls` and the
ListenerSet's name stand in place of `gw` where the route hangs on one.) HASH, 20 hexadecimal digits, is of
the match and, in newer versions, of the names; a rule with several matches, listeners or gateways has
several, which are summed. Dashes do not tell where a name ends, so whatever fits more than one arm or more
than one route is ambiguous, and never counted.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from modelroute.metrics import checks, counting, cutting, ledger, scrapes
from modelroute.metrics.reading import ArmQuery, RouteQuery
from modelroute.metrics.selectors import Question, re2_quote
from modelroute.metrics.sources import Samples, Source, Tally
from modelroute.rollout.reasons import Reason

REQUESTS = "requests"
DURATIONS = "durations"
RELOADS = "reloads"

# A gateway's name that could be the end of a longer route's name, or a listener's that holds half a label.
_UNCLEAR_GATEWAY = re.compile(r"-(gw|ls|svc)-")
_UNCLEAR_LISTENER = re.compile(r"-svc-")


@dataclass(frozen=True, slots=True)
class Traefik:
    """`service_label` is `exported_service` where scraping gives the targets a `service` label of their own.

    `targets` narrows the Traefik instances by labels of theirs (`(("job", "traefik-public"),)`): one that is
    not scraped makes every route's window unknown, so those that carry other routes are better left out.
    """

    service_label: str = "service"
    targets: tuple[tuple[str, str], ...] = ()

    def identity(self, query: RouteQuery) -> str:
        return _route_text(query)

    def sources(self, query: RouteQuery) -> Mapping[str, Source]:
        narrowed = tuple((label, (re2_quote(value),)) for label, value in self.targets)
        of_route = ((self.service_label, tuple(_pattern(query, arm) for arm in query.arms)), *narrowed)
        targets = Question("traefik_config_reloads_total", narrowed)
        own = frozenset({self.service_label, "code", "method", "protocol", "le"})
        return {
            REQUESTS: Source(Question("traefik_service_requests_total", of_route), targets, own),
            DURATIONS: Source(Question("traefik_service_request_duration_seconds_bucket", of_route), targets, own),
            # A reload, of whatever, begins every weighted round robin anew.
            RELOADS: Source(targets, targets, own),
        }

    def tally(
        self,
        query: RouteQuery,
        samples: Mapping[str, Samples],
        start: float,
        end: float,
        *,
        scrape_interval_s: float,
    ) -> Tally:
        requests, durations = samples[REQUESTS], samples[DURATIONS]
        everything = (*requests.counters, *durations.counters)
        window = checks.cut(everything, requests.targets, start, end, scrape_interval_s=scrape_interval_s)
        if window.problem:
            return Tally(problem=window.problem)
        reloads = (ledger.increase(counter, window.spans) for counter in samples[RELOADS].counters)
        tallying = _Tallying(self.service_label, query, window.spans, cutting.counted_from(window.spans, start))
        for counter in requests.counters:
            tallying.request(counter)
        for counter in durations.counters:
            tallying.duration(counter)
        restarts = math.fsum(count for count in reloads if not math.isnan(count))
        return replace(tallying.result(), gateways=len(window.spans), restarts=restarts)


class _Tallying:
    """Adds up one window; an arm with a series that cannot be counted is unknown as a whole."""

    def __init__(
        self, service_label: str, query: RouteQuery, spans: Mapping[scrapes.TargetId, cutting.Span], counted_from: float
    ) -> None:
        self._counted_from = counted_from
        self._service_label = service_label
        self._gateways_known = bool(query.gateways)
        self._patterns = tuple((arm.name, _pattern(query, arm)) for arm in query.arms)
        self._spans = spans
        self._unknown: dict[str, cutting.Problem] = {}
        self._requests: dict[tuple[str, int], float] = {}
        self._durations: dict[tuple[str, int, float], float] = {}
        self._histograms: dict[frozenset[tuple[str, str]], set[float]] = {}

    def request(self, counter: ledger.Counter) -> None:
        arm = self._arm(counter)
        if arm is None:
            return
        key = (arm, counting.status_code(counter.labels.get("code", "")))
        self._requests[key] = self._requests.get(key, 0.0) + self._increase(counter, arm)

    def duration(self, counter: ledger.Counter) -> None:
        arm = self._arm(counter)
        if arm is None:
            return
        le = counting.boundary(counter.labels.get("le", ""))
        histogram = frozenset(item for item in counter.labels.items() if item[0] != "le")
        self._histograms.setdefault(histogram, set()).add(le)
        key = (arm, counting.status_code(counter.labels.get("code", "")), le)
        self._durations[key] = self._durations.get(key, 0.0) + self._increase(counter, arm)

    def result(self) -> Tally:
        sets = {frozenset(boundaries) for boundaries in self._histograms.values()}
        timing_problem = None
        if not sets:
            timing_problem = cutting.Problem(Reason.NO_DATA, "no request has been timed yet")
        elif len(sets) > 1:
            timing_problem = cutting.Problem(
                Reason.AMBIGUOUS_SERIES, "the gateway's instances have different histogram boundaries"
            )
        return Tally(
            unknown=self._unknown,
            requests=self._requests,
            durations=self._durations,
            boundaries=tuple(sorted(sets.pop())) if timing_problem is None else (),
            timing_problem=timing_problem,
            counted_from=self._counted_from,
        )

    def _arm(self, counter: ledger.Counter) -> str | None:
        torn = ledger.torn(counter, self._spans)
        if torn is None and not ledger.seen_in(counter, self._spans):
            return None
        service = counter.labels.get(self._service_label, "")
        arms, clear = _arms(self._patterns, self._gateways_known, service)
        if len(arms) == 1 and clear:
            if torn:
                self._unknown[arms[0]] = torn
            return arms[0]
        for arm in arms:
            message = f"{service} may be another arm's or another route's"
            self._unknown[arm] = cutting.Problem(Reason.AMBIGUOUS_SERIES, message)
        return None

    def _increase(self, counter: ledger.Counter, arm: str) -> float:
        counted = ledger.increase(counter, self._spans)
        if math.isnan(counted):
            message = f"{counter.name} has a value that is not a count"
            self._unknown[arm] = cutting.Problem(Reason.NOT_A_NUMBER, message)
            return 0.0
        return counted


@lru_cache(maxsize=16384)
def _arms(patterns: tuple[tuple[str, str], ...], gateways_known: bool, service: str) -> tuple[tuple[str, ...], bool]:
    """The arms that a service label fits, and whether it can be read in one way only."""
    matches = {arm: re.fullmatch(pattern, service, re.DOTALL) for arm, pattern in patterns}
    found = {arm: match for arm, match in matches.items() if match}
    unclear = _UNCLEAR_LISTENER if gateways_known else _UNCLEAR_GATEWAY
    return tuple(found), not any(unclear.search(match[1]) for match in found.values())


def _pattern(query: RouteQuery, arm: ArmQuery) -> str:
    gateway = "[^@]+"
    if query.gateways:
        gateway = f"(?:{'|'.join(re2_quote(_normalised('-'.join(each))) for each in query.gateways)})"
    index = "[0-9]+" if arm.index is None else str(arm.index)
    return (
        f"{re2_quote(_route_text(query))}-(?:gw|ls)-({gateway}-ep-[^@]+)-{query.rule}-[0-9a-f]{{20}}"
        f"-svc-{re2_quote(arm.namespace)}-{re2_quote(arm.service)}-{index}@kubernetesgateway"
    )


def _route_text(query: RouteQuery) -> str:
    return _normalised(f"httproute-{query.namespace}-{query.route}")


def _normalised(name: str) -> str:
    """Names as Traefik's providers write them: what is neither a letter nor a number becomes one dash."""
    kept = (char if unicodedata.category(char)[0] in "LN" else " " for char in name)
    return "-".join("".join(kept).split())
