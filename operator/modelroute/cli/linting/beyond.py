"""What neither schema nor rules can tell, and the operator tells only later: in a status, or by waiting for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from modelroute.api.objectives import CounterRef, Metric, OnBreach
from modelroute.api.spec import ModelRouteSpec
from modelroute.api.steps import GuardOnBreach, Require
from modelroute.cli.linting.finding import Finding, error, warning
from modelroute.controller.spec import gaps_in, plan_of, refusals_in
from modelroute.metrics.counters import PLACEHOLDERS
from modelroute.rollout.attempt import comparisons_of
from modelroute.rollout.split import Arm, arms_between, in_words, weights_at

_PLACEHOLDER: Final = re.compile(r"\$\(([^)]*)(\)?)")


def beyond_the_schema(spec: ModelRouteSpec, namespace: str) -> Iterator[Finding]:
    """Findings about a spec that the API server would take."""
    yield from _weights(spec)
    yield from _first_rollout(spec, namespace)
    yield from _labels(spec)
    for field, what in refusals_in(spec, namespace):
        yield error(field, what)
    yield from _gateway(spec, namespace)
    yield from _guard(spec)
    for gap in gaps_in(spec):
        if gap.blocks:
            yield error(gap.field, f"{gap.message}; no rollout would start")
        else:
            yield warning(gap.field, gap.message)
    if spec.paused:
        yield warning("spec.paused", "as long as it is true, nothing is promoted")


def _weights(spec: ModelRouteSpec) -> Iterator[Finding]:
    """Shares are whole units of 0.01 %."""
    whole = sum(model.weight for model in spec.models)
    for index, model in enumerate(spec.models):
        if model.weight and model.weight * 10_000 < whole:
            yield error(
                f"spec.models[{index}].weight",
                f"{model.weight} of {whole} is less than 0.01 % of the traffic, the smallest share that there is, so "
                "it cannot be reached: raise it, or set it to 0",
            )


def _first_rollout(spec: ModelRouteSpec, namespace: str) -> Iterator[Finding]:
    """What the rollout from `initialModel` to the wanted split would be, were it applied to an empty cluster."""
    plan = plan_of(spec, namespace)
    before = tuple(share for share in plan.first_split if share.weight)
    arms = arms_between(before, plan.split)
    if not any(arm.gains for arm in arms):
        model = spec.initial_name
        yield warning(
            "spec.models",
            f"on an empty cluster nothing is rolled out: {model} has all traffic, and that is what a first rollout "
            "starts from (rollout.initialModel)",
        )
        return
    yield from _steps(spec, arms)
    wanted = {arm.name: arm.wanted for arm in arms}
    last = spec.rollout.steps[-1]
    if last.require is Require.PROVEN_SAFE:
        for each in comparisons_of(arms, before, plan.reference):
            if each.reference is None or not wanted.get(each.reference):
                whom = f"{each.reference} has no traffic left then" if each.reference else "it is the reference itself"
                yield error(
                    f"spec.rollout.steps[{len(spec.rollout.steps) - 1}].require",
                    f"ProvenSafe at progress 100 could never be shown of {each.candidate}, because {whom}: require it "
                    "at an earlier step",
                )


def _steps(spec: ModelRouteSpec, arms: tuple[Arm, ...]) -> Iterator[Finding]:
    splits = [weights_at(arms, step.progress) for step in spec.rollout.steps]
    for index, (one, other) in enumerate(pairwise(splits), start=1):
        if one == other:
            yield warning(
                f"spec.rollout.steps[{index}].progress",
                f"moves nothing: in units of 0.01 % the split is the same as in the step before, {in_words(other)}",
            )


def _labels(spec: ModelRouteSpec) -> Iterator[Finding]:
    for index, objective in enumerate(spec.objectives):
        if objective.metric is not Metric.CUSTOM:
            continue
        for name, counter in (("bad", objective.bad), ("total", objective.total)):
            if counter is not None:
                yield from _counter(counter, f"spec.objectives[{index}].{name}")


def _counter(counter: CounterRef, at: str) -> Iterator[Finding]:
    used = set()
    for label, value in counter.labels.items():
        for found in _PLACEHOLDER.finditer(value):
            used.add(found[1])
            known = ", ".join(f"$({name})" for name in PLACEHOLDERS)
            if not found[2]:
                yield error(f"{at}.labels.{label}", f"{value!r} lacks the closing bracket of a placeholder: {known}")
            elif found[1] not in PLACEHOLDERS:
                yield error(f"{at}.labels.{label}", f"$({found[1]}) is no placeholder; there are {known}")
    if "arm" in used and "backend" not in used:
        yield warning(
            f"{at}.labels",
            "$(arm) tells models apart, and not two versions of one: when a backendRef changes, the old and the new "
            "version have the same counter and nothing is known; add a label of $(backend), for example "
            "service: $(backend)",
        )


def _gateway(spec: ModelRouteSpec, namespace: str) -> Iterator[Finding]:
    for index, model in enumerate(spec.models):
        where = model.backend_ref.namespace
        if where is not None and where != namespace:
            yield warning(
                f"spec.models[{index}].backendRef.namespace",
                f"not the ModelRoute's own: without a ReferenceGrant in {where} it gets no traffic",
            )


def _guard(spec: ModelRouteSpec) -> Iterator[Finding]:
    if spec.guard.on_breach is GuardOnBreach.ROLL_BACK and all(each.max is None for each in spec.objectives):
        yield warning(
            "spec.guard.onBreach",
            "the guard has nothing to watch: after a promotion only objectives with max are guarded",
        )
    if all(each.on_breach is not OnBreach.ROLL_BACK for each in spec.objectives):
        yield warning("spec.objectives", "no objective has onBreach: RollBack, so harm is never taken back by itself")
