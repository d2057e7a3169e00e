"""Price collar: a limit or trigger far from the last price is a slip of the hand, or a wrong price."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["Collar"]


@dataclass(frozen=True, slots=True)
class Collar:
    """Refuses openings whose limit or trigger is further from the last price than the collar."""

    limits: MarketLimits
    name: str = "EXEC-06 price collar"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where a level is outside the collar."""
        width = self.limits.collar
        if width is None:
            return allow(self.name, order)
        price = view.price(order.instrument)
        for level in (order.limit_price, order.trigger_price):
            if level is not None and not abs(float(level) - price) <= width * price:
                return refuse(self.name, f"{level} is more than {width:.0%} from the last price {price:g}")
        return allow(self.name, order)
