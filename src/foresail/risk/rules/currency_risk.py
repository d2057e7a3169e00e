"""Forex exposure to one currency (RISK-06, RC-05): the sum of losses at the stop over positions that share it.

A position's stop is not known here, so every position is measured with the class stop; the order itself with its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, entry_and_stop, number, refuse, whole_units
from foresail.risk.projected import Projected

__all__ = ["CurrencyRisk", "currencies_of"]


def currencies_of(instrument: InstrumentId) -> frozenset[str]:
    """Return the currencies of a pair, for example EUR and USD of ``fx.EUR-USD``."""
    return frozenset(instrument.partition("~")[0].rpartition(".")[2].split("-"))


@dataclass(frozen=True, slots=True)
class CurrencyRisk:
    """Limits the loss at the stop of all forex positions that share a currency with the order.

    Attributes
    ----------
    stop_distance : class stop, fraction of price
    """

    limits: BookLimits
    stop_distance: float = 0.006
    name: str = "RISK-06 currency exposure"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that keep each of the two currencies within its limit."""
        most = self.limits.currency_risk
        if most is None or asset_class_of(order.instrument) is not AssetClass.FOREX:
            return allow(self.name, order)
        price = view.price(order.instrument)
        entry, stop = entry_and_stop(order, price)
        loss = price * self.stop_distance if stop is None else abs(entry - stop)
        left = math.inf
        for currency in sorted(currencies_of(order.instrument)):
            used = math.fsum(
                abs(number(p.quantity)) * view.price(p.instrument) * self.stop_distance
                for p in view.account.positions
                if asset_class_of(p.instrument) is AssetClass.FOREX and currency in currencies_of(p.instrument)
            )
            left = min(left, most * (1.0 + 1e-9) * number(view.account.equity) - used)
            if math.isnan(used):
                left = math.nan
                break
        if number(order.quantity) * loss <= left:
            return allow(self.name, order)
        text = f"losses at the stop of positions that share a currency are limited to {most:.0%} of equity"
        if not (left > 0.0 and loss > 0.0):
            return refuse(self.name, text)
        return Ruling(self.name, whole_units(left / loss), f"{text}: order cut")
