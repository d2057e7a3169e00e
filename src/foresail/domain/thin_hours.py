"""Hours in which crypto markets are thin (EXEC-04): what is opened then has a limit price. One home of them."""

from __future__ import annotations

from foresail.domain.instruments import AssetClass

__all__ = ["is_thin"]

_HOUR_NS = 3_600 * 10**9


def is_thin(asset_class: AssetClass, at_ns: int, hours: tuple[int, int] | None) -> bool:
    """Return whether an instant (ns UTC) lies in the thin hours of a class; only crypto has any.

    Parameters
    ----------
    hours : UTC, from and to, as of ``MarketLimits.thin_hours``; None = none
    """
    if hours is None or asset_class is not AssetClass.CRYPTO:
        return False
    return hours[0] <= at_ns // _HOUR_NS % 24 < hours[1]
