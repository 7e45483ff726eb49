"""From results to a decision: constraints first, then the front, then the matrix, and how sure all that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from modelroute.compare import fit, matrix, ownership, paired
from modelroute.compare.constraints import Checked, Outcome, check
from modelroute.compare.domain import Comparison, Kind, Measure, Model
from modelroute.compare.examples import Example, worst
from modelroute.compare.intervals import Estimate
from modelroute.compare.matrix import Row
from modelroute.compare.measure import ACCURACY, Measured, measured
from modelroute.compare.ownership import Bill, Exchange
from modelroute.compare.paired import Pairing
from modelroute.compare.results import Results
from modelroute.compare.robustness import share_of_wins
from modelroute.compare.sensitivity import Sensitivity, sensitivities

SURE: Final = 0.9
"""Of resamples that a winner wins; below it the reader is told."""
_ALWAYS_SHOWN: Final = (
    ACCURACY,
    Measure(Kind.LATENCY_P50),
    Measure(Kind.LATENCY_P95),
    Measure(Kind.LATENCY_P99),
    Measure(Kind.FIRST_TOKEN_P50),
    Measure(Kind.FIRST_TOKEN_P95),
    Measure(Kind.FIRST_TOKEN_P99),
    Measure(Kind.INPUT_TOKENS),
    Measure(Kind.OUTPUT_TOKENS),
    Measure(Kind.COST_PER_INTERACTION),
    Measure(Kind.SAFETY_VIOLATION_RATE),
    Measure(Kind.ERROR_RATE),
    Measure(Kind.REFUSAL_RATE),
)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One model and all that was found about it. `wins` is the share of resamples of the items in which it wins among
    the eligible, 0 where it is not one. `exchange` and `pairing` are None for the baseline, and where nothing can be
    said.
    """

    model: Model
    samples: int
    estimates: Mapping[Measure, Estimate]
    checks: tuple[Checked, ...]
    row: Row
    dominated_by: tuple[str, ...]
    wins: float
    bill: Bill | None
    exchange: Exchange | None
    pairing: Pairing | None

    @property
    def eligible(self) -> bool:
        """No constraint is shown to be broken."""
        return all(checked.outcome is not Outcome.FAIL for checked in self.checks)


@dataclass(frozen=True, slots=True)
class Decision:
    """`alternatives` in the order of comparison.yaml; `ranking` holds the eligible ones, the best first; `winner` is
    None where a constraint rules out every model. `caveats` are sentences about the decision, `notes` about results.
    """

    comparison: Comparison
    measures: tuple[Measure, ...]
    models: Mapping[str, Measured]
    alternatives: tuple[Alternative, ...]
    ranking: tuple[Row, ...]
    winner: str | None
    sensitivities: tuple[Sensitivity, ...]
    headline: str
    caveats: tuple[str, ...]
    notes: tuple[str, ...]
    examples: tuple[Example, ...]
    tool: Mapping[str, str]

    @property
    def quality(self) -> Measure:
        """What good answers are told by: accuracy, or the weightiest score."""
        return self.models[self.comparison.baseline].quality

    def alternative(self, name: str) -> Alternative:
        """The alternative of that name. Raises KeyError."""
        for alternative in self.alternatives:
            if alternative.model.name == name:
                return alternative
        raise KeyError(name)


def decide(comparison: Comparison, results: Results) -> Decision:
    """The same inputs give the same decision, to the last digit. Raises Invalid where the results do not fit."""
    fit.check_fit(comparison, results.manifest)
    models = measured(comparison, results)
    alternatives = _alternatives(comparison, models)
    eligible = [alternative.model.name for alternative in alternatives if alternative.eligible]
    values = {name: _values(comparison, models[name]) for name in eligible}
    ranking = matrix.rank(values, comparison.criteria)
    winner = ranking[0].model if ranking else None
    moves = sensitivities(ranking, comparison.criteria) if ranking else ()
    return Decision(
        comparison=comparison,
        measures=_shown(comparison, models),
        models=models,
        alternatives=alternatives,
        ranking=ranking,
        winner=winner,
        sensitivities=moves,
        headline=_headline(comparison, alternatives, ranking),
        caveats=tuple(_caveats(comparison, alternatives, winner, models[comparison.baseline].quality)),
        notes=fit.notes(comparison, results),
        examples=worst(models, winner or comparison.baseline),
        tool=results.manifest.tool,
    )


