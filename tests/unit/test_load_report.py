"""What is read out of a load's records."""

from dataclasses import replace
from typing import Any

import pytest

from devstack.load_report import (
    Blame,
    Interval,
    between,
    blame,
    by_interval,
    failed_at_gateway,
    last_sent_to,
    percentile,
    report_lines,
    summarise,
)
from devstack.request_record import RequestRecord, read_log

GOOD = RequestRecord(
    id=1,
    scheduled_at=100.0,
    sent_at=100.0,
    answered_at=100.5,
    status=200,
    arm="small",
    ok=True,
    bytes=10,
    streamed=False,
)


def record(at: float, *, takes: float = 0.5, **fields: Any) -> RequestRecord:
    moved = replace(GOOD, scheduled_at=at, sent_at=at, answered_at=at + takes)
    return replace(moved, **fields)


def failed(at: float, status: int, arm: str | None, **fields: Any) -> RequestRecord:
    return record(at, status=status, arm=arm, ok=False, **fields)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GOOD, Blame.NOBODY),
        (failed(0, 500, "small"), Blame.ARM),
        (failed(0, 404, "small"), Blame.ARM),
        (failed(0, 0, "small"), Blame.ARM),
        (failed(0, 499, "small"), Blame.ARM),
        (record(0, unsafe=True), Blame.ARM),
        (failed(0, 404, None), Blame.GATEWAY),
        (failed(0, 500, None), Blame.GATEWAY),
        (failed(0, 502, None), Blame.GATEWAY),
        (failed(0, 0, None), Blame.GATEWAY),
        (failed(0, 499, None), Blame.UNKNOWN),
    ],
)
def test_who_is_to_blame(given, expected):
    assert blame(given) is expected


def test_each_arm_is_reported_with_its_statuses_and_percentiles():
    records = [record(float(i), takes=(i + 1) / 100) for i in range(100)]
    records += [failed(50.0, 500, "large"), record(51.0, arm="large", takes=2.0, unsafe=True)]

    arms = summarise(records).arms

    assert list(arms) == ["large", "small"]
    assert arms["small"].latency_s == pytest.approx({50: 0.5, 95: 0.95, 99: 0.99})
    assert (arms["small"].requests, arms["small"].bad, arms["small"].statuses) == (100, 0, {200: 100})
    assert (arms["large"].bad, arms["large"].unsafe, arms["large"].statuses) == (2, 1, {200: 1, 500: 1})
    assert arms["large"].latency_s[99] == 2.0
    assert (arms["small"].last_sent_at, arms["small"].last_answered_at) == (99.0, 100.0)


def test_latency_counts_from_when_a_request_was_due():
    late = replace(record(10.0), scheduled_at=9.0)

    report = summarise([late])

    assert report.arms["small"].latency_s[50] == 1.5
    assert report.latest_s == 1.0


def test_failures_that_no_model_server_answered_are_kept_apart():
    refused, unknown_route, gave_up = failed(1, 0, None), failed(2, 404, None), failed(3, 499, None)
    records = [GOOD, refused, unknown_route, gave_up, failed(4, 500, "small")]

    report = summarise(records)

    assert failed_at_gateway(records) == [refused, unknown_route]
    assert report.failed_at_gateway == (refused, unknown_route)
    assert report.unanswered == (gave_up,)


def test_the_last_request_of_an_arm_is_the_one_sent_last_not_answered_last():
    sent_last = record(20.0, takes=0.1)
    records = [record(10.0, takes=60.0), sent_last, record(30.0, arm="large")]

    assert last_sent_to(records, "small") == sent_last
    assert last_sent_to(records, "other") is None


def test_intervals_count_requests_and_bad_answers_by_arm_and_leave_no_gap():
    records = [record(0.0), failed(4.9, 500, "small"), failed(12.0, 0, None), record(12.5, arm="large")]

    assert by_interval(records, 5.0) == [
        Interval(0.0, {"small": 2}, {"small": 1}),
        Interval(5.0, {}, {}),
        Interval(10.0, {None: 1, "large": 1}, {None: 1, "large": 0}),
    ]
    assert [i.start_at for i in by_interval(records, 5.0, start_at=4.0)] == [4.0, 9.0]


def test_a_part_of_the_time_is_taken_by_when_requests_were_sent():
    records = [record(float(i)) for i in range(5)]

    assert [r.sent_at for r in between(records, 1.0, 3.0)] == [1.0, 2.0]


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 2), (75, 3), (99, 4), (100, 4)])
def test_percentiles_are_values_that_occurred(percent, expected):
    assert percentile([4, 2, 3, 1], percent) == expected


def test_no_records_make_an_empty_report():
    report = summarise([])

    assert (report.requests, report.arms, report.latest_s) == (0, {}, 0.0)
    assert by_interval([], 5.0) == []
    assert report_lines(report)[0] == "0 requests"


def test_the_report_reads_as_sentences():
    records = [GOOD, failed(1, 500, "small"), failed(2, 404, None, error="404 page not found")]

    assert report_lines(summarise(records)) == [
        "3 requests",
        "small: 2 answered (1 × 200, 1 × 500), 1 bad, 0 of them unsafe; p50 0.50 s, p95 0.50 s, p99 0.50 s",
        "given up before anyone answered: 0",
        "failed without a model server having answered: 1",
        "  1 × 404 404 page not found",
        "the generator was at most 0 ms late",
    ]


def test_a_log_being_written_is_read_up_to_its_last_whole_line(tmp_path):
    log = tmp_path / "requests.jsonl"
    log.write_text(GOOD.to_json() + "\n" + GOOD.to_json()[:20])

    assert list(read_log(log)) == [GOOD]
