"""A ModelRoute that a newer schema let in: what cannot be read of it is told, and does not stop the looking.

An attempt under way goes by what was frozen in its ModelRollout. It needs of the ModelRoute no more than the way to its
gateway, and must not go unwatched because of a word in the spec that only a later operator knows.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from modelroute.api.parse import parse
from modelroute.api.resources import ModelRoute
from modelroute.cluster.client import Json
from modelroute.errors import Invalid
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason

_LEFT_OUT_AT_MOST = 64
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def read_model_route(raw: Json) -> tuple[ModelRoute, tuple[Problem, ...]]:
    """The ModelRoute without the parts of spec and status that cannot be read, and a problem for each of the spec's.

    Raises Invalid where what is left is none: without its models or its way to a gateway nothing can be said of it.
    """
    body = raw
    problems: list[Problem] = []
    for _ in range(_LEFT_OUT_AT_MOST):
        try:
            return parse(ModelRoute, body), tuple(problems)
        except Invalid as error:
            lighter = _without(body, error.field)
            if lighter is None:
                raise
            body = lighter
            if error.field.startswith("spec"):
                problems.append(Problem(Reason.INVALID_SPEC, f"{error}: this operator cannot read it"))
    return parse(ModelRoute, body), tuple(problems)


def _without(body: Json, path: str) -> Json | None:
    """`body` without what stands at `path`, or the entry of a list that it is in; None where that has to stay."""
    steps: list[str | int] = [name or int(index) for name, index in _STEP.findall(path)]
    if len(steps) < 2 or steps[0] not in {"spec", "status"} or steps[:2] == ["spec", "models"]:
        return None
    entry = next((place for place, step in enumerate(steps) if isinstance(step, int)), None)
    steps = steps[:2] if entry is None else steps[: entry + 1]
    lighter: Json = deepcopy(body)
    inner: Any = lighter
    try:
        for step in steps[:-1]:
            inner = inner[step]
        del inner[steps[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    if steps[:2] == ["spec", "objectives"] and not lighter["spec"].get("objectives"):
        # A spec has at least one. This one holds nobody to anything, and nothing starts on a spec that has problems.
        lighter["spec"]["objectives"] = [{"name": "unreadable", "metric": "CostPerRequest", "onBreach": "Report"}]
    return lighter
