"""The engine's state as text: compact JSON with a version, the same bytes whenever it is the same state."""

from __future__ import annotations

import json
import math
from typing import Any

from modelroute.analysis.design import Design
from modelroute.analysis.engine import ENGINE_VERSION, State, Tally, Track, pairs
from modelroute.analysis.mixture import POINTS
from modelroute.analysis.process import Process


def encode(state: State) -> str:
    """`decode` gives the same state back, bit for bit: floats are written so that they read back exactly."""
    tracks = [
        [[_to_json(process) for process in track.main], _to_json(track.fast), _tally_to_json(track.tally)]
        for track in state.tracks
    ]
    content = {"v": ENGINE_VERSION, "until": _finite(state.until), "tracks": tracks}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def decode(design: Design, text: str) -> State:
    """The state that `encode` wrote for this design. Raises ValueError where it is of another version or shape."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("v") != ENGINE_VERSION:
        written = content.get("v") if isinstance(content, dict) else None
        raise ValueError(f"the engine's state is of version {written!r}, and this engine reads {ENGINE_VERSION!r}")
    try:
        tracks = tuple(
            Track(tuple(_process(each) for each in main), _process(fast), Tally(*tally))
            for main, fast, tally in content["tracks"]
        )
        until = _infinite(content["until"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the engine's state cannot be read: {error}") from error
    shape = [objective.boundaries for objective, _ in pairs(design)]
    if [len(track.main) for track in tracks] != shape:
        raise ValueError("the engine's state does not belong to this attempt's objectives and candidates")
    return State(until, tracks)


def _to_json(process: Process) -> list[Any]:
    capital = [_finite(value) for value in process.log_capital]
    return [capital, process.windows, process.reference_bad, process.reference_total]


def _tally_to_json(tally: Tally) -> list[float]:
    return [
        tally.candidate_bad,
        tally.candidate_total,
        tally.reference_bad,
        tally.reference_total,
        tally.windows,
        tally.skipped,
    ]


def _process(values: list[Any]) -> Process:
    capital, windows, bad, total = values
    if len(capital) != POINTS:
        raise ValueError(f"{len(capital)} alternatives instead of {POINTS}")
    return Process(tuple(_infinite(value) for value in capital), int(windows), float(bad), float(total))


def _finite(value: float) -> float | None:
    return None if value == -math.inf else value


def _infinite(value: float | None) -> float:
    return -math.inf if value is None else float(value)
