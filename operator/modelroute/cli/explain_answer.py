"""The answer of `modelroute explain`, as JSON's types: docs/explain.md says what each field is."""

from __future__ import annotations

from typing import Any

from modelroute.analysis.design import Action, Window
from modelroute.api.fields import format_instant
from modelroute.cli.analysis_rollout import finding_answer, log_or_none
from modelroute.cli.explain_input import Told
from modelroute.controller.evidence import bound_in_words
from modelroute.explaining.account import Account, Item, Silence
from modelroute.explaining.kept import Look
from modelroute.rollout.split import in_words, weights_at


def answer(told: Told, account: Account) -> dict[str, Any]:
    rollout, record = told.rollout, account.record
    attempt, progress = record.attempt, record.progress
    verdict = progress.verdict
    step = attempt.steps[progress.step]
    bounds = {objective.name: bound_in_words(objective) for objective in rollout.spec.objectives}
    return {
        "rollout": attempt.name,
        "namespace": rollout.metadata.namespace or None,
        "route": rollout.spec.model_route,
        "attempt": attempt.number,
        "trigger": rollout.spec.trigger,
        "phase": progress.stage.value,
        "move": rollout.status.move,
        "step": {
            "step": progress.step + 1,
            "of": len(attempt.steps),
            "progress": step.progress,
            "split": in_words(weights_at(attempt.arms, step.progress)),
        },
        "decision": None
        if verdict is None
        else {
            "reason": verdict.reason.value,
            "message": verdict.message,
            "objective": verdict.objective or None,
            "candidate": verdict.candidate or None,
            "at": format_instant(verdict.at),
        },
        "lacking": list(rollout.status.lacking or ()),
        "logE": log_or_none(account.final.rollback_log_evidence),
        "pauseLogE": log_or_none(account.final.pause_log_evidence),
        "logLimit": account.final.log_limit,
        "recomputed": _recomputed(told, account),
        "decidedIn": None if account.decided is None else {**_look(account.decided), **_most(account.decided)},
        "objectives": [_item(item, bounds.get(item.finding.objective, "")) for item in account.items],
        "answering": [_silence(each) for each in account.silences],
        "windows": [
            {**_look(look), "settled": window.settled, "counts": _counts(window)}
            for look, window in zip(account.looks, account.kept.windows if account.kept else (), strict=True)
        ],
    }


def _recomputed(told: Told, account: Account) -> dict[str, Any]:
    kept = account.kept
    if kept is None:
        return {"windows": 0, "since": None, "whole": False, "agrees": None, "why": told.whyless}
    return {
        "windows": len(kept.windows),
        "since": format_instant(kept.windows[0].start),
        "whole": kept.whole,
        "agrees": account.agrees,
        "why": kept.whyless or None,
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "end": format_instant(look.end),
        "step": look.step + 1,
        "logE": log_or_none(look.assessment.rollback_log_evidence),
        "pauseLogE": log_or_none(look.assessment.pause_log_evidence),
    }


def _most(look: Look) -> dict[str, Any]:
    """What weighed most when it was decided; no objective where the candidate does not answer."""
    found = look.assessment
    if not found.rollback_breached:
        paused = [each for each in found.findings if each.action is Action.PAUSE]
        worst = max(paused, key=lambda each: each.log_e)
    elif found.most_silent is not None or found.strongest is None:
        candidate = found.most_silent.candidate if found.most_silent else None
        return {"action": Action.ROLL_BACK.value, "objective": None, "candidate": candidate, "mostBy": None}
    else:
        worst = found.strongest
    return {
        "action": worst.action.value,
        "objective": worst.objective,
        "candidate": worst.candidate,
        "mostBy": worst.strongest_process,
    }


def _counts(window: Window) -> dict[str, dict[str, dict[str, float]]]:
    """By objective and arm; for `bad` the count of the comparison."""
    counts: dict[str, dict[str, dict[str, float]]] = {}
    for (objective, arm), outcomes in window.outcomes.items():
        counts.setdefault(objective, {})[arm] = {"bad": outcomes.compared[0], "total": outcomes.total}
    return counts


def _item(item: Item, bound: str) -> dict[str, Any]:
    finding = item.finding
    lacking = finding.requests_lacking
    return {
        **finding_answer(finding),
        "bound": bound,
        "compares": finding.forecast is not None and finding.forecast.compares,
        "onBreach": finding.action.value,
        "logWeight": log_or_none(item.log_weight),
        "mostBy": finding.strongest_process or None,
        "requestsToProof": None if lacking is None else round(lacking),
        "wouldHaveTaken": {
            "fewerBad": item.fewer,
            "fewerBadToGoOn": item.fewer_to_go_on,
            "moreBad": item.more,
            "moreRequests": item.requests,
        },
    }


def _silence(each: Silence) -> dict[str, Any]:
    return {
        "candidate": each.answering.candidate,
        "logWeight": log_or_none(each.log_weight),
        "logMany": log_or_none(each.answering.log_many),
        "tooFew": each.answering.silent,
        "tooMany": each.answering.mismatch,
        "wouldHaveTaken": {"moreAnswers": each.more},
    }
