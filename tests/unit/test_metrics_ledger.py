"""Counters: what a series of scrapes says was counted, and when it says nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from tests.fake_prometheus import T0, series

from modelroute.metrics import checks, cutting, ledger, scrapes
from modelroute.metrics.scrapes import timelines
from modelroute.rollout.reasons import Reason

OLD = T0 - 86_400
OWN = frozenset({"code"})
A = {"job": "gw", "instance": "a"}
B = {"job": "gw", "instance": "b"}


@pytest.mark.parametrize(
    ("samples", "new", "deltas", "total"),
    [
        ([5, 9, None, 4], False, [4, None, 4], 8),
        ([3], True, [3], 3),
        ([3], False, [], 0),
        ([], False, [], 0),
        ([], True, [], 0),
        ([None, 5, 9], False, [None, 4], 4),
        ([None, 3, 5], True, [None, 3, 2], 5),
        ([5, None, None, 9], False, [None, None, 4], 4),
        ([9, 4, 2], False, [4, 2], 6),
        ([5, 5], False, [0], 0),
        ([5, math.nan, 9], False, [None, 4], 4),
        ([5, math.inf, 9], False, [None, 4], 4),
        ([5, -1, 9], False, [None, 4], 4),
    ],
)
def test_deltas_are_reset_aware_and_span_what_was_missed(
    samples: list[float | None], new: bool, deltas: list[float | None], total: float
) -> None:
    assert ledger.counter_deltas(samples, new=new) == (deltas, total)


@pytest.mark.parametrize(
    ("now", "window_s", "scrape_interval_s", "end"),
    [
        (100.0, 5.0, 1.0, 95.0),
        (102.0, 5.0, 1.0, 100.0),
        (101.9, 5.0, 1.0, 95.0),
        (100.0, 15.0, 15.0, 60.0),
        (120.0, 15.0, 15.0, 90.0),
    ],
)
def test_a_window_is_complete_two_scrapes_after_its_end(
    now: float, window_s: float, scrape_interval_s: float, end: float
) -> None:
    assert scrapes.window_end_for(now, window_s, scrape_interval_s) == end


def counted(
    scrapes: Sequence[tuple[float, float, float | None]], start: float, end: float, *, interval_s: float = 5.0
) -> float | Reason:
    """The increase of one counter in (T0 + start, T0 + end], from (time, process start, value) after T0."""
    process = series("process_start_time_seconds", A, [(T0 + t, started) for t, started, _ in scrapes])
    values = [(T0 + t, value) for t, _, value in scrapes if value is not None]
    found = ledger.counters([series("requests_total", {**A, "code": "200"}, values)], OWN)
    return increase_of(found[0], timelines([process], OWN), start, end, interval_s=interval_s)


def increase_of(
    counter: ledger.Counter,
    targets: Mapping[scrapes.TargetId, Sequence[scrapes.Scrape]],
    start: float,
    end: float,
    *,
    interval_s: float = 5.0,
) -> float | Reason:
    window = checks.cut([counter], targets, T0 + start, T0 + end, scrape_interval_s=interval_s)
    problem = window.problem or ledger.torn(counter, window.spans)
    return problem.reason if problem else ledger.increase(counter, window.spans)


@pytest.mark.parametrize(
    ("scrapes", "expected"),
    [
        pytest.param([(-2, OLD, 10), (3, OLD, 17)], 7, id="from the last scrape before the window to the last in it"),
        pytest.param([(-2, OLD, 10), (3, OLD, 17), (8, OLD, 99)], 7, id="what comes after the window is not seen"),
        pytest.param([(-2, OLD, 10), (3, OLD, 4)], 4, id="a lower value is a reset"),
        pytest.param([(-2, OLD, 10), (3, T0, 17)], 17, id="a new process counts from 0 even where the value is higher"),
        pytest.param([(-2, OLD, 10), (3, OLD + 1, 17)], 7, id="a start that moves by a second is the same process"),
        pytest.param([(-2, OLD, 10), (3, OLD + 3600, 17)], 0, id="a start that jumps far in the past is a baseline"),
        pytest.param([(-2, OLD, 10), (3, OLD - 3600, 17)], 0, id="a start that goes back is a baseline"),
        pytest.param([(-2, OLD, None), (3, OLD, 1)], 1, id="a series that appears on an old process counts from 0"),
        pytest.param([(3, OLD, 500)], 0, id="a target and its series seen first together are a baseline"),
        pytest.param([(3, T0 + 1, 500)], 500, id="unless the process is known to be new"),
        pytest.param([(3, T0 - 4, 500)], 500, id="which it is if all of its life is within sight"),
        pytest.param([(-12, OLD, 10), (3, OLD, 17)], 7, id="a delta spans the scrapes missed before the window"),
        pytest.param([(-2, OLD, 10), (3, OLD, None)], 0, id="a series that vanished adds nothing"),
        pytest.param([(-2, OLD, 0), (3, OLD, 0)], 0, id="nothing happened"),
    ],
)
def test_what_was_counted_in_a_window(scrapes: Sequence[tuple[float, float, float | None]], expected: float) -> None:
    assert counted(scrapes, 0, 5) == expected


def test_a_series_that_came_back_below_what_it_was_had_been_deleted_and_counts_from_0() -> None:
    assert counted([(-2, OLD, 10), (1, OLD, None), (3, OLD, 7)], 0, 5, interval_s=2.0) == 7

    over_windows: list[tuple[float, float, float | None]] = [(-2, OLD, 10), (3, OLD, None), (8, OLD, 7)]
    assert [counted(over_windows, 0, 5), counted(over_windows, 5, 10)] == [0, 7]


def test_a_series_that_came_back_no_lower_than_it_was_had_missed_a_scrape_and_its_life_is_not_counted_again() -> None:
    assert counted([(-2, OLD, 3009), (1, OLD, None), (3, OLD, 3010)], 0, 5, interval_s=2.0) == 1
    assert counted([(-2, OLD, 3009), (1, OLD, None), (3, OLD, 3009)], 0, 5, interval_s=2.0) == 0


def test_a_window_is_unknown_where_a_series_missed_the_scrape_at_its_edge() -> None:
    lost: list[tuple[float, float, float | None]] = [(-7, OLD, 10), (-2, OLD, 11), (3, OLD, None), (8, OLD, 14)]
    lost += [(13, OLD, 15)]
    windows = [counted(lost, start, start + 5) for start in (-5, 0, 5, 10)]
    assert windows == [1, Reason.SCRAPE_GAP, Reason.SCRAPE_GAP, 1]
    assert counted(lost, -5, 10) == 4, "within a window it does not matter"


def test_a_series_that_does_not_come_back_for_five_scrapes_was_deleted_whenever_it_comes_again() -> None:
    gone: list[tuple[float, float, float | None]] = [(-2, OLD, 10), *((3 + 5 * n, OLD, None) for n in range(5))]
    gone += [(28, OLD, 12), (33, OLD, 13)]
    assert [counted(gone, start, start + 5) for start in range(0, 35, 5)] == [0, 0, 0, 0, 0, 12, 1]


# ---- samples at other times than the scrapes of the process: another replica's, or a 0 since when it counts ----


def off_beat(samples: Sequence[tuple[float, float]], scrapes: Sequence[tuple[float, float]]) -> list[float | Reason]:
    """What is counted in the windows (T0 + 0, T0 + 5] and (T0 + 5, T0 + 10] of a series with those samples."""
    process = series("process_start_time_seconds", A, [(T0 + t, started) for t, started in scrapes])
    values = [(T0 + t, value) for t, value in samples]
    (counter,) = ledger.counters([series("requests_total", {**A, "code": "500"}, values)], OWN)
    targets = timelines([process], OWN)
    return [increase_of(counter, targets, start, start + 5) for start in (0, 5)]


STEADY = [(t, OLD) for t in (-12, -7, -2, 3, 8, 13)]
RESTARTED = [(t, OLD if t < 5 else T0 + 4.5) for t, _ in STEADY]


@pytest.mark.parametrize(
    ("samples", "scrapes", "expected"),
    [
        pytest.param([(0.5, 1), (5.5, 2), (10.5, 4)], STEADY, [1, 1], id="a new one counts from 0"),
        pytest.param([(-9, 4), (-4, 5), (1, 7), (6, 8)], STEADY, [2, 1], id="an old one goes on"),
        pytest.param([(-2, 5), (3, 7), (5.5, 8), (10.5, 9)], STEADY, [2, 1], id="from here on it is the other's turn"),
        pytest.param([(1, 0), (3, 2), (8, 3)], STEADY, [2, 1], id="a 0 at the time of its making is no event"),
        pytest.param([(-2, 5), (3, 7), (4.6, 0), (8, 3)], RESTARTED, [2, 3], id="nor is one of a new process"),
        pytest.param([(-2, 5), (3, 7), (4.6, 1), (8, 3)], RESTARTED, [Reason.NO_DATA, 3], id="between two: whose?"),
    ],
)
def test_a_sample_between_two_scrapes_of_one_process_is_that_processs(
    samples: list[tuple[float, float]], scrapes: list[tuple[float, float]], expected: list[float | Reason]
) -> None:
    assert off_beat(samples, scrapes) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize("at", ["base", "end"])
def test_a_value_that_is_not_a_count_is_never_a_number(value: float, at: str) -> None:
    base, end = (value, 17.0) if at == "base" else (10.0, value)
    result = counted([(-2, OLD, base), (3, OLD, end)], 0, 5)
    assert isinstance(result, float)
    assert math.isnan(result)


def test_a_counter_that_three_scrapes_were_without_was_deleted_also_where_it_comes_back_above_its_last_value() -> None:
    """Traefik's, of a service that left a route and is back: its process was scraped meanwhile."""
    away = [(-2, OLD, 10.0), (3, OLD, None), (8, OLD, None)]

    assert counted([*away, (13, OLD, 12.0)], -1, 15) == 2
    assert counted([*away, (13, OLD, None), (18, OLD, 12.0)], -1, 20) == 12


