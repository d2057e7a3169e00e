"""Fear in the market (RISK-03, RC-12): above a level of the VIX nothing opens; ``conditions`` cuts size below it."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["Vix"]


@dataclass(frozen=True, slots=True)
class Vix:
    """Refuses openings above the level (fact ``vix``); without a known VIX it says nothing."""

    limits: MarketLimits
    name: str = "RISK-03 VIX"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing above the level."""
        level = view.fact("vix")
        stop = self.limits.vix_stop
        if stop is not None and level > stop:
            return refuse(self.name, f"the VIX is {level:g}, nothing is opened above {stop:g}")
        return allow(self.name, order)
