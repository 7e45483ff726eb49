"""Who gets how much traffic: integer weights that always sum to 10,000, and the way from one split to another."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

TOTAL = 10_000
"""Every split sums to this, so one unit is 0.01 % of the traffic."""


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """What a backendRef points at: the identity of an arm, and of its numbers in the metrics."""

    namespace: str
    name: str
    port: int | None
    group: str = ""
    kind: str = "Service"


@dataclass(frozen=True, slots=True)
class Share:
    """One model's part of a split; `weight` in 0..10,000."""

    model: str
    backend: Backend
    weight: int


Split = tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """A backend that takes part in an attempt. `stable` and `wanted` are its weights where the way begins and ends."""

    name: str
    model: str
    backend: Backend
    stable: int
    wanted: int

    @property
    def gains(self) -> bool:
        return self.wanted > self.stable


@lru_cache(maxsize=4096)
def apportion(seats: int, demands: tuple[int, ...]) -> tuple[int, ...]:
    """`seats` ≥ 0 shared out in proportion to `demands` ≥ 0, by Adams' method.

    Adams' method is exact when the quotas are whole, gives everyone who asks at least one seat (while there are
    enough), and never takes a seat away when `seats` grows: a candidate's weight cannot fall on the way up, or rise on
    the way down, because of rounding. Source: Balinski & Young, *Fair Representation* (1982).
    """
    if seats < 0 or any(demand < 0 for demand in demands):
        raise ValueError("seats and demands must not be negative")
    if seats == 0:
        return (0,) * len(demands)
    if not any(demands):
        raise ValueError("somebody must ask for a seat")
    got = [0] * len(demands)
    # The next seat goes to the largest demand / (seats already held); nobody who asks is left at none.
    first = [index for index, _ in sorted(enumerate(demands), key=lambda item: -item[1]) if demands[index] > 0]
    for index in first[:seats]:
        got[index] = 1
    queue = [(-demands[index] / got[index], index) for index in first[:seats]]
    heapq.heapify(queue)
    for _ in range(seats - min(seats, len(first))):
        _, index = queue[0]
        got[index] += 1
        heapq.heapreplace(queue, (-demands[index] / got[index], index))
    return tuple(got)


def normalised(weights: Sequence[int]) -> tuple[int, ...]:
    """Any integer weights ≥ 0, at least one above 0, as weights that sum to 10,000; none above 0 becomes 0."""
    return apportion(TOTAL, tuple(weights))


def arms_between(stable: Split, wanted: Split) -> tuple[Arm, ...]:
    """All arms of the way from `stable` to `wanted`: the live ones first, in their order, then the new ones.

    The order is kept because a gateway's metrics name a backend by its position. An arm is named after the model that
    the spec gives it; a backend that the spec no longer has keeps its model's name, with `@backend` behind it where the
    same model now has another backend (`small` is the new version, `small@llama-8b` the old one).
    """
    target = {share.backend: share for share in wanted}
    taken = {share.model for share in wanted}
    arms: list[Arm] = []
    for share in stable:
        if (new := target.pop(share.backend, None)) is not None:
            arms.append(Arm(new.model, new.model, share.backend, share.weight, new.weight))
            continue
        name = share.model
        if name in taken:
            name = _distinct(f"{share.model}@{share.backend.name}", share.backend, taken)
        taken.add(name)
        arms.append(Arm(name, share.model, share.backend, share.weight, 0))
    arms += [Arm(new.model, new.model, new.backend, 0, new.weight) for new in target.values()]
    return tuple(arms)


def _distinct(name: str, backend: Backend, taken: set[str]) -> str:
    if name in taken:
        name = f"{name}:{backend.port}"
    return name if name not in taken else f"{name}.{backend.namespace}"


def weights_at(arms: Sequence[Arm], progress: int) -> dict[str, int]:
    """The live weights by arm name, `progress` % (0..100) of the way: S + p·(T − S), whole, summing to 10,000.

    From 1 % on every gaining arm has at least one unit, so that there is something to look at.
    """
    if not 0 <= progress <= 100:
        raise ValueError(f"progress must be from 0 to 100, not {progress}")
    gains = tuple(max(0, arm.wanted - arm.stable) for arm in arms)
    losses = tuple(max(0, arm.stable - arm.wanted) for arm in arms)
    whole = sum(gains)
    moved = round(whole * progress / 100)
    if progress:
        moved = min(whole, max(moved, sum(gain > 0 for gain in gains)))
    gained, lost = (apportion(moved, parts) if whole else (0,) * len(arms) for parts in (gains, losses))
    return {arm.name: arm.stable + up - down for arm, up, down in zip(arms, gained, lost, strict=True)}


def split_of(arms: Iterable[Arm], weights: Mapping[str, int]) -> Split:
    """The split that has `weights` (by arm name) on `arms`, in the arms' order; an arm without a weight gets 0."""
    return tuple(Share(arm.model, arm.backend, weights.get(arm.name, 0)) for arm in arms)


def same_traffic(one: Split, other: Split) -> bool:
    """Whether both send every backend the same share; order, names and arms at 0 do not matter."""
    return _by_backend(one) == _by_backend(other)


def _by_backend(split: Split) -> dict[Backend, int]:
    return {share.backend: share.weight for share in split if share.weight}


def percent(weight: int) -> str:
    """A weight of 10,000 in words: 2500 is '25 %', 1 is '0.01 %'."""
    return f"{weight / (TOTAL / 100):.2f}".rstrip("0").rstrip(".") + " %"


def in_words(weights: Mapping[str, int]) -> str:
    """'small 10 %, large 90 %', smallest first; arms at 0 are left out."""
    live = sorted(((weight, name) for name, weight in weights.items() if weight), key=lambda item: item[0])
    return ", ".join(f"{name} {percent(weight)}" for weight, name in live)


def words_of(split: Split) -> str:
    """A split in words, by model."""
    return in_words({share.model: share.weight for share in split if share.weight})
