"""Value of one position (RISK-01 row "max position")."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.protocols import RiskView
from foresail.risk.exposure import held_units, shrink_to_value

__all__ = ["MaxPosition"]


@dataclass(frozen=True, slots=True)
class MaxPosition:
    """Limits the value of what is held and ordered of one instrument. Drift above it blocks additions (RISK-10)."""

    limits: PositionLimits
    name: str = "RISK-01 max position"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return the units that keep the position within its cap."""
        used = abs(held_units(view, order.instrument)) * view.price(order.instrument)
        return shrink_to_value(self.name, order, view, used, limit=self.limits.max_position, what="one position")
