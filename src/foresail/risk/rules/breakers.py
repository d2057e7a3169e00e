"""Breakers and the drawdown ladder (RISK-19, RISK-24 to 29): what tripped stops openings until its time is over."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.limits import BreakerLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["Breakers"]


@dataclass(frozen=True, slots=True)
class Breakers:
    """Refuses openings while a breaker is in force, or where the day's trades are used up within the batch."""

    limits: BreakerLimits
    name: str = "RISK-24 breakers"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing while a breaker is in force; the ruling names it."""
        in_force = view.state.breakers_in_force(view.now)
        if in_force:
            rule, one = min(in_force.items())
            return refuse(rule, f"{one.text}; exits go on")
        most = self.limits.trades_per_day
        if most is not None:
            used = view.state.trades_today(view.now) + len({passed.id for passed, _ in view.passed})
            if not used < most:
                return refuse("RISK-27 trades per day", f"{used} trades today, {most} are allowed; exits go on")
        return allow(self.name, order)
