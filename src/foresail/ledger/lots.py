"""Lots: what was bought when, at what cost; closed first in, first out.

A lot carries signed units and signed cost, so that long and short positions follow one rule: closing ``q`` signed units
at price ``p`` yields the flow ``-q * p``, and the profit is that flow less the cost of the units closed. The cost of a
part is rounded once, to 1e-12, and the rest stays with the lot, so nothing is ever lost or made.
"""

from __future__ import annotations

import decimal
from collections import deque
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.core.numbers import MONEY_CONTEXT
from foresail.ledger.splits import split_quantity

__all__ = ["Holding", "Lot"]

_ZERO = Decimal(0)
_ROUND = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_UNIT = Decimal("1e-12")


@dataclass(slots=True)
class Lot:
    """Signed units, their signed cost (quote currency) and the instant they were opened (ns UTC)."""

    quantity: Decimal
    cost: Decimal
    opened_at: int


class Holding:
    """The lots of one instrument."""

    __slots__ = ("cost", "currency", "instrument", "lots", "multiplier", "quantity")

    def __init__(self, instrument: InstrumentId, multiplier: Decimal, currency: str) -> None:
        self.instrument = instrument
        self.multiplier = multiplier
        self.currency = currency
        self.lots: deque[Lot] = deque()
        self.quantity = _ZERO
        self.cost = _ZERO

    @property
    def average_price(self) -> Decimal:
        """Cost per unit, rounded to 1e-12; zero when nothing is held."""
        if not self.quantity:
            return _ZERO
        units = MONEY_CONTEXT.multiply(self.quantity, self.multiplier)
        return _ROUND.divide(self.cost, units).quantize(_UNIT, context=_ROUND)

    @property
    def opened_at(self) -> int:
        """Instant of the oldest lot, ns UTC."""
        return self.lots[0].opened_at if self.lots else 0

    def trade(self, signed: Decimal, price: Decimal, at: int) -> Decimal:
        """Buy (positive) or sell (negative) units; return the realised profit of what was closed."""
        profit = _ZERO
        if self.quantity and (self.quantity > 0) != (signed > 0):
            closing = -signed if abs(signed) <= abs(self.quantity) else self.quantity
            profit = self._close(closing, price)
            signed = MONEY_CONTEXT.add(signed, closing)
        if signed:
            cost = self._value(signed, price)
            self.lots.append(Lot(signed, cost, at))
            self.quantity = MONEY_CONTEXT.add(self.quantity, signed)
            self.cost = MONEY_CONTEXT.add(self.cost, cost)
        return profit

    def untrade(self, signed: Decimal, price: Decimal, at: int) -> Decimal:
        """Take a trade back at its own price; return the realised profit of what that closes.

        While the lot that it opened is the newest and whole, the holding is as if the trade had never been; later, the
        opposite trade is made, which leaves the same units and the same money, with the profit told earlier.
        """
        newest = self.lots[-1] if self.lots else None
        if newest is None or (newest.quantity, newest.opened_at) != (signed, at):
            return self.trade(-signed, price, at)
        self.lots.pop()
        self.quantity = MONEY_CONTEXT.subtract(self.quantity, newest.quantity)
        self.cost = MONEY_CONTEXT.subtract(self.cost, newest.cost)
        return MONEY_CONTEXT.subtract(self._value(signed, price), newest.cost)

    def value(self, price: Decimal) -> Decimal:
        """Return the signed market value at a price."""
        return self._value(self.quantity, price)

    def split(self, ratio: Decimal, price: Decimal, lot: Decimal) -> tuple[Decimal, Decimal]:
        """Restate all lots for a split; return (signed cash for the fraction, its realised profit)."""
        whole, fraction = split_quantity(self.quantity, ratio, lot)
        for one in self.lots:
            one.quantity = _ROUND.multiply(one.quantity, ratio).quantize(_UNIT, context=_ROUND).normalize(_ROUND)
        total = MONEY_CONTEXT.add(whole, fraction)
        rest = total
        for one in self.lots:
            rest = MONEY_CONTEXT.subtract(rest, one.quantity)
        if self.lots:  # the newest lot takes the rounding of the units, a few 1e-12
            self.lots[-1].quantity = MONEY_CONTEXT.add(self.lots[-1].quantity, rest)
        self.quantity = total
        if not fraction:
            return _ZERO, _ZERO
        return self._value(fraction, price), self._close(fraction, price)

    def _value(self, quantity: Decimal, price: Decimal) -> Decimal:
        product = MONEY_CONTEXT.multiply(quantity, price)
        return product if self.multiplier == 1 else MONEY_CONTEXT.multiply(product, self.multiplier)

    def _close(self, closing: Decimal, price: Decimal) -> Decimal:
        """Close signed units of the position's own sign, oldest lots first; return the profit."""
        left = closing
        cost = _ZERO
        while left:
            if not self.lots:
                raise IntegrityError(f"{self.instrument}: lots do not add up to the position; {left} units are missing")
            lot = self.lots[0]
            if abs(lot.quantity) <= abs(left):
                part = lot.cost
                left = MONEY_CONTEXT.subtract(left, lot.quantity)
                self.lots.popleft()
            else:
                part = _share(lot.cost, left, lot.quantity)
                lot.cost = MONEY_CONTEXT.subtract(lot.cost, part)
                lot.quantity = MONEY_CONTEXT.subtract(lot.quantity, left)
                left = _ZERO
            cost = MONEY_CONTEXT.add(cost, part)
        self.quantity = MONEY_CONTEXT.subtract(self.quantity, closing)
        self.cost = MONEY_CONTEXT.subtract(self.cost, cost)
        return MONEY_CONTEXT.subtract(self._value(closing, price), cost)


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the cost of a part of a lot, rounded to 1e-12 where it does not end earlier."""
    exact = _ROUND.divide(_ROUND.multiply(cost, part), whole)
    return exact if int(exact.as_tuple().exponent) >= -12 else exact.quantize(_UNIT, context=_ROUND)
