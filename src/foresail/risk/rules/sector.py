"""Value of all positions of one sector (RISK-01 row "sector"); a name without a sector is a sector of its own."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.protocols import RiskView
from foresail.risk.exposure import allow, gross_value, sector_value, shrink_to_value

__all__ = ["SectorExposure"]

_UNMAPPED = ("", "unknown")


@dataclass(frozen=True, slots=True)
class SectorExposure:
    """Limits the absolute value held in one sector."""

    limits: PositionLimits
    name: str = "RISK-01 sector"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return the units that keep the sector within its cap."""
        cap = self.limits.sector
        if cap is None:
            return allow(self.name, order)
        sector = view.sector(order.instrument)
        if sector in _UNMAPPED:
            used, sector = gross_value(view, lambda other: other == order.instrument), order.instrument
        else:
            used = sector_value(view, sector)
        return shrink_to_value(self.name, order, view, used, limit=cap, what=f"sector {sector}")
