"""ROUGE-1, ROUGE-2 and ROUGE-L, as F1: how much of a summary's wording is that of a reference summary.

After C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004): lower-case letters and digits, no
stemming. The tests hold it against the rouge-score package, which would bring nltk and its data along.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")


def rouge(answer: str, reference: str) -> dict[str, float]:
    """`rouge1`, `rouge2` and `rougeL`, each in [0, 1]; 0 where either text has no words to share."""
    got, wanted = _words(answer), _words(reference)
    return {
        "rouge1": _shared(_ngrams(got, 1), _ngrams(wanted, 1)),
        "rouge2": _shared(_ngrams(got, 2), _ngrams(wanted, 2)),
        "rougeL": _f1(_longest_common(got, wanted), len(got), len(wanted)),
    }


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngrams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))


def _shared(got: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
    return _f1((got & wanted).total(), got.total(), wanted.total())


def _f1(shared: int, got: int, wanted: int) -> float:
    """2PR / (P + R) with P = shared/got and R = shared/wanted, without dividing by nothing."""
    return 2 * shared / (got + wanted) if shared else 0.0


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, in O(len(left) · len(right)) time and one row of memory."""
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for at, other in enumerate(right, start=1):
            above = row[at]
            row[at] = diagonal + 1 if word == other else max(above, row[at - 1])
            diagonal = above
    return row[-1]
