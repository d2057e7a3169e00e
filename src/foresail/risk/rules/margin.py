"""Margin (RISK-21, RC-08): new positions stop where half of the equity stands as margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, number, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["MarginUse", "margin_used"]

_CLASSES = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)


def margin_used(view: Projected, limits: BookLimits) -> float:
    """Return the initial margin of all positions, account currency; NaN where a price is not known.

    Long spot positions that cash has paid for use none: only what exceeds equity less margin classes does.
    """
    total = 0.0
    for position in view.account.positions:
        own = asset_class_of(position.instrument)
        is_levered = own is AssetClass.FOREX or position.quantity < 0 or position.instrument.endswith(".perp")
        if is_levered:
            value = abs(number(position.quantity)) * view.price(position.instrument)
            total += value * limits.margin_rate[_CLASSES.index(own)]
    return total + max(0.0, -float(view.account.cash))


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
