"""Margin (RISK-21, RC-08): new positions stop where half of the equity stands as margin, credit included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, asset_class_of, number, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["MarginUse", "margin_of", "margin_used"]

_CLASSES = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)


def margin_of(held: Iterable[tuple[InstrumentId, float, float]], cash: float, limits: BookLimits) -> float:
    """Return the initial margin of positions, account currency; NaN where a price is not known.

    Forex and perpetuals stand on their margin, whatever the books paid for them; long spot positions that cash has paid
    for use none, and what is bought on credit uses all of the credit.

    Parameters
    ----------
    held : (instrument, signed units, value of one unit in the account's currency)
    cash : of the account, account currency
    """
    total, free = 0.0, cash
    for name, units, price in held:
        own = asset_class_of(name)
        on_margin = _is_on_margin(name)
        if on_margin:
            free += units * price
        if on_margin or units < 0.0:
            total += abs(units) * price * limits.margin_rate[_CLASSES.index(own)]
    return total + max(0.0, -free)


def margin_used(view: Projected, limits: BookLimits) -> float:
    """Return ``margin_of`` all positions of a view, open orders and what passed before included."""
    held = [(name, value, 1.0) for name, value in view.values().items()]
    return margin_of(held, float(view.account.cash), limits)


@dataclass(frozen=True, slots=True)
class MarginUse:
    """Limits openings that need margin to a share of equity: forex, perpetuals, short sales, and buying on credit."""

    limits: BookLimits
    name: str = "RISK-21 margin"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units whose margin is left."""
        most = self.limits.max_margin_use
        if most is None:
            return allow(self.name, order)
        own = asset_class_of(order.instrument)
        rate, paid = self.limits.margin_rate[_CLASSES.index(own)], 0.0
        if order.side is Side.BUY and not _is_on_margin(order.instrument):
            rate, paid = 1.0, _free_cash(view)  # what cash pays for needs none, and all of the credit counts
        left = most * number(view.account.equity) - margin_used(view, self.limits)
        room = (left / rate) if paid <= 0.0 else paid + (left if left > 0.0 else 0.0)
        room = room if math.isfinite(room) else math.nan
        return shrink_to_money(self.name, order, view, room, text=f"at most {most:.0%} of equity may stand as margin")


@lru_cache(maxsize=65_536)
def _is_on_margin(name: InstrumentId) -> bool:
    """Return whether a position stands on its margin, whatever the books paid for it."""
    return asset_class_of(name) is AssetClass.FOREX or name.endswith(".perp")


def _free_cash(view: Projected) -> float:
    """Return the cash that pays for spot purchases, account currency; below 0 where some were bought on credit."""
    on_margin = [value for name, value in view.values().items() if _is_on_margin(name)]
    return float(view.account.cash) + sum(on_margin)
