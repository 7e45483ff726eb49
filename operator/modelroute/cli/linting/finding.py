"""What lint has to say about one place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error is refused by the API server or keeps a rollout from ever working; a warning is worth a look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` is the field as kubectl names it, empty for the whole object; `line` 0 where the field's own is meant."""

    severity: Severity
    path: str
    message: str
    line: int = 0


def error(path: str, message: str, *, line: int = 0) -> Finding:
    return Finding(Severity.ERROR, path, message, line)


def warning(path: str, message: str) -> Finding:
    return Finding(Severity.WARNING, path, message)