@pytest.mark.parametrize(
    ("scrapes", "reason"),
    [
        pytest.param([], Reason.NO_DATA, id="no target at all"),
        pytest.param([(-2, OLD, 1)], Reason.SCRAPE_GAP, id="a scrape was missed"),
        pytest.param([(-20, OLD, 1)], Reason.SCRAPE_GAP, id="five scrapes were missed, it may still come back"),
        pytest.param([(-22, OLD, 1)], Reason.STALE_DATA, id="more were missed, and nobody else is there"),
        pytest.param([(-26, OLD, 1)], Reason.NO_DATA, id="it is out of sight"),
        pytest.param([(3, math.nan, 1)], Reason.NO_DATA, id="the start of the process is not a number"),
    ],
)
def test_why_a_window_is_unknown(scrapes: Sequence[tuple[float, float, float | None]], reason: Reason) -> None:
    assert counted(scrapes, 0, 5) == reason


def test_stale_data_say_how_often_they_were_looked_for() -> None:
    targets = timelines([series("process_start_time_seconds", A, [(T0 - 22, OLD)])], OWN)
    problem = cutting.cut(targets, T0, T0 + 5, scrape_interval_s=5.0).problem

    assert problem is not None
    assert problem.message == (
        "target a of job gw was last scraped 27 s before the end of this window:"
        " is it still a target, scraped every 5 s?"
    )


