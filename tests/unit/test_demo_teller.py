"""The demo's lines of evidence."""

from __future__ import annotations

import pytest

from demo.teller import evidence_line

ERRORS = {"name": "errors", "candidate": "small"}
COUNTED = {"candidateRate": "2.00%", "candidateRequests": 50, "evidence": "1.2 of 20"}


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({}, "errors of small: nothing was counted yet"),
        ({"candidateRequests": 0, "evidence": "1 of 20"}, "errors of small: nothing was counted yet"),
        (COUNTED, "errors of small: 2.00% of 50, evidence 1.2 of 20"),
        (
            {**COUNTED, "referenceRate": "0.50%", "referenceRequests": 200},
            "errors of small: 2.00% of 50 against 0.50% of 200, evidence 1.2 of 20",
        ),
    ],
)
def test_what_was_not_counted_yet_is_said_in_words(counted: dict[str, object], said: str) -> None:
    assert evidence_line({**ERRORS, **counted}) == said
