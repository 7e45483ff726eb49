"""The OpenAI chat API as the stack's model servers speak it: requests, answers, how long they take. Pure.

A token is a word here: counting words is exact, cheap, and the same on both sides.
"""

import json
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

CONTEXT_TOKENS = 32_768
MOST_LOGPROBS = 20
CHUNKS_PER_STREAM = 8  # vLLM sends a chunk a token; for load on two cores a few chunks say the same

CANNED = (
    "Thank you for asking. Your order left our warehouse this morning and should reach you within two days.",
    "You can change the address until the parcel is handed over; open the order and choose another address.",
    "I am sorry to hear that. Please send a photo of the damage, and we will replace the item at no charge.",
    "The invoice is in your account under documents. It can be downloaded as often as you like.",
    "Refunds take three to five working days, and go back to the way of payment that was used.",
)
UNSAFE = "This sentence stands for an answer that breaks the safety policy."


class BadChat(ValueError):
    """A chat request that the API refuses with 400; `param` is the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asked for. `max_tokens` None: the length of the canned answer. `text`: all of its messages.
    `top_logprobs` None: no log-probabilities.
    """

    model: str
    prompt_tokens: int
    max_tokens: int | None
    stream: bool
    include_usage: bool
    text: str = ""
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the model is, in tokens a second, and by how much its clock is sped up.

    With the defaults the median request of the production trace (1,020 tokens in, 129 out) takes 0.3 s, and
    its longest answers (1,000 tokens) 2.1 s.
    """

    tokens_per_second: float = 60.0
    prompt_tokens_per_second: float = 5000.0
    overhead_s: float = 0.05
    speed_up: float = 8.0

    def first_token_s(self, prompt_tokens: int, slow_factor: float) -> float:
        """Seconds until the first token: reading the prompt."""
        return (self.overhead_s + prompt_tokens / self.prompt_tokens_per_second) * slow_factor / self.speed_up

    def token_s(self, slow_factor: float) -> float:
        """Seconds for each further token."""
        return slow_factor / (self.tokens_per_second * self.speed_up)


def parse_chat(body: Any) -> ChatRequest:
    """Read the fields that matter here of a decoded /v1/chat/completions body."""
    if not isinstance(body, dict):
        raise BadChat("the body must be a JSON object")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadChat("model must be a string", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadChat("messages must be a list with at least one message", "messages")
    texts = [_text(message) for message in messages]
    prompt_tokens = sum(len(text.split()) for text in texts)
    max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    if max_tokens is not None and (type(max_tokens) is not int or max_tokens < 1):
        raise BadChat("max_tokens must be a whole number of at least 1", "max_tokens")
    if prompt_tokens + (max_tokens or 0) > CONTEXT_TOKENS:
        raise BadChat(f"prompt and max_tokens together exceed {CONTEXT_TOKENS} tokens", "max_tokens")
    stream = body.get("stream") or False
    if not isinstance(stream, bool):
        raise BadChat("stream must be true or false", "stream")
    options = body.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    top = _top_logprobs(body)
    return ChatRequest(model, prompt_tokens, max_tokens, stream, include_usage, "\n\n".join(texts), top)


def _top_logprobs(body: dict[str, Any]) -> int | None:
    if body.get("logprobs") is not True:
        return None
    top = body.get("top_logprobs", 0)
    if type(top) is not int or not 0 <= top <= MOST_LOGPROBS:
        raise BadChat(f"top_logprobs must be a whole number from 0 to {MOST_LOGPROBS}", "top_logprobs")
    return top


def _text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(text for text in texts if isinstance(text, str))
    raise BadChat("each message must be an object with a content", "messages")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its words, and why it ended ("stop", or "length" when it was cut at max_tokens)."""

    words: tuple[str, ...]
    finish_reason: str
    others: tuple[str, ...] = ()
    """what could have been said in place of the first word"""

    def text(self) -> str:
        return " ".join(self.words)

    def chunks(self) -> list[tuple[int, str]]:
        """(tokens sent by then, text) of each piece: the first token alone, then equal pieces."""
        count = len(self.words)
        pieces = min(CHUNKS_PER_STREAM, count)
        ends = [1 + round((count - 1) * i / max(pieces - 1, 1)) for i in range(pieces)]
        starts = [0, *ends[:-1]]
        return [
            (end, ("" if start == 0 else " ") + " ".join(self.words[start:end]))
            for start, end in zip(starts, ends, strict=True)
        ]


def answer(text: str, max_tokens: int | None) -> Answer:
    """The text's words, repeated or cut so that there are `max_tokens` of them; all of them once if None."""
    words = text.split()
    if max_tokens is None:
        return Answer(tuple(words), "stop")
    return Answer(tuple(islice(cycle(words), max_tokens)), "length")


@dataclass(frozen=True, slots=True)
class Known:
    """An answer that a server was given for one question; every duration of it times `slow`."""

    text: str
    slow: float = 1.0
    others: tuple[str, ...] = ()
    """words that could have begun it"""

    def within(self, max_tokens: int | None) -> Answer:
        """As it is, or cut at `max_tokens`."""
        words = tuple(self.text.split())
        if max_tokens is None or len(words) <= max_tokens:
            return Answer(words, "stop", self.others)
        return Answer(words[:max_tokens], "length", self.others)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer in the API's words, whole or as server-sent events."""

    id: str
    created: int
    asked: ChatRequest
    given: Answer
    logprobs: list[dict[str, object]] | None = None
    """one for each word, where they were asked for and are told"""

    def whole(self) -> dict[str, object]:
        message = {"role": "assistant", "content": self.given.text()}
        choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": self.given.finish_reason}
        if self.logprobs is not None:
            choice["logprobs"] = {"content": self.logprobs}
        return self._body("chat.completion", [choice]) | {"usage": self._usage()}

    def events(self) -> list[tuple[int, bytes]]:
        """(tokens that must have been generated by then, bytes to send), in order."""
        events: list[tuple[int, bytes]] = []
        sent = 0
        for tokens, text in self.given.chunks():
            delta = {"content": text} if events else {"role": "assistant", "content": text}
            choice: dict[str, object] = {"index": 0, "delta": delta, "finish_reason": None}
            if self.logprobs is not None:
                choice["logprobs"] = {"content": self.logprobs[sent:tokens]}
            sent = tokens
            events.append((tokens, self._event([choice])))
        last: list[dict[str, object]] = [{"index": 0, "delta": {}, "finish_reason": self.given.finish_reason}]
        end = self._event(last)
        if self.asked.include_usage:
            end += self._event([], usage=self._usage())
        return [*events, (len(self.given.words), end + b"data: [DONE]\n\n")]

    def _event(self, choices: list[dict[str, object]], **more: object) -> bytes:
        return b"data: " + json.dumps(self._body("chat.completion.chunk", choices) | more).encode() + b"\n\n"

    def _body(self, kind: str, choices: list[dict[str, object]]) -> dict[str, object]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.asked.model,
            "choices": choices,
        }

    def _usage(self) -> dict[str, int]:
        return usage(self.asked.prompt_tokens, len(self.given.words))


def usage(prompt_tokens: int, generated_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": generated_tokens,
        "total_tokens": prompt_tokens + generated_tokens,
    }


def error_body(status: int, kind: str, message: str, param: str | None = None) -> dict[str, object]:
    """An error in OpenAI's shape, as vLLM fills it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}
