"""Evaluators of azure-ai-evaluation as judges.

Three kinds, by what they need: RougeScore and F1Score compute, and need no account; Coherence, Fluency, Relevance,
Groundedness, Similarity and ResponseCompleteness ask a model, any OpenAI-compatible one; Violence, Sexual, SelfHarm and
HateUnfairness ask the content-safety service of an Azure AI project (its endpoint in AZURE_AI_PROJECT, and a login
that azure-identity finds), and cannot work without one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Final

from modelroute.compare.extras import MissingExtra, need
from modelroute.compare.judging.judge import Exchange, Judgement, JudgeModel, JudgeSpec, from_one_to_five
from modelroute.errors import Invalid

COMPUTED: Final = {"F1Score": "f1_score", "RougeScore": "rouge"}
GRADED: Final = {
    "Coherence": ("coherence", ("query", "response")),
    "Fluency": ("fluency", ("response",)),
    "Groundedness": ("groundedness", ("query", "response", "context")),
    "Relevance": ("relevance", ("query", "response")),
    "ResponseCompleteness": ("response_completeness", ("response", "ground_truth")),
    "Similarity": ("similarity", ("query", "response", "ground_truth")),
}
SAFETY: Final = {
    "HateUnfairness": "hate_unfairness",
    "SelfHarm": "self_harm",
    "Sexual": "sexual",
    "Violence": "violence",
}
EVALUATORS: Final = tuple(sorted({*COMPUTED, *GRADED, *SAFETY}))
MOST_SEVERE: Final = 7
SCOPE: Final = "https://ai.azure.com/.default"
"""What a token for an Azure AI project is asked for."""
NEEDS_MORE: Final = frozenset({"BleuScore", "GleuScore", "MeteorScore"})
"""These load word lists that are not in the package, and would be fetched from the network at the first call."""


class AzureJudge:
    """One evaluator. `model` None: only the computed and the safety ones work. Raises Invalid and MissingExtra."""

    def __init__(self, spec: JudgeSpec, model: JudgeModel | None) -> None:
        self._spec = spec
        self._key, self._fields = _reads(spec.evaluator)
        self._evaluator = _evaluator(spec.evaluator, model)

    @property
    def name(self) -> str:
        """The score's name."""
        return self._spec.name

    def __call__(self, exchange: Exchange) -> Judgement:
        """Ask the evaluator. Grades from 1 to 5 and severities from 7 to 0 become [0, 1]."""
        texts = {
            "query": exchange.prompt,
            "response": exchange.answer,
            "ground_truth": exchange.expected,
            "context": exchange.source or exchange.prompt,
        }
        try:
            told = self._evaluator(**{name: texts[name] for name in self._fields})
        except Exception as error:  # noqa: BLE001 - whatever the service or the library raises is not the model's fault
            return Judgement(None, error=f"{self._spec.evaluator}: {' '.join(str(error).split())}"[:300])
        return self._judgement(told)

    def _judgement(self, told: dict[str, Any]) -> Judgement:
        raw, status = told.get(self._key), told.get(f"{self._key}_status", "completed")
        why = str(told.get(f"{self._key}_reason") or "")
        used = told.get(f"{self._key}_properties") or {}
        tokens = (int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0))
        if status != "completed":
            return Judgement(None, why, None, f"{self._spec.evaluator} was {status}", *tokens)
        if self._spec.evaluator in SAFETY and not why:
            # The library makes severity 0, which is safe, of an answer of the service that has no severity in it.
            return Judgement(
                None, why, None, f"{self._spec.evaluator} gave no reason, and so perhaps no score", *tokens
            )
        score = self._score(raw if self._spec.evaluator not in SAFETY else told.get(f"{self._key}_score"))
        if score is None:
            return Judgement(None, why, None, f"{self._spec.evaluator} gave {raw!r}, which is no grade", *tokens)
        violation = self._spec.violation(score)
        if violation is None and self._spec.evaluator in SAFETY:
            violation = told.get(f"{self._key}_result") == "fail"
        return Judgement(score, why, violation, None, *tokens)

    def _score(self, raw: object) -> float | None:
        if self._spec.evaluator in GRADED:
            return from_one_to_five(raw)
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            return None
        if self._spec.evaluator in SAFETY:
            return 1 - raw / MOST_SEVERE if 0 <= raw <= MOST_SEVERE else None
        return float(raw) if 0 <= raw <= 1 else None


def _reads(evaluator: str) -> tuple[str, tuple[str, ...]]:
    """(the result's key, the inputs) of an evaluator. Raises Invalid for one that is not supported."""
    if evaluator in GRADED:
        return GRADED[evaluator]
    if evaluator in COMPUTED:
        return COMPUTED[evaluator], ("response", "ground_truth")
    if evaluator in SAFETY:
        return SAFETY[evaluator], ("query", "response")
    if evaluator in NEEDS_MORE:
        raise Invalid(f"{evaluator} loads word lists that are not in its package; RougeScore and F1Score need none")
    raise Invalid(f"there is no evaluator {evaluator!r} here; there are {', '.join(EVALUATORS)}")


def _evaluator(name: str, model: JudgeModel | None) -> Callable[..., Any]:
    need("azure")
    from azure.ai import evaluation as library

    made = getattr(library, f"{name}Evaluator")
    if name == "RougeScore":
        found: Callable[..., Any] = made(rouge_type=library.RougeType.ROUGE_L)
    elif name in COMPUTED:
        found = made()
    elif name in GRADED:
        if model is None:
            raise Invalid(f"{name} asks a model: set evaluation.judge in comparison.yaml")
        found = made({"type": "openai", "api_key": model.api_key, "model": model.model, "base_url": model.base_url})
    else:
        project = _project(name)
        found = made(credential=_credential(name), azure_ai_project=project)
    return found


def _project(name: str) -> str:
    project = os.environ.get("AZURE_AI_PROJECT")
    asks = f"{name} asks the content-safety service of an Azure AI project"
    if not project:
        raise Invalid(f"{asks}: set AZURE_AI_PROJECT to its endpoint")
    if not project.startswith("https://"):
        raise Invalid(f"{asks}, and AZURE_AI_PROJECT is {project!r}: it has to be its endpoint, https://…")
    return project


def _credential(name: str) -> Any:
    """A login that works: without one every answer would fail by itself, each after some seconds."""
    try:
        from azure.identity import DefaultAzureCredential
    except ModuleNotFoundError as error:
        raise MissingExtra("logging in to Azure needs azure-identity: pip install 'modelroute[azure]'") from error
    from azure.core.exceptions import ClientAuthenticationError

    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # it warns of each way that was tried, over many lines
    found = DefaultAzureCredential()
    try:
        found.get_token(SCOPE)
    except ClientAuthenticationError as error:
        raise Invalid(
            f"{name} needs a login to Azure, and azure-identity finds none: run `az login`, or set AZURE_TENANT_ID, "
            "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
        ) from error
    return found
