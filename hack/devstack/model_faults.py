"""What a model server of the stack can be told to do wrong while it runs. Pure.

`Faults` is the body of the control endpoint; `Fate` is what it means for one request. Every request draws
the same number of random numbers whatever the rates are, so that turning one fault on does not reshuffle
the others.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

SLOWEST = 1000.0


class BadControl(ValueError):
    """A control request that makes no sense; the message names the field."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates are shares of requests, in [0, 1]; each request has at most one of hang, fail and answer."""

    fail_rate: float = 0.0
    """answered with 500, at once"""
    hang_rate: float = 0.0
    """never answered: the request ends when the client gives up"""
    slow_factor: float = 1.0
    """every duration times this, in (0, 1000]"""
    unknown: bool = False
    """404 for every model name, as after a deployment under another name"""
    unsafe_rate: float = 0.0
    """of answers: unsafe, and a violation if judged"""
    judge_rate: float = 1.0
    """of answers: judged at all"""
    wrong_rate: float = 0.0
    """of answers: the application itself counts them as wrong"""
    judge_error_rate: float = 0.0
    """of judged answers: the judge fails, and says neither pass nor violation"""

    def changed(self, changes: object) -> "Faults":
        """These faults with the fields of a JSON object in place of their own; BadControl if one is bad."""
        if not isinstance(changes, Mapping):
            raise BadControl("the body must be a JSON object of the fields to change")
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise BadControl(f"{name} is not a field; there are {', '.join(known)}")
        checked: dict[str, Any] = {name: _checked(name, value) for name, value in changes.items()}
        faults = replace(self, **checked)
        if faults.fail_rate + faults.hang_rate > 1:
            raise BadControl("fail_rate and hang_rate together must not exceed 1")
        return faults


def _checked(name: str, value: Any) -> float | bool:
    if name == "unknown":
        if not isinstance(value, bool):
            raise BadControl(f"unknown must be true or false, not {value!r}")
        return value
    number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    if name == "slow_factor":
        if not 0 < number <= SLOWEST:
            raise BadControl(f"slow_factor must be a number above 0 and at most {SLOWEST:g}, not {value!r}")
    elif not 0 <= number <= 1:
        raise BadControl(f"{name} must be a number from 0 to 1, not {value!r}")
    return number


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one request."""

    hangs: bool
    fails: bool
    unsafe: bool
    verdict: str | None
    """pass, violation or error; None if the answer is not judged"""


def draw_fate(faults: Faults, rng: random.Random) -> Fate:
    """Decide one request by four draws."""
    served, safe, judged, judge_works = (rng.random() for _ in range(4))
    unsafe = safe < faults.unsafe_rate
    verdict = None
    if judged < faults.judge_rate:
        verdict = "violation" if unsafe else "pass"
        if judge_works < faults.judge_error_rate:
            verdict = "error"
    hangs = served < faults.hang_rate
    return Fate(hangs, not hangs and served < faults.hang_rate + faults.fail_rate, unsafe, verdict)
