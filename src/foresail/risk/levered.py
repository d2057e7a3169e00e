"""What leverage makes of the limits of one position (RISK-20, RISK-23, RC-05, RC-07).

The profile's shares are those of an account without leverage. Where a class may be levered, its cap, its cap of one
position and what may be bought grow with it: else no leverage could ever be used. A share that the user wrote is left
as it stands. Forex has no cap on the value of one position: its pairs are limited by their loss at the stop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits, PositionLimits
from foresail.risk.rules.leverage import class_leverage

__all__ = ["levered_positions"]


def levered_positions(
    limits: PositionLimits, asset_class: AssetClass, book: BookLimits, edited: Collection[str] = ()
) -> PositionLimits:
    """Return the limits of one position under the leverage of its class.

    Parameters
    ----------
    edited : names of limits that the user set (``position.max_position`` ...), which stay as they are

    Examples
    --------
    >>> shares = PositionLimits(0.01, 0.15, None, 0.60, 0.10, shorting=True, stop_distance=0.02)
    >>> raised = levered_positions(shares, AssetClass.STOCK, BookLimits(leverage=(2.0, 1.0, 2.0)))
    >>> raised.max_position, raised.class_exposure, raised.cash_floor
    (0.3, 1.2, -0.8)
    """
    factor = class_leverage(book, asset_class)
    changes: dict[str, Any] = {}
    if factor > 1.0:
        changes = {
            "class_exposure": limits.class_exposure * factor,
            "max_position": limits.max_position * factor,
            "cash_floor": 1.0 - (1.0 - limits.cash_floor) * factor,  # below 0: so much may be bought on credit
        }
    levered = replace(limits, **_own(changes, edited))
    if asset_class is AssetClass.FOREX:
        levered = replace(levered, **_own({"max_position": levered.class_exposure}, edited))
    return levered


def _own(changes: Mapping[str, Any], edited: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if f"position.{name}" not in edited}
