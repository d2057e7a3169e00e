"""Value at risk of the portfolio (RISK-14, RC-15): with the order in it, one day in twenty may lose at most 15 %."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.measures.value_at_risk import sorted_value_at_risk, value_at_risk
from foresail.risk.exposure import allow, number, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["ValueAtRisk"]

_LEAST = 20  # days of history
_SURELY = 1.0 - 1e-9  # sums are rounded
_STEPS = 12  # halvings of the order; the last is within 1 / 4096 of it


@dataclass(frozen=True, slots=True)
class ValueAtRisk:
    """Cuts an opening until the historical loss at 95 % of the whole portfolio is within its limit.

    A missing return counts as 0 on its day. An order that lowers the loss passes whatever the loss is.
    """

    limits: BookLimits
    name: str = "RISK-14 value at risk"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that keep the loss within its limit."""
        most = self.limits.value_at_risk
        if most is None:
            return allow(self.name, order)
        values, equity = view.values(), number(view.account.equity)
        names = [order.instrument, *values]
        weights = np.fromiter(values.values(), np.float64, len(values)) / equity
        full = (
            number(order.quantity) * view.price(order.instrument) / equity * (1.0 if order.side is Side.BUY else -1.0)
        )
        moves = view.largest_moves(names, _LEAST)
        if moves is not None and abs(full) * moves[0] + np.abs(weights) @ moves[1:] < most * _SURELY:
            return allow(self.name, order)  # no day can lose more than the worst days of all, were they one day
        returns = view.daily_returns(names)
        if returns is None or returns.shape[1] < _LEAST:
            if self.limits.needs_history:
                return refuse(self.name, f"fewer than {_LEAST} daily returns are known")
            return allow(self.name, order)
        window = np.asarray(returns, dtype=np.float64)[:, -self.limits.value_at_risk_days :]
        base = weights @ window[1:]
        after = np.sort(base + full * window[0])
        if math.isnan(after[-1]):  # not a number sorts last: a return is missing
            window = np.where(np.isnan(window), 0.0, window)
            base = weights @ window[1:]
            after = np.sort(base + full * window[0])
        loss = sorted_value_at_risk(after)
        if loss <= most or loss <= value_at_risk(base):
            return allow(self.name, order)
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if value_at_risk(base + middle * full * window[0]) <= most else (low, middle)
        text = f"the loss of one day in twenty would be {loss:.1%} of equity, {most:.0%} are allowed"
        return Ruling(self.name, whole_units(low * number(order.quantity)), f"{text}: order cut")
