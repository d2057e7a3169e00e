"""Forex exposure to one currency (RISK-06, RC-05): the sum of losses at the stop over positions that share it.

Every position is measured with the stop that hangs on it, every order with its own, and with the class stop where
there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.at_stop import loss_at_stop, worst_loss_at_stop
from foresail.risk.exposure import allow, asset_class_of, number, refuse, whole_units
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
    stop_distance : class stop where no other is known, fraction of price
    """

    limits: BookLimits
    stop_distance: float = 0.006
    name: str = "RISK-06 currency exposure"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that keep each of the two currencies within its limit."""
        most = self.limits.currency_risk
        if most is None or asset_class_of(order.instrument) is not AssetClass.FOREX:
            return allow(self.name, order)
        loss = loss_at_stop(view, order.instrument, order.side, self.stop_distance, order).unit
        left = math.inf
        for currency in sorted(currencies_of(order.instrument)):
            used = math.fsum(
                worst_loss_at_stop(
                    view, p.instrument, self.stop_distance, order if p.instrument == order.instrument else None
                )
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
