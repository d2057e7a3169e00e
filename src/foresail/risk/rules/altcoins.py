"""Altcoins (RISK-05): what is neither Bitcoin nor Ether may be at most a share of the crypto cap.

The cap grows with the leverage that the user allows crypto, as that of the class does (``risk.levered``).
"""

from __future__ import annotations

from dataclasses import dataclass

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, gross_value, shrink_to_value
from foresail.risk.projected import Projected
from foresail.risk.rules.leverage import class_leverage

__all__ = ["Altcoins", "is_altcoin"]

_MAJORS = frozenset({"BTC", "XBT", "ETH", "WBTC"})


def is_altcoin(instrument: InstrumentId) -> bool:
    """Whether an instrument is crypto other than Bitcoin and Ether."""
    if asset_class_of(instrument) is not AssetClass.CRYPTO:
        return False
    name = instrument.removesuffix(".perp").rpartition(".")[2]
    return name.split("-")[0] not in _MAJORS


@dataclass(frozen=True, slots=True)
class Altcoins:
    """Limits the value of all altcoins to a share of the crypto cap."""

    limits: BookLimits
    name: str = "RISK-05 altcoin share"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that keep altcoins within their share."""
        share = self.limits.altcoin_share
        if share is None or not is_altcoin(order.instrument):
            return allow(self.name, order)
        limit = share * self.limits.crypto_exposure * max(1.0, class_leverage(self.limits, AssetClass.CRYPTO))
        return shrink_to_value(self.name, order, view, gross_value(view, is_altcoin), limit=limit, what="altcoins")
