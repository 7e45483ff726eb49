"""The decision matrix as a heat map: a column is as wide as its criterion's weight, so that colour times width is what
a model gets for it.
"""

from __future__ import annotations

import math
import re

from markupsafe import Markup

from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Criterion, Unit
from modelroute.compare.pictures import svg
from modelroute.compare.quantities import format_amount, format_tick

_LEFT, _MATRIX_END, _TOTAL, _TOP, _ROW = 120.0, 600.0, 616.0, 76.0, 52.0
_LEAST_WIDTH = 84.0


def draw(decision: Decision) -> Markup:
    """Rows in the order of the ranking; what is ruled out comes last, and pale."""
    criteria = decision.comparison.criteria
    widths = _widths([criterion.weight for criterion in criteria])
    parts = []
    x = _LEFT
    for criterion, width in zip(criteria, widths, strict=True):
        parts += _head(criterion, x, width, decision)
        x += width
    parts.append(svg.text(_TOTAL, _TOP - 24, "total", "name"))
    order = [decision.alternative(row.model) for row in decision.ranking]
    order += [each for each in decision.alternatives if not each.eligible]
    for place, found in enumerate(order):
        parts += _row(found, _TOP + place * _ROW, widths, decision)
    return svg.drawing(
        _TOP + len(order) * _ROW + 8, "decision matrix: the score of every model in every criterion", parts
    )


def _widths(weights: list[float]) -> list[float]:
    """By weight, but wide enough to be read."""
    room = _MATRIX_END - _LEFT
    least = min(_LEAST_WIDTH, room / len(weights))
    spare = room - least * len(weights)
    return [least + spare * weight / math.fsum(weights) for weight in weights]


def _head(criterion: Criterion, x: float, width: float, decision: Decision) -> list[Markup]:
    unit, currency = criterion.measure.unit, decision.comparison.currency
    ends = " → ".join(format_tick(end, unit) for end in (criterion.worst, criterion.target))
    money = f" {currency}" if unit is Unit.MONEY else ""
    lines = _broken(str(criterion.measure), width)
    return [
        *(
            svg.text(x + width / 2, _TOP - 38 - 15 * (len(lines) - 1 - at), svg.short(line, width), "name", "middle")
            for at, line in enumerate(lines)
        ),
        svg.text(x + width / 2, _TOP - 23, f"weight {criterion.weight:g}", "tick", "middle"),
        svg.text(x + width / 2, _TOP - 8, svg.short(ends + money, width), "tick", "middle"),
    ]


def _broken(name: str, width: float) -> list[str]:
    """A name in two lines where one is too long, broken before a capital, or after a dot or an @."""
    if 7.6 * len(name) <= width:
        return [name]
    places = [match.start() for match in re.finditer(r"(?<=[a-z])(?=[A-Z])|(?<=[.@])", name)]
    if not places:
        return [name]
    at = min(places, key=lambda place: abs(place - len(name) / 2))
    return [name[:at], name[at:]]


def _row(found: Alternative, y: float, widths: list[float], decision: Decision) -> list[Markup]:
    index = decision.alternatives.index(found)
    parts = [
        svg.text(
            _LEFT - 10,
            y + _ROW / 2 + 4,
            svg.short(found.model.name, _LEFT),
            "name",
            "end",
            style=svg.inked(svg.colour(index)),
        )
    ]
    x = _LEFT
    for criterion, score, width in zip(decision.comparison.criteria, found.row.scores, widths, strict=True):
        value = found.estimates[criterion.measure].value
        told = "no answer" if math.isinf(value) else format_amount(value, criterion.measure.unit)
        ink = " on-dark" if score > 0.55 and found.eligible else ""
        parts += [
            svg.element("rect", x=x + 1, y=y + 1, width=width - 2, height=_ROW - 2, rx=3, class_="cell-back"),
            svg.element("rect", x=x + 1, y=y + 1, width=width - 2, height=_ROW - 2, rx=3, class_="cell",
                        fill_opacity=0.06 + 0.94 * score),
            svg.text(x + width / 2, y + _ROW / 2 - 2, f"{score:.2f}", f"cell-score{ink}", "middle"),
            svg.text(x + width / 2, y + _ROW / 2 + 15, svg.short(told, width), f"cell-value{ink}", "middle"),
        ]  # fmt: skip
        x += width
    bar = 100 * found.row.total
    parts += [
        svg.element("rect", x=_TOTAL, y=y + 14, width=100, height=_ROW - 28, rx=3, class_="cell-back"),
        svg.element("rect", x=_TOTAL, y=y + 14, width=bar, height=_ROW - 28, rx=3, fill=svg.colour(index)),
        svg.text(_TOTAL + 106, y + _ROW / 2 + 4, f"{found.row.total:.2f}", "name"),
    ]
    if found.eligible:
        return parts
    return [svg.element("g", *parts, svg.text(_TOTAL, y + 10, "ruled out", "note"), class_="pale")]
