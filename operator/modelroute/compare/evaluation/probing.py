"""Are an endpoint's log-probabilities what they say they are? Two small questions with known answers tell.

Servers that have none mostly say so. Some have wrong ones and do not: of the next place, of another question, all
alike, shares in place of logarithms. A suite that stands on them would measure noise, and nothing would look broken.
What is known beforehand: asked to repeat one of two words, that word is likelier than the other, and the other way
round for the other word; and at temperature 0 no token is chosen that is far less likely than another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from modelroute.compare.evaluation.asking import Reply
from modelroute.compare.suites.likeliest import Token, beginning, first_word

WORDS: Final = ("tiger", "window")
MAX_TOKENS: Final = 8
TOP_LOGPROBS: Final = 20
"""Alternatives at each place: as many as the chat API allows; servers that allow fewer are asked for fewer."""
TOLERANCE: Final = 0.01
FAR_NATS: Final = 2.0
"""At temperature 0 the likeliest token is chosen, but for a penalty on repetition, which moves it by less than this."""


class Logprobs(StrEnum):
    """What the probe found. Only `PLAUSIBLE` is good enough to score with."""

    PLAUSIBLE = "plausible"
    MISSING = "missing"
    WRONG = "wrong"
    UNCLEAR = "unclear"
    """the questions were not answered, or not with the words that were asked for, so nothing can be said"""


@dataclass(frozen=True, slots=True)
class Found:
    """`why` in words; empty where all is well."""

    verdict: Logprobs
    why: str = ""

    def __str__(self) -> str:
        return f"logprobs: {self.verdict}{f' ({self.why})' if self.why else ''}"


def questions(model: str) -> list[dict[str, Any]]:
    """The payload of each question, in the order of WORDS."""
    return [
        {
            "model": model,
            "messages": [{"role": "user", "content": question(word)}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        for word in WORDS
    ]


def question(word: str) -> str:
    """What is asked, as the model reads it."""
    return f"Repeat this word, and say nothing else: {word}"


def judge(replies: Sequence[Reply]) -> Found:
    """The verdict on the replies to `questions`."""
    for reply in replies:
        if reply.error is not None:
            refused = reply.status in (400, 422, 500, 501) and "logprob" in reply.error
            return Found(Logprobs.MISSING if refused else Logprobs.UNCLEAR, reply.error)
    if any(not reply.tokens for reply in replies):
        return Found(Logprobs.MISSING, "the answer comes without them")
    if any(not token.alternatives for reply in replies for token in reply.tokens):
        return Found(Logprobs.MISSING, "the answer comes without those of other tokens at its places")
    for reply in replies:
        if (wrong := next(_contradictions(reply), None)) is not None:
            return Found(Logprobs.WRONG, wrong)
    firsts = [token for reply in replies if (token := first_word(reply.tokens)) is not None]
    if len(firsts) < len(replies):
        return Found(Logprobs.UNCLEAR, "the answer to a probe is blank")
    if all(token.alternatives == firsts[0].alternatives for token in firsts[1:]):
        return Found(Logprobs.WRONG, "they are the same for two different questions")
    return _order(firsts)


def _contradictions(reply: Reply) -> Iterator[str]:
    """What cannot be, whatever the model."""
    spelled = "".join(token.text for token in reply.tokens)
    if _letters(reply.text or "") != _letters(spelled):
        yield f"their tokens spell {spelled!r}, and the answer is {reply.text!r}"
    for token in reply.tokens:
        numbers = [token.logprob, *token.alternatives.values()]
        if any(math.isnan(number) or number > TOLERANCE for number in numbers):
            bad = next(number for number in numbers if math.isnan(number) or number > TOLERANCE)
            yield f"one at {token.text!r} is {bad:g}, and the logarithm of a probability is a number of at most 0"
        elif (whole := sum(math.exp(number) for number in token.alternatives.values())) > 1 + TOLERANCE:
            yield f"the probabilities at {token.text!r} add up to {whole:.2f}"
        elif len(token.alternatives) > 1 and len(set(token.alternatives.values())) == 1:
            yield f"all those at {token.text!r} are alike"
        elif (behind := max(token.alternatives.values()) - token.logprob) > FAR_NATS:
            likeliest = max(token.alternatives, key=lambda text: token.alternatives[text])
            yield f"{token.text!r} was chosen at temperature 0, and {likeliest!r} told to be likelier by {behind:.1f}"


def _letters(text: str) -> str:
    """Without blanks: where a token begins with one, servers differ in whether the answer does."""
    return "".join(text.replace("▁", "").replace("Ġ", "").split())


def _order(firsts: Sequence[Token]) -> Found:
    for at, token in enumerate(firsts):
        likely: Mapping[str, float] = {word: beginning(word, token.alternatives) for word in WORDS}
        asked, other = WORDS[at], WORDS[1 - at]
        if likely[asked] > likely[other]:
            continue
        if asked.startswith(token.word):
            said = f"the model repeats {asked!r}, and {other!r} is said to be as likely, or likelier"
            return Found(Logprobs.WRONG, said)
        return Found(Logprobs.UNCLEAR, f"asked to repeat {asked!r}, the model begins with {token.text!r}")
    return Found(Logprobs.PLAUSIBLE)
