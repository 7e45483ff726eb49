"""What a load's records say: per arm, over time, and who is to blame for what failed. Pure.

python -m devstack.load_report requests.jsonl
"""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from devstack.request_record import GAVE_UP, RequestRecord, read_log

PERCENTILES = (50, 95, 99)


class Blame(StrEnum):
    """Who is behind a request that failed or was answered badly."""

    NOBODY = "nobody"
    ARM = "arm"
    """a model server answered, badly"""
    GATEWAY = "gateway"
    """no model server answered, the gateway said so itself or could not be reached"""
    UNKNOWN = "unknown"
    """the client gave up before anything came: an arm hung, or the gateway did"""


def blame(record: RequestRecord) -> Blame:
    """Who is behind what a user would complain about in this request."""
    if not record.bad:
        return Blame.NOBODY
    if record.arm is not None:
        return Blame.ARM
    return Blame.UNKNOWN if record.status == GAVE_UP else Blame.GATEWAY


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What one arm answered."""

    arm: str
    requests: int
    bad: int
    """failed or unsafe"""
    unsafe: int
    statuses: dict[int, int]
    latency_s: dict[int, float]
    """percentile → seconds, of requests answered well; empty if there were none"""
    last_sent_at: float
    """when the last request that it answered was sent, and so, about, when it last got one"""
    last_answered_at: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What all the records say together."""

    requests: int
    arms: dict[str, ArmReport]
    failed_at_gateway: tuple[RequestRecord, ...]
    """failed without a model server having answered: what weight changes would have caused is among them"""
    unanswered: tuple[RequestRecord, ...]
    """given up before anyone answered"""
    latest_s: float
    """how far behind its plan the generator fell at worst"""


@dataclass(frozen=True, slots=True)
class Interval:
    """What users saw of the requests sent in [start_at, start_at + length): by arm, None for no arm."""

    start_at: float
    requests: dict[str | None, int]
    bad: dict[str | None, int]


def between(records: Iterable[RequestRecord], since: float = -math.inf, until: float = math.inf) -> list[RequestRecord]:
    """The records of requests sent in [since, until), unix seconds."""
    return [record for record in records if since <= record.sent_at < until]


def failed_at_gateway(records: Iterable[RequestRecord]) -> list[RequestRecord]:
    """Requests that failed without a model server having answered, other than by the client's giving up."""
    return [record for record in records if blame(record) is Blame.GATEWAY]


def last_sent_to(records: Iterable[RequestRecord], arm: str) -> RequestRecord | None:
    """Of the requests that an arm answered, the one that was sent last."""
    return max((r for r in records if r.arm == arm), key=lambda r: r.sent_at, default=None)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values (at least one) that `percent`, in (0, 100], of them do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def summarise(records: Iterable[RequestRecord]) -> LoadReport:
    """One report of all the records; pass them through `between` for a part."""
    records = list(records)
    arms = sorted({record.arm for record in records if record.arm is not None})
    return LoadReport(
        requests=len(records),
        arms={arm: _arm_report(arm, [r for r in records if r.arm == arm]) for arm in arms},
        failed_at_gateway=tuple(failed_at_gateway(records)),
        unanswered=tuple(r for r in records if blame(r) is Blame.UNKNOWN),
        latest_s=max((r.sent_at - r.scheduled_at for r in records), default=0.0),
    )


def _arm_report(arm: str, records: list[RequestRecord]) -> ArmReport:
    latencies = [r.latency_s for r in records if r.ok]
    return ArmReport(
        arm=arm,
        requests=len(records),
        bad=sum(r.bad for r in records),
        unsafe=sum(r.unsafe for r in records),
        statuses=dict(sorted(Counter(r.status for r in records).items())),
        latency_s={p: percentile(latencies, p) for p in PERCENTILES} if latencies else {},
        last_sent_at=max(r.sent_at for r in records),
        last_answered_at=max(r.answered_at for r in records),
    )


def by_interval(records: Iterable[RequestRecord], length_s: float, *, start_at: float | None = None) -> list[Interval]:
    """Requests and bad answers by arm, in intervals of `length_s` from `start_at` (default: the first sent).

    Empty intervals between others are there too, so that the list can be read as a time line.
    """
    records = list(records)
    origin = min((r.sent_at for r in records), default=0.0) if start_at is None else start_at
    requests: dict[int, Counter[str | None]] = {}
    bad: dict[int, Counter[str | None]] = {}
    for record in records:
        index = math.floor((record.sent_at - origin) / length_s)
        if index >= 0:
            requests.setdefault(index, Counter())[record.arm] += 1
            bad.setdefault(index, Counter())[record.arm] += record.bad
    return [
        Interval(origin + index * length_s, dict(requests.get(index, {})), dict(bad.get(index, {})))
        for index in range(max(requests, default=-1) + 1)
    ]


def report_lines(report: LoadReport) -> list[str]:
    """The report for people, a line each."""
    lines = [f"{report.requests} requests"]
    for arm in report.arms.values():
        statuses = ", ".join(f"{count} × {status}" for status, count in arm.statuses.items())
        line = f"{arm.arm}: {arm.requests} answered ({statuses}), {arm.bad} bad, {arm.unsafe} of them unsafe"
        if arm.latency_s:
            line += "; " + ", ".join(f"p{p} {seconds:.2f} s" for p, seconds in arm.latency_s.items())
        lines.append(line)
    lines.append(f"given up before anyone answered: {len(report.unanswered)}")
    lines.append(f"failed without a model server having answered: {len(report.failed_at_gateway)}")
    causes = Counter((r.status, r.error) for r in report.failed_at_gateway)
    lines += [f"  {count} × {status} {error}".rstrip() for (status, error), count in causes.most_common(5)]
    lines.append(f"the generator was at most {1000 * report.latest_s:.0f} ms late")
    return lines


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m devstack.load_report requests.jsonl")
    for line in report_lines(summarise(read_log(Path(sys.argv[1])))):
        print(line)


if __name__ == "__main__":
    main()
