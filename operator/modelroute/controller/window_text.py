"""A window of evidence in one line of a ModelRollout, and back, without loss: a decision can be gone through again.

errors/small=3/120      3 of 120 requests were bad
slow/small=8,1/100      8 above the threshold, 1 above the next boundary of the histogram
errors/small=3;2/120    3 for the comparison, 2 for `max`, which counts other answers as bad
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelroute.analysis.design import Outcomes, Window
from modelroute.api.fields import format_instant, parse_instant
from modelroute.api.rollout_status import WindowRecord
from modelroute.errors import Invalid
from modelroute.rollout.attempt import Attempt
from modelroute.rollout.split import TOTAL, weights_at


def written(window: Window, step: int, note: str) -> WindowRecord:
    """`window` of the step of that index; `note` says what was not known in it, "" where nothing was lacking."""
    return WindowRecord(
        end=format_instant(window.end),
        step=step,
        counts=" ".join(
            f"{objective}/{arm}={_outcomes_text(outcomes)}"
            for (objective, arm), outcomes in sorted(window.outcomes.items())
        ),
        completions=" ".join(f"{arm}={_number(count)}" for arm, count in sorted(window.completions.items())) or None,
        restarts=round(window.restarts) or None,
        settled=window.settled,
        note=note or None,
    )


def read(record: WindowRecord, attempt: Attempt) -> Window:
    """What `written` wrote. Raises Invalid where it was cut, or is of an operator that kept less."""
    if record.settled is None:
        raise Invalid("it is not kept whether it had settled", field=f"the window that ended at {record.end}")
    if record.step >= len(attempt.steps):
        raise Invalid(f"there is no step {record.step + 1}", field=f"the window that ended at {record.end}")
    end = parse_instant(record.end)
    weights = weights_at(attempt.arms, attempt.steps[record.step].progress)
    try:
        return Window(
            start=end - attempt.window_s,
            end=end,
            outcomes=dict(_outcomes(part) for part in record.counts.split()),
            asked={name: weight / TOTAL for name, weight in weights.items()},
            settled=record.settled,
            completions=_completions((record.completions or "").split()),
            restarts=float(record.restarts or 0),
        )
    except ValueError as error:
        raise Invalid(f"{error}", field=f"the window that ended at {record.end}") from error


def _outcomes_text(outcomes: Outcomes) -> str:
    bad = ",".join(_number(each) for each in outcomes.compared)
    absolute = "" if outcomes.compared[:1] == (outcomes.absolute,) else f";{_number(outcomes.absolute)}"
    return f"{bad}{absolute}/{_number(outcomes.total)}"


def _outcomes(part: str) -> tuple[tuple[str, str], Outcomes]:
    # The names of arms may hold any of the separators: what comes after the last `=` is numbers.
    key, _, counts = part.rpartition("=")
    objective, _, arm = key.partition("/")
    bad, _, total = counts.partition("/")
    compared, _, absolute = bad.partition(";")
    values = tuple(float(each) for each in compared.split(","))
    return (objective, arm), Outcomes(float(total), values, float(absolute) if absolute else values[0])


def _completions(parts: Iterable[str]) -> Mapping[str, float]:
    split = (part.rpartition("=") for part in parts)
    return {arm: float(count) for arm, _, count in split}


def _number(value: float) -> str:
    """The shortest text that reads back as `value`; whole numbers without a fraction."""
    return f"{value:.0f}" if float(value).is_integer() else repr(value)