def test_a_scrape_that_jitters_over_a_cut_is_no_gap() -> None:
    scrapes = [(-0.001, OLD, 10.0), (5.002, OLD, 13.0), (9.999, OLD, 20.0)]
    assert counted(scrapes, 0, 5) == 0
    assert counted(scrapes, 5, 10) == 10


def cut_two(
    a: list[float],
    b: list[float],
    *,
    a_labels: dict[str, str] = A,
    b_labels: dict[str, str] = B,
    b_started: float = OLD + 7,
) -> cutting.Cut:
    targets = timelines(
        [
            series("process_start_time_seconds", a_labels, [(T0 + t, OLD) for t in a]),
            series("process_start_time_seconds", b_labels, [(T0 + t, b_started) for t in b]),
        ],
        OWN,
    )
    return cutting.cut(targets, T0, T0 + 5, scrape_interval_s=5.0)


def test_a_target_that_misses_a_scrape_makes_the_window_unknown_though_another_is_there() -> None:
    problem = cut_two([-2, 3], [-3]).problem
    assert problem is not None
    assert problem.reason is Reason.SCRAPE_GAP
    assert "target b of job gw" in problem.message


@pytest.mark.parametrize(
    ("scrapes", "started", "apart"),
    [
        pytest.param([-19, -11, -3], OLD, 8, id="two gaps"),
        pytest.param([-19, -11, -3], T0 - 20, 8, id="two gaps of a pod just born"),
        pytest.param([-12, 8], OLD, 20, id="one, and none before for as long as one looks back"),
        pytest.param([-13, -3], T0 - 14, None, id="a pod just born missed one scrape"),
        pytest.param([-12, 8], T0 - 13, None, id="a pod just born missed three"),
        pytest.param([-19, -3], OLD, None, id="one gap, and before it perhaps none"),
        pytest.param([-18, -8, -3], OLD, None, id="one missed"),
        pytest.param([-3], OLD, None, id="seen once"),
        pytest.param([-12], OLD, None, id="seen once, late"),
    ],
)
def test_where_all_scrapes_are_too_far_apart_the_setting_is_named(
    scrapes: list[float], started: float, apart: int | None
) -> None:
    problem = cut_two([-2, 3], scrapes, b_started=started).problem

    assert problem is not None
    assert problem.reason is Reason.SCRAPE_GAP
    said = f"; it is scraped every {apart} s, and scrapeInterval in the operator's configuration says 5 s"
    assert problem.message == f"target b of job gw was not scraped in this window{said if apart else ''}"


