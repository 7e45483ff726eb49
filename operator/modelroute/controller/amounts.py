"""What a request takes on average: tokens, or what they cost, of each candidate beside its reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

from modelroute.analysis.design import Comparison
from modelroute.api.objectives import AMOUNTS, Metric, Objective
from modelroute.api.quantities import format_money, parse_money
from modelroute.api.routing import Model, Price
from modelroute.api.status import Amount
from modelroute.rollout.attempt import Record
from modelroute.rollout.evidence import Tokens

TOKENS = "tokens"
_SHOWN = Context(prec=4)
"""Four digits of a price of a request say all that there is to say."""


def amounts_of(record: Record, objectives: Iterable[Objective], models: Sequence[Model]) -> list[Amount] | None:
    """An entry for each objective that is an amount and each candidate; None where there is none.

    Prices are those of `models` as they are now, by the arm's model: a new price starts no rollout.
    """
    told = _Told(record, models)
    wanted = [each for each in objectives if each.metric in AMOUNTS]
    return [told.amount(each, pair) for each in wanted for pair in record.attempt.design.comparisons] or None


class _Told:
    """Amounts of one attempt, and the words for them."""

    def __init__(self, record: Record, models: Sequence[Model]) -> None:
        self._progress = record.progress
        prices = {model.name: model.price for model in models}
        self._prices = {arm.name: prices.get(arm.model) for arm in record.attempt.arms}

    def amount(self, objective: Objective, pair: Comparison) -> Amount:
        costs = objective.metric is Metric.COST_PER_REQUEST
        mine = self._of(pair.candidate, costs=costs)
        theirs = None if pair.reference is None else self._of(pair.reference, costs=costs)
        price = self._prices.get(pair.candidate)
        unit = (price.currency if price is not None else "") if costs else TOKENS
        return Amount(
            name=objective.name,
            candidate=pair.candidate,
            reference=pair.reference,
            unit=unit or None,
            candidate_amount=None if mine is None else _text(mine, costs=costs),
            reference_amount=None if theirs is None else _text(theirs, costs=costs),
            ratio=f"{mine / theirs:.2f}" if mine is not None and theirs else None,
            candidate_requests=self._requests(pair.candidate),
            reference_requests=None if pair.reference is None else self._requests(pair.reference),
            message=self._in_words(objective, pair, mine, theirs, unit),
        )

    def _of(self, arm: str, *, costs: bool) -> Decimal | None:
        tokens = self._progress.tokens.get(arm)
        if tokens is None or not tokens.requests:
            return None
        price = self._prices.get(arm)
        if costs and price is None:
            return None
        whole = _cost(tokens, price) if costs and price is not None else _exact(tokens.read) + _exact(tokens.generated)
        return whole / _exact(tokens.requests)

    def _requests(self, arm: str) -> int:
        tokens = self._progress.tokens.get(arm)
        return 0 if tokens is None else round(tokens.requests)

    def _in_words(
        self, objective: Objective, pair: Comparison, mine: Decimal | None, theirs: Decimal | None, unit: str
    ) -> str:
        costs = objective.metric is Metric.COST_PER_REQUEST
        if mine is None:
            return self._why_not(objective, pair.candidate, costs=costs)
        verb = "costs" if costs else "takes"
        told = f"{pair.candidate} {verb} {_text(mine, costs=costs)} {unit} per request{self._parts(pair, costs=costs)}"
        if pair.reference is None:
            return told
        if theirs is None:
            return f"{told}; {self._why_not(objective, pair.reference, costs=costs)}"
        if not theirs:
            return f"{told}, and {pair.reference} none"
        return f"{told}, {mine / theirs:.2f} times the {_text(theirs, costs=costs)} of {pair.reference}"

    def _parts(self, pair: Comparison, *, costs: bool) -> str:
        tokens = self._progress.tokens[pair.candidate]
        if costs:
            return ""
        read, generated = (_exact(each) / _exact(tokens.requests) for each in (tokens.read, tokens.generated))
        return f" ({_text(read, costs=False)} read, {_text(generated, costs=False)} generated)"

    def _why_not(self, objective: Objective, arm: str, *, costs: bool) -> str:
        if costs and self._prices.get(arm) is None:
            return f"{arm} has no price in spec.models, so its cost is not known"
        unknown = (each for each in self._progress.unknown if (each.objective, each.arm) == (objective.name, arm))
        why = next(unknown, None)
        return f"nothing was counted of {arm} yet" + (f": {why.message}" if why is not None else "")


def _cost(tokens: Tokens, price: Price) -> Decimal:
    read = _exact(tokens.read) * parse_money(price.input_per_million_tokens)
    return (read + _exact(tokens.generated) * parse_money(price.output_per_million_tokens)) / 1_000_000


def _exact(count: float) -> Decimal:
    """Counts are whole up to 2⁵³, and are taken for what they are."""
    return Decimal(count)


def _text(amount: Decimal, *, costs: bool) -> str:
    return format_money(_SHOWN.plus(amount)) if costs else f"{amount:.1f}"
