"""Margin (RISK-21, RC-08): new positions stop where half of the equity stands as margin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
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
        on_margin = own is AssetClass.FOREX or name.endswith(".perp")
        if on_margin:
            free += units * price
        if on_margin or units < 0.0:
            total += abs(units) * price * limits.margin_rate[_CLASSES.index(own)]
    return total + max(0.0, -free)


def margin_used(view: Projected, limits: BookLimits) -> float:
    """Return ``margin_of`` all positions of a view, open orders and what passed before included."""
    positions = view.account.positions
    held = ((p.instrument, number(p.quantity), view.price(p.instrument)) for p in positions)
    return margin_of(held, float(view.account.cash), limits)


@dataclass(frozen=True, slots=True)
class MarginUse:
    """Limits openings that need margin to a share of equity: forex, perpetuals, short sales, and buying on credit."""

    limits: BookLimits
    name: str = "RISK-21 margin"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units whose margin is left."""
        most = self.limits.max_margin_use
        own = asset_class_of(order.instrument)
        needs = own is AssetClass.FOREX or order.side.value == "sell" or order.instrument.endswith(".perp")
        if most is None or not needs:
            return allow(self.name, order)
        rate = self.limits.margin_rate[_CLASSES.index(own)]
        room = (most * number(view.account.equity) - margin_used(view, self.limits)) / rate
        room = room if math.isfinite(room) else math.nan
        return shrink_to_money(self.name, order, view, room, text=f"at most {most:.0%} of equity may stand as margin")
