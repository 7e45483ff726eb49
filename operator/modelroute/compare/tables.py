"""The decision in tables of words, which the terminal, Markdown and the page all show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from modelroute.compare.constraints import Outcome, interval_words
from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Measure
from modelroute.compare.intervals import Estimate
from modelroute.compare.paired import Pairing, Standing
from modelroute.compare.quantities import format_amount, format_money, format_points

MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
STANDINGS = {
    Standing.BETTER: "better",
    Standing.NOT_INFERIOR: "not inferior",
    Standing.INFERIOR: "inferior",
    Standing.INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Table:
    """`key` names it for programs; every row is as long as `header`; `remarks` are sentences below it."""

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


def tables(decision: Decision) -> tuple[Table, ...]:
    """In the order in which the decision was made; what cannot be said is left out."""
    return tuple(_tables(decision))


def _tables(decision: Decision) -> Iterator[Table]:
    yield ranking(decision)
    if decision.comparison.constraints:
        yield constraints(decision)
    yield measures(decision)
    yield scores(decision)
    if len(decision.ranking) > 1:
        yield weights(decision)
    if any(alternative.pairing for alternative in decision.alternatives):
        yield pairs(decision)
    if any(alternative.bill for alternative in decision.alternatives):
        yield bills(decision)
    if any(alternative.exchange for alternative in decision.alternatives):
        yield exchanges(decision)


def ranking(decision: Decision) -> Table:
    """Who is first."""
    order = [row.model for row in decision.ranking]
    found = [decision.alternative(name) for name in order]
    found += [alternative for alternative in decision.alternatives if not alternative.eligible]
    return Table(
        "ranking",
        "Ranking",
        ("", "model", "tier", "total", "wins on other items", "front", "constraints"),
        tuple(_ranked(place, alternative) for place, alternative in enumerate(found, start=1)),
    )


def _ranked(place: int, found: Alternative) -> tuple[str, ...]:
    front = "not compared" if not found.eligible else f"behind {', '.join(found.dominated_by)}"
    if found.eligible and not found.dominated_by:
        front = "on it"
    counts = {outcome: sum(checked.outcome is outcome for checked in found.checks) for outcome in Outcome}
    words = {Outcome.PASS: "met", Outcome.FAIL: "broken", Outcome.INCONCLUSIVE: "open"}
    met = ", ".join(f"{count} {words[outcome]}" for outcome, count in counts.items() if count)
    return (
        f"{place}." if found.eligible else "✗",
        found.model.name,
        found.model.tier.value if found.model.tier else "–",
        f"{found.row.total:.3f}" if found.eligible else f"({found.row.total:.3f})",
        f"{found.wins:.0%}".replace("%", " %") if found.eligible else "–",
        front,
        met or "none",
    )


def constraints(decision: Decision) -> Table:
    """Met, broken or open, with a sentence for what is not met."""
    remarks = []
    for alternative in decision.alternatives:
        for checked in alternative.checks:
            if checked.outcome is not Outcome.PASS:
                word = "breaks" if checked.outcome is Outcome.FAIL else "may break"
                remarks.append(f"{alternative.model.name} {word} {checked.constraint.text}: {checked.reason}.")
    return Table(
        "constraints",
        "Constraints",
        ("constraint", *(alternative.model.name for alternative in decision.alternatives)),
        tuple(
            (constraint.text, *(MARKS[each.checks[index].outcome] for each in decision.alternatives))
            for index, constraint in enumerate(decision.comparison.constraints)
        ),
        tuple(remarks),
    )


def measures(decision: Decision) -> Table:
    """What was measured, with intervals."""
    return Table(
        "measures",
        f"Measured ({decision.comparison.confidence:.0%} intervals)".replace("%", " %"),
        ("", *(f"{each.model.name} ({each.samples:,} samples)" for each in decision.alternatives)),
        tuple(
            (str(measure), *(_measured(each.estimates[measure], measure, decision) for each in decision.alternatives))
            for measure in decision.measures
        ),
    )


def _measured(estimate: Estimate, measure: Measure, decision: Decision) -> str:
    if not estimate.known:
        return "not measured"
    currency = decision.comparison.currency
    value = (
        "no answer" if math.isinf(estimate.value) else format_amount(estimate.value, measure.unit, currency=currency)
    )
    if estimate.low == estimate.high:
        return value
    if math.isinf(estimate.high):
        return f"{value} (at least {format_amount(estimate.low, measure.unit, currency=currency)})"
    return f"{value} ({interval_words(estimate, measure.unit, currency='')})"


def scores(decision: Decision) -> Table:
    """The decision matrix."""
    criteria = decision.comparison.criteria
    currency = decision.comparison.currency
    named = []
    for criterion in criteria:
        unit = criterion.measure.unit
        worst, target = (format_amount(end, unit, currency=currency) for end in (criterion.worst, criterion.target))
        named.append(f"{criterion.measure} ×{criterion.weight:g} ({worst} → {target})")
    return Table(
        "scores",
        "Decision matrix (0 at worst, 1 at target)",
        ("model", *named, "total"),
        tuple(
            (each.model.name, *(f"{score:.2f}" for score in each.row.scores), f"{each.row.total:.3f}")
            for each in decision.alternatives
        ),
    )


def weights(decision: Decision) -> Table:
    """How far each weight can move alone before another model wins."""
    rows = []
    for found in decision.sensitivities:
        rows.append((
            str(found.criterion.measure),
            f"{found.criterion.weight:g}",
            "any lower" if found.below is None else f"down to {_weight(found.low_weight)}, then {found.below}",
            "any higher" if found.above is None else f"up to {_weight(found.high_weight)}, then {found.above}",
        ))  # fmt: skip
    return Table(
        "weights",
        f"How far one weight can move before {decision.winner} no longer wins",
        ("criterion", "weight", "lower", "higher"),
        tuple(rows),
    )


def _weight(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def pairs(decision: Decision) -> Table:
    """Each model beside the baseline on the same items."""
    found = [alternative.pairing for alternative in decision.alternatives if alternative.pairing is not None]
    name = str(decision.quality)
    margin = f"{decision.comparison.margin * 100:g} pp"
    return Table(
        "pairs",
        f"{name[:1].upper()}{name[1:]} beside {decision.comparison.baseline}, on the same items (margin {margin})",
        ("model", "items", "difference", "only baseline right", "only model right", "McNemar p", "standing"),
        tuple(map(_paired, found)),
        tuple(f"{pairing.model}: {pairing.reason}." for pairing in found),
    )


def _paired(pairing: Pairing) -> tuple[str, ...]:
    return (
        pairing.model,
        f"{pairing.n:,}",
        f"{format_points(pairing.difference)} ({format_points(pairing.low)} to {format_points(pairing.high)})",
        "–" if pairing.only_baseline is None else str(pairing.only_baseline),
        "–" if pairing.only_model is None else str(pairing.only_model),
        "–" if pairing.p_value is None else f"{pairing.p_value:.3g}",
        STANDINGS[pairing.standing],
    )


def bills(decision: Decision) -> Table:
    """A month of each model."""
    comparison = decision.comparison
    rows = []
    for each in decision.alternatives:
        bill = each.bill
        if bill is None:
            rows.append((each.model.name, *["price unknown"] * 4))
            continue
        mistakes = "not said" if bill.mistakes is None else format_money(bill.mistakes)
        told = (format_money(bill.requests), format_money(bill.hosting), mistakes, format_money(bill.total))
        rows.append((each.model.name, *told))
    volume = f"{comparison.requests_per_day:,.0f} requests a day"
    why = (f"A mistake: {comparison.error_cost.words}.",) if comparison.error_cost else ()
    return Table(
        "bills",
        f"Cost of ownership, {comparison.currency} a month at {volume}",
        ("model", "requests", "hosting", "mistakes", "total"),
        tuple(rows),
        why,
    )


def exchanges(decision: Decision) -> Table:
    """The baseline given up for each of the others."""
    found = [alternative.exchange for alternative in decision.alternatives if alternative.exchange is not None]
    words = {True: "pays", False: "does not pay", None: "open"}
    rows, remarks = [], []
    for each in found:
        rows.append((
            each.model,
            format_money(each.saving.value).replace("-", "−"),
            format_points(each.lost.value),
            format_money(each.mistakes.value).replace("-", "−"),
            _money(each.monthly),
            _money(each.yearly),
            "–" if each.break_even is None else format_points(each.break_even.value).lstrip("+"),
            words[each.pays],
        ))  # fmt: skip
        if each.payback_months is not None:
            remarks.append(f"{each.model}: what the change costs once is back after {each.payback_months:.1f} months.")
    return Table(
        "exchanges",
        f"Instead of {decision.comparison.baseline} ({decision.comparison.currency})",
        (
            "model",
            "saved a query",
            f"{decision.quality} lost",
            "mistakes a query",
            "net a month",
            "net a year",
            "break-even drop",
            "",
        ),
        tuple(rows),
        tuple(remarks),
    )


def _money(estimate: Estimate) -> str:
    value, low, high = (format_money(end).replace("-", "−") for end in (estimate.value, estimate.low, estimate.high))
    return value if estimate.low == estimate.high else f"{value} ({low} to {high})"
