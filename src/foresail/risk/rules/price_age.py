"""Age of the last price (RISK-31, reliability 5.4): what is old is not known."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["PriceAge"]


@dataclass(frozen=True, slots=True)
class PriceAge:
    """Refuses openings on a price older than the limit."""

    limits: MarketLimits
    name: str = "RISK-31 price age"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where the price is too old, or made in the future."""
        most = self.limits.max_price_age_ns
        if most is None:
            return allow(self.name, order)
        age = view.price_age(order.instrument)
        if not 0 <= age <= most:
            return refuse(self.name, f"the price is {age / 1e9:.1f} s old, {most / 1e9:.1f} s are allowed")
        return allow(self.name, order)
