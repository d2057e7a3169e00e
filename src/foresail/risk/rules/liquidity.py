"""Low liquidity (RISK-03, RISK-04, SIZE-13): wide spreads and thin volume refuse, large shares are cut."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.tiers import tier_of
from foresail.risk.exposure import allow, asset_class_of, number, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["Liquidity"]


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Judges spread and average volume where they are measured; a bar that carries neither says nothing.

    An order that leaves in slices is not cut to a share of the volume: its slices are, each when it leaves.

    Attributes
    ----------
    by_tier : prices are raw, so a stock must trade the least volume of its price tier (TIER-01)
    """

    limits: MarketLimits
    name: str = "RISK-04 liquidity"
    by_tier: bool = False

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the market can take."""
        widest, least, share = self.limits.max_spread, self.limits.min_volume, self.limits.volume_share
        record = view.instrument(order.instrument)
        multiplier = 1.0 if record is None else float(record.multiplier)
        spread = view.spread(order.instrument) * multiplier / view.price(order.instrument)
        if widest is not None and (spread > widest or spread < 0.0):
            return refuse(self.name, f"the spread is {spread * 1e4:.0f} bps, {widest * 1e4:.0f} are allowed")
        volume = view.average_volume(order.instrument)
        if self.by_tier and asset_class_of(order.instrument) is AssetClass.STOCK:
            tier = tier_of(view.price(order.instrument) / multiplier, basis=PriceBasis.RAW)
            least = max(least or 0.0, 0.0 if tier is None else tier.minimum_volume)
        if least is not None and volume < least:
            return refuse(self.name, f"{volume:,.0f} units are traded a day, {least:,.0f} are asked for")
        if share is not None and not view.is_sliced(order) and number(order.quantity) > share * volume:
            text = f"at most {share:.1%} of the average daily volume"
            return Ruling(self.name, whole_units(share * volume), f"{text}: order cut")
        return allow(self.name, order)
