"""Cancels against fills (COMP-06): the platform never places orders that are meant to be cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import FlowLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["CancelRatio"]


@dataclass(frozen=True, slots=True)
class CancelRatio:
    """Refuses resting orders for the rest of a day whose cancels outran its fills."""

    limits: FlowLimits
    name: str = "COMP-06 cancels per fill"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing for a limit order where too many were taken back; what trades at once is not concerned."""
        ratio = self.limits.cancels_per_fill
        if ratio is None or order.limit_price is None:
            return allow(self.name, order)
        memory = view.state.memory
        if view.now >= memory.day_end:
            return allow(self.name, order)
        most = self.limits.cancel_allowance + ratio * memory.fills_today
        if not memory.cancels_today <= most:
            text = f"{memory.cancels_today} cancels today on {memory.fills_today} fills, {most:g} are allowed"
            return refuse(self.name, text)
        return allow(self.name, order)
