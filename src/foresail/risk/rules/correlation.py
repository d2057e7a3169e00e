"""Correlated positions (RISK-11): where two move together and are large together, the new one loses 30 %."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.risk.exposure import allow, held_units, number, refuse, scale
from foresail.risk.projected import Projected

__all__ = ["Correlation", "correlations"]

_LEAST = 20  # days that two names must share


def correlations(own: FloatArray, others: FloatArray) -> FloatArray:
    """Return the correlation of one series with several, over the days that each pair shares; NaN below 20 days.

    Parameters
    ----------
    own : (T,), simple returns
    others : (N, T), simple returns
    """
    both = np.isfinite(own) & np.isfinite(others)
    count = both.sum(axis=1)
    x, y = np.where(both, own, 0.0), np.where(both, others, 0.0)
    n = np.maximum(count, 1)
    dx = np.where(both, x - (x.sum(axis=1) / n)[:, None], 0.0)
    dy = np.where(both, y - (y.sum(axis=1) / n)[:, None], 0.0)
    spread = np.sqrt((dx * dx).sum(axis=1) * (dy * dy).sum(axis=1))
    is_known = (count >= _LEAST) & (spread > 0.0)
    result: FloatArray = np.where(is_known, (dx * dy).sum(axis=1) / np.maximum(spread, 1e-300), np.nan)
    return result


@dataclass(frozen=True, slots=True)
class Correlation:
    """Cuts an opening that would make a correlated pair large; a short position enters with its sign."""

    limits: BookLimits
    name: str = "RISK-11 correlation"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return 70 % of the order where a held name moves with it and the two are more than 15 % of equity."""
        most = self.limits.correlation
        if most is None:
            return allow(self.name, order)
        equity = number(view.account.equity)
        own = (number(order.quantity) + abs(held_units(view, order.instrument))) * view.price(order.instrument)
        room = self.limits.correlation_share * equity - own
        values = view.values()
        held = [
            p
            for p in view.account.positions
            if p.instrument != order.instrument and not abs(values[p.instrument]) <= room
        ]
        if not held:  # no pair is large enough to matter
            return allow(self.name, order)
        returns = view.daily_returns([order.instrument, *(p.instrument for p in held)])
        if returns is None:
            if self.limits.needs_history:
                return refuse(self.name, "no history of returns is known")
            return allow(self.name, order)
        window = np.asarray(returns, dtype=np.float64)[:, -self.limits.correlation_days :]
        found = correlations(window[0], window[1:])
        sign = 1.0 if order.side is Side.BUY else -1.0
        for position, value in zip(held, found, strict=True):
            together = own + abs(number(position.quantity)) * view.price(position.instrument)
            signed = value * sign * (1.0 if position.quantity > 0 else -1.0)
            if signed > most:
                text = f"correlation {signed:.2f} with {position.instrument}, together {together / equity:.1%}"
                return scale(self.name, order, 1.0 - self.limits.correlation_cut, f"{text}: order cut")
        return allow(self.name, order)
