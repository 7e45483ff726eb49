"""A judge of openevals: any OpenAI-compatible model, asked by a prompt of the suite's.

openevals tells the model which scores it may give, and takes whatever comes back: here, what is none of them is an
error.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from modelroute.compare.extras import need
from modelroute.compare.judging.judge import Exchange, Judgement, JudgeModel, JudgeSpec

need("judge")

import openai  # noqa: E402 - after the sentence about what is missing
from openevals.llm import create_llm_as_judge  # noqa: E402


class _Counting:
    """The client, as openevals uses it, with the tokens of each thread's last call kept: openevals drops them."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client
        self.last = threading.local()
        self.chat = self
        self.completions = self

    def create(self, **asked: Any) -> Any:
        """The call that openevals makes."""
        self.last.usage = None
        answer = self._client.chat.completions.create(**asked)
        self.last.usage = answer.usage
        return answer


class OpenEvalsJudge:
    """One score by one prompt."""

    def __init__(self, spec: JudgeSpec, model: JudgeModel) -> None:
        client = openai.OpenAI(base_url=model.base_url, api_key=model.api_key, timeout=model.timeout_s, max_retries=2)
        self._spec = spec
        self._client = _Counting(client)
        self._ask = create_llm_as_judge(
            prompt=spec.prompt,
            feedback_key=spec.name,
            judge=self._client,
            model=model.model,
            continuous=not spec.choices,
            choices=list(spec.choices) or None,
        )

    @property
    def name(self) -> str:
        """The score's name."""
        return self._spec.name

    def __call__(self, exchange: Exchange) -> Judgement:
        """Ask the model; its score must be one of the choices, or a number from 0 to 1."""
        try:
            told = self._ask(
                inputs=exchange.prompt,
                outputs=exchange.answer,
                reference_outputs=exchange.expected,
                context=exchange.source,
            )
        except openai.OpenAIError as error:
            return self._judged(None, error=f"the judge does not answer: {error}")
        except (ValueError, KeyError, TypeError) as error:
            return self._judged(None, error=f"the judge's answer is not what was asked for: {error!r}")
        score = told["score"]
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            return self._judged(None, error=f"the judge gave {score!r}, which is no number")
        if self._spec.choices and score not in self._spec.choices:
            allowed = ", ".join(f"{choice:g}" for choice in self._spec.choices)
            return self._judged(None, error=f"the judge gave {score:g}, which is none of {allowed}")
        if not 0 <= score <= 1:
            return self._judged(None, error=f"the judge gave {score:g}, which is not from 0 to 1")
        return self._judged(float(score), why=str(told.get("comment") or ""))

    def _judged(self, score: float | None, *, why: str = "", error: str | None = None) -> Judgement:
        usage = getattr(self._client.last, "usage", None)
        return Judgement(
            score,
            why,
            self._spec.violation(score),
            error,
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
        )
