"""Round trips as breakers need them: what a fill closed, whether it lost, and whether it was a day trade.

The ledger's own trades (``ledger.trades``) are read off a whole journal; this is the running fold with what a restart
needs. A fill that turns a position closes one trip and opens the next; a bust is a fill the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Trip", "TripEnd", "advance_trip"]

_ZERO = Decimal(0)


@dataclass(slots=True)
class Trip:
    """A position from flat.

    Attributes
    ----------
    quantity : signed units
    flow : money received less money paid so far, quote currency, fees included
    cost : money paid for (short: received for) the units that opened it, >= 0
    units : units that opened it, >= 0
    opened_day : New York date of the first fill, ISO
    """

    quantity: Decimal = _ZERO
    flow: Decimal = _ZERO
    cost: Decimal = _ZERO
    units: Decimal = _ZERO
    opened_day: str = ""
    is_day_trade: bool = False

    @property
    def average(self) -> float:
        """Average money per unit of the fills that opened it, 0 where there were none."""
        return float(self.cost) / float(self.units) if self.units else 0.0


@dataclass(frozen=True, slots=True)
class TripEnd:
    """What a fill did to trips.

    Attributes
    ----------
    profits : of each trip that ended
    opened : units that opened or added
    day_trades : closings of what was opened the same day, counted once a trip
    """

    profits: tuple[Decimal, ...]
    opened: Decimal
    day_trades: int


def advance_trip(trip: Trip, signed: Decimal, value: Decimal, fee: Decimal, day: str) -> TripEnd:
    """Change a trip by a fill of signed units at ``value`` money per unit; return what that ended or opened."""
    profits: tuple[Decimal, ...] = ()
    day_trades = 0
    closing = _ZERO
    if trip.quantity != 0 and (signed > 0) != (trip.quantity > 0):
        closing = min(abs(signed), abs(trip.quantity))
        part = closing if signed > 0 else -closing
        trip.quantity += part
        trip.flow -= part * value + fee
        fee = _ZERO
        if trip.opened_day == day and not trip.is_day_trade:
            trip.is_day_trade, day_trades = True, 1
        if trip.quantity == 0:
            profits = (trip.flow,)
            trip.flow = trip.cost = trip.units = _ZERO
    opening = abs(signed) - closing
    if opening > 0:
        part = opening if signed > 0 else -opening
        if trip.quantity == 0:
            trip.opened_day, trip.is_day_trade = day, False
        trip.quantity += part
        trip.flow -= part * value + fee
        trip.cost += opening * value
        trip.units += opening
    return TripEnd(profits, opening, day_trades)
