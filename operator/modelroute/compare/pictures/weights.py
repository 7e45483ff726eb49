"""What becomes of the totals as one weight goes from nothing to everything: a small picture a criterion."""

from __future__ import annotations

from markupsafe import Markup

from modelroute.compare.decide import Decision
from modelroute.compare.pictures import svg
from modelroute.compare.pictures.svg import Scale
from modelroute.compare.sensitivity import Sensitivity

_WIDTH, _HEIGHT = 312.0, 226.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 232.0, 38.0, 182.0
_NAME = 170.0  # names are set in bold, so fewer letters fit, and the weight stands beside


def draw(decision: Decision) -> list[Markup]:
    """Empty where there is nobody to lose to."""
    if len(decision.ranking) < 2:
        return []
    return [_one(decision, found) for found in decision.sensitivities]


def _one(decision: Decision, found: Sensitivity) -> Markup:
    x, y = Scale(0, 1, _LEFT, _RIGHT), _heights(found)
    places = {alternative.model.name: index for index, alternative in enumerate(decision.alternatives)}
    kept = x(found.high) - x(found.low)
    parts = [
        svg.text(
            0, 14, svg.short(str(found.criterion.measure), _NAME) + f" (weight {found.criterion.weight:g})", "name"
        ),
        svg.element("rect", x=x(found.low), y=_TOP, width=kept, height=_BOTTOM - _TOP, class_="kept"),
        *svg.axis_x(x, _BOTTOM, _TOP, lambda tick: f"{tick * 100:g} %", about=4),
        *svg.axis_y(y, _LEFT, _RIGHT, lambda tick: f"{tick:g}", about=4),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, "part of all weights", "axis", "middle"),
    ]
    for line in found.lines:
        ends = [(x(0), y(line.at_zero)), (x(1), y(line.at_one))]
        state = "total" if line.model == decision.winner else "total thin"
        parts.append(svg.polyline(ends, state, stroke=svg.colour(places[line.model])))
    at = x(found.share)
    parts += [svg.line(at, _TOP, at, _BOTTOM, "now"), svg.text(at, _TOP - 4, "now", "note", "middle")]
    return svg.drawing(
        _HEIGHT, f"totals by the weight of {found.criterion.measure}", parts + _names(found, places), width=_WIDTH
    )


def _heights(found: Sensitivity) -> Scale:
    low, high = svg.padded([end for line in found.lines for end in (line.at_zero, line.at_one)], floor=0.0)
    return Scale(low, min(high, 1.0) if high - low > 1e-6 else low + 1.0, _BOTTOM, _TOP)


def _names(found: Sensitivity, places: dict[str, int]) -> list[Markup]:
    """At the right ends of the lines, moved apart where they would lie on one another."""
    y = _heights(found)
    order = sorted(found.lines, key=lambda line: -line.at_one)
    parts, last = [], -100.0
    for line in order:
        height = max(min(y(line.at_one) + 4, _BOTTOM), last + 13)
        last = height
        ink = svg.colour(places[line.model])
        parts.append(
            svg.text(_RIGHT + 5, height, svg.short(line.model, _WIDTH - _RIGHT), "line-name", style=svg.inked(ink))
        )
    return parts
