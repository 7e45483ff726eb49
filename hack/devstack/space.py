"""Room on the disk: looked for before a stack starts, and named as the reason where a start fails for want of it.

A program that finds no room often cannot even write that into its log, which is on the same disk: so it is the disk
that is asked.
"""

import errno
import shutil
from pathlib import Path

from devstack.errors import StackError

NEEDED_BYTES = 300 * 10**6
"""A stack that has just started holds some 140 MB, most of it etcd's; tests and load add to that."""

_AT_ONCE_BYTES = 80 * 10**6
"""etcd takes 64 MB at one go, for its log, and ends where it does not get them."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class TooLittle(StackError):
    """There may be room left, but not enough."""


def check(directory: Path) -> None:
    """Raises TooLittle where a stack in `directory` would soon find no room."""
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise TooLittle(
            f"The disk that holds {directory} has {free / 1e6:,.0f} MB free, and a stack needs"
            f" {NEEDED_BYTES / 1e6:.0f} MB: {what_to_do()}."
        )


def cause_of(error: Exception, directory: Path) -> StackError | None:
    """The error to raise instead of `error`, with which a start failed, where it is for want of room in `directory`.

    To be asked before the directory is cleared, which makes room again.
    """
    free = shutil.disk_usage(directory).free
    no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
    if isinstance(error, TooLittle) or not (no_room or free < _AT_ONCE_BYTES):
        return None
    return StackError(
        f"The disk that holds {directory} is full ({free / 1e6:.0f} MB free), so the stack did not start:"
        f" {what_to_do()}."
    )


def what_to_do() -> str:
    return "make room, or name a folder on another disk (TMPDIR; for `make up`: MODELROUTE_STACK), and start again"
