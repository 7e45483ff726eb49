"""Looking at an endpoint before it is asked anything that counts: does it answer, stream, count, tell logprobs?

What was found of log-probabilities is kept in the results folder, so that a run that goes on need not ask again:

    <folder>/<model>/logprobs.json     the verdict, why, and what asking has cost
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from modelroute.compare.domain import Model
from modelroute.compare.evaluation.asking import Reply
from modelroute.compare.evaluation.ceiling import Ceiling
from modelroute.compare.evaluation.pool import Endpoint, EndpointGone, Request, ask_all
from modelroute.compare.evaluation.probing import MAX_TOKENS, Found, Logprobs, judge, questions
from modelroute.errors import Invalid


@dataclass(frozen=True, slots=True)
class Checked:
    """Of one endpoint: the replies to the probe's questions, what they say of log-probabilities, and what they cost."""

    replies: tuple[Reply, ...]
    logprobs: Found
    cost: Decimal
    gone: str = ""

    @property
    def answers(self) -> bool:
        """Whether every question got an answer."""
        return not self.gone and all(reply.error is None for reply in self.replies)

    @property
    def streams(self) -> bool:
        """Whether the first token came by itself, so that it can be timed."""
        return any(reply.first_token_s is not None for reply in self.replies)

    @property
    def counts_tokens(self) -> bool:
        """Whether the server tells tokens in and out, which a price per token needs."""
        return all(None not in (reply.input_tokens, reply.output_tokens) for reply in self.replies)


def check(endpoint: Endpoint, model: Model, ceiling: Ceiling) -> Checked:
    """Ask the probe's questions, and, where they are refused for asking after log-probabilities, once without."""
    asked = questions(model.served_name)
    replies, cost, gone = _ask(endpoint, model, asked, ceiling)
    found = judge(replies) if replies else Found(Logprobs.UNCLEAR, gone)
    if found.verdict is Logprobs.MISSING and any(reply.error for reply in replies):
        plain = [{name: told for name, told in each.items() if "logprobs" not in name} for each in asked]
        replies, more, gone = _ask(endpoint, model, plain, ceiling)
        cost += more
    return Checked(replies, found, cost, gone)


def _ask(
    endpoint: Endpoint, model: Model, payloads: Sequence[dict[str, object]], ceiling: Ceiling
) -> tuple[tuple[Reply, ...], Decimal, str]:
    replies: dict[int, Reply] = {}
    costs: list[Decimal] = []

    async def got(index: int, reply: Reply, cost: Decimal | None) -> None:
        replies[index] = reply
        costs.append(cost or Decimal(0))

    ready = [Request(each, len(json.dumps(each["messages"]).encode()), MAX_TOKENS) for each in payloads]
    gone = ""
    try:
        asyncio.run(ask_all(endpoint, model, ready, ceiling, got))
    except EndpointGone as error:
        gone = str(error)
    return tuple(replies[index] for index in sorted(replies)), sum(costs, Decimal(0)), gone


def known_logprobs(folder: Path, model: str) -> tuple[Found | None, Decimal]:
    """(what an earlier run found, what asking has cost so far). Raises Invalid for a file that is none of ours."""
    path = _path(folder, model)
    if not path.exists():
        return None, Decimal(0)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Found(Logprobs(told["verdict"]), str(told["why"])), Decimal(told["cost"])
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise Invalid(f"{path} cannot be read: {error}; delete it, and the endpoint is probed again") from error


def probe(folder: Path, endpoint: Endpoint, model: Model, ceiling: Ceiling) -> Found:
    """Whether the model's log-probabilities can be scored with; asked anew unless they were plausible before."""
    before, cost = known_logprobs(folder, model.name)
    if before is not None and before.verdict is Logprobs.PLAUSIBLE:
        return before
    checked = check(endpoint, model, ceiling)
    if checked.gone:
        raise EndpointGone(checked.gone)
    path = _path(folder, model.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    found = checked.logprobs
    told = {"verdict": found.verdict.value, "why": found.why, "cost": f"{cost + checked.cost:f}"}
    aside = path.with_suffix(".json.new")
    aside.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(path)
    return found


def _path(folder: Path, model: str) -> Path:
    return folder / model / "logprobs.json"
