"""Major news (EXIT-09): no pair of currencies is opened in the half hour before it."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.instruments import AssetClass
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, refuse
from foresail.risk.projected import Projected

__all__ = ["News"]

_HALF_HOUR_S = 1_800.0


@dataclass(frozen=True, slots=True)
class News:
    """Refuses openings of forex before news (facts ``news`` and ``news:ID``, seconds since 1970)."""

    name: str = "EXIT-09 news calendar"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where news of the pair, or of all, is less than half an hour away."""
        if asset_class_of(order.instrument) is not AssetClass.FOREX:
            return allow(self.name, order)
        now = view.now / 1e9
        for fact in ("news", f"news:{order.instrument}"):
            if 0.0 <= view.fact(fact) - now <= _HALF_HOUR_S:
                return refuse(self.name, "major news is less than 30 minutes away: no pair is opened")
        return allow(self.name, order)
