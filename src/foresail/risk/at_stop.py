"""What a position may lose at its stop (RISK-01, RISK-05, RISK-06): held, on order and passed earlier in the batch.

One stop hangs on a position, that of the order which fills last. Until then the widest of those that may come to hang
on it counts, for every unit. What is held is measured from the worse of entry and price: a gain that is given back is
no loss, and what is lost already is out of equity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.core.ids import InstrumentId
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.risk.exposure import entry_and_stop, number
from foresail.risk.projected import Projected

__all__ = ["AtStop", "loss_at_stop", "worst_loss_at_stop"]


@dataclass(frozen=True, slots=True)
class AtStop:
    """A loss at the stop, account currency; NaN where a price is unknown.

    Attributes
    ----------
    used : of all units that count before the order
    unit : of one unit of the order; ``loss_at_stop`` of no order gives NaN
    assumed : whether no stop is known, so that the class stop was taken
    """

    used: float
    unit: float
    assumed: bool


def loss_at_stop(
    view: Projected, instrument: InstrumentId, side: Side, distance: float, order: Order | None = None
) -> AtStop:
    """Return what one side of a position may lose at its stop.

    Parameters
    ----------
    side : BUY for a long position, SELL for a short one
    distance : class stop where none is known, fraction of price
    order : opening order of that side whose stop will hang on the position; its units are not in ``used``
    """
    if order is not None and view.is_alone(instrument):
        return _alone(order, view.price(instrument), distance)
    sign = 1.0 if side is Side.BUY else -1.0
    price, factor = view.price(instrument), view.factor(instrument)
    class_loss = price * distance
    waiting = [
        (number(units), *_levels(other, price, factor))
        for other, units in view.open_orders()
        if other.instrument == instrument and other.side is side and not other.reduce_only
    ]
    own_entry, own = (math.nan, None) if order is None else entry_and_stop(order, price)
    standing = view.stop(instrument)
    if not sign * (price - standing) > 0.0:
        standing = math.nan  # none, or one that the price is through: it protects nothing
    hung = own if own is not None else None if math.isnan(standing) else standing
    known = [] if hung is None else [hung]
    known += [stop for _, _, stop in waiting if stop is not None]
    widest = (min(known) if sign > 0.0 else max(known)) if known else math.nan

    def unit(entry: float, stop: float | None) -> float:
        """Return the loss of one unit; a level of its own is never taken for nearer than it is."""
        at_widest = max(0.0, sign * (entry - widest)) if known else 0.0
        return max(class_loss if stop is None else sign * (entry - stop), at_widest)

    held = max(0.0, sign * number(view.held(instrument)))
    used = 0.0
    if held > 0.0:
        paid = view.entry(instrument)
        start = price if math.isnan(paid) else min(price, paid) if sign > 0.0 else max(price, paid)
        used = held * (max(0.0, sign * (start - widest)) if known else class_loss)
    used += math.fsum(units * unit(entry, stop if stop is not None else hung) for units, entry, stop in waiting)
    return AtStop(used, unit(own_entry, hung) if order is not None else math.nan, hung is None)


def worst_loss_at_stop(view: Projected, instrument: InstrumentId, distance: float, order: Order | None = None) -> float:
    """Return what a position may lose at its stop on its worse side, account currency; NaN where no price is known.

    Parameters
    ----------
    order : as in ``loss_at_stop``; counts on its own side only
    """
    both = [
        loss_at_stop(view, instrument, side, distance, order if order is not None and order.side is side else None).used
        for side in Side
    ]
    return math.nan if any(math.isnan(one) for one in both) else max(both)


def _alone(order: Order, price: float, distance: float) -> AtStop:
    """Return the loss of an order beside which there is nothing, as most are: many times cheaper."""
    entry, stop = entry_and_stop(order, price)
    return AtStop(0.0, price * distance if stop is None else abs(entry - stop), stop is None)


def _levels(order: Order, price: float, factor: float) -> tuple[float, float | None]:
    """Return entry and stop of an order on its way, money per unit."""
    entry, stop = entry_and_stop(order, price / factor)
    return entry * factor, None if stop is None else stop * factor
