"""What goes wrong in the local stack.

StackError
├── ComponentFailed   a program ended, or was not ready in time; names its log and shows how that ends
└── NotInTime         something else that was waited for did not come
"""

from pathlib import Path

_SHOWN_LINES = 12


class StackError(Exception):
    """The local stack cannot do what was asked."""


class NotInTime(StackError):
    """A condition did not come true before its deadline."""


class ComponentFailed(StackError):
    """A program of the stack does not run as it should."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        self.name, self.log = name, log
        self.last_lines = tail(log, _SHOWN_LINES)
        shown = "".join(f"\n    {line}" for line in self.last_lines) or "\n    (the log is empty)"
        super().__init__(f"{name} {what}; its log is {log} and ends with:{shown}")

    @property
    def address_was_taken(self) -> bool:
        return any("address already in use" in line.lower() for line in self.last_lines)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a text file; none if there is no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
