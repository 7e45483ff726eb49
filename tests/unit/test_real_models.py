"""`make eval-real`: when its two models count as told apart. The run itself is opt-in."""

import pytest

from modelroute.compare.suites.loading import load_suite
from real_models.__main__ import COMPARISON, SQUEEZED, WHOLE, broken


@pytest.mark.parametrize(
    ("winner", "standing", "found"),
    [
        (WHOLE, "Inferior", True),
        (WHOLE, "Inconclusive", False),
        (WHOLE, "NotInferior", False),
        (SQUEEZED, "Inferior", False),
        (None, "Inferior", False),
        (WHOLE, None, False),
    ],
)
def test_the_squeezed_model_is_found_broken_where_it_is_worse_for_sure_and_does_not_win(winner, standing, found):
    beside = None if standing is None else {"standing": standing}

    assert broken({"winner": winner, "models": {SQUEEZED: {"besideBaseline": beside}}}) is found


def test_every_capital_is_asked_once_with_five_others_to_choose_from():
    items = load_suite(COMPARISON.with_name("capitals.yaml")).items

    assert len({item.expected for item in items}) == len(items) == 80
    assert {len(item.options) for item in items} == {6}
