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

__all__ = ["MarginUse", "margin_of"]

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
            total += abs(units * price) * limits.margin_rate[_CLASSES.index(own)]
    return total + max(0.0, -free)


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
        values, cash = view.values(), float(view.account.cash)
        needing = [name for name, value in values.items() if not value >= 0.0 or _is_on_margin(name)]
        held = [(name, view.position_units(name), view.price(name)) for name in needing]
        left = most * number(view.account.equity) - margin_of(held, cash, self.limits)
        if order.side is Side.BUY and not _is_on_margin(order.instrument):
            # what cash pays for needs no margin, and all of the credit counts
            paid = cash + sum([values[name] for name in needing if _is_on_margin(name)])
            room = left if paid <= 0.0 else paid + (left if left > 0.0 else 0.0)
        else:
            room = left / self.limits.margin_rate[_CLASSES.index(asset_class_of(order.instrument))]
        room = room if math.isfinite(room) else math.nan
        return shrink_to_money(self.name, order, view, room, text=f"at most {most:.0%} of equity may stand as margin")


@lru_cache(maxsize=65_536)
def _is_on_margin(name: InstrumentId) -> bool:
    """Return whether a position stands on its margin, whatever the books paid for it."""
    return asset_class_of(name) is AssetClass.FOREX or name.endswith(".perp")
