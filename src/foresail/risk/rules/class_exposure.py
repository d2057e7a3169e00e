"""Value, and number, of all positions of one asset class (RISK-01 row "total exposure", RISK-05)."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.protocols import RiskView
from foresail.risk.exposure import asset_class_of, class_value, held_units, refuse, shrink_to_value

__all__ = ["ClassExposure"]


@dataclass(frozen=True, slots=True)
class ClassExposure:
    """Limits the absolute value held in the order's asset class, and where given the number of positions."""

    limits: PositionLimits
    name: str = "RISK-05 class exposure"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return the units that keep the class within its cap."""
        own, most = asset_class_of(order.instrument), self.limits.max_positions
        if most is not None and held_units(view, order.instrument) == 0.0:
            count = sum(1 for p in view.account.positions if p.quantity != 0 and asset_class_of(p.instrument) is own)
            if count >= most:
                return refuse(self.name, f"{count} positions are held in {own.value}, {most} are allowed")
        used = class_value(view, own)
        return shrink_to_value(
            self.name, order, view, used, limit=self.limits.class_exposure, what=f"class {own.value}"
        )
