"""The engine's state as text: compact JSON with a version, the same bytes whenever it is the same state."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from modelroute.analysis.bank import Bank
from modelroute.analysis.blocks import Block
from modelroute.analysis.design import Design
from modelroute.analysis.evidence import MARGINS, Limited, State, Tally
from modelroute.analysis.layout import layout_of
from modelroute.analysis.mixture import POINTS, Floats
from modelroute.analysis.state_v1 import from_version_1
from modelroute.analysis.state_v2 import from_version_2

ENGINE_VERSION: Final = "3"


def encode(state: State) -> str:
    """`decode` gives the same state back, bit for bit: floats are written so that they read back exactly."""
    bank = state.bank
    columns = (bank.log_unspent, bank.windows, bank.bad, bank.total, bank.due)
    rows = [
        [_list(capital), *_list(values), _digits(hits)]
        for capital, values, hits in zip(bank.log_capital, np.stack(columns, axis=1), bank.hits, strict=True)
    ]
    content = {
        "v": ENGINE_VERSION,
        "until": _short(state.until),
        "asked": [_list(each) for each in state.asked],
        "rows": rows,
        "tallies": [_list(_tally(each)) for each in state.tallies],
        "limited": [_list(_limited(each)) for each in state.limited],
        "bounds": [_list(each) for each in state.bounds],
        "recent": [_list(each) for each in state.recent],
        "blocks": [None if each is None else _list(_block(each)) for each in state.blocks],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def decode(design: Design, text: str) -> State:
    """The state that `encode` wrote for this design. Raises ValueError where it is of another version or shape.

    A state of version "1", from before `max`, proofs of safety and the check of the split, is taken over: what it did
    not have starts afresh. So is one of version "2", but for what it held about `max` against the reference
    (`state_v2`).
    """
    content = json.loads(text)
    version = content.get("v") if isinstance(content, dict) else None
    if version not in {"1", "2", ENGINE_VERSION}:
        raise ValueError(f"the engine's state is of version {version!r}, and this engine reads {ENGINE_VERSION!r}")
    try:
        if version == "1":
            return from_version_1(design, content)
        return _state(design, from_version_2(design, content) if version == "2" else content)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the engine's state cannot be read: {error}") from error


def version_of(text: str) -> str | None:
    """The version of the engine that wrote `text`; None where no engine did."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    version = content.get("v") if isinstance(content, dict) else None
    return version if isinstance(version, str) else None


def _state(design: Design, content: dict[str, Any]) -> State:
    layout = layout_of(design)
    rows = content["rows"]
    capital = np.asarray([[_number(value) for value in row[0]] for row in rows], dtype=np.float64)
    values = np.asarray([[_number(value) for value in row[1:6]] for row in rows], dtype=np.float64).reshape(-1, 5)
    hits = [[float(digit) for digit in row[6] or "0" * POINTS] for row in rows]
    state = State(
        until=_number(content["until"]),
        asked=tuple((_number(mine), _number(reference)) for mine, reference in content["asked"]),
        bank=Bank(
            capital.reshape(-1, POINTS),
            values[:, 0].copy(),
            values[:, 1].copy(),
            values[:, 2].copy(),
            values[:, 3].copy(),
            values[:, 4] != 0,
            np.asarray(hits, dtype=np.float64).reshape(-1, POINTS),
        ),
        tallies=tuple(map(_tally_from, content["tallies"])),
        limited=tuple(Limited(*map(_number, row)) for row in content["limited"]),
        bounds=np.asarray([list(map(_number, row)) for row in content["bounds"]], dtype=np.float64).reshape(
            -1, len(MARGINS)
        ),
        recent=tuple(tuple(map(_number, each)) for each in content["recent"]),
        blocks=tuple(None if each is None else _block_from(each) for each in content["blocks"]),
    )
    expected = (
        len(layout.rows),
        len(layout.pairs),
        sum(pair.limits for pair in layout.pairs),
        sum(pair.compares for pair in layout.pairs),
        len(layout.checked),
        int(layout.both.sum()),
    )
    parts = (rows, state.tallies, state.limited, state.bounds, state.recent, state.blocks)
    found = tuple(map(len, parts))
    if found != expected or len(state.asked) not in {0, len(design.comparisons)}:
        raise ValueError("it does not belong to this attempt's objectives and candidates")
    return state


def _tally(tally: Tally) -> tuple[float, ...]:
    return (
        tally.candidate_bad,
        tally.candidate_total,
        tally.reference_bad,
        tally.reference_total,
        tally.windows,
        tally.skipped,
    )


def _tally_from(values: list[Any]) -> Tally:
    a, b, c, d, windows, skipped = map(_number, values)
    return Tally(a, b, c, d, int(windows), int(skipped))


def _digits(hits: Floats) -> str:
    """One digit for each alternative; "" where all are 0, as they nearly always are."""
    return "".join(str(int(each)) for each in hits) if hits.any() else ""


def _block(block: Block) -> tuple[float, ...]:
    return (block.total, block.bad, block.guess, *block.against)


def _block_from(values: list[Any]) -> Block:
    total, bad, guess, *against = map(_number, values)
    if len(against) != POINTS:
        raise ValueError(f"{len(against)} alternatives instead of {POINTS}")
    return Block(total, bad, guess, tuple(against))


def _limited(limited: Limited) -> tuple[float, ...]:
    return (
        limited.bad,
        limited.total,
        limited.log_sums,
        limited.gate_bad,
        limited.gate_total,
        limited.log_safe,
    )


def _list(values: Any) -> list[float | int | None]:
    return [_short(float(value)) for value in values]


def _short(value: float) -> float | int | None:
    """−inf as null, whole numbers without a fraction."""
    if value == -math.inf:
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _number(value: Any) -> float:
    if value is None:
        return -math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} instead of a number")
    return float(value)
