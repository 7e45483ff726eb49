"""The words and colours of a status, for screens."""

from __future__ import annotations

import re
from typing import Final

STYLES: Final = {
    "Stable": "green",
    "Promoted": "green",
    "Safe": "green",
    "Progressing": "cyan",
    "NoHarmShown": "cyan",
    "AwaitingApproval": "magenta",
    "Paused": "yellow",
    "Holding": "yellow",
    "Pending": "yellow",
    "HarmSuspected": "yellow",
    "ReferenceToo": "yellow",
    "Superseded": "yellow",
    "Aborted": "yellow",
    "RollingBack": "bold red",
    "RolledBack": "bold red",
    "Harmful": "bold red",
}
"""Of a phase or a verdict; what a newer operator calls otherwise has none."""

_VERDICTS: Final = {
    "Unknown": "nothing known yet",
    "NoHarmShown": "no harm shown",
    "Harmful": "harmful",
    "Safe": "proven safe",
    "ReferenceToo": "the reference breaks it too",
    "HarmSuspected": "leans to harm",
}
_PHASES: Final = {
    "AwaitingApproval": "Awaiting approval",
    "RollingBack": "Rolling back",
    "RolledBack": "Rolled back",
}


def verdict_words(verdict: str | None) -> str:
    return _VERDICTS.get(verdict or "", verdict or "nothing known yet")


def phase_words(phase: str | None) -> str:
    return _PHASES.get(phase or "", phase or "not visited yet")


def ago(seconds: float) -> str:
    """'45s', '3m', '2h', '5d': as kubectl tells ages; never negative."""
    whole = max(0, int(seconds))
    for size, unit, until in ((86_400, "d", 3), (3_600, "h", 3), (60, "m", 3)):
        if whole >= until * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def evidence_parts(text: str | None) -> tuple[float, float] | None:
    """'3.1 of 20' as (3.1, 20.0); 'over a million of 20' as (1e6, 20.0); None where it says neither."""
    found = re.fullmatch(r"(over a million|[0-9.e+-]+) of ([0-9.e+-]+)", text or "")
    if found is None:
        return None
    try:
        weight = 1e6 if found[1] == "over a million" else float(found[1])
        return weight, float(found[2])
    except ValueError:
        return None


def percent_parts(text: str | None) -> tuple[float, ...]:
    """The percentages in '0.90%–1.60%' as shares (0.009, 0.016); none where there are none."""
    return tuple(float(number) / 100 for number in re.findall(r"([0-9]+(?:\.[0-9]+)?)%", text or ""))


def points(text: str | None) -> float | None:
    """'0.4pp' as a share, 0.004; None where it is none."""
    found = re.fullmatch(r"(-?[0-9.]+(?:e-?[0-9]+)?)pp", text or "")
    return None if found is None else float(found[1]) / 100
