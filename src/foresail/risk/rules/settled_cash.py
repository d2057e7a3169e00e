"""Settled funds of cash accounts (SMALL-05): the proceeds of a stock sale count on the next business day."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import AccountLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["SettledCash"]


@dataclass(frozen=True, slots=True)
class SettledCash:
    """Limits purchases of a cash account to settled funds (SMALL-05)."""

    limits: AccountLimits
    name: str = "SMALL-05 settled cash"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that settled cash can pay for."""
        if self.limits.is_margin or order.side is Side.SELL:
            return allow(self.name, order)
        room = float(view.account.cash) - float(view.state.unsettled(view.now))
        return shrink_to_money(self.name, order, view, room * (1.0 + 1e-12), text="only settled cash counts")
