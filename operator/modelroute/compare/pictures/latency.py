"""How long answers take: a row a model, its distribution on a logarithmic axis, its quantiles with intervals."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from modelroute.compare.decide import Alternative, Decision
from modelroute.compare.domain import Kind, Measure, Unit
from modelroute.compare.measure import quantile_of
from modelroute.compare.pictures import svg
from modelroute.compare.pictures.svg import Scale
from modelroute.compare.quantities import format_amount, format_tick

_LEFT, _RIGHT, _TOP, _ROW = 120.0, 670.0, 26.0, 84.0
_BINS = 44
_SHORTEST = 0.001
"""Seconds: on a logarithmic axis nothing is at 0."""
_SHOWN = (Kind.LATENCY_P50, Kind.LATENCY_P95, Kind.LATENCY_P99)


def draw(decision: Decision) -> Markup | None:
    """None where nobody's latency was measured."""
    seconds = {name: model.column(Measure(Kind.LATENCY_P50)) for name, model in decision.models.items()}
    answered = {name: column[np.isfinite(column)] for name, column in seconds.items()}
    every = [max(float(value), _SHORTEST) for column in answered.values() for value in column]
    if not every:
        return None
    x = Scale(min(every) / 1.15, max(every) * 1.15, _LEFT, _RIGHT, log=True)
    bottom = _TOP + _ROW * len(decision.alternatives)
    parts = svg.axis_x(x, bottom, _TOP, lambda tick: format_tick(tick, Unit.SECONDS))
    for constraint in decision.comparison.constraints:
        if quantile_of(constraint.measure.kind) and not constraint.measure.suite and x.low < constraint.bound < x.high:
            at = x(constraint.bound)
            parts += [
                svg.line(at, _TOP, at, bottom, "bound"),
                svg.text(at, _TOP - 8, constraint.text, "note", "middle"),
            ]
    for index, alternative in enumerate(decision.alternatives):
        name = alternative.model.name
        failed = int(np.isinf(seconds[name]).sum())
        parts += _row(alternative, index, answered[name], x, _TOP + _ROW * (index + 1), failed)
    return svg.drawing(bottom + 26, "how long the answers of every model take", parts)


def _row(
    found: Alternative,
    index: int,
    answered: np.ndarray[tuple[int], np.dtype[np.float64]],
    x: Scale,
    base: float,
    failed: int,
) -> list[Markup]:
    ink = svg.colour(index)
    parts = [svg.text(_LEFT - 10, base - 52, svg.short(found.model.name, _LEFT), "name", "end", style=svg.inked(ink))]
    for line, told in enumerate(_quantile_words(found)):
        parts.append(svg.text(_LEFT - 10, base - 38 + line * 14, told, "tick", "end"))
    if failed:
        parts.append(svg.text(_RIGHT + 6, base - 26, f"{failed} failed", "note"))
    if len(answered) == 0:
        return [*parts, svg.text(_LEFT + 10, base - 26, "no answer", "note")]
    edges = np.geomspace(x.low, x.high, _BINS + 1)
    counts, _ = np.histogram(np.clip(answered, x.low, x.high), edges)
    heights = counts / counts.max() * (_ROW - 36)
    filled = np.flatnonzero(counts)
    points = [(x(float(edges[filled[0]])), base - 18)]
    for at in range(int(filled[0]), int(filled[-1]) + 1):
        height = base - 18 - float(heights[at])
        points += [(x(float(edges[at])), height), (x(float(edges[at + 1])), height)]
    points.append((points[-1][0], base - 18))
    parts.append(svg.polyline(points, "density", stroke=ink, fill=ink))
    for kind in _SHOWN:
        parts += _quantile(found, kind, x, base - 18, ink)
    return parts


def _quantile(found: Alternative, kind: Kind, x: Scale, base: float, ink: str) -> list[Markup]:
    estimate = found.estimates.get(Measure(kind))
    if estimate is None or not estimate.known or math.isinf(estimate.value):
        return []
    at = x(estimate.value)
    # The three intervals lie below one another where they overlap.
    depth = 5 + 4 * _SHOWN.index(kind)
    return [
        svg.line(x(max(estimate.low, x.low)), base + depth, x(estimate.high), base + depth, "interval", stroke=ink),
        svg.line(at, base - 10, at, base + depth + 3, "quantile", stroke=ink),
    ]


def _quantile_words(found: Alternative) -> list[str]:
    told = []
    for kind in _SHOWN:
        estimate = found.estimates.get(Measure(kind))
        if estimate is not None and estimate.known:
            seconds = "no answer" if math.isinf(estimate.value) else format_amount(estimate.value, Unit.SECONDS)
            told.append(f"{kind.value.removeprefix('latency').lower()} {seconds}")
    return told
