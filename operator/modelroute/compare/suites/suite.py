"""What a suite is, once it was read: frozen, checked, and with no trace of the files that it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from modelroute.compare.judging.judge import JudgeSpec


class Method(StrEnum):
    """How an answer becomes scores; each says what it reads."""

    CHOICE = "choice"
    """accuracy: exactly one of the suite's options is named, and it is the expected one"""
    NUMBER = "number"
    """accuracy: the last number of the answer equals the expected one"""
    TEXT = "text"
    """accuracy: the answer is the expected text, but for case, articles, punctuation and blanks"""
    EXACT = "exact"
    """accuracy: the answer is the expected text to the letter, but for blanks around it"""
    JSON = "json"
    """accuracy: the whole answer is JSON, and equals the expected JSON"""
    LIKELIEST = "likeliest"
    """accuracy: the expected option is the likeliest to begin the answer, by the server's log-probabilities;
    probability: how likely it is beside the other options"""
    SUMMARY = "summary"
    """rouge1, rouge2, rougeL against the expected summary, and facts: the share of the required facts that it has;
    a figure or a name that the source does not have is a violation"""


SCORES: dict[Method, tuple[str, ...]] = {
    **{method: ("accuracy",) for method in Method if method not in (Method.SUMMARY, Method.LIKELIEST)},
    Method.LIKELIEST: ("accuracy", "probability"),
    Method.SUMMARY: ("facts", "rouge1", "rouge2", "rougeL"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `expected` is one answer of several that may be right (`accepted` has the others)."""

    id: str
    prompt: str
    expected: str
    method: Method
    system: str = ""
    accepted: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    source: str = ""
    kind: str = ""
    max_tokens: int = 128

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """What is sent, as the chat API's messages."""
        asked = {"role": "user", "content": self.prompt}
        return ({"role": "system", "content": self.system}, asked) if self.system else (asked,)

    @property
    def text(self) -> str:
        """All that the model reads."""
        return f"{self.system}\n\n{self.prompt}" if self.system else self.prompt

    @property
    def hash(self) -> str:
        """Tells the same question from a changed one: 16 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def right(self) -> tuple[str, ...]:
        """Every answer that counts as right."""
        return (self.expected, *self.accepted)


@dataclass(frozen=True, slots=True)
class Suite:
    """Questions under one name. `marker` starts the part of an answer that is read (`Answer:`), if it is there."""

    name: str
    version: str
    description: str
    items: tuple[Item, ...]
    marker: str = "Answer:"
    judges: tuple[JudgeSpec, ...] = ()

    @property
    def computed(self) -> tuple[str, ...]:
        """The names of the scores that its items have without a judge, sorted."""
        return tuple(sorted({score for item in self.items for score in SCORES[item.method]}))

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of all the scores that its items can have, sorted."""
        return tuple(sorted({*self.computed, *(judge.name for judge in self.judges)}))

    @property
    def needs_logprobs(self) -> bool:
        """Whether any item is scored by the server's log-probabilities."""
        return any(item.method is Method.LIKELIEST for item in self.items)

    @property
    def watched(self) -> bool:
        """Whether any item can be violated."""
        return any(item.forbidden or item.method is Method.SUMMARY for item in self.items)
