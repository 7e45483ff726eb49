"""Everything that can be counted, counted: all tables of a few requests, and their exact chances."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import comb

import mpmath as mp
from tests.oracle.processes import Real

Window = tuple[int, int, int, int]
"""(nC, xC, nB, xB)."""


def binomial(x: int, n: int, q: Fraction) -> Fraction:
    return comb(n, x) * q**x * (1 - q) ** (n - x)


def hypergeometric(x: int, both: int, n_c: int, n_b: int) -> Fraction:
    """The chance of `x` in the first arm, given `both` in the two together, if their rates are the same."""
    return Fraction(comb(n_c, x) * comb(n_b, both - x), comb(n_c + n_b, both))


def tables(n_c: int, n_b: int, q_c: Fraction, q_b: Fraction) -> Iterator[tuple[Window, Fraction]]:
    """Each table of so many requests, and its chance."""
    for x_c, x_b in itertools.product(range(n_c + 1), range(n_b + 1)):
        yield (n_c, x_c, n_b, x_b), binomial(x_c, n_c, q_c) * binomial(x_b, n_b, q_b)


def paths(
    sizes: Sequence[tuple[int, int]], rates: Sequence[tuple[Fraction, Fraction]]
) -> Iterator[tuple[tuple[Window, ...], Fraction]]:
    """Each sequence of windows of those sizes (nC, nB) and rates (qC, qB), and its chance."""
    each = [list(tables(*size, *rate)) for size, rate in zip(sizes, rates, strict=True)]
    for path in itertools.product(*each):
        chance = Fraction(1)
        for _, part in path:
            chance *= part
        yield tuple(window for window, _ in path), chance


def expected(values: Sequence[tuple[Real, Fraction]]) -> Real:
    """Σ chance · e^value."""
    return mp.fsum(mp.exp(value) * chance.numerator / chance.denominator for value, chance in values)
