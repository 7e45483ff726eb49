"""The one word for an assessment: what a look leads to, the first that applies."""

from __future__ import annotations

import pytest

from modelroute.analysis.design import Action, Objective
from modelroute.analysis.engine import Answering, Assessment, Finding, Knowledge, Tally
from modelroute.analysis.lacking import Forecast
from modelroute.analysis.replay import Verdict, verdict_of

SEEN, UNSEEN = Tally(1, 100, 9, 900, 1), Tally()


def finding(action: Action = Action.ROLL_BACK, *, too: bool = False, safe: bool = False, seen: bool = True) -> Finding:
    knowledge = Knowledge.NO_HARM_SHOWN if seen else Knowledge.UNKNOWN
    return Finding(
        "errors", "small", "large", action, SEEN if seen else UNSEEN, 0.0, knowledge,
        contributions=(("margin", 0.0),), log_safe=0.0, proven_safe=safe, reference_too=too, worst_difference=None,
        overdispersion=1.0, forecast=Forecast(Objective("errors", margin=0.01), True, None, 0.05, 1.0),
    )  # fmt: skip


def answering(*, mismatch: bool) -> Answering:
    return Answering("small", "large", 0.0, 0.0, mismatch=mismatch, silent=False)


def known(
    *findings: Finding, rollback: float = 0.0, pause: float = 0.0, answers: tuple[Answering, ...] = ()
) -> Assessment:
    return Assessment(rollback, pause, 3.0, findings, answers)


TOO, FINE, SAFE = finding(too=True), finding(), finding(safe=True)
OFF, AS_ASKED = answering(mismatch=True), answering(mismatch=False)


@pytest.mark.parametrize(
    ("assessment", "verdict"),
    [
        (known(TOO, rollback=3.5, pause=3.5, answers=(OFF,)), Verdict.ROLL_BACK),
        (known(TOO, pause=3.5, answers=(OFF,)), Verdict.PAUSE),
        (known(SAFE, finding(Action.PAUSE, too=True)), Verdict.HOLD),
        (known(FINE, TOO, FINE), Verdict.HOLD),
        (known(SAFE, answers=(AS_ASKED, OFF)), Verdict.HOLD),
        (known(SAFE, finding(Action.REPORT, too=True), answers=(AS_ASKED,)), Verdict.PROVEN_SAFE),
        (known(SAFE, FINE), Verdict.NO_HARM_SHOWN),
        (known(FINE, finding(seen=False)), Verdict.NO_HARM_SHOWN),
        (known(finding(seen=False)), Verdict.UNKNOWN),
        (known(), Verdict.UNKNOWN),
    ],
)
def test_the_gravest_that_any_finding_says_is_the_word_for_all(assessment: Assessment, verdict: Verdict) -> None:
    assert verdict_of(assessment) is verdict
