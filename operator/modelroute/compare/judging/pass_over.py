"""Let the judges of a suite read the answers that are there, and keep what they say.

    <folder>/<model>/<suite>.judged/<judge>.jsonl    one line a judgement, with its reason and its cost

The score goes into the sample as well, as one more line of the samples' file: the last line of an item counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from modelroute.compare.domain import Price
from modelroute.compare.judging.judge import Exchange, Judge, Judgement
from modelroute.compare.results import Sample, SampleWriter, read_samples
from modelroute.compare.suites.suite import Suite


@dataclass(frozen=True, slots=True)
class Judged:
    """How it went: answers judged now, and errors of judges."""

    judged: int
    errors: int
    last_error: str | None


def judge_answers(
    folder: Path,
    model: str,
    suite: Suite,
    judges: Sequence[Judge],
    *,
    price: Price | None,
    at_once: int,
    may_spend: Callable[[Decimal], bool],
) -> Judged:
    """Judge every answer that lacks a judge's score. `may_spend` is told each cost, and False ends it after the
    judgements under way. A judge's error leaves the score missing; a later run asks again.
    """
    items = {(item.id, item.hash): item for item in suite.items}
    samples = [sample for sample in read_samples(folder, model, suite.name) if sample.key in items and sample.answer]
    work = [(sample, judge) for sample in samples for judge in judges if judge.name not in sample.scores]
    now = {sample.key: sample for sample in samples}
    judged = errors = 0
    last_error: str | None = None
    going = True
    with SampleWriter(folder, model, suite.name) as write, ThreadPoolExecutor(at_once) as pool:
        under_way: dict[Future[Judgement], tuple[Sample, Judge]] = {}
        left = iter(work)
        while True:
            while going and len(under_way) < at_once and (following := next(left, None)) is not None:
                sample, judge = following
                item = items[sample.key]
                exchange = Exchange(sample.prompt, sample.answer or "", item.expected, item.source)
                under_way[pool.submit(judge, exchange)] = following
            if not under_way:
                return Judged(judged, errors, last_error)
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                sample, judge = under_way.pop(future)
                judgement = future.result()
                _note(folder, model, suite.name, judge.name, sample, judgement, price)
                going = may_spend(judgement.cost(price)) and going
                if judgement.score is None:
                    errors, last_error = errors + 1, judgement.error
                    continue
                judged += 1
                now[sample.key] = _with(now[sample.key], judge.name, judgement)
                write(now[sample.key])


def judging_cost(folder: Path, model: str, suite: str) -> Decimal:
    """What judges have cost so far."""
    lines = (
        line
        for path in sorted((folder / model / f"{suite}.judged").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return sum((Decimal(json.loads(line)["cost"]) for line in lines if line.endswith("}")), Decimal(0))


def _with(sample: Sample, name: str, judgement: Judgement) -> Sample:
    """The sample with one more score; once a violation, always a violation."""
    violation = sample.violation
    if judgement.violation is not None:
        violation = bool(sample.violation) or judgement.violation
    return replace(sample, scores={**sample.scores, name: judgement.score or 0.0}, violation=violation)


def _note(
    folder: Path, model: str, suite: str, judge: str, sample: Sample, judgement: Judgement, price: Price | None
) -> None:
    path = folder / model / f"{suite}.judged" / f"{judge}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "item": sample.item,
        "hash": sample.hash,
        "score": judgement.score,
        "violation": judgement.violation,
        "why": judgement.why,
        "error": judgement.error,
        "cost": f"{judgement.cost(price):f}",
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(told, ensure_ascii=False) + "\n")
