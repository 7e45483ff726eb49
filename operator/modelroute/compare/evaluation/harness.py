"""lm-evaluation-harness: the one module that imports it.

A suite becomes a task of the harness, which renders the messages and goes through the documents; a small subclass of
its chat model does what the harness's own does not: it times every answer, counts its tokens, and hands it over at
once.
The harness needs no network here: no data sets are fetched and no tokenizer is loaded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from modelroute.compare.domain import Model
from modelroute.compare.evaluation.asking import Reply
from modelroute.compare.evaluation.ceiling import Ceiling
from modelroute.compare.evaluation.pool import Endpoint, Request, ask_all
from modelroute.compare.evaluation.probing import TOP_LOGPROBS
from modelroute.compare.extras import need
from modelroute.compare.suites.likeliest import Token
from modelroute.compare.suites.scoring import score
from modelroute.compare.suites.suite import SCORES, Item, Method, Suite

need("eval")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")  # the command shows progress of its own

from lm_eval.evaluator import evaluate  # noqa: E402 - after the variables that it reads when it is imported
from lm_eval.models.openai_completions import LocalChatCompletion  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

logging.getLogger("lm_eval").setLevel(logging.ERROR)

Got = Callable[[Item, Reply, Decimal | None], Awaitable[None]]


def harness_version() -> str:
    """Of lm-eval, for the manifest."""
    return version("lm-eval")


class MeasuredChat(LocalChatCompletion):  # type: ignore[misc]  # lm-eval ships no types
    """The harness's chat model, asking through our pool. `items` by id, as the documents carry them."""

    def __init__(
        self, *, endpoint: Endpoint, model: Model, items: Sequence[Item], ceiling: Ceiling, temperature: float, got: Got
    ) -> None:
        super().__init__(
            base_url=endpoint.url,
            model=model.served_name,
            tokenizer_backend="none",
            num_concurrent=endpoint.concurrency,
            eos_string="",  # not asked for: the server knows where an answer ends
        )
        self._endpoint = endpoint
        self._asked = model
        self._items = {item.id: item for item in items}
        self._ceiling = ceiling
        self._temperature = temperature
        self._got = got
        self.heard: dict[str, tuple[Token, ...]] = {}
        """log-probabilities of the answers, by item, where they were asked for"""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """The answers in the order of `requests`; an empty one where none came."""
        items = [self._items[request.doc["id"]] for request in requests]
        answers = [""] * len(requests)

        async def got(index: int, reply: Reply, cost: Decimal | None) -> None:
            answers[index] = reply.text or ""
            self.heard[items[index].id] = reply.tokens
            await self._got(items[index], reply, cost)

        ready = [self._request(request, item) for request, item in zip(requests, items, strict=True)]
        asyncio.run(ask_all(self._endpoint, self._asked, ready, self._ceiling, got))
        return answers

    def _request(self, request: Any, item: Item) -> Request:
        context, options = request.args
        messages = self.create_message([context])
        told = {"max_gen_toks": item.max_tokens, "temperature": self._temperature, "until": list(options["until"])}
        payload = self._create_payload(messages, generate=True, gen_kwargs=told, seed=self._seed)
        if not payload["stop"]:
            del payload["stop"]  # some servers refuse an empty list
        if item.method is Method.LIKELIEST:
            payload |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        payload |= {"stream": True, "stream_options": {"include_usage": True}}
        return Request(payload, len(json.dumps(messages).encode()), item.max_tokens)


def run_suite(
    suite: Suite,
    items: Sequence[Item],
    *,
    endpoint: Endpoint,
    model: Model,
    ceiling: Ceiling,
    temperature: float,
    got: Got,
) -> None:
    """Ask `items` of the suite; `got` is told each reply and its cost as it comes. Raises what `ask_all` raises."""
    chat = MeasuredChat(endpoint=endpoint, model=model, items=items, ceiling=ceiling, temperature=temperature, got=got)
    # Not simple_evaluate: it also asks git and the machine about themselves, and seeds everybody's random numbers.
    evaluate(
        lm=chat,
        task_dict=TaskManager(include_defaults=False).load([_task(suite, items, chat.heard)]),
        apply_chat_template=True,
        bootstrap_iters=0,
        log_samples=False,
    )


def _task(suite: Suite, items: Sequence[Item], heard: Mapping[str, tuple[Token, ...]]) -> dict[str, Any]:
    """The suite in the harness's words; the items stay in memory."""
    from datasets import Dataset

    by_id = {item.id: item for item in items}
    documents = [
        {"id": item.id, "system": item.system, "prompt": item.prompt, "expected": item.expected} for item in items
    ]

    def process_results(doc: dict[str, str], answers: list[str]) -> dict[str, float]:
        item = by_id[doc["id"]]
        found = score(item, answers[0], marker=suite.marker, tokens=heard.get(item.id, ())).scores
        return {name: found[name] for name in SCORES[item.method]}

    return {
        "task": f"modelroute_{suite.name}",
        "custom_dataset": lambda **_: {"test": Dataset.from_list(documents)},
        "test_split": "test",
        "output_type": "generate_until",
        "description": "system",  # a field of the document, not a template: braces in it stay as they are
        "doc_to_text": lambda doc: doc["prompt"],
        "doc_to_target": lambda doc: doc["expected"],
        "process_results": process_results,
        "generation_kwargs": {"until": [], "do_sample": False},
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in suite.computed],
        "num_fewshot": 0,
        "metadata": {"version": suite.version},
    }
