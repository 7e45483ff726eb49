"""From a comparison to a results folder: every model is asked every item that it has not answered yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from modelroute import __version__
from modelroute.compare.domain import Comparison, Model, Price, RequestPrice
from modelroute.compare.evaluation.asking import Reply
from modelroute.compare.evaluation.ceiling import Ceiling, CeilingReached
from modelroute.compare.evaluation.pool import Endpoint, EndpointGone
from modelroute.compare.evaluation.preflight import known_logprobs, probe
from modelroute.compare.evaluation.probing import Found, Logprobs
from modelroute.compare.evaluation.targets import chosen, endpoint_of
from modelroute.compare.judging.choose import judges_of
from modelroute.compare.judging.judge import Judge
from modelroute.compare.judging.pass_over import Judged, judge_answers, judging_cost
from modelroute.compare.results import (
    Manifest,
    ModelRecord,
    Sample,
    SampleWriter,
    SuiteRecord,
    answered,
    read_manifest,
    read_samples,
    write_manifest,
)
from modelroute.compare.suites.loading import built_in_suite, load_suite
from modelroute.compare.suites.refusals import refused
from modelroute.compare.suites.scoring import score
from modelroute.compare.suites.suite import Item, Method, Suite
from modelroute.errors import Invalid

Got = Callable[[Item, Reply, Decimal | None], Awaitable[None]]


class Watcher(Protocol):
    """Who shows a person what happens."""

    def begins(self, model: str, suite: str, *, items: int, answered: int) -> None:
        """A model is about to be asked a suite, of which it has answered some already."""

    def sampled(self, model: str, suite: str, sample: Sample) -> None:
        """An answer, or an error, was written down."""

    def judged(self, model: str, suite: str, told: Judged) -> None:
        """The judges of a suite have read a model's answers."""

    def probed(self, model: str, found: Found) -> None:
        """A suite needs log-probabilities, and this is what the model's are worth."""

    def refused(self, model: str, suite: str, reason: str) -> None:
        """The model is not asked that suite."""

    def stopped(self, model: str, reason: str) -> None:
        """The model is asked nothing more in this run."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`complete`: every item has an answer or an error; `spent` in the comparison's currency, by all runs."""

    complete: bool
    spent: Decimal


def load_suites(comparison: Comparison) -> tuple[Suite, ...]:
    """The suites of a comparison with the items that will be asked. Raises Invalid, led by the field."""
    found: list[Suite] = []
    for index, named in enumerate(comparison.suites):
        try:
            suite = built_in_suite(named.name) if named.path is None else load_suite(named.path)
        except Invalid as error:
            raise Invalid(str(error), field=f"suites[{index}]") from error
        items = tuple(
            replace(item, max_tokens=min(item.max_tokens, comparison.evaluation.max_tokens))
            for item in suite.items[: named.limit]
        )
        found.append(replace(suite, name=named.name, items=items))
    return tuple(found)


def evaluate(comparison: Comparison, folder: Path, *, watcher: Watcher, only: Sequence[str] = ()) -> Outcome:
    """Ask what is missing in `folder`; `only` some models. What is answered is on disk before anything else happens.

    Raises Invalid where the comparison cannot be run, or the folder is another comparison's.
    """
    suites = load_suites(comparison)
    models = chosen(comparison, only)
    endpoints = {model.name: endpoint_of(model, comparison) for model in models}
    judges = {suite.name: judges_of(suite.judges, comparison) for suite in suites}
    from modelroute.compare.evaluation import harness  # here, because it takes seconds to load

    _claim(folder, comparison, suites, harness.harness_version())
    ceiling = Ceiling(comparison.evaluation.max_cost, _spent(folder, comparison, suites))
    complete = True
    for model in models:
        try:
            for suite in suites:
                if suite.needs_logprobs and not _can_be_scored(
                    model, suite, folder, endpoints[model.name], ceiling, watcher
                ):
                    complete = False
                    continue
                _ask_suite(harness, model, suite, comparison, folder, endpoints[model.name], ceiling, watcher)
                if judges[suite.name]:
                    _judge_suite(judges[suite.name], model, suite, comparison, folder, ceiling, watcher)
        except EndpointGone as gone:
            watcher.stopped(model.name, str(gone))
            complete = False
        except CeilingReached as reached:
            watcher.stopped(model.name, str(reached))
            return Outcome(False, ceiling.spent)
    return Outcome(complete, ceiling.spent)


def _can_be_scored(
    model: Model, suite: Suite, folder: Path, endpoint: Endpoint, ceiling: Ceiling, watcher: Watcher
) -> bool:
    found = probe(folder, endpoint, model, ceiling)
    watcher.probed(model.name, found)
    if found.verdict is Logprobs.PLAUSIBLE:
        return True
    why = f": {found.why}" if found.why else ""
    watcher.refused(
        model.name,
        suite.name,
        f"the suite {suite.name} is scored by log-probabilities, and those of {model.name} are {found.verdict}{why}; "
        "it is not asked",
    )
    return False


