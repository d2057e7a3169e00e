"""No averaging down (SMALL-01): a position that loses is not added to."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["AveragingDown"]


@dataclass(frozen=True, slots=True)
class AveragingDown:
    """Refuses additions to a position whose price is worse than its average entry."""

    limits: BookLimits
    name: str = "SMALL-01 averaging down"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing for an addition to a losing position."""
        held = view.held(order.instrument)
        if self.limits.averaging_down or held == 0:
            return allow(self.name, order)
        record = view.instrument(order.instrument)
        if record is None or record.currency != view.account.currency:
            return refuse(self.name, "the entry is in another currency: whether the position loses is not known")
        average, price = view.state.average_price(order.instrument), view.price(order.instrument)
        is_better = price >= average if order.side is Side.BUY else price <= average
        if not is_better:
            return refuse(self.name, f"the position stands at {average:g}, the price is {price:g}: it loses")
        return allow(self.name, order)
