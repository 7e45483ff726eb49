"""A Prometheus made of lists: targets scraped at given times, answering the range selectors that the sampler asks.

It reads the selectors with a parser of its own, so that a name that broke out of its quotes would be seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from modelroute.errors import Unavailable
from modelroute.metrics.scrapes import Sample, Series

T0 = 1_700_000_000.0
"""A cut of every window length used in the tests."""

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def series(name: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> Series:
    return Series({"__name__": name, **labels}, tuple(Sample(t, value) for t, value in samples))


def parse_selector(expression: str) -> tuple[str, list[tuple[str, str, str]], float]:
    """`metric{label=~"…",…}[30s]` → name, matchers as (label, operator, value), range in seconds; else ValueError."""
    head = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{", expression)
    if not head:
        raise ValueError(f"no metric: {expression!r}")
    matchers, rest = [], expression[head.end() :]
    while not rest.startswith("}"):
        part = re.match(r'([a-zA-Z_][a-zA-Z0-9_]*)(=~|=)"', rest)
        if not part:
            raise ValueError(f"no matcher: {rest!r}")
        value, rest = _string(rest[part.end() :])
        matchers.append((part[1], part[2], value))
        rest = rest.removeprefix(",")
    tail = re.fullmatch(r"\}\[(\d+)s\]", rest)
    if not tail:
        raise ValueError(f"no range: {rest!r}")
    return head[1], matchers, float(tail[1])


def _string(text: str) -> tuple[str, str]:
    """The value of a string literal whose opening quote is already read, and what comes after it."""
    value, place = "", 0
    while text[place] != '"':
        char = text[place]
        if char == "\n":
            raise ValueError("a newline in a string")
        if char != "\\":
            value, place = value + char, place + 1
        elif text[place + 1] == "x":
            value, place = value + chr(int(text[place + 2 : place + 4], 16)), place + 4
        else:
            value, place = value + _ESCAPES[text[place + 1]], place + 2
    return value, text[place + 1 :]


class FakePrometheus:
    """Holds series; `asked` are the expressions it was asked, `fails` is raised for metrics by name, what was scraped
    after `scraped_until` is yet to come.
    """

    def __init__(self, *held: Series) -> None:
        self.held = list(held)
        self.asked: list[str] = []
        self.fails: dict[str, Unavailable] = {}
        self.scraped_until = math.inf
        self.server_time: Callable[[], float] = lambda: math.inf
        """Its own clock; as it is, never behind that of whoever asks."""

    def add(self, *more: Series) -> None:
        self.held += more

    def samples(self, expression: str, at: float) -> tuple[Series, ...]:
        self.asked.append(expression)
        name, matchers, range_s = parse_selector(expression)
        if name in self.fails:
            raise self.fails[name]
        found = []
        for each in self.held:
            if each.labels["__name__"] != name or not all(_matches(each.labels, *one) for one in matchers):
                continue
            samples = tuple(sample for sample in each.samples if at - range_s < sample.t <= min(at, self.scraped_until))
            if samples:
                found.append(Series(each.labels, samples))
        return tuple(found)


def _matches(labels: Mapping[str, str], label: str, operator: str, value: str) -> bool:
    seen = labels.get(label, "")
    return seen == value if operator == "=" else re.fullmatch(value, seen, re.DOTALL) is not None


def traefik_service(
    backend: str, *, index: int, route: str = "support-chat", namespace: str = "chat", rule: int = 0
) -> str:
    """The `service` label of an arm, as recorded from Traefik 3.7."""
    router = f"httproute-{namespace}-{route}-gw-{namespace}-inference-ep-web-{rule}-45af9ef9910ebee71992"
    return f"{router}-svc-{namespace}-{backend}-{index}@kubernetesgateway"


class FakeTraefik:
    """One Traefik process, scraped at `times`; counters are given as values at those times, None where absent."""

    def __init__(
        self,
        times: Sequence[float],
        *,
        started: float | Sequence[float] = T0 - 86_400,
        instance: str = "10.0.0.1:8082",
        **labels: str,
    ) -> None:
        self.times = list(times)
        self.labels = {"job": "traefik", "instance": instance, **labels}
        starts = [started] * len(self.times) if isinstance(started, int | float) else list(started)
        self.series = [
            series("process_start_time_seconds", self.labels, zip(self.times, starts, strict=True)),
            series("traefik_config_reloads_total", self.labels, ((t, 2.0) for t in self.times)),
        ]

    def requests(self, service: str, code: str, values: Sequence[float | None]) -> FakeTraefik:
        labels = {"code": code, "method": "POST", "protocol": "http", "service": service}
        return self._count("traefik_service_requests_total", labels, values)

    def durations(self, service: str, code: str, by_le: Mapping[str, Sequence[float | None]]) -> FakeTraefik:
        for le, values in by_le.items():
            labels = {"code": code, "method": "POST", "protocol": "http", "service": service, "le": le}
            self._count("traefik_service_request_duration_seconds_bucket", labels, values)
        return self

    def _count(self, name: str, labels: Mapping[str, str], values: Sequence[float | None]) -> FakeTraefik:
        seen = [(t, v) for t, v in zip(self.times, values, strict=True) if v is not None]
        self.series.append(series(name, {**self.labels, **labels}, seen))
        return self


class FakeJudge:
    """One backend with a judge, scraped at `times`."""

    def __init__(
        self, service: str, times: Sequence[float], *, namespace: str = "chat", instance: str = "10.0.1.1:8000"
    ) -> None:
        self.times = list(times)
        self.labels = {"job": "models", "instance": instance, "namespace": namespace, "service": service}
        self.series = [series("process_start_time_seconds", self.labels, ((t, T0 - 3600) for t in self.times))]

    def verdicts(self, verdict: str, values: Sequence[float | None], **labels: str) -> FakeJudge:
        seen = [(t, v) for t, v in zip(self.times, values, strict=True) if v is not None]
        self.series.append(series("modelroute_judge_total", {**self.labels, "verdict": verdict, **labels}, seen))
        return self
