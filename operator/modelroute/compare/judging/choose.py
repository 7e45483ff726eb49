"""The judges that a suite asks for, made ready."""

from __future__ import annotations

import os
from collections.abc import Sequence

from modelroute.compare.domain import Comparison
from modelroute.compare.judging.judge import Judge, JudgeKind, JudgeModel, JudgeSpec
from modelroute.errors import Invalid


def judges_of(specs: Sequence[JudgeSpec], comparison: Comparison) -> tuple[Judge, ...]:
    """In the order of the suite. Raises Invalid where something is missing that a judge needs."""
    model = _model(comparison)
    return tuple(_judge(spec, model) for spec in specs)


def _judge(spec: JudgeSpec, model: JudgeModel | None) -> Judge:
    match spec.kind:
        case JudgeKind.OPENEVALS:
            if model is None:
                raise Invalid(f"the judge {spec.name} asks a model: set evaluation.judge in comparison.yaml")
            from modelroute.compare.judging.openevals_judge import OpenEvalsJudge

            return OpenEvalsJudge(spec, model)
        case JudgeKind.AZURE:
            from modelroute.compare.judging.azure_judge import AzureJudge

            return AzureJudge(spec, model)


def _model(comparison: Comparison) -> JudgeModel | None:
    told = comparison.evaluation.judge
    if told is None:
        return None
    key = "none"  # a server on one's own machine asks for no key, and the client insists on one
    if told.api_key_env is not None:
        key = os.environ.get(told.api_key_env, "")
        if not key:
            raise Invalid(f"{told.api_key_env} is not set", field="evaluation.judge.apiKeyEnv")
    return JudgeModel(told.endpoint, told.served_name, key, comparison.evaluation.timeout_s)
