"""Loss at the stop of one position (RISK-01 row "risk per trade"): what is held and on order counts."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.at_stop import loss_at_stop
from foresail.risk.exposure import allow, number, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["PerTradeRisk"]


@dataclass(frozen=True, slots=True)
class PerTradeRisk:
    """Limits what the position is to lose at its stop; without a stop it is measured with the class stop (RISK-05)."""

    limits: PositionLimits
    name: str = "RISK-01 risk per trade"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units with which the position's loss at the stop stays within the limit."""
        equity = number(view.account.equity)
        found = loss_at_stop(view, order.instrument, order.side, self.limits.stop_distance, order)
        if not found.unit > 0.0:
            return refuse(self.name, "the stop stands at the entry: no loss can be measured")
        most = (self.limits.risk_per_trade * equity * (1.0 + 1e-9) - found.used) / found.unit
        if number(order.quantity) <= most:
            return allow(self.name, order)
        note = " (no stop given: class stop assumed)" if found.assumed else ""
        if found.used > 0.0:
            note += f", of which {found.used / equity:.2%} is held or on order"
        text = f"a loss of at most {self.limits.risk_per_trade:.2%} of equity at the stop{note}"
        return Ruling(self.name, whole_units(most), f"{text}: order cut") if most > 0.0 else refuse(self.name, text)
