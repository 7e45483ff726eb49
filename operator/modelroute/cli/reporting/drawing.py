"""SVG by hand: axes, areas, bands and bars. Colours are classes, so that the page's style has light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from modelroute.rollout.words import duration

Xy = tuple[float, float]
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)


@dataclass(slots=True)
class Plot:
    """A drawing of times (unix seconds) against values, both linear; `top` is the value of the upper edge."""

    start: float
    end: float
    top: float
    width: int = 860
    height: int = 240
    left: int = 64
    right: int = 14
    above: int = 12
    below: int = 30
    parts: list[str] = field(default_factory=list)

    def x(self, at: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return self.left + min(1.0, max(0.0, share)) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        share = min(1.0, max(0.0, value / self.top))
        return self.height - self.below - share * (self.height - self.above - self.below)

    def axes(self, marks: Sequence[float]) -> None:
        """Values at `marks` as percentages, and times since the start."""
        for mark in marks:
            y = self.y(mark)
            self.parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.width - self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.text(self.left - 8, y + 4, percent(mark), "tick end")
        for after in time_marks(self.end - self.start):
            x = self.x(self.start + after)
            self.parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.above}" y2="{self.height - self.below}"/>'
            )
            self.text(x, self.height - self.below + 18, duration(after) if after else "0", "tick middle")

    def line(self, points: Iterable[Xy], style: str) -> None:
        path = " ".join(f"{self.x(at):.1f},{self.y(value):.1f}" for at, value in points)
        self.parts.append(f'<polyline class="{style}" points="{path}"/>')

    def band(self, lower: Sequence[Xy], upper: Sequence[Xy], style: str) -> None:
        path = " ".join(f"{self.x(at):.1f},{self.y(value):.1f}" for at, value in [*upper, *reversed(lower)])
        self.parts.append(f'<polygon class="{style}" points="{path}"/>')

    def dot(self, at: float, value: float, style: str) -> None:
        self.parts.append(f'<circle class="{style}" cx="{self.x(at):.1f}" cy="{self.y(value):.1f}" r="3.5"/>')

    def upright(self, at: float, style: str) -> None:
        x = self.x(at)
        self.parts.append(
            f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{self.above}" y2="{self.height - self.below}"/>'
        )

    def text(self, x: float, y: float, words: str, style: str) -> None:
        self.parts.append(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>')

    def svg(self, title: str) -> str:
        inside = "\n".join(self.parts)
        return svg(self.width, self.height, title, inside)


def svg(width: int, height: int, title: str, inside: str) -> str:
    """One drawing; `title` is what is read out instead of it."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>\n{inside}\n</svg>"
    )


def percent(share: float) -> str:
    """0.025 → '2.5 %', with as many places as it takes."""
    return f"{100 * share:.3g} %"


def time_marks(span_s: float, most: int = 8) -> list[float]:
    """Seconds after the start that are worth a mark, at most `most` + 1."""
    gap = next((gap for gap in _NICE_SECONDS if span_s / gap <= most), 86_400 * math.ceil(span_s / 86_400 / most))
    return [float(gap * index) for index in range(int(span_s / gap) + 1)]


def value_marks(top: float) -> tuple[float, list[float]]:
    """A round upper edge at or above `top` > 0, and the marks from 0 to it."""
    gap = 10 ** math.floor(math.log10(top / 2))
    gap = next(gap * each for each in (1, 2, 5, 10) if top / (gap * each) <= 5)
    count = math.ceil(top / gap - 1e-9)
    return gap * count, [gap * index for index in range(count + 1)]
