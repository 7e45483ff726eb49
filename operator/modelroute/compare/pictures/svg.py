"""Elements, scales and ticks: what every picture is drawn with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 760.0


def element(tag: str, *inside: str, **attributes: str | float) -> Markup:
    """`element("text", "a < b", x=1, class_="tick")`: escaped unless it is Markup; a last `_` of a name is dropped."""
    told = "".join(f' {_name(name)}="{escape(_number(value))}"' for name, value in attributes.items())
    return Markup(f"<{tag}{told}>{''.join(map(escape, inside))}</{tag}>")  # noqa: S704 - every part is escaped


def drawing(height: float, title: str, parts: Sequence[Markup], *, width: float = WIDTH) -> Markup:
    """A picture that takes the width that there is; `title` is what a screen reader says."""
    return element(
        "svg",
        element("title", title),
        *parts,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str, **attributes: str | float) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_, **attributes)


def text(x: float, y: float, told: str, class_: str = "label", anchor: str = "start", **more: str | float) -> Markup:
    return element("text", told, x=x, y=y, class_=class_, text_anchor=anchor, **more)


def inked(ink: str) -> str:
    """For `style`: a text's colour, which the page's own rule for texts would otherwise set."""
    return f"fill: {ink}"


def polyline(points: Sequence[tuple[float, float]], class_: str, **attributes: str | float) -> Markup:
    told = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return element("polyline", points=told, class_=class_, **attributes)


def short(told: str, width: float) -> str:
    """Cut to what fits into so many pixels."""
    most = int(width / 6.3)
    return told if len(told) <= most else told[: max(most - 1, 1)] + "…"


def colour(index: int) -> str:
    """Of a model, by its place in comparison.yaml."""
    return f"var(--model-{index % 8})"


@dataclass(frozen=True, slots=True)
class Scale:
    """From values `low`..`high` to pixels `start`..`end`; `log` needs `low` above 0. Values beyond stand at the end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within."""
        found = _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high, about)
        return [tick for tick in found if self.low <= tick <= self.high]


def padded(values: Sequence[float], *, part: float = 0.12, floor: float | None = None) -> tuple[float, float]:
    """A range with room around the finite ones of `values`, never below `floor`."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low or abs(high) or 1.0) * part
    return (low - room if floor is None else max(low - room, floor)), high + room


def axis_x(scale: Scale, bottom: float, top: float, label: Callable[[float], str], about: int = 5) -> list[Markup]:
    """Grid lines with their values below."""
    parts = []
    for tick in scale.ticks(about):
        parts += [line(scale(tick), top, scale(tick), bottom, "grid")]
        parts += [text(scale(tick), bottom + 16, label(tick), "tick", "middle")]
    return parts


def axis_y(scale: Scale, left: float, right: float, label: Callable[[float], str], about: int = 5) -> list[Markup]:
    """Grid lines with their values at the left."""
    parts = []
    for tick in scale.ticks(about):
        parts += [line(left, scale(tick), right, scale(tick), "grid")]
        parts += [text(left - 8, scale(tick) + 4, label(tick), "tick", "end")]
    return parts


def _ticks(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / max(about, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= raw - 1e-12)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, first + about * 3) if index * step <= high + 1e-12]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    return [times * 10.0**decade for decade in decades for times in steps]


def _name(name: str) -> str:
    return name if name == "viewBox" else name.rstrip("_").replace("_", "-")


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
