"""What `assess` tells of whole attempts, against the same attempts played by tests/oracle."""

from __future__ import annotations

import pytest
from tests.oracle.whole import attempt

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance, assess, start

Windows = list[tuple[float, float, float, float]]
HEALTHY: Windows = [(100, 1, 900, 9), (120, 0, 880, 7), (210, 3, 790, 9), (190, 2, 810, 8)]
WORSE: Windows = [(100, 2, 900, 9), (120, 9, 880, 7), (210, 16, 790, 9), (190, 15, 810, 8)]
NONE_BAD: Windows = [(900, 0, 900, 0), (1_200, 0, 1_100, 0), (3_000, 0, 3_000, 0)]
ALL_BAD: Windows = [(10, 10, 90, 1), (10, 10, 90, 0), (10, 10, 90, 2)]


@pytest.mark.parametrize("windows", [HEALTHY, WORSE, NONE_BAD, ALL_BAD], ids=["healthy", "worse", "none", "all"])
@pytest.mark.parametrize(
    ("ratio", "margin", "limit", "overdispersion"),
    [(None, 0.01, None, 1.0), (1.2, None, None, 3.0), (None, 0.005, 0.03, 1.0), (1.5, None, 0.02, 3.0)],
)
def test_an_attempt_of_two_steps_is_told_as_the_oracle_plays_it(
    ratio: float | None, margin: float | None, limit: float | None, windows: Windows, overdispersion: float
) -> None:
    """The engine rounds what it keeps down to nine decimals, so it is a little below and never above."""
    objective = Objective("errors", ratio=ratio, margin=margin, limit=limit)
    design = Design((objective,), (Comparison("new", "old"),), overdispersion=overdispersion)
    state = start(design)
    for k, (n_c, x_c, n_b, x_b) in enumerate(windows):
        outcomes = {("errors", "new"): Outcomes(n_c, (x_c,), x_c), ("errors", "old"): Outcomes(n_b, (x_b,), x_b)}
        asked = {"new": 0.1, "old": 0.9} if k < 2 else {"new": 0.2, "old": 0.8}
        state = advance(design, state, Window(15.0 * k, 15.0 * k + 15, outcomes, asked, True))
    (found,) = assess(design, state).findings

    expected = attempt(
        windows, [2], ratio=ratio, margin=margin, limit=limit, alpha=0.05, beta=0.05,
        overdispersion=overdispersion,
    )  # fmt: skip
    slack = 4e-9 * len(windows)
    assert found.log_safe is not None
    assert expected.log_safe is not None
    for told, exact in ((found.log_e, float(expected.log_e)), (found.log_safe, float(expected.log_safe))):
        assert exact - slack <= told <= exact + 1e-9 * max(1, abs(exact))
    assert (found.worst_difference is None) == (expected.refuted is None)
    if expected.refuted is not None and found.worst_difference is not None:
        assert found.worst_difference <= float(expected.refuted) + 1e-12
