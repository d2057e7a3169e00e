"""Loss at the stop of one position (RISK-01 row "risk per trade")."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.protocols import RiskView
from foresail.risk.exposure import allow, entry_and_stop, number, refuse, whole_units

__all__ = ["PerTradeRisk"]


@dataclass(frozen=True, slots=True)
class PerTradeRisk:
    """Limits what is lost between entry and stop; an order without a stop is measured with the class stop (RISK-05)."""

    limits: PositionLimits
    name: str = "RISK-01 risk per trade"

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return the units whose loss at the stop stays within the limit."""
        price, equity = view.price(order.instrument), number(view.account.equity)
        entry, stop = entry_and_stop(order, price)
        assumed = stop is None
        loss = price * self.limits.stop_distance if stop is None else abs(entry - stop)
        if not loss > 0.0:
            return refuse(self.name, "the stop stands at the entry: no loss can be measured")
        most = self.limits.risk_per_trade * equity * (1.0 + 1e-9) / loss
        if number(order.quantity) <= most:
            return allow(self.name, order)
        note = " (no stop given: class stop assumed)" if assumed else ""
        text = f"a loss of at most {self.limits.risk_per_trade:.2%} of equity at the stop{note}: order cut"
        return Ruling(self.name, whole_units(most), text)