@pytest.mark.parametrize("every_s", [30, 45, 60])
def test_scraped_every_minute_and_configured_as_every_15_s_the_setting_is_named_in_every_gap(every_s: int) -> None:
    told = []
    for phase in range(every_s):
        # As it is read: until the first scrape after the window.
        scrapes = [(T0 + t, OLD) for t in range(phase + 15 - every_s * 9, phase + 16, every_s) if t > -75]
        targets = timelines([series("process_start_time_seconds", A, scrapes)], OWN)
        problem = cutting.cut(targets, T0, T0 + 15, scrape_interval_s=15.0).problem
        if problem is not None:
            told.append(problem.message)

    assert told
    assert {f"it is scraped every {every_s} s" in message for message in told} == {True}


def test_a_target_gone_for_more_than_five_scrapes_is_not_waited_for_while_another_is_there() -> None:
    window = cut_two([-2, 3], [-21])
    assert window.problem is None
    assert {dict(target)["instance"] for target in window.spans} == {"a"}


def test_a_target_that_goes_within_the_window_counts_up_to_its_last_scrape() -> None:
    window = cut_two([-2, 3], [-3, 1])
    assert window.problem is None
    assert len(window.spans) == 2


@pytest.mark.parametrize(
    ("a", "b", "now", "ripe"),
    [
        pytest.param([-2, 3, 8], [-1, 4, 9], 15, scrapes.Ripeness.RIPE, id="both were seen after the end"),
        pytest.param([-2, 3], [-1, 4], 15, scrapes.Ripeness.UNRIPE, id="nobody was, yet"),
        pytest.param([-2, 3, 8], [-1, 4], 15, scrapes.Ripeness.UNRIPE, id="one was, the other may still come"),
        pytest.param([-2, 3, 8, 28], [-1, 4], 60, scrapes.Ripeness.SPOILT, id="nobody goes on, no more is awaited"),
        pytest.param([-2, 3, 8, 28], [-1, 4], 30, scrapes.Ripeness.UNRIPE, id="24 s without it are no five scrapes"),
        pytest.param([-2, 3, 8, 30], [-1, 4], 30, scrapes.Ripeness.RIPE, id="five scrapes without it: it is gone"),
        pytest.param([-2, 3, 8], [-40], 15, scrapes.Ripeness.RIPE, id="one that is out of sight is not needed"),
        pytest.param([], [], 15, scrapes.Ripeness.RIPE, id="without any target there is nothing to wait for"),
        pytest.param([-2, 3, 8], [9], 15, scrapes.Ripeness.RIPE, id="one that came after the end has no part in it"),
    ],
)
def test_a_window_is_whole_once_every_target_was_seen_after_it_or_is_gone(
    a: list[float], b: list[float], now: float, ripe: scrapes.Ripeness
) -> None:
    processes = [
        series("process_start_time_seconds", labels, [(T0 + t, OLD + place) for t in times])
        for place, (labels, times) in enumerate(((A, a), (B, b)))
        if times
    ]
    targets = timelines(processes, OWN)
    assert scrapes.ripeness(targets, T0, T0 + 5, now=T0 + now, scrape_interval_s=5.0) is ripe


