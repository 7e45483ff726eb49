"""Whom a run asks, and where."""

from __future__ import annotations

import os
from collections.abc import Sequence

from modelroute.compare.domain import Comparison, Model
from modelroute.compare.evaluation.pool import Endpoint
from modelroute.errors import Invalid


def chosen(comparison: Comparison, only: Sequence[str]) -> tuple[Model, ...]:
    """Those named, in the comparison's order; all, where none is. Raises Invalid."""
    known = [model.name for model in comparison.models]
    for name in only:
        if name not in known:
            raise Invalid(f"no model is called {name!r}: there are {', '.join(known)}", field="--model")
    return tuple(model for model in comparison.models if not only or model.name in only)


def endpoint_of(model: Model, comparison: Comparison) -> Endpoint:
    """Where and how the model is asked. Raises Invalid where that is not said."""
    if model.endpoint is None:
        index = comparison.models.index(model)
        raise Invalid("is missing: evaluate has to know where to ask", field=f"models[{index}].endpoint")
    headers: dict[str, str] = {}
    if model.api_key_env is not None:
        key = os.environ.get(model.api_key_env)
        if not key:
            index = comparison.models.index(model)
            raise Invalid(f"{model.api_key_env} is not set", field=f"models[{index}].apiKeyEnv")
        headers["Authorization"] = f"Bearer {key}"
    told = comparison.evaluation
    return Endpoint(f"{model.endpoint}/chat/completions", headers, told.timeout_s, told.concurrency)
