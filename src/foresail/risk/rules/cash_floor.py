"""Cash that buying may not touch (RISK-07)."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.protocols import RiskView
from foresail.risk.exposure import allow, number, shrink_to_value

__all__ = ["CashFloor"]


@dataclass(frozen=True, slots=True)
class CashFloor:
    """Limits purchases to the cash above the floor, so that nothing is bought on credit."""

    limits: PositionLimits
    name: str = "RISK-07 cash floor"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return the units that cash above the floor can pay for."""
        if order.side is Side.SELL:
            return allow(self.name, order)
        spent = number(view.account.equity) - float(view.account.cash)
        return shrink_to_value(
            self.name, order, view, spent, limit=1.0 - self.limits.cash_floor, what="what cash pays for"
        )
