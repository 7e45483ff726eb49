# ruff: noqa: E501  # a template's sentences are read and checked more easily on one line
"""Conditional and compositional questions: what follows from an `if`, rules with exceptions, orders, several hops."""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from suite_items.logic import Claim, follows, yes_no
from suite_items.words import COLOURS, PEOPLE, PLACES, THINGS, listed, some

Made = dict[str, Any]

_FORMS: tuple[tuple[str, str, Claim, Claim], ...] = (
    ("{A}.", "{b}", lambda w: w["a"], lambda w: w["b"]),
    ("{B}.", "{a}", lambda w: w["b"], lambda w: w["a"]),
    ("{nA}.", "{nb}", lambda w: not w["a"], lambda w: not w["b"]),
    ("{nB}.", "{na}", lambda w: not w["b"], lambda w: not w["a"]),
    ("{A}.", "{c}", lambda w: w["a"], lambda w: w["c"]),
    ("{nC}.", "{na}", lambda w: not w["c"], lambda w: not w["a"]),
    ("{C}.", "{a}", lambda w: w["c"], lambda w: w["a"]),
)


def items(rng: random.Random) -> Iterator[Made]:
    for number in range(28):
        yield _implied(rng, number)
    for _ in range(20):
        yield _fee(rng)
    for _ in range(20):
        yield _order(rng)
    for _ in range(16):
        yield _hops(rng)
    for _ in range(20):
        yield _steps(rng)


def _implied(rng: random.Random, number: int) -> Made:
    """Chained conditionals, valid forms and the two classic fallacies; the answer is read off a truth table."""
    one, two, three = some(rng, THINGS, 3)
    told, asked, fact, claim = _FORMS[number % len(_FORMS)]
    words: dict[str, str] = {}
    for letter, thing in zip("abc", (one, two, three), strict=True):
        on, off = f"the {thing} is on", f"the {thing} is not on"
        words |= {
            letter: on,
            f"n{letter}": off,
            letter.upper(): on.capitalize(),
            f"n{letter.upper()}": off.capitalize(),
        }
    rules = f"If the {one} is on, the {two} is on. If the {two} is on, the {three} is on."
    prompt = f"{rules} {told.format(**words)} Does it follow that {asked.format(**words)}?"
    premises: tuple[Claim, ...] = (lambda w: not w["a"] or w["b"], lambda w: not w["b"] or w["c"], fact)
    options = {"method": "choice", "options": ["yes", "no"]}
    return {"kind": "if-then", "prompt": prompt, "expected": yes_no(follows(premises, claim, letters="abc")), **options}


def _fee(rng: random.Random) -> Made:
    base, heavy, express = rng.randint(3, 6), rng.randint(8, 12), rng.randint(5, 9)
    free_from, limit = rng.choice((40, 50, 60, 80)), rng.choice((10, 15, 20))
    order, weight = rng.randint(20, 120), rng.randint(2, 30)
    fast, member = rng.random() < 0.5, rng.random() < 0.5
    fee = heavy if weight > limit else 0 if order >= free_from else base
    if fast:
        fee += 0 if member and weight <= limit else express
    prompt = (
        f"Shipping costs {base} euro. Orders of {free_from} euro or more ship free, unless the parcel is heavier than {limit} kg: "
        f"then shipping costs {heavy} euro whatever the order is worth. Express delivery adds {express} euro, but not for members "
        f"whose parcel is {limit} kg or lighter. An order of {order} euro, {weight} kg, goes "
        f"{'by express delivery' if fast else 'by standard delivery'} to {'a member' if member else 'someone who is not a member'}. "
        "What does its shipping cost, in euro?"
    )
    return {"kind": "rules", "prompt": prompt, "expected": str(fee), "method": "number"}


def _order(rng: random.Random) -> Made:
    names = some(rng, PEOPLE, 5)
    told = [f"{upper} finished before {lower}" for upper, lower in pairwise(names)]
    rng.shuffle(told)
    place = rng.randrange(5)
    ordinal = ("first", "second", "third", "fourth", "last")[place]
    prompt = f"Five people ran a race. {'. '.join(told)}. Who finished {ordinal}? Answer with the name alone."
    return {"kind": "order", "prompt": prompt, "expected": names[place], "method": "choice", "options": sorted(names)}


def _hops(rng: random.Random) -> Made:
    people, places, colours = some(rng, PEOPLE, 4), some(rng, PLACES, 4), some(rng, COLOURS, 4)
    at = rng.randrange(4)
    holds = [f"{person} holds the {colour} key" for person, colour in zip(people, colours, strict=True)]
    opens = [f"the {colour} key opens the depot in {place}" for colour, place in zip(colours, places, strict=True)]
    rng.shuffle(holds)
    rng.shuffle(opens)
    goods = f"The spare parts are in the depot that {people[at]}'s key opens."
    prompt = f"{listed(holds)}. As for the doors, {listed(opens)}. {goods} In which town are the spare parts? Answer with the town alone."
    return {"kind": "hops", "prompt": prompt, "expected": places[at], "method": "choice", "options": sorted(places)}


def _steps(rng: random.Random) -> Made:
    start, take, add = rng.randint(4, 30), rng.randint(2, 9), rng.randint(3, 15)
    value = start * 2 - take
    odd, then = value % 2 == 1, value
    then = value + add if odd else value // 2
    border = rng.randint(15, 45)
    last = then - border if then > border else border - then
    prompt = (
        f"Start with {start}. Double it and take away {take}. If the result is odd, add {add}; otherwise halve it. If what you have "
        f"now is above {border}, take {border} away; otherwise take it away from {border}. What number is left?"
    )
    return {"kind": "steps", "prompt": prompt, "expected": str(last), "method": "number"}
