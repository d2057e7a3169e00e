"""Exchange rates out of the set itself: what one unit of a quote currency is worth in the account's currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId

__all__ = ["account_rates"]

_DIGITS = 10  # of a rate; money is rounded where it is booked


def account_rates(names: Sequence[InstrumentId], prices: FloatArray, currency: str) -> dict[str, Decimal]:
    """Return account currency per unit of other currencies, from the pairs of the set that quote one against the other.

    Parameters
    ----------
    names : (N,) ids; only ``fx.BASE-QUOTE`` pairs with the account's currency on one side count
    prices : (N,) last known prices
    """
    rates: dict[str, Decimal] = {}
    for name, price in zip(names, prices, strict=True):
        if not name.startswith("fx.") or not price > 0:
            continue
        base, _, quote = name[3:].partition("~")[0].partition("-")
        if quote == currency:
            rates[base] = Decimal(repr(round(float(price), _DIGITS)))
        elif base == currency:
            rates[quote] = Decimal(repr(round(1.0 / float(price), _DIGITS)))
    return rates
