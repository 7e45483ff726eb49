"""Splits in the cases that people meet."""

from __future__ import annotations

import pytest

from modelroute.rollout.split import (
    Backend,
    Share,
    Split,
    apportion,
    arms_between,
    in_words,
    percent,
    same_traffic,
    weights_at,
)


def share(model: str, backend: str, weight: int) -> Share:
    return Share(model, Backend("chat", backend, 8000), weight)


LARGE_ONLY: Split = (share("large", "llama-70b", 10_000),)
SIXTY_FORTY: Split = (share("large", "llama-70b", 6_000), share("small", "llama-8b", 4_000))


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (0, "large 100 %"),
        (1, "small 0.4 %, large 99.6 %"),
        (25, "small 10 %, large 90 %"),
        (50, "small 20 %, large 80 %"),
        (100, "small 40 %, large 60 %"),
    ],
)
def test_a_step_says_its_split_in_traffic(progress: int, words: str) -> None:
    assert in_words(weights_at(arms_between(LARGE_ONLY, SIXTY_FORTY), progress)) == words


def test_a_new_version_under_the_same_name_is_an_arm_beside_the_old_one() -> None:
    wanted = (share("large", "llama-70b", 6_000), share("small", "llama-8b-v2", 4_000))

    arms = arms_between(SIXTY_FORTY, wanted)

    assert [(arm.name, arm.backend.name, arm.stable, arm.wanted) for arm in arms] == [
        ("large", "llama-70b", 6_000, 6_000),
        ("small@llama-8b", "llama-8b", 4_000, 0),
        ("small", "llama-8b-v2", 0, 4_000),
    ]


def test_a_removed_model_gives_its_traffic_away_and_keeps_its_name() -> None:
    three = (share("large", "l", 5_000), share("medium", "m", 3_000), share("small", "s", 2_000))
    arms = arms_between(three, (share("large", "l", 6_000), share("small", "s", 4_000)))

    assert [(arm.name, arm.stable, arm.wanted) for arm in arms] == [
        ("large", 5_000, 6_000),
        ("medium", 3_000, 0),
        ("small", 2_000, 4_000),
    ]


def test_two_models_that_swap_backends_keep_their_backends_as_arms() -> None:
    arms = arms_between(SIXTY_FORTY, (share("large", "llama-8b", 6_000), share("small", "llama-70b", 4_000)))

    assert [(arm.name, arm.backend.name, arm.stable, arm.wanted) for arm in arms] == [
        ("small", "llama-70b", 6_000, 4_000),
        ("large", "llama-8b", 4_000, 6_000),
    ]


def test_the_smallest_gain_is_visible_from_the_first_step_on() -> None:
    wanted = (share("large", "l", 9_999), share("small", "s", 1))

    assert weights_at(arms_between((share("large", "l", 10_000),), wanted), 1) == {"large": 9_999, "small": 1}


def test_names_and_arms_at_nothing_do_not_make_a_split_another_one() -> None:
    renamed = (share("big", "llama-70b", 6_000), share("tiny", "llama-8b", 4_000), share("none", "x", 0))

    assert same_traffic(SIXTY_FORTY, renamed)
    assert not same_traffic(SIXTY_FORTY, LARGE_ONLY)


@pytest.mark.parametrize(("weight", "words"), [(10_000, "100 %"), (2_500, "25 %"), (1, "0.01 %"), (1_050, "10.5 %")])
def test_weights_are_told_in_percent(weight: int, words: str) -> None:
    assert percent(weight) == words


@pytest.mark.parametrize("bad", [(-1, (1,)), (5, (-1, 2)), (5, (0, 0))])
def test_seats_that_nobody_can_have_are_refused(bad: tuple[int, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="seat"):
        apportion(*bad)


@pytest.mark.parametrize("progress", [-1, 101])
def test_progress_is_a_percentage(progress: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        weights_at(arms_between(LARGE_ONLY, SIXTY_FORTY), progress)
