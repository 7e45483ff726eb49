"""The likeliest of some options, by the log-probabilities that a server tells with an answer. Pure.

A chat API tells them for the tokens of its answer alone: each with its own, and with those of the likeliest others at
its place. So the options are held against each other at the first word of the answer, and have to begin differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_AROUND: Final = " \t\r\n*_`\"'([{▁Ġ"
"""Blanks, marks of emphasis and quotation, and how two kinds of tokenizer spell a blank."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer. `alternatives`: log-probabilities by text of the likeliest at its place, in most cases
    with its own among them. Numbers are as the server told them, NaN for what is none.
    """

    text: str
    logprob: float
    alternatives: Mapping[str, float]

    @property
    def word(self) -> str:
        """What a reader would see of it."""
        return bare(self.text)


def bare(text: str) -> str:
    """A token's text in lower case, without what may stand around a word."""
    return text.strip(_AROUND).casefold()


def first_word(tokens: Sequence[Token]) -> Token | None:
    """The first token that is not blank."""
    return next((token for token in tokens if token.word), None)


def beginning(word: str, alternatives: Mapping[str, float]) -> float:
    """How likely it is, in [0, 1], that `word` begins here: the sum over the alternatives that it starts with."""
    parts = (
        logprob for text, logprob in alternatives.items() if (said := bare(text)) and word.casefold().startswith(said)
    )
    return min(sum(math.exp(min(logprob, 0.0)) for logprob in parts if not math.isnan(logprob)), 1.0)


def shares(options: Sequence[str], tokens: Sequence[Token]) -> dict[str, float]:
    """How likely each option is beside the others: in [0, 1], together 1, or all 0 where none was told."""
    first = first_word(tokens)
    found = {option: 0.0 if first is None else beginning(option, first.alternatives) for option in options}
    whole = sum(found.values())
    return {option: likely / whole if whole else 0.0 for option, likely in found.items()}


def told_tokens(logprobs: Any) -> tuple[Token, ...]:
    """`logprobs` of a choice: as chat APIs tell it (`content`), or as the older completions do, which some servers use
    for chats too (`tokens`, `token_logprobs`, `top_logprobs`). Empty where there is nothing of the kind.
    """
    if not isinstance(logprobs, dict):
        return ()
    if isinstance(logprobs.get("content"), list):
        return tuple(_of_chat(each) for each in logprobs["content"] if isinstance(each, dict))
    texts, numbers, others = (logprobs.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
    if not all(isinstance(each, list) for each in (texts, numbers, others)):
        return ()
    # The first of a prompt that is echoed has no number, and a server that was asked for no others tells none.
    others = [*others, *[{}] * (len(texts) - len(others))]
    return tuple(
        Token(str(text), _number(number), {str(name): _number(value) for name, value in (other or {}).items()})
        for text, number, other in zip(texts, numbers, others, strict=False)
        if isinstance(other or {}, dict)
    )


def _of_chat(told: Mapping[str, Any]) -> Token:
    others = [each for each in told.get("top_logprobs") or [] if isinstance(each, dict)]
    alternatives: dict[str, float] = {}
    for other in others:
        # Two tokens may have the same text, where it is a part of a character.
        text, number = str(other.get("token", "")), _number(other.get("logprob"))
        alternatives[text] = max(alternatives.get(text, number), number)
    return Token(str(told.get("token", "")), _number(told.get("logprob")), alternatives)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
