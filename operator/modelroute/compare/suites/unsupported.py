"""What a summary says that its source does not: figures and names, the statements that make a summary a risk.

It is a check without a reader: it finds an invented amount, date or name, and misses a true name in a false sentence.
Where that matters, add a judge (docs/evaluate.md).
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"[A-Z][\w'-]*[a-z][\w'-]*(?:\s+[A-Z][\w'-]*[a-z][\w'-]*)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n]|[-*•]\s|\d\))\s*[\"'(]*$")
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip


def unsupported(answer: str, source: str) -> tuple[str, ...]:
    """The figures and names of `answer` that `source` does not have, in their order, each once."""
    known = _numbers(source) | {str(value) for value, word in enumerate(_SMALL) if _has_word(source, word)}
    words = {word.lower() for word in re.findall(r"[\w'-]+", source)}
    found = [match.group() for match in _NUMBER.finditer(answer) if _plain(match.group()) not in known] + [
        name for name in _names(answer) if not _known(name, words)
    ]
    return tuple(dict.fromkeys(found))


def _numbers(text: str) -> set[str]:
    return {_plain(match.group()) for match in _NUMBER.finditer(text)}


def _plain(number: str) -> str:
    """1,200 and 1200 are the same figure, and so are 4.50 and 4.5."""
    whole, point, rest = re.sub(r",(?=\d{3}\b)", "", number).replace(",", ".").partition(".")
    rest = rest.rstrip("0")
    return f"{whole.lstrip('0') or '0'}{point if rest else ''}{rest}"


def _names(text: str) -> list[str]:
    """Capitalised words inside sentences; the first word of a sentence is capitalised whatever it is."""
    return [match.group() for match in _NAME.finditer(text) if not _SENTENCE_START.search(text[: match.start()])]


def _known(name: str, words: set[str]) -> bool:
    return all(part.lower() in words or part.lower().removesuffix("'s") in words for part in name.split())


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"\b{word}\b", text, re.IGNORECASE) is not None
