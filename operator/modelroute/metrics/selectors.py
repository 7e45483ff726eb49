"""What is asked of Prometheus: metric names and label matchers, quoted so that no name can break out of them.

Questions about the same metric and the same labels are joined into one (`service=~"a|b|c"`) and their answers
split again by `Question.admits`, which is exact where the joined selector is only wide enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

_RE2_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_QUOTED = re.compile(r"\\(.)", re.DOTALL)
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Question:
    """Series of one metric: each label in `matchers` must match one of its patterns, whole.

    Patterns are in the part of RE2 that Python's `re` reads the same way; literal text goes through
    `re2_quote`.
    """

    metric: str
    matchers: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def shape(self) -> tuple[str, ...]:
        """Questions of one shape can be joined."""
        return (self.metric, *self.labels)

    @property
    def size(self) -> int:
        """Characters of patterns."""
        return sum(len(pattern) + 1 for _, patterns in self.matchers for pattern in patterns)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label, _ in self.matchers)

    @property
    def exact(self) -> tuple[str, ...] | None:
        """The only values of its labels that it admits, in their order; None where patterns leave a choice."""
        values = [_literal(patterns[0]) if len(patterns) == 1 else None for _, patterns in self.matchers]
        return None if None in values else tuple(value for value in values if value is not None)

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Is a series with these labels an answer?"""
        return all(
            any(_compiled(pattern).fullmatch(labels.get(label, "")) for pattern in patterns)
            for label, patterns in self.matchers
        )


def re2_quote(text: str) -> str:
    """A pattern that matches `text` and nothing else."""
    return _RE2_SPECIAL.sub(r"\\\g<0>", text)


def _literal(pattern: str) -> str | None:
    """The text that `re2_quote` made the pattern of; None where it made none of it."""
    text = _QUOTED.sub(r"\1", pattern)
    return text if re2_quote(text) == pattern else None


def promql_quote(text: str) -> str:
    """A PromQL string literal (double quotes, escapes as in Go) whose value is `text`."""
    text.encode()  # a lone surrogate has no UTF-8, and no place in a label
    return '"' + "".join(_escaped(char) for char in text) + '"'


def selector(question: Question, beside: Iterable[tuple[str, str]] = ()) -> str:
    """The question as a PromQL vector selector; `beside` are labels that every answer must have as well, whatever is
    asked. Prometheus anchors patterns at both ends.
    """
    if not _METRIC_NAME.fullmatch(question.metric):
        raise ValueError(f"not a metric's name: {question.metric!r}")
    wanted = [(label, "=~", "|".join(patterns)) for label, patterns in question.matchers]
    wanted += [(label, "=", value) for label, value in beside]
    for label, _, _ in wanted:
        if not _LABEL_NAME.fullmatch(label):
            raise ValueError(f"not a label's name: {label!r}")
    return f"{question.metric}{{{','.join(f'{label}{how}{promql_quote(value)}' for label, how, value in wanted)}}}"


def joined(questions: Iterable[Question], *, max_size: int) -> list[tuple[Question, tuple[Question, ...]]]:
    """Fewer, wider questions, each with those it answers; none much longer than `max_size` characters of
    patterns.
    """
    by_shape: dict[tuple[str, ...], list[Question]] = {}
    for question in dict.fromkeys(questions):
        by_shape.setdefault(question.shape, []).append(question)
    wide = []
    for alike in by_shape.values():
        for chunk in _chunks(alike, max_size):
            wide.append((merged(chunk), tuple(chunk)))
    return wide


def merged(questions: Sequence[Question]) -> Question:
    """One question that asks for at least what these ask for; they are of one shape, and not none."""
    patterns: dict[str, dict[str, None]] = {}
    for question in questions:
        for label, wanted in question.matchers:
            patterns.setdefault(label, {}).update(dict.fromkeys(wanted))
    return Question(questions[0].metric, tuple((label, tuple(wanted)) for label, wanted in patterns.items()))


def _chunks(questions: Sequence[Question], max_size: int) -> list[list[Question]]:
    chunks: list[list[Question]] = []
    size = 0
    for question in questions:
        if not chunks or size + question.size > max_size:
            chunks.append([])
            size = 0
        chunks[-1].append(question)
        size += question.size
    return chunks


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if ord(char) >= 0x20 and ord(char) != 0x7F else f"\\x{ord(char):02x}"


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)