def test_a_target_that_never_came_back_makes_no_gap() -> None:
    window = cut_two([-2, 3, 8, 23], [-3])
    assert window.problem is None


def test_one_process_scraped_under_two_jobs_is_not_counted_twice() -> None:
    problem = cut_two([-2, 3], [-1, 4], b_labels={"job": "again", "instance": "a"}, b_started=OLD).problem
    assert problem is not None
    assert problem.reason is Reason.AMBIGUOUS_SERIES


PODS = {"job": "pods", "instance": "traefik-7d4b9"}
PHASE_S = 2.0


def of_two_names(counts: Sequence[Sequence[float]], *, started: float = OLD + 0.37) -> Reason | None:
    """A gateway scraped as A and, two seconds later, a target scraped as PODS: what both count by scrape."""
    processes, found = [], []
    for (labels, values), (phase, start) in zip(
        ((A, counts[0]), (PODS, counts[1])), ((0.0, OLD + 0.37), (PHASE_S, started)), strict=True
    ):
        times = [T0 - 17 + phase + 5 * place for place in range(len(values))]
        processes.append(series("process_start_time_seconds", labels, [(t, start) for t in times]))
        found.append(series("requests_total", {**labels, "code": "200"}, zip(times, values, strict=True)))
    counters, targets = ledger.counters(found, OWN), timelines(processes, OWN)
    problem = checks.cut(counters, targets, T0, T0 + 5, scrape_interval_s=5.0).problem
    return problem.reason if problem else None


@pytest.mark.parametrize(
    ("counts", "started", "reason"),
    [
        pytest.param(([10, 20, 30, 40, 50], [14, 24, 34, 44, 54]), OLD + 0.37, Reason.AMBIGUOUS_SERIES, id="it is"),
        pytest.param(([10, 20, 30, 40, 50], [14, 24, 34, 44, 54]), OLD + 0.42, None, id="started a moment later"),
        pytest.param(([10, 20, 30, 40, 50], [14, 19, 34, 44, 54]), OLD + 0.37, None, id="counted less, and later"),
        pytest.param(([10, 20, 30, 40, 50], [1, 2, 3, 4, 5]), OLD + 0.37, None, id="a neighbour with less to do"),
        pytest.param(
            ([10, 10, 10, 10, 10], [10, 10, 10, 10, 10]), OLD + 0.37, None, id="two at rest, and nothing to count"
        ),
    ],
)
def test_one_process_scraped_at_two_addresses_is_told_by_its_start_and_by_what_it_counts(
    counts: Sequence[Sequence[float]], started: float, reason: Reason | None
) -> None:
    assert of_two_names(counts, started=started) == reason


def test_two_processes_under_the_same_labels_are_not_believed() -> None:
    problem = cut_two([-2, 3], [-2, 3], b_labels={**A, "code": "200"}).problem
    assert problem is not None
    assert problem.reason is Reason.NO_DATA


def test_a_counter_without_the_start_of_its_process_is_a_problem_and_not_a_zero() -> None:
    targets = timelines([series("process_start_time_seconds", A, [(T0 + 3, OLD)])], OWN)
    elsewhere = ledger.counters([series("requests_total", {**B, "code": "200"}, [(T0 + 3, 1)])], OWN)
    off_beat = ledger.counters([series("requests_total", {**A, "code": "200"}, [(T0 + 2.5, 1)])], OWN)
    fine = ledger.counters([series("requests_total", {**A, "code": "200"}, [(T0 + 3, 1)])], OWN)

    def problem(found: Sequence[ledger.Counter]) -> cutting.Problem | None:
        return checks.cut(found, targets, T0, T0 + 5, scrape_interval_s=5.0).problem

    assert "has no process_start_time_seconds" in str(problem(elsewhere))
    assert "a sample of requests_total is of no scrape of target a of job gw" in str(problem(off_beat))
    assert problem(fine) is None
