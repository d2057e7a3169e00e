"""Instruments that an order of unknown outcome, or an impossible report, blocks (EXEC-06)."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["BlockedInstrument"]


@dataclass(frozen=True, slots=True)
class BlockedInstrument:
    """Refuses openings in an instrument whose orders nobody can account for."""

    name: str = "EXEC-06 blocked instrument"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where the order book blocks the instrument."""
        why = view.blocked(order.instrument)
        return refuse(self.name, why) if why else allow(self.name, order)
