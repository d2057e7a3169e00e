"""Exact numbers: money, prices and quantities as Decimal, rounded at named places only; one parser at the edge.

NaN and infinity never become a number here, so they cannot become an order.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from foresail.core.errors import ConfigError

__all__ = ["MONEY_CONTEXT", "Money", "parse_money", "parse_number", "round_fee", "round_quantity", "round_tick"]

# Products of tick-aligned prices and lot-aligned quantities are exact within 40 digits; an inexact result is a defect.
MONEY_CONTEXT = decimal.Context(
    prec=40,
    rounding=ROUND_HALF_EVEN,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
_ROUNDING_CONTEXT = decimal.Context(prec=40, traps=[decimal.InvalidOperation, decimal.Overflow])


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency."""

    amount: Decimal
    currency: str


def parse_number(text: str | int | Decimal) -> Decimal:
    """Return an exact finite number.

    Raises
    ------
    ConfigError
        If the text is no plain decimal number, or is NaN or infinite.
    """
    try:
        value = Decimal(str(text).strip().replace("_", ""))
    except decimal.InvalidOperation as e:
        raise ConfigError(
            f"expected a number, received {text!r}", hint="write digits, for example 100000 or 0.05"
        ) from e
    if not value.is_finite():
        raise ConfigError(f"expected a finite number, received {text!r}")
    return value


def parse_money(text: str) -> Money:
    """Return money from text such as ``"100000 USD"``.

    Raises
    ------
    ConfigError
        If the text is not an amount, a space and a three-letter currency.
    """
    parts = str(text).split()
    if len(parts) != 2 or not (parts[1].isalpha() and parts[1].isupper() and 3 <= len(parts[1]) <= 5):
        raise ConfigError(f"expected money such as '100000 USD', received {text!r}")
    return Money(parse_number(parts[0]), parts[1])


def _quantise(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    ratio = _ROUNDING_CONTEXT.divide(value, step).to_integral_value(rounding=rounding)
    return _ROUNDING_CONTEXT.multiply(ratio, step)


def round_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Return the price on the tick grid, half to even."""
    return _quantise(price, tick, ROUND_HALF_EVEN)


def round_quantity(quantity: Decimal, lot: Decimal) -> Decimal:
    """Return the quantity in whole lots, rounded towards zero."""
    return _quantise(quantity, lot, ROUND_DOWN)


def round_fee(fee: Decimal, minor_unit: Decimal = Decimal("0.01")) -> Decimal:
    """Return a fee in the currency's minor unit, half to even."""
    return _quantise(fee, minor_unit, ROUND_HALF_EVEN)
