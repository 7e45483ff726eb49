"""Small propositional logic: does a conclusion hold in every world in which the premises hold?"""

from collections.abc import Callable, Sequence
from itertools import product

World = dict[str, bool]
Claim = Callable[[World], bool]


def follows(premises: Sequence[Claim], conclusion: Claim, *, letters: str) -> bool:
    """By truth table over `letters`. ValueError if no world fits the premises: then everything would follow."""
    worlds = [dict(zip(letters, values, strict=True)) for values in product((False, True), repeat=len(letters))]
    possible = [world for world in worlds if all(premise(world) for premise in premises)]
    if not possible:
        raise ValueError("the premises contradict each other")
    return all(conclusion(world) for world in possible)


def yes_no(holds: bool) -> str:
    return "yes" if holds else "no"
