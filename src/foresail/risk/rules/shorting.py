"""Whether a sale may open a position (RISK-01 row "shorting")."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.protocols import RiskView
from foresail.risk.exposure import allow, refuse

__all__ = ["Shorting"]


@dataclass(frozen=True, slots=True)
class Shorting:
    """Refuses opening sales where shorting is off. The gate passes only the opening part of an order to rules."""

    limits: PositionLimits
    name: str = "RISK-01 shorting"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return nothing for an opening sale where shorting is off."""
        if order.side is Side.SELL and not self.limits.shorting:
            return refuse(self.name, "shorting is off: only what is held can be sold")
        return allow(self.name, order)
