"""What a person should know, and perhaps change, before applying a route: sentences with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from modelroute.analysis.design import Action
from modelroute.planning.forecast import Forecast, HarmForecast, StepForecast
from modelroute.planning.runs import ALL, Setting
from modelroute.rollout.attempt import Attempt
from modelroute.rollout.reasons import Reason
from modelroute.rollout.words import count, duration

MOST = 0.9
"""What fewer than so many runs do is warned of."""


def warnings_of(setting: Setting, found: Forecast, coverage: Mapping[str, float]) -> tuple[str, ...]:
    """Everything worth a warning, in the order in which it would be met. `coverage` in (0, 1] by judged objective."""
    return (
        *_coverage(setting, coverage),
        *_rates(setting),
        *(said for step in found.steps for said in _step(setting.attempt, step)),
        *(said for harm in found.harms for said in _harm(harm)),
        *_mistakes(setting.attempt, found),
    )


def _coverage(setting: Setting, coverage: Mapping[str, float]) -> Iterator[str]:
    for name, least in coverage.items():
        judged = setting.traffic.judged.get(name, 1.0)
        if judged < least:
            yield (
                f"{name}: minCoverage is {_percent(least)}, and only {_percent(judged)} of the answers are judged:"
                " no step would ever be left (LowCoverage)."
                f" Judge more, or set minCoverage below {_percent(judged)}; the figures are as if you did"
            )


def _rates(setting: Setting) -> Iterator[str]:
    for objective in setting.attempt.design.objectives:
        rate = setting.traffic.rates[objective.name]
        if objective.limit is not None and rate >= objective.limit:
            yield (
                f"{objective.name}: the usual rate is taken to be {_percent(rate)}, and max is"
                f" {_percent(objective.limit)}: the reference breaks it too, which holds every step"
            )


def _step(attempt: Attempt, step: StepForecast) -> Iterator[str]:
    name, deadline = f"step {step.index + 1}", duration(attempt.deadline.after_s)
    if not step.reached:
        yield f"{name} is never reached within the progressDeadline of {deadline}"
        return
    if step.proves and step.proven < MOST:
        missing = [key for key, proof in step.proofs.items() if key != ALL and math.isinf(proof.median)]
        yield (
            f"{name} asks for ProvenSafe, and gets it before the progressDeadline of {deadline} in"
            f" {100 * step.proven:.0f} % of the runs{_unproven(attempt, step, missing)}: ask for a wider margin,"
            " at a later step, or give it more time"
        )
    elif step.left < MOST:
        yield (
            f"{name} is left before the progressDeadline of {deadline} in {100 * step.left:.0f} % of the runs"
            f"{_because(step)}: ask for less, or give it more time"
        )


def _unproven(attempt: Attempt, step: StepForecast, missing: list[tuple[str, str]]) -> str:
    """The proofs that most runs lack, those without a single one among them."""
    known = [key for key in step.proofs if key != ALL]
    never = [
        (objective.name, comparison.candidate)
        for objective in attempt.design.objectives
        for comparison in attempt.design.comparisons
        if objective.action is Action.ROLL_BACK and (objective.name, comparison.candidate) not in known
    ]
    names = sorted({objective for objective, _ in (*missing, *never)})
    return f" (not on {', '.join(names)})" if names else ""


def _because(step: StepForecast) -> str:
    if step.waits_for is None:
        return ""
    if step.waits_for is Reason.COLLECTING_EVIDENCE and step.candidate_rps > 0:
        asked = step.step.min_requests
        return f" (minRequests {count(asked)} take {duration(asked / step.candidate_rps)} here)"
    return f" (most wait for {step.waits_for.value})"


def _harm(harm: HarmForecast) -> Iterator[str]:
    name = harm.objective.name
    if harm.times is None:
        yield f"{name}: no rate of {harm.candidate} would be more than is allowed: it can never roll back"
        return
    if harm.doubling_allowed:
        yield (
            f"{name}: a doubling from {_percent(harm.rate)} to {_percent(2 * harm.rate)} is within what is allowed,"
            f" and is not held against {harm.candidate}; {harm.times:g} times the rate was simulated instead"
        )
    if harm.promoted > 1 - MOST:
        needed = "" if math.isinf(harm.requests.median) else f" (it takes about {count(round(harm.requests.median))})"
        yield (
            f"{name}: with {_worse(harm)} {100 * harm.promoted:.0f} % of the runs are promoted, for want of requests of"
            f" {harm.candidate}{needed}: ask for ProvenSafe, more minRequests or longer steps"
        )
    elif harm.caught < MOST:
        yield (
            f"{name}: {_worse(harm)} is caught in {100 * harm.caught:.0f} % of the runs, and not decided before the"
            " deadline in the others: judge more, or give it more traffic or time"
        )


def _worse(harm: HarmForecast) -> str:
    return "a doubling" if harm.times == 2 else f"{harm.times:g} times the usual rate"


def _mistakes(attempt: Attempt, found: Forecast) -> Iterator[str]:
    if found.rolled_back > attempt.design.alpha:
        yield (
            f"{100 * found.rolled_back:.0f} % of the runs in which nothing is worse were rolled back: too few runs"
            f" to tell it from falseRollbackRate {_percent(attempt.design.alpha)}, or --base is not what the models do"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
