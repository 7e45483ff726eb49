"""Log-probabilities as the stack's model servers tell them: rightly, not at all, or wrong as some are. Pure.

A token is a word here. Nothing is computed: the word that is said is the likeliest, and the others share the rest.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

LIKELIEST = 0.8
FILLERS = ("the", "a", "it", "of", "and", "so", "is", "in", "to", "that", "we", "on", "as", "for", "by", "at", "or")
END = "<|end|>"


class Logprobs(StrEnum):
    """What a server does when it is asked for them."""

    MISSING = "missing"
    """it answers as if it had not been asked"""
    REFUSED = "refused"
    """400"""
    HONEST = "honest"
    LATE = "late"
    """those of the place after each token"""
    ALIKE = "alike"
    """the same number for every token"""
    LINEAR = "linear"
    """probabilities, and not their logarithms"""
    STALE = "stale"
    """those of another question, with the tokens of this one's answer in place"""


def logprobs_of(
    kind: Logprobs, words: Sequence[str], others: Sequence[str], top: int
) -> list[dict[str, object]] | None:
    """`content` of an answer's logprobs: for each of its words its own, and the `top` likeliest at its place. `others`:
    what could have been said as well, in place of the first word. None where the server tells none.
    """
    match kind:
        case Logprobs.MISSING | Logprobs.REFUSED:
            return None
        case Logprobs.HONEST:
            places = [_place(word, others if at == 0 else ()) for at, word in enumerate(words)]
        case Logprobs.LATE:
            places = [_place(word, ()) for word in (*words[1:], END)]
        case Logprobs.ALIKE:
            places = [dict.fromkeys(_place(word, others), math.log(0.05)) for word in words]
        case Logprobs.LINEAR:
            places = [{word: math.exp(told) for word, told in _place(word, others).items()} for word in words]
        case Logprobs.STALE:
            places = [_place("hello", ("there",)) for _ in words]
    return [_told(word, place, at, top) for at, (word, place) in enumerate(zip(words, places, strict=True))]


def _place(word: str, others: Sequence[str]) -> dict[str, float]:
    """Logarithms by word, the likeliest first; all together less than 1."""
    rest = [other for other in dict.fromkeys((*others, *FILLERS)) if other != word]
    shares = {other: (1 - LIKELIEST) / 2 ** (at + 1) for at, other in enumerate(rest)}
    return {each: math.log(share) for each, share in {word: LIKELIEST, **shares}.items()}


def _told(word: str, place: dict[str, float], at: int, top: int) -> dict[str, object]:
    blank = " " if at else ""
    likeliest = list(place.items())[:top]
    own = place.get(word, math.log(1e-6))
    return {
        "token": f"{blank}{word}",
        "logprob": own,
        "bytes": list(f"{blank}{word}".encode()),
        "top_logprobs": [{"token": f"{blank}{other}", "logprob": told, "bytes": None} for other, told in likeliest],
    }
