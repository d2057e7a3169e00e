"""Beta of the whole portfolio (RISK-03): the sum of weight times beta stays below its upper limit.

The lower end of the range is shown, not enforced: an empty portfolio has beta 0 and must be able to begin. A pair of
currencies has no market that it could have a beta against: it adds nothing and is not judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.domain.instruments import AssetClass
from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, asset_class_of, number, refuse, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["PortfolioBeta"]


@dataclass(frozen=True, slots=True)
class PortfolioBeta:
    """Limits openings that raise the portfolio's beta; a beta that is not known refuses (fact ``beta:ID``)."""

    limits: MarketLimits
    name: str = "RISK-03 portfolio beta"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that keep the portfolio's beta within its limit."""
        most = self.limits.portfolio_beta
        if most is None or asset_class_of(order.instrument) is AssetClass.FOREX:
            return allow(self.name, order)
        own = view.fact(f"beta:{order.instrument}")
        if not math.isfinite(own):
            needs = "60 days of bars, and the series sp500 or three stocks in the set; or a stored fact beta"
            return refuse(self.name, f"the beta of {order.instrument} is not known: it needs {needs}")
        sign = 1.0 if order.side is Side.BUY else -1.0
        if sign * own <= 0.0:
            return allow(self.name, order)
        used = math.fsum(
            number(p.quantity) * view.price(p.instrument) * view.fact(f"beta:{p.instrument}")
            for p in view.account.positions
            if asset_class_of(p.instrument) is not AssetClass.FOREX
        )
        room = (most * number(view.account.equity) - used) / abs(own)
        return shrink_to_money(self.name, order, view, room, text=f"portfolio beta is limited to {most:g}")
