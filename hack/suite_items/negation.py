# ruff: noqa: E501  # a template's sentences are read and checked more easily on one line
"""Reasoning under negation: double negations, exceptions, `none` against `not all`, `unless`, what is missing."""

import random
from collections.abc import Iterator

from suite_items.logic import Claim, follows, yes_no
from suite_items.words import GOODS, PEOPLE, PLACES, THINGS, listed, some

Made = dict[str, object]


def items(rng: random.Random) -> Iterator[Made]:
    for number in range(20):
        yield _stacked(rng, number)
    for number in range(20):
        yield _quantified(rng, number)
    for _ in range(20):
        yield _exception(rng)
    for number in range(24):
        yield _unless(rng, number)
    for _ in range(16):
        yield _missing(rng)


def _stacked(rng: random.Random, number: int) -> Made:
    """One to three negations around a fact: an odd number of them turns it over."""
    thing, place = rng.choice(THINGS), rng.choice(PLACES)
    depth, about = 1 + number % 3, number % 2 == 0
    state = "switched on" if about else "switched off"
    said = f"the {thing} in {place} is not {state}"
    for _ in range(depth - 1):
        said = f"it is not true that {said}"
    is_on = about if depth % 2 == 0 else not about
    prompt = f"{said[0].upper()}{said[1:]}. Every {thing} is either switched on or switched off. Is the {thing} in {place} switched on?"
    return {"kind": f"negations-{depth}", "prompt": prompt, "expected": yes_no(is_on)}


def _quantified(rng: random.Random, number: int) -> Made:
    goods, place, label = rng.choice(GOODS), rng.choice(PLACES), rng.randint(2, 40)
    one = goods.removesuffix("es") if goods == "boxes" else goods.removesuffix("s")
    some_of, none_of = number % 4 in (0, 1), number % 2 == 0
    if some_of:
        # "Not all are sealed" leaves every single one open, "none is sealed" does not.
        rule = (
            f"Not all {goods} in the {place} hall are sealed."
            if none_of
            else f"Not one of the {goods} in the {place} hall is unsealed."
        )
        asked, certain = "sealed", not none_of
    else:
        rule = (
            f"None of the {goods} in the {place} hall is sealed."
            if none_of
            else f"No {one} in the {place} hall is without a seal."
        )
        asked, certain = ("unsealed", True) if none_of else ("unsealed", False)
    prompt = (
        f"{rule} {one.capitalize()} {label} stands in the {place} hall. Is it certain that {one} {label} is {asked}?"
    )
    return {"kind": "quantifiers", "prompt": prompt, "expected": yes_no(certain)}


def _exception(rng: random.Random) -> Made:
    names = some(rng, PEOPLE, 5)
    out = names[rng.randrange(5)]
    first, second = some(rng, tuple(name for name in names if name != out), 2)
    rule = rng.choice(
        (
            f"Everyone but {out} has signed the form.",
            f"No one except {out} has failed to sign the form.",
            f"It is only {out} who has not signed the form.",
        )
    )
    asked = rng.choice((out, first))
    prompt = f"The team is {listed(names)}. {rule} {second} signed on the first day. Has {asked} signed the form?"
    return {"kind": "exceptions", "prompt": prompt, "expected": yes_no(asked != out)}


_UNLESS: tuple[tuple[str, str, Claim, Claim], ...] = (
    ("The {gate} is open", "the {thing} is running", lambda w: w["a"], lambda w: w["b"]),
    ("The {gate} is closed", "the {thing} is running", lambda w: not w["a"], lambda w: w["b"]),
    ("The {gate} is closed", "the {thing} is not running", lambda w: not w["a"], lambda w: not w["b"]),
    ("The {thing} is running", "the {gate} is open", lambda w: w["b"], lambda w: w["a"]),
    ("The {thing} is not running", "the {gate} is closed", lambda w: not w["b"], lambda w: not w["a"]),
    ("The {thing} is not running", "the {gate} is open", lambda w: not w["b"], lambda w: w["a"]),
)


def _unless(rng: random.Random, number: int) -> Made:
    """`b never, unless a`: b implies a, and not the other way round. The answer is read off a truth table."""
    words = {"thing": rng.choice(THINGS), "gate": f"{rng.choice(PLACES)} gate"}
    fact, asked, told, claim = _UNLESS[number % len(_UNLESS)]
    rule = rng.choice(
        ("The {thing} never runs unless the {gate} is open.", "The {thing} does not run if the {gate} is not open.")
    )
    prompt = f"{rule} A gate that is not open is closed. {fact}. Is it certain that {asked}?".format(**words)
    holds = follows((lambda w: not w["b"] or w["a"], told), claim, letters="ab")
    return {"kind": "unless", "prompt": prompt, "expected": yes_no(holds)}


def _missing(rng: random.Random) -> Made:
    everyone = some(rng, PEOPLE, 6)
    left = rng.choice(everyone)
    others = [name for name in everyone if name != left]
    first, second, third = others[:2], others[2:4], others[4]
    prompt = (
        f"{listed(everyone)} were invited. Neither {first[0]} nor {first[1]} stayed away. {listed(second)} did not stay away "
        f"either, and it is not the case that {third} did. Exactly one of the six did not come. Who did not come? "
        "Answer with the name alone."
    )
    return {
        "kind": "who-is-missing",
        "prompt": prompt,
        "expected": left,
        "method": "choice",
        "options": sorted(everyone),
    }
