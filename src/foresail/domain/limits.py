"""Limits that sizing and the risk gate share: the rows of a risk profile (RISK-01) that hold for one asset class."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PositionLimits"]


@dataclass(frozen=True, slots=True)
class PositionLimits:
    """What one portfolio may hold in one asset class; fractions of equity.

    Attributes
    ----------
    risk_per_trade : loss at the stop of one position
    max_position : absolute value of one position
    sector : absolute value of all positions of one sector; None = no such limit
    class_exposure : absolute value of all positions of the class
    cash_floor : cash that buying may not touch
    shorting : whether a sale may open a position
    stop_distance : loss assumed at the stop of an order that names none, fraction of price (RISK-05)
    max_positions : names held at once; None = no such limit
    profile : name of the profile that the rows come from
    """

    risk_per_trade: float
    max_position: float
    sector: float | None
    class_exposure: float
    cash_floor: float
    shorting: bool
    stop_distance: float
    max_positions: int | None = None
    profile: str = ""

    @property
    def gross_exposure(self) -> float:
        """Largest sum of absolute position values: the class cap, or what the cash floor leaves."""
        return max(0.0, min(self.class_exposure, 1.0 - self.cash_floor))
