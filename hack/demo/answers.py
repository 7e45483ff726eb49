"""Who answered the requests of the last seconds, from the load's log as it grows."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from devstack.request_record import RequestRecord

OVER_S: Final = 5.0
NOBODY: Final = "nobody"
FILLED: Final = "█"


@dataclass(frozen=True, slots=True)
class Answers:
    """How many requests `arm` answered, and how many of them badly."""

    arm: str
    total: int
    bad: int


class Tail:
    """Reads each line of the log once, however long it grows, and remembers what ended lately."""

    def __init__(self, log: Path) -> None:
        self._log, self._read = log, 0
        self._recent: deque[RequestRecord] = deque()

    def answers(self, now: float) -> tuple[Answers, ...]:
        """Of the `OVER_S` seconds before `now` (unix seconds), by arm."""
        self._recent.extend(self._new())
        while self._recent and self._recent[0].answered_at < now - OVER_S:
            self._recent.popleft()
        arms = sorted({record.arm or NOBODY for record in self._recent})
        return tuple(self._of(arm) for arm in arms)

    def _of(self, arm: str) -> Answers:
        mine = [record for record in self._recent if (record.arm or NOBODY) == arm]
        return Answers(arm, len(mine), sum(record.bad for record in mine))

    def _new(self) -> Iterator[RequestRecord]:
        if not self._log.exists():
            return
        with self._log.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield RequestRecord(**json.loads(line))


def drawn(answers: tuple[Answers, ...], *, width: int) -> Table:
    """A bar for each, as long as its share of the answers; what was bad is red."""
    table = Table.grid(padding=(0, 2, 0, 0))
    whole = max(1, sum(each.total for each in answers))
    for each in answers:
        good = round((each.total - each.bad) / whole * width)
        bad = max(round(each.bad / whole * width), 1 if each.bad else 0)
        bar = Text.assemble((FILLED * good, "green"), (FILLED * bad, "red"), " " * max(0, width - good - bad))
        told = Text(f"{each.total}").append(f", {each.bad} of them bad" if each.bad else "", style="red")
        table.add_row("", Text(each.arm), bar, told)
    return table
