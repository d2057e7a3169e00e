"""Orders and money sent within a minute, counted from the journal: a loop that agrees with itself stops (RISK-09)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.domain.limits import FlowLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, number, refuse, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["OrderRate", "SubmittedValue"]


@dataclass(frozen=True, slots=True)
class OrderRate:
    """Limits the number of intents of the last 60 s, this batch included."""

    limits: FlowLimits
    name: str = "RISK-09 orders per minute"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where the minute's orders are used up."""
        most = self.limits.orders_per_minute
        if most is None:
            return allow(self.name, order)
        sent = len(view.state.last_minute(view.now)) + len(view.passed)
        if not sent < most:
            return refuse(self.name, f"{sent} orders within 60 s, {most} are allowed")
        return allow(self.name, order)


@dataclass(frozen=True, slots=True)
class SubmittedValue:
    """Limits the value of the intents of the last 60 s, at today's prices, whatever became of them."""

    limits: FlowLimits
    name: str = "RISK-09 submitted per minute"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the minute's money leaves."""
        most = self.limits.submitted_per_minute
        if most is None:
            return allow(self.name, order)
        sent = [
            float(one.quantity) * view.price(one.instrument)
            for one in view.state.last_minute(view.now)
            if not one.is_exit
        ]
        sent += [float(units) * view.price(passed.instrument) for passed, units in view.passed]
        room = most * number(view.account.equity) - math.fsum(sent)
        return shrink_to_money(self.name, order, view, room, text=f"{most:g} x equity may be ordered within 60 s")
