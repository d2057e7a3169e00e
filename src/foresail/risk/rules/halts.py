"""Halts and the kill switch (RISK-31): while latched nothing opens, on the account or on one instrument."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["Halts"]


@dataclass(frozen=True, slots=True)
class Halts:
    """Refuses openings while the account or the instrument is halted; a person lifts that (RISK-31)."""

    name: str = "RISK-31 kill switch"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where trading is halted."""
        halt = view.state.halted(order.instrument)
        if halt is None:
            return allow(self.name, order)
        return refuse(self.name, f"halted by {halt[0]}: {halt[1]}; a named operator can resume")
