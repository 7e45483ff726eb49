"""What must hold for every split, whatever weights people write."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from modelroute.rollout.split import (
    TOTAL,
    Backend,
    Share,
    Split,
    apportion,
    arms_between,
    normalised,
    weights_at,
)

raw_weights = st.lists(st.integers(0, 1_000_000), min_size=2, max_size=8).filter(any)


def backend(index: int) -> Backend:
    return Backend("chat", f"backend-{index}", 8000)


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """A split over some of ten backends."""
    indexes = draw(st.lists(st.integers(0, 9), min_size=2, max_size=8, unique=True))
    raw = draw(st.lists(st.integers(0, 1_000_000), min_size=len(indexes), max_size=len(indexes)).filter(any))
    whole = normalised(raw)
    return tuple(Share(f"model-{i}", backend(i), weight) for i, weight in zip(indexes, whole, strict=True))


@given(raw_weights)
def test_normalised_weights_sum_to_ten_thousand_and_leave_nobody_out_who_asked(raw: list[int]) -> None:
    whole = normalised(raw)

    assert sum(whole) == TOTAL
    assert [weight > 0 for weight in whole] == [weight > 0 for weight in raw]


@given(raw_weights)
def test_nobody_gets_a_whole_unit_more_than_their_quota(raw: list[int]) -> None:
    whole = normalised(raw)

    quotas = [Fraction(TOTAL * weight, sum(raw)) for weight in raw]
    assert all(weight < quota + 1 for weight, quota in zip(whole, quotas, strict=True))


@given(st.integers(1, 400), raw_weights)
def test_one_more_seat_never_takes_a_seat_away(seats: int, raw: list[int]) -> None:
    fewer, more = apportion(seats, tuple(raw)), apportion(seats + 1, tuple(raw))

    assert all(after >= before for before, after in zip(fewer, more, strict=True))


@given(splits(), splits())
def test_the_way_begins_at_the_stable_split_and_ends_at_the_wanted_one(stable: Split, wanted: Split) -> None:
    arms = arms_between(stable, wanted)

    assert weights_at(arms, 0) == {arm.name: arm.stable for arm in arms}
    assert weights_at(arms, 100) == {arm.name: arm.wanted for arm in arms}
    assert sum(arm.stable for arm in arms) == sum(arm.wanted for arm in arms) == TOTAL


@given(splits(), splits(), st.integers(0, 99))
def test_every_step_moves_every_arm_towards_its_end_and_never_past_it(
    stable: Split, wanted: Split, progress: int
) -> None:
    arms = arms_between(stable, wanted)
    here, there = weights_at(arms, progress), weights_at(arms, progress + 1)

    assert sum(here.values()) == sum(there.values()) == TOTAL
    for arm in arms:
        low, high = sorted((arm.stable, arm.wanted))
        assert low <= here[arm.name] <= high
        if arm.gains:
            assert here[arm.name] <= there[arm.name]
            assert there[arm.name] > arm.stable
        else:
            assert here[arm.name] >= there[arm.name]


@given(splits(), splits())
def test_arm_names_tell_all_backends_apart(stable: Split, wanted: Split) -> None:
    arms = arms_between(stable, wanted)

    assert len({arm.name for arm in arms}) == len(arms)
    assert {arm.backend for arm in arms} == {share.backend for share in stable + wanted}
