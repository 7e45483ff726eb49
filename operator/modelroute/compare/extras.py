"""Optional libraries: one sentence when one is missing, instead of a traceback."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from modelroute.errors import Invalid

LIBRARIES: Final = {
    "eval": ("lm_eval", "lm-evaluation-harness", "running suites"),
    "judge": ("openevals", "openevals", "judging answers with a model"),
    "azure": ("azure.ai.evaluation", "azure-ai-evaluation", "the evaluators of azure-ai-evaluation"),
    "wandb": ("wandb", "wandb", "logging to Weights & Biases"),
    "mlflow": ("mlflow", "mlflow-skinny", "logging to MLflow"),
}
"""extra: (module, what people call it, what it is for)"""


class MissingExtra(Invalid):
    """An optional library is not installed; the message says how to get it."""


def need(extra: str) -> None:
    """Raises MissingExtra if the library of that extra is not installed. Imports nothing but parent packages."""
    module, name, purpose = LIBRARIES[extra]
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise MissingExtra(f"{purpose} needs {name}, which is not installed: pip install 'modelroute[{extra}]'")