def _alternatives(comparison: Comparison, models: Mapping[str, Measured]) -> tuple[Alternative, ...]:
    values = {name: _values(comparison, model) for name, model in models.items()}
    rows = {row.model: row for row in matrix.rank(values, comparison.criteria)}
    checks = {
        name: tuple(check(model, constraint, currency=comparison.currency) for constraint in comparison.constraints)
        for name, model in models.items()
    }
    eligible = {
        name: model
        for name, model in models.items()
        if all(checked.outcome is not Outcome.FAIL for checked in checks[name])
    }
    wins = share_of_wins(eligible, comparison.criteria, seed=comparison.seed) if eligible else {}
    # What a constraint rules out takes nobody's place on the front either.
    dominated = matrix.dominated_by({name: values[name] for name in eligible}, comparison.criteria)
    baseline = models[comparison.baseline]
    shown = _shown(comparison, models)
    return tuple(
        Alternative(
            model=model.model,
            samples=len(model.entries),
            estimates={measure: model.estimate(measure) for measure in shown},
            checks=checks[name],
            row=rows[name],
            dominated_by=dominated.get(name, ()),
            wins=wins.get(name, 0.0),
            bill=ownership.bill(model, comparison),
            exchange=None if model is baseline else ownership.exchange(model, baseline, comparison),
            pairing=None if model is baseline else paired.pair(model, baseline, margin=comparison.margin),
        )
        for name, model in models.items()
    )


def _values(comparison: Comparison, model: Measured) -> tuple[float, ...]:
    return tuple(model.estimate(criterion.measure).value for criterion in comparison.criteria)


def _shown(comparison: Comparison, models: Mapping[str, Measured]) -> tuple[Measure, ...]:
    """What decides, then what is always worth a look and was measured of somebody."""
    asked = [criterion.measure for criterion in comparison.criteria]
    asked += [constraint.measure for constraint in comparison.constraints]
    more = [measure for measure in _ALWAYS_SHOWN if any(model.estimate(measure).known for model in models.values())]
    return tuple(dict.fromkeys([*asked, *more]))


def _headline(comparison: Comparison, alternatives: tuple[Alternative, ...], ranking: tuple[Row, ...]) -> str:
    if not ranking:
        return "No model meets the constraints."
    best = ranking[0].total
    # As many digits as tell the first from the second.
    digits = next((n for n in (2, 3, 4) if len({f"{row.total:.{n}f}" for row in ranking[:2]}) == 2), 2)
    first = f"{ranking[0].model} scores {best:.{digits}f} of 1"
    out = [alternative.model.name for alternative in alternatives if not alternative.eligible]
    ruled = f"; {_list(out)} {'is' if len(out) == 1 else 'are'} ruled out by a constraint" if out else ""
    if len(ranking) == 1:
        return f"{first}, and is the only model left{ruled}."
    second = next(each for each in alternatives if each.model.name == ranking[1].model)
    lacks = _unmeasured(comparison, second)
    counted = f" ({_list(lacks)} not measured, and counted as 0)" if lacks else ""
    if f"{best:.4f}" == f"{second.row.total:.4f}":
        return f"{first}, and so does {second.model.name}{counted}: nothing here tells them apart{ruled}."
    return f"{first}, ahead of {second.model.name} with {second.row.total:.{digits}f}{counted}{ruled}."


def _unmeasured(comparison: Comparison, found: Alternative) -> list[str]:
    """Criteria that weigh something, and of which nothing is known."""
    weighed = [criterion.measure for criterion in comparison.criteria if criterion.weight > 0]
    return [str(measure) for measure in weighed if not found.estimates[measure].known]


def _caveats(
    comparison: Comparison, alternatives: tuple[Alternative, ...], winner: str | None, quality: Measure
) -> Iterator[str]:
    for alternative in alternatives:
        if alternative.model.name != winner:
            continue
        if lacks := _unmeasured(comparison, alternative):
            yield f"Of {winner} itself {_list(lacks)} was not measured, and counts as 0."
        for checked in alternative.checks:
            if checked.outcome is Outcome.INCONCLUSIVE:
                yield f"Whether {winner} meets {checked.constraint.text} is open: {checked.reason}."
        if alternative.wins < SURE:
            times = f"{alternative.wins * 100:.0f} times of 100"
            yield f"With other items of the same kind {winner} would win {times} only."
        pairing, exchange = alternative.pairing, alternative.exchange
        if pairing is not None and pairing.standing in (paired.Standing.INFERIOR, paired.Standing.INCONCLUSIVE):
            yield f"The {quality} of {winner} beside {pairing.baseline}: {pairing.reason}."
        if exchange is not None and exchange.pays is False:
            yield f"What its mistakes cost is more than {winner} saves beside {exchange.baseline}."
        if exchange is not None and exchange.pays is None:
            yield f"Whether {winner} pays beside {exchange.baseline} after what its mistakes cost is open."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
