"""The list of reasons and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

from modelroute.rollout.reasons import Reason

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"


def test_every_reason_is_explained_once_and_nothing_else_is() -> None:
    explained = re.findall(r"^\| `([A-Za-z]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(explained) == sorted(reason.value for reason in Reason)


def test_reasons_are_words_that_a_condition_may_carry() -> None:
    assert all(re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", reason.value) for reason in Reason)
