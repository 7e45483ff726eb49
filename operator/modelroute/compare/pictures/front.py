"""The Pareto front in its two weightiest criteria, with intervals."""

from __future__ import annotations

import math

from markupsafe import Markup

from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Constraint, Criterion, Unit
from modelroute.compare.pictures import svg
from modelroute.compare.pictures.svg import Scale
from modelroute.compare.quantities import format_tick

_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 74.0, 700.0, 16.0, 320.0, 366.0


def draw(decision: Decision) -> Markup | None:
    """None where there is but one criterion."""
    axes = _axes(decision)
    if axes is None:
        return None
    across, up = axes
    x, y = _scale(decision, across, _LEFT, _RIGHT), _scale(decision, up, _BOTTOM, _TOP)
    parts = [
        *svg.axis_x(x, _BOTTOM, _TOP, lambda tick: format_tick(tick, across.measure.unit)),
        *svg.axis_y(y, _LEFT, _RIGHT, lambda tick: format_tick(tick, up.measure.unit)),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, _axis_name(across, decision), "axis", "middle"),
        svg.text(16, (_TOP + _BOTTOM) / 2, _axis_name(up, decision), "axis", "middle",
                 transform=f"rotate(-90 16 {(_TOP + _BOTTOM) / 2:g})"),
    ]  # fmt: skip
    parts += _bounds(decision, across, up, x, y)
    parts += _front_line(decision, across, up, x, y)
    points = [_place(alternative, axes, x, y) for alternative in decision.alternatives]
    taken = [point for point in points if point is not None]
    for index, (alternative, point) in enumerate(zip(decision.alternatives, points, strict=True)):
        if point is not None:
            parts += _point(alternative, index, axes, x, y)
            parts.append(_label(alternative, index, point, taken))
    return svg.drawing(_HEIGHT, f"{up.measure} against {across.measure} of every model", parts)


def _axes(decision: Decision) -> tuple[Criterion, Criterion] | None:
    """What is better when lower goes across, what is better when higher goes up, by weight."""
    criteria = sorted(decision.comparison.criteria, key=lambda criterion: -criterion.weight)
    if len(criteria) < 2:
        return None
    up = next((each for each in criteria if each.measure.higher_is_better), criteria[0])
    others = [each for each in criteria if each is not up]
    # Money before other things that are better when lower: it is what most fronts are drawn against.
    others.sort(key=lambda each: (each.measure.higher_is_better, each.measure.unit is not Unit.MONEY, -each.weight))
    return others[0], up


def _scale(decision: Decision, criterion: Criterion, start: float, end: float) -> Scale:
    ends = []
    for alternative in decision.alternatives:
        estimate = alternative.estimates[criterion.measure]
        ends += [estimate.value, estimate.low, estimate.high]
    floor = 0.0
    low, high = svg.padded(ends, floor=floor)
    if criterion.measure.unit is Unit.SHARE:
        high = min(high, 1.0)
    return Scale(low, max(high, low + 1e-9), start, end)


def _axis_name(criterion: Criterion, decision: Decision) -> str:
    better = "higher is better" if criterion.measure.higher_is_better else "lower is better"
    unit = f", {decision.comparison.currency}" if criterion.measure.unit is Unit.MONEY else ""
    return f"{criterion.measure}{unit} ({better})"


def _bounds(decision: Decision, across: Criterion, up: Criterion, x: Scale, y: Scale) -> list[Markup]:
    parts = []
    for constraint in decision.comparison.constraints:
        if constraint.measure == across.measure and x.low < constraint.bound < x.high:
            at = x(constraint.bound)
            far = _RIGHT if constraint.operator.wants_low else _LEFT
            parts.append(_shade(min(at, far), _TOP, abs(far - at), _BOTTOM - _TOP))
            parts += [svg.line(at, _TOP, at, _BOTTOM, "bound"), svg.text(at + 4, _TOP + 12, _bound(constraint), "note")]
        if constraint.measure == up.measure and y.low < constraint.bound < y.high:
            at = y(constraint.bound)
            far = _TOP if constraint.operator.wants_low else _BOTTOM
            parts.append(_shade(_LEFT, min(at, far), _RIGHT - _LEFT, abs(far - at)))
            parts += [svg.line(_LEFT, at, _RIGHT, at, "bound")]
            parts += [svg.text(_RIGHT - 4, at - 5, _bound(constraint), "note", "end")]
    return parts


def _shade(x: float, y: float, width: float, height: float) -> Markup:
    return svg.element("rect", x=x, y=y, width=width, height=height, class_="ruled-out")


def _bound(constraint: Constraint) -> str:
    return f"must be {constraint.text.split(' ', 1)[1]}"


def _front_line(decision: Decision, across: Criterion, up: Criterion, x: Scale, y: Scale) -> list[Markup]:
    points = []
    for alternative in decision.alternatives:
        pair = alternative.estimates[across.measure].value, alternative.estimates[up.measure].value
        if alternative.eligible and not alternative.dominated_by and all(map(math.isfinite, pair)):
            points.append((x(pair[0]), y(pair[1])))
    return [svg.polyline(sorted(points), "front")] if len(points) > 1 else []


def _place(found: Alternative, axes: tuple[Criterion, Criterion], x: Scale, y: Scale) -> tuple[float, float] | None:
    across, up = (found.estimates[criterion.measure] for criterion in axes)
    return (x(across.value), y(up.value)) if across.known and up.known else None


def _point(found: Alternative, index: int, axes: tuple[Criterion, Criterion], x: Scale, y: Scale) -> list[Markup]:
    across, up = (found.estimates[criterion.measure] for criterion in axes)
    at, height = x(across.value), y(up.value)
    ink = svg.colour(index)
    state = "point" if found.eligible and not found.dominated_by else "point hollow"
    return [
        svg.line(x(across.low), height, x(across.high), height, "interval", stroke=ink),
        svg.line(at, y(up.low), at, y(up.high), "interval", stroke=ink),
        svg.element("circle", cx=at, cy=height, r=7, class_=state, stroke=ink, fill=ink),
    ]


def _label(found: Alternative, index: int, point: tuple[float, float], taken: list[tuple[float, float]]) -> Markup:
    """Beside the point: in the first of eight places where neither a point nor another label is."""
    why = "" if found.eligible and not found.dominated_by else " (behind)" if found.eligible else " (ruled out)"
    told = found.model.name + why
    width = 7.6 * len(told)
    tries = [(side, drop) for drop in (-9, 18, -24, 33) for side in (11, -11)]
    for side, drop in tries:
        middle = point[0] + side + math.copysign(width / 2, side), point[1] + drop - 4
        if not middle[0] - width / 2 > _LEFT or not middle[0] + width / 2 < _RIGHT + 50:
            continue
        if all(abs(middle[0] - x) > width / 2 + 8 or abs(middle[1] - y) > 14 for x, y in taken):
            break
    # So that the next label keeps away from all of this one.
    taken += [(middle[0] + part * width, middle[1]) for part in (-0.5, -0.25, 0, 0.25, 0.5)]
    place = point[0] + side, point[1] + drop
    anchor = "start" if side > 0 else "end"
    return svg.text(*place, told, "name", anchor, style=svg.inked(svg.colour(index)))
