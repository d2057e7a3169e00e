"""Low liquidity (RISK-03, RISK-04, SIZE-13): wide spreads and thin volume refuse, large shares are cut."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, number, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["Liquidity"]


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Judges spread and average volume where they are measured; a bar that carries neither says nothing."""

    limits: MarketLimits
    name: str = "RISK-04 liquidity"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the market can take."""
        widest, least, share = self.limits.max_spread, self.limits.min_volume, self.limits.volume_share
        record = view.instrument(order.instrument)
        multiplier = 1.0 if record is None else float(record.multiplier)
        spread = view.spread(order.instrument) * multiplier / view.price(order.instrument)
        if widest is not None and (spread > widest or spread < 0.0):
            return refuse(self.name, f"the spread is {spread * 1e4:.0f} bps, {widest * 1e4:.0f} are allowed")
        volume = view.average_volume(order.instrument)
        if least is not None and volume < least:
            return refuse(self.name, f"{volume:,.0f} units are traded a day, {least:,.0f} are asked for")
        if share is not None and number(order.quantity) > share * volume:
            text = f"at most {share:.1%} of the average daily volume"
            return Ruling(self.name, whole_units(share * volume), f"{text}: order cut")
        return allow(self.name, order)
