"""What may still be spent: every request reserves the most that it can cost before it is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from modelroute.compare.domain import Price, TokenPrice
from modelroute.errors import ModelRouteError


class CeilingReached(ModelRouteError):
    """The next request could cost more than what is left."""


class Ceiling:
    """`limit` None: none. `spent` so far, of earlier runs too. One event loop uses it at a time."""

    def __init__(self, limit: Decimal | None, spent: Decimal = Decimal(0)) -> None:
        self.limit = limit
        self.spent = spent
        self._reserved = Decimal(0)
        self._settled: asyncio.Event | None = None

    async def reserve(self, most: Decimal) -> None:
        """Wait until `most` can be spent for sure. Raises CeilingReached if requests under way cannot change that."""
        while self.limit is not None and self.spent + self._reserved + most > self.limit:
            if not self._reserved:
                left = max(self.limit - self.spent, Decimal(0))
                raise CeilingReached(
                    f"the next request could cost {most:f}, and {left:f} is left of the ceiling of {self.limit:f}"
                )
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()
        self._reserved += most

    def settle(self, most: Decimal, cost: Decimal) -> None:
        """The request that had reserved `most` cost `cost`."""
        self._reserved -= most
        self.spent += cost
        if self._settled is not None:
            self._settled.set()
            self._settled = None


def most_cost(price: Price | None, *, prompt_bytes: int, max_tokens: int) -> Decimal:
    """An upper bound of a request's cost: a token is at least a byte, and a chat template adds some of its own."""
    if price is None:
        return Decimal(0)
    if isinstance(price, TokenPrice):
        return price.of(prompt_bytes + 64, max_tokens) or Decimal(0)
    return price.per_request
