"""Quantities as people write them, and as the engine counts: percent, percentage points, ratios, durations,
money.

A spec has no floats: `0.5%` means the same in YAML, JSON and Git, and is shown back as it was written. Here
it becomes a number, once. The patterns are the ones that the CRDs check, so that what the API server accepted
always parses.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from modelroute.errors import Invalid

PERCENT: Final = r"^(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)%$"
POINTS: Final = r"^[0-9]{1,2}(\.[0-9]{1,6})?pp$"
RATIO: Final = r"^[0-9]{1,3}(\.[0-9]{1,6})?$"
DURATION: Final = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
"""GEP-2257, the Gateway API's duration: a subset of what Go and CEL parse."""
MONEY: Final = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"

_UNIT_MS: Final = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_LONGEST_MS: Final = 99_999 * 3_600_000 + 59 * 60_000 + 59 * 1_000 + 999


def parse_percent(text: str, *, field: str = "") -> float:
    """`0.5%` → 0.005. Result in [0, 1]. Raises Invalid."""
    _check(PERCENT, text, "a percentage from 0% to 100%, for example 0.5%", field)
    return float(Decimal(text[:-1]) / 100)


def format_percent(share: float, *, decimals: int = 6) -> str:
    """0.005 → `0.5%`, with at most `decimals` places and no trailing zeros. `share` in [0, 1]."""
    _between(share, 0.0, 1.0)
    return f"{_plain(share * 100, decimals)}%"


def parse_points(text: str, *, field: str = "") -> float:
    """`0.2pp` (percentage points) → 0.002. Result in [0, 1). Raises Invalid."""
    _check(POINTS, text, "percentage points, for example 0.2pp", field)
    return float(Decimal(text[:-2]) / 100)


def format_points(difference: float, *, decimals: int = 6) -> str:
    """0.002 → `0.2pp`; a negative difference keeps its sign. `difference` in [-1, 1]."""
    _between(difference, -1.0, 1.0)
    return f"{_plain(difference * 100, decimals)}pp"


def parse_ratio(text: str, *, field: str = "") -> float:
    """`1.2` → 1.2. Result in [0, 1000). Raises Invalid."""
    _check(RATIO, text, "a number such as 1.2 (quoted in YAML)", field)
    return float(Decimal(text))


def format_ratio(ratio: float, *, decimals: int = 6) -> str:
    """1.2 → `1.2`. `ratio` in [0, 1000)."""
    _between(ratio, 0.0, 999.999999)
    return _plain(ratio, decimals)


def parse_duration(text: str, *, field: str = "") -> float:
    """`1h30m` → 5400.0 seconds, `250ms` → 0.25. Raises Invalid."""
    _check(DURATION, text, "a duration such as 30s, 10m or 1h30m", field)
    parts = re.findall(r"([0-9]+)(ms|h|m|s)", text)
    return sum(int(count) * _UNIT_MS[unit] for count, unit in parts) / 1000


def format_duration(seconds: float) -> str:
    """5400.0 → `1h30m`; rounded to milliseconds, largest unit first. `seconds` from 0 to just under 100,000
    hours.
    """
    _between(seconds, 0.0, _LONGEST_MS / 1000)
    rest = round(seconds * 1000)
    parts: list[str] = []
    for unit, size in _UNIT_MS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_money(text: str, *, field: str = "") -> Decimal:
    """`3.00` → Decimal("3.00"). Raises Invalid."""
    _check(MONEY, text, 'an amount such as "3.00" (quoted in YAML)', field)
    return Decimal(text)


def format_money(amount: Decimal) -> str:
    """Decimal("3") → `3.00`: two places at least, nine at most, never an exponent. `amount` in [0, 1e9)."""
    _between(float(amount), 0.0, 999_999_999.999_999_999)
    whole, _, places = f"{amount:.9f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _check(pattern: str, text: str, expected: str, field: str) -> None:
    # fullmatch, because `$` in Python also matches before a final newline; in CEL it does not.
    if not isinstance(text, str) or not re.fullmatch(pattern, text, re.ASCII):
        raise Invalid(f"{text!r} is not {expected}", field=field)


def _between(value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise Invalid(f"{value!r} is not from {low:g} to {high:g}")


def _plain(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
