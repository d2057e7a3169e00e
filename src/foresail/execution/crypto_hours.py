"""Hours in which crypto markets are thin (EXEC-04): only limit orders then."""

from __future__ import annotations

from foresail.core.clock import from_ns
from foresail.domain.instruments import AssetClass

__all__ = ["market_orders_allowed"]

_THIN_FROM, _THIN_TO = 2, 6  # hours UTC


def market_orders_allowed(asset_class: AssetClass, at_ns: int) -> bool:
    """Return whether a market order may be sent at an instant (ns UTC): not in crypto from 02:00 until 06:00 UTC."""
    return asset_class is not AssetClass.CRYPTO or not _THIN_FROM <= from_ns(at_ns).hour < _THIN_TO
