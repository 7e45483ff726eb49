"""Small drawings of one line: a share, the weight of evidence, where a rate lies."""

from __future__ import annotations

import math
from itertools import groupby

from rich.text import Text

FILLED, TO_COME, EMPTY, MARK = "█", "▒", "·", "│"


def share_bar(live: float, wanted: float, width: int, style: str) -> Text:
    """`live` and `wanted` are shares in [0, 1]; what is live is filled, with a mark where the share is to go."""
    filled, goal = round(live * width), round(wanted * width)
    if live > 0:
        # What has any traffic is seen, however little.
        filled = max(filled, 1)
    cells = [(FILLED, style) for _ in range(filled)] + [(EMPTY, "dim") for _ in range(width - filled)]
    for place in range(filled, min(goal, width)):
        cells[place] = (TO_COME, f"dim {style}".strip())
    if goal != filled and 0 < goal < filled:
        cells[goal] = (MARK, f"reverse {style}".strip())
    return _runs(cells)


def evidence_bar(weight: float, limit: float, width: int) -> Text:
    """An e-value on its way to the one that decides, in orders of magnitude: `weight` ≥ 0, `limit` > 1."""
    reached = 0.0 if weight <= 1 else min(1.0, math.log(weight) / math.log(limit))
    filled = round(reached * width)
    style = "bold red" if reached >= 1 else "yellow" if reached >= 0.5 else "green"
    return Text.assemble((FILLED * filled, style), (EMPTY * (width - filled), "dim"))


def proof_bar(could_be: float, allowed: float, width: int) -> Text:
    """How near a proof of safety is: `could_be` worse by so much (a share), where `allowed` is enough."""
    reached = 1.0 if could_be <= allowed else max(0.0, allowed / could_be)
    filled = round(reached * width)
    style = "green" if reached >= 1 else "cyan"
    return Text.assemble((FILLED * filled, style), (EMPTY * (width - filled), "dim"))


def interval_line(low: float, rate: float, high: float, *, top: float, width: int, style: str) -> Text:
    """A rate between its bounds on a scale from 0 to `top`: 0 ≤ low ≤ rate ≤ high ≤ 1, `top` > 0."""

    def at(value: float) -> int:
        return min(width - 1, max(0, round(value / top * (width - 1))))

    left, dot, right = at(low), at(rate), at(high)
    cells = [("─", "dim")] * width
    for place in range(left, right + 1):
        cells[place] = ("━", style)
    cells[left], cells[right] = ("┣", style), ("┫", style)
    cells[dot] = ("●", f"bold {style}".strip())
    return _runs(cells)


def _runs(cells: list[tuple[str, str]]) -> Text:
    """Cells of the same style as one run, so that a terminal gets a style once and not for every character."""
    return Text.assemble(
        *(("".join(cell for cell, _ in run), style) for style, run in groupby(cells, key=lambda each: each[1]))
    )
