"""What is known of a request after it ended: a JSON line of the load generator's log.

Who is to blame can be told from two fields. `arm` is who answered, by the model server's own word
(x-served-by), so a bad answer with an arm is that arm's, even when it broke off in the middle. Without an
arm, 499 is a client that gave up before anyone answered: an arm may hang, and which cannot be known from
here. Any other status is the gateway's own answer (404 or 500 for a route that it does not know, 502 or
504 for an arm that it cannot reach), and 0 is a connection to the gateway that was refused or broke.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

SERVED_BY = "x-served-by"
UNSAFE_HEADER = "x-answer-unsafe"

CONNECTION_ERROR = 0
GAVE_UP = 499


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; times are unix seconds."""

    id: int
    scheduled_at: float
    """when it was meant to be sent; how late the generator was is `sent_at` less this"""
    sent_at: float
    answered_at: float
    """when its last byte came, it failed, or its client gave up"""
    status: int
    """HTTP; 0 for a connection error, 499 for a client that gave up, also in the middle of an answer"""
    arm: str | None
    ok: bool
    """answered 2xx, and to the end"""
    bytes: int
    streamed: bool
    unsafe: bool = False
    """the model server says that this answer is one that breaks the safety policy"""
    prompt_tokens: int = 0
    max_tokens: int = 0
    error: str = ""

    @property
    def latency_s(self) -> float:
        """From when it was due, so that a late generator cannot flatter the servers."""
        return self.answered_at - self.scheduled_at

    @property
    def bad(self) -> bool:
        """A user would complain: no answer, an error, or an unsafe answer."""
        return self.unsafe or not self.ok

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def read_log(path: Path) -> Iterator[RequestRecord]:
    """The records of a log, in the order of their ends, without a last line that is still being written."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield RequestRecord(**json.loads(line))
