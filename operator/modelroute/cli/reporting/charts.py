"""The drawings of the page: the split over time, the rates with their bands, the evidence against what decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from modelroute.api.fields import parse_instant
from modelroute.api.objectives import OnBreach
from modelroute.api.resources import ModelRollout
from modelroute.cli.reporting.drawing import Plot, percent, svg, value_marks
from modelroute.cli.reporting.story import Course, Story
from modelroute.cli.words import evidence_parts

HUES = 8


def hues(rollout: ModelRollout) -> dict[str, int]:
    """The number of each arm's colour, the same in all drawings."""
    return {arm.name: index % HUES for index, arm in enumerate(rollout.spec.arms)}


def split_chart(story: Story, rollout: ModelRollout) -> str:
    """The live split over time, stacked to 100 %."""
    plot = Plot(story.start, story.end, top=1.0, height=220)
    floor = [0.0 for _ in story.stretches]
    for arm, hue in hues(rollout).items():
        ceiling = [low + each.shares.get(arm, 0.0) for low, each in zip(floor, story.stretches, strict=True)]
        lower = [(at, low) for low, each in zip(floor, story.stretches, strict=True) for at in (each.start, each.end)]
        upper = [
            (at, high) for high, each in zip(ceiling, story.stretches, strict=True) for at in (each.start, each.end)
        ]
        plot.band(lower, upper, f"area hue{hue}")
        floor = ceiling
    plot.axes([0.0, 0.25, 0.5, 0.75, 1.0])
    for stretch in story.stretches:
        plot.upright(stretch.start, "moment")
        room = plot.x(stretch.end) - plot.x(stretch.start)
        if room > 7 * len(stretch.label):
            plot.text(plot.x(stretch.start) + 5, plot.above + 14, stretch.label, "label")
    _decided(plot, rollout, plot.height - plot.below - 6)
    return plot.svg("The live split over time")


def rate_chart(course: Course, story: Story, rollout: ModelRollout) -> str:
    """Both rates since the attempt began, each in the band that it lies in at every look at once."""
    plot = Plot(story.start, story.end, top=1.0)
    plot.top, marks = value_marks(_top(course))
    plot.axes(marks)
    colours = hues(rollout)
    for arm, points in course.points.items():
        style = f"hue{colours.get(arm, 0)}"
        lower = [(each.at, each.interval.low) for each in points]
        upper = [(each.at, each.interval.high) for each in points]
        plot.band(lower, upper, f"band {style}")
        plot.line(
            [(each.at, each.rate) for each in points], f"rate {style}{'' if arm == course.candidate else ' other'}"
        )
        plot.dot(points[-1].at, points[-1].rate, f"dot {style}")
    if course.allowed:
        plot.line(course.allowed, "allowed")
    if course.limit is not None and course.limit <= plot.top:
        plot.line([(story.start, course.limit), (story.end, course.limit)], "limit")
    _decided(plot, rollout, plot.above + 12)
    return plot.svg(f"Rates of {course.objective} over time")


def _decided(plot: Plot, rollout: ModelRollout, y: float) -> None:
    """Mark when the outcome was decided, with the word at height `y`."""
    if rollout.status.decided_at is None:
        return
    at = parse_instant(rollout.status.decided_at)
    plot.upright(at, "decided")
    near_end = plot.x(at) > plot.width - 90
    plot.text(plot.x(at) + (-5 if near_end else 5), y, "decided", f"label{' end' if near_end else ''}")


def _top(course: Course) -> float:
    """High enough for all that matters: the bands where they have narrowed, and what is allowed."""
    settled = [points[len(points) // 3 :] for points in course.points.values()]
    bands = [each.interval.high for points in settled for each in points]
    rates = [each.rate for points in course.points.values() for each in points]
    allowed = [value for _, value in course.allowed]
    limit = [] if course.limit is None else [course.limit * 1.05]
    return min(1.0, max([*bands, *rates, *allowed, *limit, 0.001]))


@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    weight: float
    told: str


def evidence_chart(rollout: ModelRollout) -> str:
    """A bar for each objective and candidate on a scale of powers of ten, and one for those that roll back together."""
    bars, limit = _bars(rollout)
    if not bars:
        return ""
    low, high = -1.0, max(math.log10(limit) + 1, *(min(6.0, math.log10(max(each.weight, 0.1))) for each in bars))
    width, left, right, above, row = 860, 210, 150, 24, 34
    height = above + row * len(bars) + 30

    def x(weight: float) -> float:
        share = (math.log10(max(weight, 0.1)) - low) / (high - low)
        return left + min(1.0, share) * (width - left - right)

    parts = []
    for power in range(-1, math.floor(high) + 1):
        at = x(10.0**power)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{above}" y2="{height - 28}"/>')
        parts.append(f'<text class="tick middle" x="{at:.1f}" y="{height - 12}">{10.0**power:,.7g}</text>')
    for index, bar in enumerate(bars):
        y = above + 4 + row * index
        kind = "harm" if bar.weight >= limit else "leaning" if bar.weight >= math.sqrt(limit) else "calm"
        size = max(1.5, x(bar.weight) - left)
        parts.append(f'<text class="name end" x="{left - 10}" y="{y + 15}">{escape(bar.name)}</text>')
        parts.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{size:.1f}" height="20" rx="3"/>')
        parts.append(f'<text class="label" x="{left + size + 8:.1f}" y="{y + 15}">{escape(bar.told)}</text>')
    at = x(limit)
    parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{above - 8}" y2="{height - 28}"/>')
    parts.append(f'<text class="label middle" x="{at:.1f}" y="{above - 12}">{limit:g} decides</text>')
    return svg(width, height, "Evidence of harm against the weight that decides", "\n".join(parts))


def _bars(rollout: ModelRollout) -> tuple[list[_Bar], float]:
    """The bars, and the weight that decides; nothing where nothing was weighed."""
    actions = {objective.name: objective.on_breach for objective in rollout.spec.objectives}
    bars, limit, together = [], 0.0, []
    for entry in rollout.status.objectives or ():
        weighed = evidence_parts(entry.evidence)
        if weighed is None:
            continue
        weight, limit = weighed
        told = (entry.evidence or "").partition(" of ")[0]
        bars.append(_Bar(f"{entry.name} of {entry.candidate}", weight, told))
        if actions.get(entry.name) is OnBreach.ROLL_BACK:
            together.append(weight)
    if len(together) > 1:
        whole = sum(together)
        told = "over a million" if whole >= 1e6 else f"{whole:.3g}"
        bars.append(_Bar("all that roll back", whole, told))
    return bars, limit


def final_rates(course: Course) -> str:
    """'small 1.2 % (0.9 % to 1.6 %), large 1 % (…)', for the line under a drawing."""
    return ", ".join(
        f"{arm} {percent(points[-1].rate)} ({percent(points[-1].interval.low)} to {percent(points[-1].interval.high)})"
        for arm, points in reversed(list(course.points.items()))
    )