def _claim(folder: Path, comparison: Comparison, suites: Sequence[Suite], harness: str) -> None:
    """Write the manifest, unless the folder holds answers to other questions."""
    records = {suite.name: SuiteRecord(suite.version, len(suite.items), suite.scores) for suite in suites}
    if (folder / "manifest.json").exists():
        there = read_manifest(folder)
        if there.comparison_hash != comparison.evaluation_hash:
            raise Invalid(
                f"{folder} holds the results of other questions (models, suites, limits or how they are asked have "
                "changed since): use another folder"
            )
        for name, record in records.items():
            before = there.suites.get(name)
            if before is not None and before.version != record.version:
                raise Invalid(
                    f"{folder} holds answers to version {before.version} of the suite {name}, and this is version "
                    f"{record.version}: use another folder"
                )
    models = {
        model.name: ModelRecord(model.served_name, model.endpoint, _told(model.price)) for model in comparison.models
    }
    tool = {"modelroute": __version__, "lm-eval": harness}
    hashed = comparison.evaluation_hash
    write_manifest(folder, Manifest(comparison.name, hashed, comparison.currency, models, records, tool))


def _told(price: Price | None) -> dict[str, str] | None:
    if price is None:
        return None
    if isinstance(price, RequestPrice):
        return {"perRequest": f"{price.per_request:f}"}
    return {
        "inputPerMillionTokens": f"{price.input_per_million:f}",
        "outputPerMillionTokens": f"{price.output_per_million:f}",
    }


def _spent(folder: Path, comparison: Comparison, suites: Sequence[Suite]) -> Decimal:
    costs = (
        sample.cost
        for model in comparison.models
        for suite in suites
        for sample in read_samples(folder, model.name, suite.name)
    )
    judging = (judging_cost(folder, model.name, suite.name) for model in comparison.models for suite in suites)
    probing = (known_logprobs(folder, model.name)[1] for model in comparison.models)
    return sum((*(cost for cost in costs if cost is not None), *judging, *probing), Decimal(0))


class _Harness(Protocol):
    """`harness.py`, as it is used here; it is imported late."""

    def run_suite(
        self,
        suite: Suite,
        items: Sequence[Item],
        *,
        endpoint: Endpoint,
        model: Model,
        ceiling: Ceiling,
        temperature: float,
        got: Got,
    ) -> None: ...


def _ask_suite(
    harness: _Harness,
    model: Model,
    suite: Suite,
    comparison: Comparison,
    folder: Path,
    endpoint: Endpoint,
    ceiling: Ceiling,
    watcher: Watcher,
) -> None:
    done = answered(folder, model.name, suite.name)
    missing = [item for item in suite.items if (item.id, item.hash) not in done]
    watcher.begins(model.name, suite.name, items=len(suite.items), answered=len(suite.items) - len(missing))
    if not missing:
        return
    with SampleWriter(folder, model.name, suite.name) as write:

        async def got(item: Item, reply: Reply, cost: Decimal | None) -> None:
            sample = to_sample(item, suite, reply, cost)
            write(sample)
            watcher.sampled(model.name, suite.name, sample)

        harness.run_suite(
            suite,
            missing,
            endpoint=endpoint,
            model=model,
            ceiling=ceiling,
            temperature=comparison.evaluation.temperature,
            got=got,
        )


def _judge_suite(
    judges: Sequence[Judge],
    model: Model,
    suite: Suite,
    comparison: Comparison,
    folder: Path,
    ceiling: Ceiling,
    watcher: Watcher,
) -> None:
    told = comparison.evaluation
    price = told.judge.price if told.judge else None

    def may_spend(cost: Decimal) -> bool:
        ceiling.settle(Decimal(0), cost)
        return ceiling.limit is None or ceiling.spent < ceiling.limit

    how = judge_answers(folder, model.name, suite, judges, price=price, at_once=told.concurrency, may_spend=may_spend)
    watcher.judged(model.name, suite.name, how)
    if not may_spend(Decimal(0)):
        raise CeilingReached(f"the judges have used up the ceiling of {ceiling.limit:f}")


def to_sample(item: Item, suite: Suite, reply: Reply, cost: Decimal | None) -> Sample:
    """What is written down of one reply. A reply that is an error has no scores, and is asked again by a later run."""
    if item.method is Method.LIKELIEST and reply.text is not None and not reply.tokens:
        # No score, not a wrong answer: a proxy may answer some requests by another server.
        reply = replace(reply, text=None, error="the answer came without the log-probabilities that it is scored by")
    scored = None if reply.text is None else score(item, reply.text, marker=suite.marker, tokens=reply.tokens)
    return Sample(
        item=item.id,
        hash=item.hash,
        prompt=item.text,
        expected=item.expected,
        answer=reply.text,
        scores=scored.scores if scored else {},
        violation=scored.violation if scored else None,
        latency_s=_rounded(reply.latency_s),
        first_token_s=_rounded(reply.first_token_s),
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost=cost,
        error=reply.error,
        refused=reply.text is not None and refused(reply.text, reply.finish_reason),
    )


def _rounded(seconds: float | None) -> float | None:
    """To a tenth of a millisecond: what is below says nothing of the model."""
    return None if seconds is None else round(seconds, 4)
