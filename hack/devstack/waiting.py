"""Waiting for a condition, with a deadline: the one place of the stack that lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

from devstack.errors import NotInTime

T = TypeVar("T")


def wait_until(
    check: Callable[[], T],
    *,
    what: str,
    timeout_s: float = 30.0,
    interval_s: float = 0.05,
) -> T:
    """Returns the first true value of `check()`; raises NotInTime if there is none in `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotInTime(f"Waited {timeout_s:g} s in vain: {what}.")
        time.sleep(interval_s)
