"""What a split does to a holding: whole lots stay, the fraction is paid in cash.

Books and venue must agree on this, so both ask here. Data sets store ratios as binary fractions (1/3 is 0.3333), so a
holding that comes within ``_NEAR`` of a whole number of lots counts as whole.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_HALF_EVEN, Decimal

from foresail.core.errors import ConfigError
from foresail.core.numbers import round_quantity, round_tick

__all__ = ["split_quantity"]

_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_NEAR = Decimal("1e-6")  # share of the holding


def split_quantity(quantity: Decimal, ratio: Decimal, lot: Decimal) -> tuple[Decimal, Decimal]:
    """Return (units after the split, fraction of a unit settled in cash), both with the sign of the holding.

    Parameters
    ----------
    quantity : units before, signed
    ratio : units after one unit before, > 0
    lot : smallest quantity step

    Raises
    ------
    ConfigError
        If the ratio is not a positive finite number.
    """
    if not ratio.is_finite() or ratio <= 0:
        raise ConfigError(f"expected a split ratio > 0, received {ratio}", hint="1 means no split, 2 means two for one")
    exact = _CONTEXT.multiply(quantity, ratio)
    nearest = round_tick(exact, lot)
    if _CONTEXT.abs(_CONTEXT.subtract(nearest, exact)) <= _CONTEXT.multiply(_NEAR, _CONTEXT.abs(exact)):
        return nearest, Decimal(0)
    whole = round_quantity(exact, lot)
    return whole, _CONTEXT.subtract(exact, whole).quantize(Decimal("1e-12"), context=_CONTEXT)
