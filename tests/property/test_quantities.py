"""What is parsed comes back as it was meant, and nothing else is ever taken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelroute.api import quantities as q
from modelroute.api.fields import format_instant, parse_instant
from modelroute.errors import Invalid

PARSERS: list[Callable[[str], object]] = [
    q.parse_percent,
    q.parse_points,
    q.parse_ratio,
    q.parse_duration,
    q.parse_money,
    parse_instant,
]


@given(st.from_regex(q.PERCENT, fullmatch=True, alphabet="0123456789.%"))
def test_a_percentage_survives(text: str) -> None:
    share = q.parse_percent(text)

    assert 0.0 <= share <= 1.0
    assert share == q.parse_percent(q.format_percent(share))


@given(st.from_regex(q.POINTS, fullmatch=True, alphabet="0123456789.p"))
def test_percentage_points_survive(text: str) -> None:
    difference = q.parse_points(text)

    assert 0.0 <= difference < 1.0
    assert difference == q.parse_points(q.format_points(difference))


@given(st.from_regex(q.RATIO, fullmatch=True, alphabet="0123456789."))
def test_a_ratio_survives(text: str) -> None:
    ratio = q.parse_ratio(text)

    assert ratio == q.parse_ratio(q.format_ratio(ratio))


@given(st.integers(0, 99_999 * 3_600_000))
def test_a_duration_of_whole_milliseconds_survives(milliseconds: int) -> None:
    seconds = milliseconds / 1000

    assert seconds == q.parse_duration(q.format_duration(seconds))


@given(st.from_regex(q.MONEY, fullmatch=True, alphabet="0123456789."))
def test_an_amount_survives(text: str) -> None:
    amount = q.parse_money(text)

    assert amount == q.parse_money(q.format_money(amount))
    assert amount == Decimal(text)


@given(st.integers(0, 253_402_300_798), st.integers(0, 999_999))
@example(1_767_323_045, 999_999)
def test_an_instant_survives(second: int, microsecond: int) -> None:
    moment = parse_instant(format_instant(second + microsecond / 1e6))

    assert abs(moment - (second + microsecond / 1e6)) < 1e-4
    assert format_instant(moment) == format_instant(parse_instant(format_instant(moment)))


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(max_size=30) | st.text("0123456789.%pmsh:-TZ+e", max_size=30))
def test_anything_else_is_invalid_and_nothing_worse(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(Invalid):
        parse(text)
