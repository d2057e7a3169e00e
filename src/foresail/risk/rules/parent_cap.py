"""Units of all children of one parent, counted from intents: children may never outgrow what was decided (RISK-09)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.domain.limits import FlowLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["ParentCap"]


@dataclass(frozen=True, slots=True)
class ParentCap:
    """Limits what opens in the name of a parent to a multiple of the parent's own units."""

    limits: FlowLimits
    name: str = "RISK-09 cap of a parent"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the parent leaves; a parent that the journal does not know has none."""
        multiple = self.limits.parent_multiple
        if multiple is None or order.parent is None:
            return allow(self.name, order)
        own, children = view.state.parent(order.parent, order.instrument)
        for passed, units in view.passed:
            if passed.id == order.parent:
                own = units
            elif passed.parent == order.parent and passed.instrument == order.instrument:
                children += units
        left = whole_units(float(own) * multiple) - children
        if not order.quantity <= left:
            text = f"children of {order.parent} ordered {children} of {own} units"
            return refuse(self.name, text) if left <= 0 else Ruling(self.name, max(Decimal(0), left), text)
        return allow(self.name, order)
