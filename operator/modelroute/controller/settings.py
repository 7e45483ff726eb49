"""The operator's own configuration: one YAML file, read once at the start."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from modelroute.controller.notification_settings import NotificationSettings
from modelroute.controller.section import Section
from modelroute.errors import Invalid

WINDOW_MIN_S = 5.0


METRIC_NAME = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL_NAME = r"^[a-zA-Z_][a-zA-Z0-9_]*$"

LabelName = Annotated[str, Field(pattern=LABEL_NAME)]
LabelValue = Annotated[str, Field(min_length=1)]


class JudgeNames(Section):
    """How the judge's counter and the labels of its scrape targets are called on that server. `routeLabel`: a label of
    the counter with the HTTPRoute that an answer is of, as `namespace/name`, for judges of a Service that several
    routes share; without it a judge counts for all of them.
    """

    metric: str = Field("modelroute_judge_total", pattern=METRIC_NAME)
    verdict_label: str = Field("verdict", pattern=LABEL_NAME)
    namespace_label: str = Field("namespace", pattern=LABEL_NAME)
    service_label: str = Field("service", pattern=LABEL_NAME)
    route_label: str = Field("", pattern=rf"^$|{LABEL_NAME}")

    @model_validator(mode="after")
    def _one_label_says_one_thing(self) -> JudgeNames:
        labels = {
            "verdictLabel": self.verdict_label,
            "namespaceLabel": self.namespace_label,
            "serviceLabel": self.service_label,
            "routeLabel": self.route_label,
        }
        for one, other in combinations(labels, 2):
            if labels[one] == labels[other]:
                raise ValueError(f"{one} and {other} are both {labels[one]}: one label cannot say both")
        return self


class PrometheusSettings(Section):
    """One Prometheus server that ModelRoutes may name. `serviceLabel`: the label in which the gateway's own `service`
    label arrives there; `exported_service` where the scrape gives its targets a `service` label and does not honour
    the gateway's (`honorLabels`). `matchers`: labels that all series have which are read there, such as this operator's
    `cluster` where a server has those of several; none of those that are asked for anyway.
    """

    url: str = Field(pattern=r"^https?://[^\s]+$")
    scrape_interval_s: float = Field(15.0, gt=0, alias="scrapeInterval")
    service_label: str = Field("service", pattern=LABEL_NAME)
    judge: JudgeNames = Field(default_factory=JudgeNames)
    matchers: dict[LabelName, LabelValue] = Field(default_factory=dict)
    token_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _what_is_asked_for_stays_so(self) -> PrometheusSettings:
        names = self.judge
        asked = {"__name__", "namespace", "job", "instance", self.service_label}
        asked |= {names.verdict_label, names.namespace_label, names.service_label, names.route_label}
        if taken := sorted(asked & self.matchers.keys()):
            raise ValueError(f"matchers.{taken[0]}: the operator asks for {taken[0]} itself")
        return self


class AnalysisSettings(Section):
    """`window`: one scrape interval, at least 5 s, unless set. `settleMin`: the least time a new split settles.
    `overdispersion`: the largest number of requests that the gateway assigns together (of one session, where sessions
    stick to a backend); 1 where each request is assigned on its own.
    """

    window_s: float | None = Field(None, ge=WINDOW_MIN_S, alias="window")
    settle_min_s: float = Field(30.0, ge=0, alias="settleMin")
    overdispersion: float = Field(1.0, ge=1)


class JudgeSettings(Section):
    """`maxDelay`: how long after an answer its verdict is counted at the latest, at most 10 minutes."""

    max_delay_s: float = Field(0.0, ge=0, le=600, alias="maxDelay")


class LeaderElectionSettings(Section):
    """Several operators, of which one works: who holds the Lease `namespace/name`."""

    enabled: bool = False
    namespace: str = Field("", max_length=63)
    name: str = Field("modelroute", min_length=1, max_length=253)
    lease_duration_s: float = Field(15.0, ge=3, alias="leaseDuration")
    renew_deadline_s: float = Field(10.0, ge=2, alias="renewDeadline")
    retry_period_s: float = Field(2.0, ge=0.5, alias="retryPeriod")

    @model_validator(mode="after")
    def _one_before_the_other(self) -> LeaderElectionSettings:
        if self.enabled and not self.namespace:
            raise ValueError("namespace is missing: in which one is the Lease?")
        if not self.retry_period_s * 2 <= self.renew_deadline_s < self.lease_duration_s:
            raise ValueError(
                f"retryPeriod ({self.retry_period_s:g}s) has to fit twice into renewDeadline"
                f" ({self.renew_deadline_s:g}s), and that into leaseDuration ({self.lease_duration_s:g}s)"
            )
        return self


class MetricsEndpoint(Section):
    """Where /metrics is answered. `port` 0: nowhere. An empty `host`: on every address."""

    host: str = ""
    port: int = Field(8080, ge=0, le=65_535)


class HealthEndpoint(Section):
    """Where /healthz and /readyz are answered; likewise."""

    host: str = ""
    port: int = Field(8081, ge=0, le=65_535)


class TelemetrySettings(Section):
    """The operator's own HTTP endpoints; both may have the same address."""

    metrics: MetricsEndpoint = Field(default_factory=MetricsEndpoint)
    health: HealthEndpoint = Field(default_factory=HealthEndpoint)


class Settings(Section):
    """Everything that is the operator's and not a ModelRoute's."""

    prometheus: dict[str, PrometheusSettings] = Field(default_factory=dict)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    judge: JudgeSettings = Field(default_factory=JudgeSettings)
    namespaces: tuple[str, ...] = ()
    leader_election: LeaderElectionSettings = Field(default_factory=LeaderElectionSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    notifications: tuple[NotificationSettings, ...] = ()

    @field_validator("notifications")
    @classmethod
    def _names_are_unique(cls, value: tuple[NotificationSettings, ...]) -> tuple[NotificationSettings, ...]:
        names = [each.name for each in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {twice[0]} is given twice: choose another for one of them")
        return value

    @model_validator(mode="after")
    def _windows_hold_a_scrape(self) -> Settings:
        window = self.analysis.window_s
        for name, server in self.prometheus.items():
            if window is not None and window < server.scrape_interval_s:
                raise ValueError(
                    f"analysis.window ({window:g}s) is shorter than prometheus.{name}.scrapeInterval"
                    f" ({server.scrape_interval_s:g}s): most windows would hold no scrape"
                )
        return self

    def window_for(self, server: str) -> float:
        """Seconds of a window of evidence read from that server."""
        if self.analysis.window_s is not None:
            return self.analysis.window_s
        return max(WINDOW_MIN_S, self.prometheus[server].scrape_interval_s)


def read_settings(path: Path) -> Settings:
    """The configuration in the YAML file at `path`. Raises Invalid, naming the field."""
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise Invalid(f"the configuration {path} cannot be read: {told}") from error
    if not isinstance(content, dict):
        raise Invalid(f"the configuration {path} is not a mapping, such as prometheus: {{default: {{url: …}}}}")
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            said = "there is no such setting; examples/operator.yaml has all of them"
        # What is wrong between two settings is wrong with neither.
        raise Invalid(said, field=f"{path}: {field}" if field else str(path)) from error
