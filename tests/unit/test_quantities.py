"""Quantities: what is understood, what is refused and in which words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from modelroute.api import quantities as q
from modelroute.api.fields import format_instant, parse_instant
from modelroute.errors import Invalid


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (q.parse_percent, "0%", 0.0),
        (q.parse_percent, "0.5%", 0.005),
        (q.parse_percent, "05%", 0.05),
        (q.parse_percent, "99.999999%", 0.99999999),
        (q.parse_percent, "100%", 1.0),
        (q.parse_percent, "100.000000%", 1.0),
        (q.parse_points, "0.2pp", 0.002),
        (q.parse_points, "0pp", 0.0),
        (q.parse_ratio, "1.2", 1.2),
        (q.parse_ratio, "100", 100.0),
        (q.parse_duration, "0s", 0.0),
        (q.parse_duration, "250ms", 0.25),
        (q.parse_duration, "10m", 600.0),
        (q.parse_duration, "1h30m", 5400.0),
        (q.parse_duration, "1h1m1s1ms", 3661.001),
        (q.parse_duration, "5s5s", 10.0),
        (q.parse_duration, "99999h", 359_996_400.0),
        (q.parse_money, "3.00", Decimal("3.00")),
        (q.parse_money, "0.000000001", Decimal("0.000000001")),
        (parse_instant, "2026-01-02T03:04:05.250000Z", 1767323045.25),
        (parse_instant, "2026-01-02T04:04:05+01:00", 1767323045.0),
    ],
)
def test_what_is_understood(parse: Callable[[str], object], text: str, expected: object) -> None:
    actual = parse(text)

    assert expected == actual


@pytest.mark.parametrize(
    ("parse", "text", "advice"),
    [
        (q.parse_percent, "", "for example 0.5%"),
        (q.parse_percent, "5", "for example 0.5%"),
        (q.parse_percent, "-1%", "for example 0.5%"),
        (q.parse_percent, "101%", "from 0% to 100%"),
        (q.parse_percent, "100.1%", "from 0% to 100%"),
        (q.parse_percent, "0.5 %", "for example 0.5%"),
        (q.parse_percent, "5%\n", "for example 0.5%"),
        (q.parse_percent, "٥%", "for example 0.5%"),
        (q.parse_percent, 5, "for example 0.5%"),
        (q.parse_points, "0.2%", "for example 0.2pp"),
        (q.parse_points, "100pp", "for example 0.2pp"),
        (q.parse_ratio, "1e3", "such as 1.2"),
        (q.parse_ratio, "NaN", "such as 1.2"),
        (q.parse_duration, "10", "such as 30s, 10m or 1h30m"),
        (q.parse_duration, "1d", "such as 30s, 10m or 1h30m"),
        (q.parse_duration, "1.5h", "such as 30s, 10m or 1h30m"),
        (q.parse_duration, "-5s", "such as 30s, 10m or 1h30m"),
        (q.parse_duration, "1h1h1h1h1h", "such as 30s, 10m or 1h30m"),
        (q.parse_money, "$3", 'such as "3.00"'),
        (q.parse_money, "1,50", 'such as "3.00"'),
        (parse_instant, "yesterday", "such as 2026-01-02T03:04:05Z"),
        (parse_instant, "2026-01-02T03:04:05", "has no time zone"),
    ],
)
def test_what_is_refused_names_the_field_and_shows_an_example(
    parse: Callable[..., object], text: str, advice: str
) -> None:
    with pytest.raises(Invalid, match=r"^spec\.here: ") as caught:
        parse(text, field="spec.here")

    assert advice in str(caught.value)
    assert caught.value.field == "spec.here"


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("0.5%", q.format_percent(0.005)),
        ("0%", q.format_percent(0.0)),
        ("100%", q.format_percent(1.0)),
        ("1.23%", q.format_percent(0.012345, decimals=2)),
        ("20%", q.format_percent(0.2, decimals=0)),
        ("0.2pp", q.format_points(0.002)),
        ("-0.4pp", q.format_points(-0.004)),
        ("0pp", q.format_points(-0.0)),
        ("1.2", q.format_ratio(1.2)),
        ("100", q.format_ratio(100.0)),
        ("0s", q.format_duration(0.0)),
        ("250ms", q.format_duration(0.25)),
        ("1h30m", q.format_duration(5400.0)),
        ("3.00", q.format_money(Decimal(3))),
        ("0.125", q.format_money(Decimal("0.125"))),
        ("2026-01-02T03:04:05.250000Z", format_instant(1767323045.25)),
        ("2026-01-02T03:04:05.000000Z", format_instant(1767323045)),
    ],
)
def test_how_it_is_shown(expected: str, actual: str) -> None:
    assert expected == actual


@pytest.mark.parametrize(
    ("show", "value"),
    [
        (q.format_percent, 1.01),
        (q.format_percent, float("nan")),
        (q.format_points, -2.0),
        (q.format_ratio, float("inf")),
        (q.format_duration, -1.0),
        (q.format_money, Decimal(-1)),
        (format_instant, float("nan")),
        (format_instant, 1e20),
    ],
)
def test_a_number_that_cannot_be_is_not_shown(show: Callable[..., str], value: object) -> None:
    with pytest.raises(Invalid):
        show(value)
