"""Reading what the second engine wrote: `max` was broken by the lesser of two whole processes (docs/adr/0008)."""

from __future__ import annotations

from typing import Any, Final

from modelroute.analysis.design import Design
from modelroute.analysis.layout import Kind, layout_of
from modelroute.analysis.mixture import POINTS

_ALONE: Final = 3
"""Where a pair with a `max` had ln E of the windows without reference traffic."""


def from_version_2(design: Design, content: dict[str, Any]) -> dict[str, Any]:
    """`content` of version 2 as version 3 writes it. Raises KeyError, TypeError, ValueError where it is of no design.

    The row that compared a pair with its reference saved up what `max` allows; none of that can be told from what it
    does not allow. So all that it had spent counts as lost, and what was unspent stays: that is the new process with a
    factor of 0 in each window so far, which is below the one that it stands for. Nothing starts again from 1, so α
    goes on covering the attempt whole.
    """
    layout = layout_of(design)
    rows = list(content["rows"])
    for index, row in enumerate(layout.rows):
        if row.kind is Kind.BOTH and index < len(rows):
            rows[index] = [[None] * POINTS, *rows[index][1:]]
    rows = [[*row, ""] for row in rows]
    limited = [[*each[:_ALONE], *each[_ALONE + 1 :]] for each in content["limited"]]
    blocks = [None] * int(layout.both.sum())
    return {**content, "rows": rows, "limited": limited, "recent": [[]] * len(layout.checked), "blocks": blocks}
