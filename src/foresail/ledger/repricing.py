"""The same orders at another cost: every fill and accrual with its costs multiplied.

A factor of 0 gives the gross result, 1 the booked one, 2 the one at twice the cost. Decisions stay as they were taken,
so the difference between two repricings is cost and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from foresail.core.errors import ConfigError
from foresail.core.numbers import MONEY_CONTEXT
from foresail.domain.orders import Fill
from foresail.ledger.entries import Entry, FillBooked, HoldingCharged

__all__ = ["reprice", "reprice_fill"]


def reprice_fill(fill: Fill, factor: Decimal) -> Fill:
    """Return a fill with fee and distance from its reference price multiplied."""
    distance = MONEY_CONTEXT.multiply(MONEY_CONTEXT.subtract(fill.price, fill.reference_price), factor)
    return replace(
        fill,
        price=MONEY_CONTEXT.add(fill.reference_price, distance),
        fee=MONEY_CONTEXT.multiply(fill.fee, factor),
        slippage=MONEY_CONTEXT.multiply(fill.slippage, factor),
    )


def reprice(entries: Iterable[Entry], factor: Decimal | int) -> tuple[Entry, ...]:
    """Return a journal with all costs multiplied by a factor.

    Raises
    ------
    ConfigError
        If the factor is not a finite number >= 0.
    """
    by = Decimal(factor)
    if not by.is_finite() or by < 0:
        raise ConfigError(f"expected a cost factor >= 0, received {factor}")
    out: list[Entry] = []
    for entry in entries:
        if isinstance(entry, FillBooked):
            out.append(replace(entry, fill=reprice_fill(entry.fill, by)))
        elif isinstance(entry, HoldingCharged):
            out.append(replace(entry, amount=MONEY_CONTEXT.multiply(entry.amount, by)))
        else:
            out.append(entry)
    return tuple(out)
