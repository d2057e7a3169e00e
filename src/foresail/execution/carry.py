"""What holding costs at given instants: funding of perpetuals, swap of forex positions; exact money, signed.

A charge is positive where the position pays. Rates are given, nothing is assumed here; ``CostModel.holding_cost`` asks
``CarrySeries`` first and stands in with its assumptions where no series exists.
"""

from __future__ import annotations

import decimal
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from foresail.core.clock import NS_PER_S, from_ns, to_ns
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Position

__all__ = ["CarrySeries", "SwapRates", "funding_charge", "funding_instants", "swap_charge", "swap_instants"]

_UNIT = Decimal("1e-8")
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_FUNDING_NS = 8 * 3600 * NS_PER_S
_NEW_YORK = ZoneInfo("America/New_York")
_ROLL = time(17)
_WEDNESDAY, _FRIDAY = 2, 4
_MOST = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class SwapRates:
    """Charge per unit and night, quote currency; positive where the position pays."""

    long: Decimal
    short: Decimal


@dataclass(frozen=True, slots=True)
class CarrySeries:
    """What holding really cost, by instrument; every series ascends in time (ns UTC).

    Attributes
    ----------
    funding : (instant of the payment, rate of its interval, fraction)
    swaps : (instant from which they hold, rates)
    borrow : (instant from which it holds, yearly rate, fraction), of shorts
    """

    funding: Mapping[InstrumentId, tuple[tuple[int, Decimal], ...]] = field(default_factory=dict)
    swaps: Mapping[InstrumentId, tuple[tuple[int, SwapRates], ...]] = field(default_factory=dict)
    borrow: Mapping[InstrumentId, tuple[tuple[int, Decimal], ...]] = field(default_factory=dict)

    def funding_paid(self, position: Position, notional: Decimal, since: int, until: int) -> Decimal | None:
        """Return what a perpetual position pays over ``(since, until]`` at a notional, None without a series.

        Payments that the series does not know are left out; it decides when they were due.
        """
        series = self.funding.get(position.instrument)
        if series is None:
            return None
        sign = 1 if position.quantity > 0 else -1
        first, last = bisect_right(series, (since, _MOST)), bisect_right(series, (until, _MOST))
        rates = sum((rate for _at, rate in series[first:last]), Decimal(0))
        return funding_charge(Decimal(sign), abs(notional), rates)

    def swap_paid(self, position: Position, since: int, until: int) -> Decimal | None:
        """Return what a forex position pays at the rolls of ``(since, until]``, None where no rates are known."""
        series = self.swaps.get(position.instrument)
        if series is None:
            return None
        total = Decimal(0)
        for roll in swap_instants(since, until):
            place = bisect_right([at for at, _rates in series], roll[0]) - 1
            if place < 0:
                return None
            total += swap_charge(position.quantity, series[place][1], (roll,))
        return total

    def borrow_rate(self, instrument: InstrumentId, at: int) -> Decimal | None:
        """Return the yearly borrow rate that holds at an instant, None where none is known."""
        series = self.borrow.get(instrument, ())
        place = bisect_right([since for since, _rate in series], at) - 1
        return None if place < 0 else series[place][1]


def funding_instants(from_ns_: int, to_ns_: int, interval_ns: int = _FUNDING_NS) -> tuple[int, ...]:
    """Return the funding instants in ``(from, to]``, ns UTC: 00:00, 08:00 and 16:00 by default.

    Raises
    ------
    ConfigError
        If the period goes backward or the interval is not positive.
    """
    if to_ns_ < from_ns_ or interval_ns <= 0:
        raise ConfigError(f"expected a period that goes forward, received {from_ns_} to {to_ns_} by {interval_ns}")
    first = from_ns_ // interval_ns + 1
    return tuple(k * interval_ns for k in range(first, to_ns_ // interval_ns + 1))


def funding_charge(quantity: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Return what a position pays at one funding instant, to 1e-8: longs pay a positive rate, shorts receive it.

    Parameters
    ----------
    quantity : units held, signed
    mark : mark price, quote currency
    rate : funding rate of the interval, fraction
    """
    return _exact(_CONTEXT.multiply(_CONTEXT.multiply(quantity, mark), rate))


def swap_instants(from_ns_: int, to_ns_: int) -> tuple[tuple[int, int], ...]:
    """Return (instant, nights) of the rolls in ``(from, to]``: 17:00 New York on weekdays, three nights on Wednesday.

    Settlement is two days later, so the roll of Wednesday carries over the weekend. Bank holidays are not known here.

    Raises
    ------
    ConfigError
        If the period goes backward.
    """
    if to_ns_ < from_ns_:
        raise ConfigError(f"expected a period that goes forward, received {from_ns_} to {to_ns_}")
    day = from_ns(from_ns_).astimezone(_NEW_YORK).date()
    last = from_ns(to_ns_).astimezone(_NEW_YORK).date()
    found = []
    while day <= last:
        instant = _roll(day)
        if day.weekday() <= _FRIDAY and from_ns_ < instant <= to_ns_:
            found.append((instant, 3 if day.weekday() == _WEDNESDAY else 1))
        day += timedelta(days=1)
    return tuple(found)


def swap_charge(quantity: Decimal, rates: SwapRates, rolls: Sequence[tuple[int, int]]) -> Decimal:
    """Return what a position pays over some rolls, quote currency, to 1e-8.

    Parameters
    ----------
    quantity : units held, signed
    rolls : as ``swap_instants`` returns them
    """
    nights = sum(n for _, n in rolls)
    rate = rates.long if quantity > 0 else rates.short
    return _exact(_CONTEXT.multiply(_CONTEXT.multiply(abs(quantity), rate), Decimal(nights)))


def _roll(day: date) -> int:
    return to_ns(datetime.combine(day, _ROLL, tzinfo=_NEW_YORK))


def _exact(amount: Decimal) -> Decimal:
    return amount.quantize(_UNIT, rounding=ROUND_HALF_EVEN, context=_CONTEXT)
