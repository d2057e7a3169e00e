"""Thin hours of crypto (EXEC-04): from 02:00 to 06:00 UTC positions are opened by limit orders only."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.thin_hours import is_thin
from foresail.risk.exposure import allow, asset_class_of, refuse
from foresail.risk.projected import Projected

__all__ = ["ThinHours"]


@dataclass(frozen=True, slots=True)
class ThinHours:
    """Refuses openings of crypto without a limit price in thin hours."""

    limits: MarketLimits
    name: str = "EXEC-04 thin hours"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing for an opening without a limit price in these hours."""
        hours = self.limits.thin_hours
        is_open = order.limit_price is not None or not is_thin(asset_class_of(order.instrument), view.now, hours)
        if hours is not None and not is_open:
            return refuse(self.name, f"limit orders only from {hours[0]:02d}:00 to {hours[1]:02d}:00 UTC")
        return allow(self.name, order)
