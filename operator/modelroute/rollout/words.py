"""Numbers in the words of a sentence."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """'45s', '3m20s', '1h05m'; never negative, whole seconds, rounded up so that a wait is not promised too short."""
    whole = max(0, int(-(-seconds // 1)))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{left:02d}s" if left else f"{minutes}m"
    return f"{left}s"


def clock_time(seconds: float) -> str:
    """'14:03:05 UTC', of unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")


def evidence(log: float) -> str:
    """An e-value from its logarithm: '3.1', '24', 'over a million'."""
    return f"{math.exp(log):.3g}" if log < math.log(1e6) else "over a million"


def count(number: float) -> str:
    """'1,234', or '12.5' where a count is not whole."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"
