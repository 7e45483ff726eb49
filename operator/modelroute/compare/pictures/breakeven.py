"""What is left a month of a cheaper model's saving, by how much accuracy it loses: nothing, where it breaks even."""

from __future__ import annotations

from markupsafe import Markup

from modelroute.compare.decide import Decision
from modelroute.compare.domain import Unit
from modelroute.compare.ownership import Exchange
from modelroute.compare.pictures import svg
from modelroute.compare.pictures.svg import Scale
from modelroute.compare.quantities import format_points, format_tick

_WIDTH, _HEIGHT = 312.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 298.0, 34.0, 196.0


def draw(decision: Decision) -> list[Markup]:
    """One for each model that there is a break-even of."""
    return [
        _one(decision, alternative.exchange, index)
        for index, alternative in enumerate(decision.alternatives)
        if alternative.exchange is not None and alternative.exchange.break_even is not None
    ]


def _one(decision: Decision, found: Exchange, index: int) -> Markup:
    assert found.break_even is not None, "asked for by the caller"
    lost, even = found.lost, found.break_even.value
    low, high = svg.padded([lost.low, lost.high, even, 0.0])
    # The net is a straight line in the accuracy lost, through what was measured and the break-even point.
    per_month = decision.comparison.requests_per_month or 0.0
    slope = -per_month * (decision.comparison.error_cost.per_error if decision.comparison.error_cost else 0.0)

    def net(at: float) -> float:
        return slope * (at - even)

    x = Scale(low, high, _LEFT, _RIGHT)
    y = Scale(*svg.padded([net(low), net(high), 0.0], part=0.05), _BOTTOM, _TOP)
    ink = svg.colour(index)
    gain, far = y(0) - _TOP, x(even) > (_LEFT + _RIGHT) / 2
    title = f"{found.model} instead of {found.baseline}"
    parts = [
        svg.text(0, 14, svg.short(title, _WIDTH * 0.85), "name", style=svg.inked(ink)),  # names are set in bold
        svg.element("rect", x=_LEFT, y=_TOP, width=_RIGHT - _LEFT, height=gain, class_="kept"),
        *svg.axis_x(x, _BOTTOM, _TOP, lambda tick: f"{tick * 100:.3g} pp", about=4),
        *svg.axis_y(y, _LEFT, _RIGHT, lambda tick: format_tick(tick, Unit.MONEY), about=4),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, "accuracy lost", "axis", "middle"),
        svg.text(_LEFT, _TOP - 6, f"net {decision.comparison.currency} a month", "tick"),
        svg.line(_LEFT, y(0), _RIGHT, y(0), "zero"),
        svg.polyline([(x(low), y(net(low))), (x(high), y(net(high)))], "total", stroke=ink),
        svg.line(x(even), y(0), x(even), _BOTTOM, "bound"),
        svg.text(x(even) + (-5 if far else 5), _BOTTOM - 6, f"breaks even at {format_points(even).lstrip('+')}",
                 "note", "end" if far else "start"),
        svg.line(x(lost.low), y(net(lost.value)), x(lost.high), y(net(lost.value)), "interval", stroke=ink),
        svg.element("circle", cx=x(lost.value), cy=y(net(lost.value)), r=6, class_="point", stroke=ink, fill=ink),
    ]  # fmt: skip
    return svg.drawing(_HEIGHT, f"net a month by accuracy lost, {found.model}", parts, width=_WIDTH)
