"""No order may meet one of our own: two strategies of one account are netted, never traded against each other."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.orders import Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["SelfCross"]


@dataclass(frozen=True, slots=True)
class SelfCross:
    """Refuses an opening that could trade with an open order of the other side of this account."""

    name: str = "COMP-06 self-cross"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where the order crosses one of our own."""
        for other, units in view.open_orders():
            if other.instrument == order.instrument and other.side is not order.side and units > 0:
                if other.reduce_only and other.kind is not OrderKind.LIMIT:
                    continue  # a resting stop: it does not stand in the book
                if _crosses(order, other):
                    whose = other.strategy or "this account"
                    return refuse(self.name, f"would trade with order {other.id} of {whose}")
        return allow(self.name, order)


def _crosses(order: Order, other: Order) -> bool:
    """Whether the two could meet: an order without a limit meets everything."""
    if order.limit_price is None or other.limit_price is None:
        return True
    if order.side is Side.BUY:
        return not order.limit_price < other.limit_price
    return not order.limit_price > other.limit_price
