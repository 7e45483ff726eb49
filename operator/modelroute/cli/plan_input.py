"""What `modelroute plan` is asked: a ModelRoute, the traffic, and what is assumed where nothing is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TextIO, TypeVar

import click
import yaml

from modelroute.analysis.layout import pairs_of
from modelroute.api.objectives import AMOUNTS, Metric, Objective
from modelroute.api.parse import parse
from modelroute.api.quantities import parse_duration, parse_percent
from modelroute.api.resources import ModelRoute
from modelroute.controller.spec import Gap, gaps_in, plan_of
from modelroute.errors import Invalid
from modelroute.planning.runs import Setting
from modelroute.planning.traffic import BELOW_MAX, Traffic
from modelroute.rollout.attempt import Record
from modelroute.rollout.observation import Acceptance, Gateway, Look, Observation, Terms
from modelroute.rollout.plan import Plan
from modelroute.rollout.split import Split, same_traffic, words_of
from modelroute.rollout.starting import begin

USUAL: Final[Mapping[Metric, float]] = {
    Metric.ERROR_RATE: 0.01,
    Metric.LATENCY_ABOVE: 0.02,
    Metric.SAFETY_VIOLATION_RATE: 0.001,
}
"""Assumed where an objective has no `max` and nothing is said; everything else: 1 %."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assumed:
    """The options of the command line, as they were written."""

    rps: float
    judged: str = "100%"
    bases: Sequence[str] = ()
    scrape_interval: str = "15s"
    window: str | None = None
    settle_min: str = "30s"
    p99: str = "10s"
    overdispersion: float = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """`coverage` by objective that is judged, in (0, 1]; `gaps`: fields that this version does not act on."""

    name: str
    setting: Setting
    judged: float
    coverage: Mapping[str, float]
    gaps: tuple[Gap, ...]
    paused: bool


def read_setting(file: TextIO, live: TextIO | None, assumed: Assumed) -> Asked:
    """What is to be simulated. Raises Invalid for what is wrong in a file, click's errors for a wrong option."""
    route = _route_in(file)
    namespace = route.metadata.namespace or "default"
    plan = plan_of(route.spec, namespace)
    objectives = [each for each in route.spec.objectives if each.metric not in AMOUNTS]
    tested = {each.name for each in objectives}
    plan = replace(plan, objectives=tuple(each for each in plan.objectives if each.name in tested))
    stable = plan.first_split if live is None else plan_of(_route_in(live).spec, namespace).split
    if same_traffic(stable, plan.split):
        raise Invalid(
            f"nothing would move, all is as it was ({words_of(stable)}): change a weight or a backendRef", field="spec"
        )
    terms = _terms(assumed)
    judged = _option("--judged", parse_percent, assumed.judged)
    if not judged > 0:
        raise click.BadParameter(
            "has to be above 0%: nothing is known of answers that nobody judges", param_hint="--judged"
        )
    coverage = {
        each.name: parse_percent(each.coverage_in_force) for each in objectives if each.coverage_in_force is not None
    }
    traffic = Traffic(assumed.rps, _rates(objectives, assumed.bases), dict.fromkeys(coverage, judged))
    record = _first_record(route.metadata.name, plan, stable, terms)
    p99 = _option("--p99", parse_duration, assumed.p99)
    record = Record(record.attempt, replace(record.progress, slowest_p99_s=p99))
    if not pairs_of(record.attempt.design):
        raise Invalid(
            "no objective is tested on a candidate: set maxIncrease, maxRatio or max", field="spec.objectives"
        )
    setting = Setting(record, _observation(route.metadata.name, None, terms), traffic)
    return Asked(route.metadata.name, setting, judged, coverage, gaps_in(route.spec), route.spec.paused)


def _route_in(file: TextIO) -> ModelRoute:
    try:
        content = yaml.safe_load(file.read())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise Invalid(f"{file.name} is neither YAML nor JSON: {told}") from error
    if not isinstance(content, dict) or content.get("kind") != ModelRoute.KIND:
        raise Invalid(f"{file.name} is not a ModelRoute: give one document with kind: ModelRoute", field="kind")
    return parse(ModelRoute, content, strict=True)


def _terms(assumed: Assumed) -> Terms:
    scrape_s = _option("--scrape-interval", parse_duration, assumed.scrape_interval)
    window_s = max(5.0, scrape_s) if assumed.window is None else _option("--window", parse_duration, assumed.window)
    if window_s < max(5.0, scrape_s):
        raise click.BadParameter(f"has to be at least 5s and a scrape interval ({scrape_s:g}s)", param_hint="--window")
    settle_s = _option("--settle-min", parse_duration, assumed.settle_min)
    return Terms(window_s, settle_s, scrape_s, assumed.overdispersion)


def _option(name: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except Invalid as error:
        raise click.BadParameter(str(error), param_hint=name) from error


def _rates(objectives: Sequence[Objective], bases: Sequence[str]) -> dict[str, float]:
    given = dict(_base(text) for text in bases)
    names = [each.name for each in objectives]
    for name in given:
        if name not in names:
            raise click.BadParameter(f"there is no objective {name!r}: {', '.join(names)}", param_hint="--base")
    return {each.name: given.get(each.name, usual_rate(each)) for each in objectives}


def _base(text: str) -> tuple[str, float]:
    name, equals, rate = text.partition("=")
    share = _option("--base", parse_percent, rate) if equals else math.nan
    if not 0 < share < 1:
        raise click.BadParameter(f"{text!r} is not OBJECTIVE=RATE, for example errors=0.8%", param_hint="--base")
    return name, share


def usual_rate(objective: Objective) -> float:
    """What is assumed of an objective of which nothing is said: two thirds of its `max`, else by its metric."""
    if objective.max is not None:
        return BELOW_MAX * parse_percent(objective.max)
    return USUAL.get(objective.metric, 0.01)


def _first_record(name: str, plan: Plan, stable: Split, terms: Terms) -> Record:
    """The attempt as the operator would begin it, at the time 0."""
    decision = begin(_observation(name, plan, terms), plan, stable, stable, 0.0)
    if decision.record is None:
        raise Invalid(decision.message)
    return decision.record


def _observation(name: str, plan: Plan | None, terms: Terms) -> Observation:
    """A cluster in which nothing is wrong."""
    return Observation(
        name=name,
        plan=plan,
        problems=(),
        record=None,
        attempts=0,
        noted=None,
        gateway=Gateway(Acceptance.LIVE),
        look=Look(0.0),
        terms=terms,
    )
