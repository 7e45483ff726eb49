"""How the operator itself is doing: from its own metrics and from the system. `read_metrics` is pure."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r"^(modelroute_[a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Metrics:
    """One scrape: counters by outcome or bucket, and the gauges that are looked at."""

    routes: int
    overdue: float
    ticks: Mapping[str, float]
    lag_buckets: Mapping[float, float]
    tick_buckets: Mapping[float, float]
    api_calls: Mapping[str, float]
    evidence_at: Mapping[tuple[str, str], float]


def read_metrics(text: str) -> Metrics:
    """The text that /metrics answers."""
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match:
            labels = dict(_LABEL.findall(match[2] or ""))
            found[match[1]].append((labels, float(match[3])))

    def by(name: str, label: str) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        for labels, value in found[name]:
            sums[labels[label]] += value
        return dict(sums)

    def buckets(name: str) -> dict[float, float]:
        return {float(edge): value for edge, value in by(f"{name}_bucket", "le").items()}

    told = {(labels["route_namespace"], labels["route"]) for labels, _ in found["modelroute_phase"]}
    return Metrics(
        routes=len(told),
        overdue=sum(value for _, value in found["modelroute_ticks_overdue"]),
        ticks=by("modelroute_ticks_total", "outcome"),
        lag_buckets=buckets("modelroute_tick_lag_seconds"),
        tick_buckets=buckets("modelroute_tick_duration_seconds"),
        api_calls=by("modelroute_api_requests_total", "outcome"),
        evidence_at={
            (labels["route_namespace"], labels["route"]): value
            for labels, value in found["modelroute_evidence_timestamp_seconds"]
        },
    )


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The edge of the bucket that the quantile lies in; None where nothing was counted."""
    total = buckets.get(float("inf"), 0.0)
    if not total:
        return None
    return min(edge for edge, count in buckets.items() if count >= q * total)


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process: unix seconds, resident memory in MiB, CPU seconds so far, open files."""

    at: float
    rss_mib: float
    cpu_s: float
    files: int


def usage_of(pid: int, at: float) -> Usage | None:
    """None where the process is gone or is not ours to look at."""
    proc = Path(f"/proc/{pid}")
    try:
        pages = int((proc / "statm").read_text().split()[1])
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        files = len(os.listdir(proc / "fd"))
    except (OSError, IndexError):
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Usage(at, pages * os.sysconf("SC_PAGE_SIZE") / 2**20, cpu_s, files)


@dataclass(slots=True)
class Life:
    """One process of the operator, from its start to its end."""

    pid: int
    usage: list[Usage] = field(default_factory=list)
    metrics: Metrics | None = None
    """the last that it told"""

    def settled(self, after_s: float) -> Sequence[Usage]:
        """Without the time in which it fills its caches and pools."""
        if not self.usage:
            return ()
        return [each for each in self.usage if each.at - self.usage[0].at >= after_s]


def growth_mib_per_hour(usage: Sequence[Usage]) -> float | None:
    """Least squares of resident memory; None for less than a minute, from which nothing can be told."""
    if len(usage) < 3 or usage[-1].at - usage[0].at < 60:
        return None
    mean_at = sum(each.at for each in usage) / len(usage)
    mean_rss = sum(each.rss_mib for each in usage) / len(usage)
    spread = sum((each.at - mean_at) ** 2 for each in usage)
    return 3600 * sum((each.at - mean_at) * (each.rss_mib - mean_rss) for each in usage) / spread
