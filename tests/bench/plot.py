"""A bar for each way to decide: how many harmless rollouts it rolls back. Plain SVG: nothing has to be installed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, ROW, LEFT, BAR = 720, 30, 190, 440
OURS, OTHERS = "#2a7f62", "#b0b4ba"


def bars(title: str, shares: Sequence[tuple[str, float]], *, limit: float) -> str:
    """`shares` as (name, share in [0, 1]), the first one ours; a dashed line at `limit`."""
    height = 60 + ROW * len(shares)
    at = LEFT + BAR * limit
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<g font-family="sans-serif" font-size="14" fill="#222">',
        f'<text x="16" y="26" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, share) in enumerate(shares):
        y = 44 + ROW * index
        colour = OTHERS if index else OURS
        lines.append(f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{max(BAR * share, 1):.1f}" height="20" fill="{colour}"/>')
        lines.append(f'<text x="{LEFT + BAR * share + 8:.1f}" y="{y + 15}">{_percent(share)}</text>')
    lines.append(
        f'<line x1="{at}" x2="{at}" y1="38" y2="{height - 10}" stroke="#c0392b" stroke-dasharray="4 3"/></g></svg>'
    )
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
