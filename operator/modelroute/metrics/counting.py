"""From counts by status code to outcomes: what is bad, for whom, and what a histogram can say (DESIGN.md §4).

No gateway's labels are known here: presets bring counts as (arm, code) and (arm, code, boundary).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelroute.analysis.design import Outcomes

_BAD_FOR_A_LIMIT = frozenset({0, 429, 499})
_GOOD_BESIDE_2XX_AND_3XX = frozenset({401, 403})


def status_code(label: str) -> int:
    """A status code label as a number; 0, which is a failure, where it is none."""
    return int(label) if label.isascii() and label.isdigit() and len(label) == 3 else 0


def failed(code: int) -> bool:
    """Bad when compared: everything but 2xx, 3xx, 401 and 403 (a wrong model name is answered 404, fast)."""
    return not (200 <= code < 400 or code in _GOOD_BESIDE_2XX_AND_3XX)


def failed_absolutely(code: int) -> bool:
    """Bad for `max`: 5xx, 429, 499 and code 0."""
    return 500 <= code < 600 or code in _BAD_FOR_A_LIMIT


def error_outcomes(by_code: Mapping[int, float]) -> Outcomes:
    """Requests of one arm by status code → failures."""
    return Outcomes(
        total=math.fsum(by_code.values()),
        compared=(math.fsum(count for code, count in by_code.items() if failed(code)),),
        absolute=math.fsum(count for code, count in by_code.items() if failed_absolutely(code)),
    )


def boundary(label: str) -> float:
    """A bucket's `le` as a number of its unit: `2`, `2.0` and `2e0` are one boundary. NaN where it is
    none.
    """
    try:
        return float(label)
    except ValueError:
        return math.nan


def boundaries_from(threshold_s: float, boundaries: tuple[float, ...]) -> tuple[float, ...]:
    """The finite boundaries at and above the threshold, in order; empty where there is none.

    The first stands for the threshold: requests between the two are counted as fast enough.
    """
    finite = sorted(each for each in set(boundaries) if math.isfinite(each))
    return tuple(finite[bisect.bisect_left(finite, threshold_s) :])


def latency_outcomes(buckets: Mapping[tuple[int, float], float], boundaries: tuple[float, ...]) -> Outcomes:
    """Requests of one arm by (code, boundary), cumulative as histograms are → slow or failed ones at each
    boundary.

    A failed request is slow at every boundary, however fast it failed. `boundaries` is not empty.
    """
    totals = {code: count for (code, le), count in buckets.items() if le == math.inf}
    total = math.fsum(totals.values())

    def slow(at: float) -> float:
        fast = math.fsum(buckets.get((code, at), 0.0) for code in totals if not failed(code))
        return min(max(total - fast, 0.0), total)

    compared = tuple(slow(at) for at in boundaries)
    return Outcomes(total=total, compared=compared, absolute=compared[0])


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge said of one arm's answers in a span of time; an error of the judge is neither of the two
    others. `counted_from`: since when it counted, in unix seconds.
    """

    passes: float
    violations: float
    errors: float
    counted_from: float = math.inf

    @property
    def total(self) -> float:
        return self.passes + self.violations


def judged_outcomes(judged: Judged) -> Outcomes:
    """Violations of the judged."""
    return Outcomes(total=judged.total, compared=(judged.violations,), absolute=judged.violations)


def quantile(buckets: Mapping[tuple[int, float], float], share: float) -> float | None:
    """The boundary below which `share` of the requests were answered, of all codes; None without requests.

    Above the last finite boundary a histogram knows nothing but that it took longer: ∞.
    """
    cumulative: dict[float, float] = {}
    for (_, le), count in buckets.items():
        cumulative[le] = cumulative.get(le, 0.0) + count
    total = cumulative.get(math.inf, 0.0)
    finite = sorted(le for le in cumulative if math.isfinite(le))
    if total <= 0 or not finite:
        return None
    return next((le for le in finite if cumulative[le] >= share * total), math.inf)
