"""What must hold of counters: nothing is counted twice, nothing is lost, nothing depends on who asks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.fake_prometheus import T0, series

from modelroute.metrics import checks, cutting, ledger, scrapes

INTERVAL_S = 5.0
OWN = frozenset({"code"})


@dataclass(frozen=True)
class History:
    """Scrapes of one target: when, of which process, what the counter said; and what was truly counted."""

    target: tuple[tuple[float, float, float], ...]
    increments: tuple[tuple[float, float], ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to 60 scrapes with up to 3 missed in a row; a process may be replaced right after any scrape."""
    phase = draw(st.floats(0.0, 4.9))
    count = draw(st.integers(2, 60))
    steps = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    restarts = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    missed = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    started, value, in_a_row = T0 - 86_400.0, float(draw(st.integers(0, 1000))), 0
    scrapes, increments = [], []
    for place in range(count):
        t = T0 + phase + place * INTERVAL_S
        value += steps[place]
        increments.append((t, float(steps[place])))
        in_a_row = in_a_row + 1 if missed[place] == 0 else 0
        if in_a_row in (0, 4):
            in_a_row = 0
            scrapes.append((t, started, value))
            if restarts[place] == 0:
                started, value = t + 0.5, 0.0
    return History(tuple(scrapes), tuple(increments))


def increase(history: History, start: float, end: float) -> float | None:
    labels = {"job": "gw", "instance": "a"}
    starts = series("process_start_time_seconds", labels, [(t, s) for t, s, _ in history.target])
    found = ledger.counters(
        [series("requests_total", {**labels, "code": "200"}, [(t, v) for t, _, v in history.target])], OWN
    )
    window = cutting.cut(scrapes.timelines([starts], OWN), start, end, scrape_interval_s=INTERVAL_S)
    return None if window.problem else ledger.increase(found[0], window.spans)


@given(histories(), st.lists(st.integers(1, 60), max_size=12))
def test_however_the_time_is_cut_the_windows_add_up_to_what_was_counted(history: History, cuts_s: list[int]) -> None:
    if not history.target:
        return
    first, last = history.target[0][0], history.target[-1][0]
    edges = sorted({T0 - 1, *(T0 + cut for cut in cuts_s), last + 1})
    known = [counted for start, end in pairwise(edges) if (counted := increase(history, start, end)) is not None]
    # The very first scrape of an old process is the baseline.
    truth = math.fsum(step for t, step in history.increments if first < t <= last)
    assert math.fsum(known) == truth


@given(st.data())
def test_samples_that_were_lost_make_a_window_unknown_or_change_nothing(data: st.DataObject) -> None:
    """Of a process that goes on: never more than two in a row and not the last, as that were a deleted counter."""
    labels = {"job": "gw", "instance": "a"}
    steps = data.draw(st.lists(st.integers(0, 5), min_size=8, max_size=40))
    lost = [place % 3 > 0 and place < len(steps) - 1 and data.draw(st.booleans()) for place in range(len(steps))]
    values = [1000.0 + sum(steps[: place + 1]) for place in range(len(steps))]
    times = [T0 + 3 + place * INTERVAL_S for place in range(len(steps))]
    starts = series("process_start_time_seconds", labels, [(t, T0 - 86_400) for t in times])
    kept = [(t, value) for t, value, gone in zip(times, values, lost, strict=True) if not gone]
    (counter,) = ledger.counters([series("requests_total", {**labels, "code": "500"}, kept)], OWN)
    edges = sorted({0, *data.draw(st.lists(st.integers(0, len(steps)), max_size=12))})
    for first, last in pairwise(edges):
        start, end = T0 + first * INTERVAL_S, T0 + last * INTERVAL_S
        window = checks.cut([counter], scrapes.timelines([starts], OWN), start, end, scrape_interval_s=INTERVAL_S)
        assert window.problem is None
        if ledger.torn(counter, window.spans) is None:
            # What was counted before the very first scrape is nobody's.
            assert ledger.increase(counter, window.spans) == sum(steps[max(first, 1) : last])


@given(histories(), st.integers(0, 50), st.integers(1, 12))
def test_a_window_is_the_same_whatever_else_was_fetched_with_it(history: History, start_s: int, windows: int) -> None:
    start = T0 + start_s
    end = start + windows * INTERVAL_S
    sight = start - scrapes.lookback_s(INTERVAL_S)
    alone = History(tuple(each for each in history.target if sight < each[0] <= end), ())
    assert increase(history, start, end) == increase(alone, start, end)


@given(st.lists(st.none() | st.integers(0, 100).map(float)), st.booleans())
def test_deltas_are_never_negative_and_add_up(samples: list[float | None], new: bool) -> None:
    deltas, total = ledger.counter_deltas(samples, new=new)
    known = [delta for delta in deltas if delta is not None]
    assert all(delta >= 0 for delta in known)
    assert math.fsum(known) == total
    assert len(deltas) == max(len(samples) - (0 if new else 1), 0)


@given(st.lists(st.integers(0, 100).map(float), min_size=1).map(sorted), st.data())
def test_missed_scrapes_change_no_sum(samples: list[float], data: st.DataObject) -> None:
    seen = data.draw(st.lists(st.booleans(), min_size=len(samples), max_size=len(samples)))
    seen[0] = seen[-1] = True
    with_gaps = [value if there else None for value, there in zip(samples, seen, strict=True)]
    assert ledger.counter_deltas(with_gaps, new=False)[1] == samples[-1] - samples[0]
