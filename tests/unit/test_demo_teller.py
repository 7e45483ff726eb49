"""The demo's lines of evidence."""

from __future__ import annotations

import pytest

from demo.__main__ import saying_when_stopped
from demo.teller import Teller, evidence_line

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


def test_ctrl_c_is_answered_before_the_stack_takes_its_seconds_to_end() -> None:
    said: list[str] = []

    with pytest.raises(KeyboardInterrupt), saying_when_stopped(Teller(said.append)):
        raise KeyboardInterrupt

    assert len(said) == 1
    assert said[0].endswith("stopping the stack …")
