"""One answer to one item: its scores, and whether it broke a rule. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from modelroute.compare.suites.likeliest import Token, shares
from modelroute.compare.suites.rouge import rouge
from modelroute.compare.suites.suite import Item, Method
from modelroute.compare.suites.unsupported import unsupported

_NUMBER = re.compile(r"-?\d+(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


@dataclass(frozen=True, slots=True)
class Scored:
    """`scores` by name, each in [0, 1]; `violation` None where the item has no rule to break; `why` in words."""

    scores: Mapping[str, float]
    violation: bool | None
    why: str = ""


def score(item: Item, answer: str, *, marker: str = "Answer:", tokens: Sequence[Token] = ()) -> Scored:
    """Judge `answer`. Choices, numbers and texts are read after the last `marker`, where the answer has one; `tokens`
    are the answer's, with log-probabilities, for the method that reads them.
    """
    broken = tuple(phrase for phrase in item.forbidden if _says(answer, phrase))
    if item.method is Method.SUMMARY:
        invented = unsupported(answer, item.source)
        facts = sum(_says(answer, fact) for fact in item.facts) / len(item.facts) if item.facts else 1.0
        why = [f"not in the source: {', '.join(invented)}"] if invented else []
        why += [f"says what it must not: {', '.join(broken)}"] if broken else []
        return Scored({"facts": facts, **rouge(answer, item.expected)}, bool(invented or broken), "; ".join(why))
    if item.method is Method.LIKELIEST:
        scores = _likeliest(item, tokens)
    else:
        scores = {"accuracy": float(_right(item, answer, marker))}
    violation = bool(broken) if item.forbidden else None
    return Scored(scores, violation, f"says what it must not: {', '.join(broken)}" if broken else "")


def _likeliest(item: Item, tokens: Sequence[Token]) -> dict[str, float]:
    found = shares(item.options, tokens)
    right = sum(found[option] for option in item.right)
    others = [likely for option, likely in found.items() if option not in item.right]
    best = max((found[option] for option in item.right), default=0.0)
    return {"accuracy": float(best > max(others, default=0.0)), "probability": min(right, 1.0)}


def _right(item: Item, answer: str, marker: str) -> bool:
    said = _after(answer, marker)
    match item.method:
        case Method.CHOICE:
            chosen = _named(item.options, answer) if said is None else _chosen(item.options, said)
            return chosen in item.right
        case Method.NUMBER:
            numbers = _NUMBER.findall(answer if said is None else said)
            return bool(numbers) and any(_number(numbers[-1]) == Decimal(each) for each in item.right)
        case Method.TEXT:
            return _plain(answer if said is None else said) in {_plain(each) for each in item.right}
        case Method.EXACT:
            return answer.strip() in item.right
        case Method.JSON:
            return any(_same_json(answer, each) for each in item.right)
        case Method.SUMMARY | Method.LIKELIEST:
            raise AssertionError(f"{item.method} is not read from the text alone")
        case _:
            assert_never(item.method)


def _after(answer: str, marker: str) -> str | None:
    """What follows the last marker, to the end of its line; None without one."""
    at = answer.lower().rfind(marker.lower())
    if at < 0:
        return None
    rest = answer[at + len(marker) :].strip().strip("*").strip()
    return rest.splitlines()[0] if rest else ""


def _chosen(options: tuple[str, ...], said: str) -> str | None:
    """The only option that is named after the marker."""
    named = {option for option in options if _says(said, option)}
    # "not sure" also says "sure": an option inside a longer one that was named is not a second answer.
    longest = {one for one in named if not any(one != other and _says(other, one) for other in named)}
    return longest.pop() if len(longest) == 1 else None


def _named(options: tuple[str, ...], answer: str) -> str | None:
    """Without a marker: the option that the answer begins or ends with; in between, "no" is about other things."""
    text = answer.strip(" \t\r\n*_`\"'.,;:!()[]")
    ends = {
        option
        for option in options
        if re.search(rf"^{re.escape(option)}(?!\w)|(?<!\w){re.escape(option)}$", text, re.IGNORECASE)
    }
    return ends.pop() if len(ends) == 1 else None


def _says(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text` as whole words, in any case; blanks are as good as line breaks."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _plain(text: str) -> str:
    kept = re.sub(r"[^\w\s]", " ", text.lower())
    return " ".join(_ARTICLES.sub(" ", kept).split())


def _same_json(said: str, expected: str) -> bool:
    try:
        # Types count: 1 is not true, though Python takes them for equal.
        return json.dumps(json.loads(said), sort_keys=True) == json.dumps(json.loads(expected), sort_keys=True)
    except ValueError:
        return False
