"""What was read, held against what the attempt was frozen with: latency is tested at the same boundaries to the end."""

from __future__ import annotations

from dataclasses import replace

from modelroute.analysis.design import Outcomes
from modelroute.rollout.attempt import Attempt
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.observation import Look
from modelroute.rollout.reasons import Reason


def as_frozen(attempt: Attempt, look: Look) -> Look:
    """`look` with the counts of every latency objective at the boundaries that `attempt` started with.

    A histogram that has more boundaries now still has those. Where one is gone nothing else stands for it: another
    boundary would be another threshold, in silence.
    """
    return replace(look, readings=tuple(_reading(attempt, each) for each in look.readings))


def _reading(attempt: Attempt, reading: WindowReading) -> WindowReading:
    for name, frozen in attempt.boundaries.items():
        now = reading.boundaries.get(name)
        if now is None or now == frozen:
            continue
        reading = _narrowed(reading, name, frozen, now) if set(frozen) <= set(now) else _without(reading, name, frozen)
    return reading


def _narrowed(
    reading: WindowReading, name: str, frozen: tuple[float, ...], now: tuple[float, ...]
) -> WindowReading:  # fmt: skip
    places = [now.index(seconds) for seconds in frozen]

    def at_frozen(outcomes: Outcomes) -> Outcomes:
        compared = tuple(outcomes.compared[place] for place in places)
        return Outcomes(outcomes.total, compared, compared[0])

    outcomes = {key: at_frozen(each) if key[0] == name else each for key, each in reading.outcomes.items()}
    return replace(reading, outcomes=outcomes, boundaries={**reading.boundaries, name: frozen})


def _without(reading: WindowReading, name: str, frozen: tuple[float, ...]) -> WindowReading:
    now = reading.boundaries[name]
    message = (
        f"{name}: the gateway's histogram has {_in_words(now)} now, and this rollout was started with"
        f" {_in_words(frozen)}: give the gateway its buckets back, or abort and start again with the new ones"
    )
    return replace(
        reading,
        outcomes={key: each for key, each in reading.outcomes.items() if key[0] != name},
        boundaries={key: each for key, each in reading.boundaries.items() if key != name},
        unknown=(*reading.unknown, Unknown(Reason.HISTOGRAM_CHANGED, message, name)),
    )


def _in_words(boundaries: tuple[float, ...]) -> str:
    return ", ".join(f"{seconds:g}" for seconds in boundaries) + " s"
