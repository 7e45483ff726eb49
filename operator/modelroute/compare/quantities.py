"""Measures, bounds and constraints, as people write them in comparison.yaml and read them in a report."""

from __future__ import annotations

import math
import re
from typing import assert_never

from modelroute.api.quantities import parse_duration, parse_money, parse_percent
from modelroute.compare.domain import Constraint, Kind, Measure, Operator, Unit
from modelroute.errors import Invalid

_MEASURE = re.compile(r"(?P<name>[A-Za-z0-9]+)(\.(?P<score>[A-Za-z][A-Za-z0-9_-]*))?(@(?P<suite>[a-z0-9-]+))?")
_CONSTRAINT = re.compile(r"\s*(?P<measure>\S+?)\s*(?P<operator><=|>=|<|>)\s*(?P<bound>.+?)\s*")


def parse_measure(text: str, *, suites: tuple[str, ...], field: str) -> Measure:
    """`latencyP95`, `score.rougeL`, `accuracy@negation` → a Measure. Raises Invalid."""
    found = _MEASURE.fullmatch(text)
    names = [kind.value for kind in Kind if kind is not Kind.SCORE]
    if found is None or found["name"] not in (*names, "score"):
        raise Invalid(f"{text!r} is not measured: use one of {', '.join(names)} or score.NAME", field=field)
    if (found["name"] == "score") != bool(found["score"]):
        raise Invalid(f"{text!r}: a score is written with its name, for example score.rougeL", field=field)
    if found["suite"] and found["suite"] not in suites:
        raise Invalid(f"no suite is called {found['suite']!r}: use one of {', '.join(suites)}", field=field)
    kind = Kind(found["name"])
    score = "accuracy" if kind is Kind.ACCURACY else found["score"] or ""
    return Measure(kind, score, found["suite"] or "")


def parse_amount(text: object, unit: Unit, *, currency: str, field: str) -> float:
    """`2s`, `95%`, `0.01` or `0.01 USD` → a number in the unit. Raises Invalid."""
    if not isinstance(text, str):
        raise Invalid(f"{text!r} has no unit: {_spelling(unit, currency)}", field=field)
    match unit:
        case Unit.SHARE:
            return parse_percent(text, field=field)
        case Unit.SECONDS:
            # GEP-2257 durations have no fractions; people write 0.5s.
            fraction = re.fullmatch(r"([0-9]{1,5}\.[0-9]{1,6})(s|ms)", text)
            if fraction:
                return float(fraction[1]) / (1000 if fraction[2] == "ms" else 1)
            return parse_duration(text, field=field)
        case Unit.MONEY:
            amount, _, code = text.partition(" ")
            if code and code != currency:
                said = f"{code!r} is not the comparison's currency, {currency}: give all amounts in one currency"
                raise Invalid(said, field=field)
            return float(parse_money(amount, field=field))
        case Unit.TOKENS:
            if not re.fullmatch(r"[0-9]{1,9}", text):
                raise Invalid(f"{text!r} is not a number of tokens: {_spelling(unit, currency)}", field=field)
            return float(text)
        case _:
            assert_never(unit)


def parse_constraint(text: str, *, suites: tuple[str, ...], currency: str, field: str) -> Constraint:
    """`latencyP95 < 2s` → a Constraint. Raises Invalid."""
    found = _CONSTRAINT.fullmatch(text)
    if found is None:
        raise Invalid(f"{text!r} is not a constraint: write, for example, latencyP95 < 2s", field=field)
    measure = parse_measure(found["measure"], suites=suites, field=field)
    operator = Operator(found["operator"])
    if operator.wants_low == measure.higher_is_better:
        better, sign = ("higher", ">=") if measure.higher_is_better else ("lower", "<")
        raise Invalid(f"{measure} is better when {better}: write {measure} {sign} {found['bound']}", field=field)
    bound = parse_amount(found["bound"], measure.unit, currency=currency, field=field)
    return Constraint(measure, operator, bound, f"{measure} {operator.value} {found['bound']}")


def format_amount(value: float, unit: Unit, *, currency: str = "") -> str:
    """For people: 0.953 → `95.3 %`, 0.8124 s → `812 ms`, money with as many places as it takes to see it."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "unbounded"
    match unit:
        case Unit.SHARE:
            return f"{value * 100:.{1 if abs(value) >= 0.01 or value == 0 else 2}f} %"
        case Unit.SECONDS:
            return f"{value:.2f} s" if abs(value) >= 1 else f"{value * 1000:.0f} ms"
        case Unit.MONEY:
            return format_money(value, currency)
        case Unit.TOKENS:
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
        case _:
            assert_never(unit)


def format_money(value: float, currency: str = "") -> str:
    """1234.5 → `1,234 USD`, 12.5 → `12.50 USD`, 0.000123 → `0.000123 USD`: three significant digits below one."""
    size = abs(value)
    if size >= 100:
        text = f"{value:,.0f}"
    elif size >= 1 or size == 0:
        text = f"{value:,.2f}"
    else:
        text = f"{value:.{min(2 - math.floor(math.log10(size)), 9)}f}"
    return f"{text} {currency}".strip()


def format_points(difference: float) -> str:
    """-0.031 → `−3.1 pp`."""
    return f"{difference * 100:+.1f} pp".replace("-", "−")


def _spelling(unit: Unit, currency: str) -> str:
    match unit:
        case Unit.SHARE:
            return "write a percentage, for example 95%"
        case Unit.SECONDS:
            return "write a duration, for example 2s or 500ms"
        case Unit.MONEY:
            return f'write an amount, quoted, for example "0.01" or 0.01 {currency}'
        case Unit.TOKENS:
            return 'write a number of tokens, quoted, for example "200"'
        case _:
            assert_never(unit)


def format_tick(value: float, unit: Unit) -> str:
    """Short, for an axis: 0.9 → `90 %`, 0.25 s → `250 ms`."""
    match unit:
        case Unit.SHARE:
            return f"{value * 100:.3g} %"
        case Unit.SECONDS:
            return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
        case Unit.MONEY:
            return (f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")
        case Unit.TOKENS:
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        case _:
            assert_never(unit)
