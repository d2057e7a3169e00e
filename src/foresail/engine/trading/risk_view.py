"""What the gate sees of a core at one decision (implements ``protocols.RiskView``), in the account's currency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.engine.trading.parts import TradingMarket
from foresail.ledger.orders import OrderBook

__all__ = ["CoreRiskView", "in_account_currency"]

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, eq=False)
class CoreRiskView:
    """Account, prices, orders and state as they stand; nothing is computed before it is asked for.

    Attributes
    ----------
    now : instant of the decision, ns UTC
    prices : last known prices in the account's currency, NaN where none is known
    state : the fold that breakers and caps read (``risk.state``), None where there is none
    facts_known : newest value of every fact by name
    rates : account currency per unit of other currencies
    sliced : parents among the orders under review: what they leave as counts, not they as a whole (EXEC-03)
    levels : (stop, target) that hang on positions, quote currency
    """

    account: Account
    now: int
    prices: Mapping[InstrumentId, float]
    instruments: Mapping[InstrumentId, Instrument]
    orders: OrderBook
    market: TradingMarket
    state: Any = None
    facts_known: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    sliced: frozenset[OrderId] = frozenset()
    levels: Mapping[InstrumentId, tuple[float | None, float | None]] = field(default_factory=dict)

    def price(self, instrument: InstrumentId) -> float:
        """Return the last price, NaN where none is known (which refuses)."""
        return self.prices.get(instrument, math.nan)

    def stop(self, instrument: InstrumentId) -> float:
        """Return the stop that hangs on a position, account currency; NaN where none does."""
        level = self.levels.get(instrument, (None, None))[0]
        return math.nan if level is None else level * float(self._rate(instrument))

    def entry(self, instrument: InstrumentId) -> float:
        """Return the average price paid for a position, account currency at the rate of now; NaN where none is held."""
        for one in self.account.positions:
            if one.instrument == instrument:
                return float(one.average_price) * float(self._rate(instrument))
        return math.nan

    def sector(self, instrument: InstrumentId) -> str:
        """Return the sector used for caps."""
        found = self.instruments.get(instrument)
        return instrument if found is None else found.sector

    def price_age(self, instrument: InstrumentId) -> int:
        """Return ns since the bar of the last price ended, the age of the universe where there is none."""
        at = self.market.price_time(instrument)
        return self.now if at is None else max(0, self.now - at)

    def reserved(self, instrument: InstrumentId) -> tuple[Decimal, Decimal]:
        """Return units that open and unknown orders may still buy and sell."""
        held = self.orders.reserved(instrument)
        return held.buy, held.sell

    def open_orders(self) -> tuple[tuple[Order, Decimal], ...]:
        """Return open and unknown orders with the units that may still trade, levels in the account's currency."""
        if not self.rates:
            return tuple([(one.order, one.reserved) for one in self.orders.open()])
        return tuple(
            (in_account_currency(one.order, self._rate(one.order.instrument)), one.reserved)
            for one in self.orders.open()
        )

    def missing(self) -> list[tuple[InstrumentId, Decimal]]:
        """Return (instrument, signed units) that the venue filled without that the fills have come (invariant 3).

        A person who rearms lets their instruments be traded again; the units stay reserved all the same.
        """
        return [
            (one.order.instrument, one.missing if one.order.side is Side.BUY else -one.missing)
            for one in self.orders.differing()
            if one.missing
        ]

    def _rate(self, instrument: InstrumentId) -> Decimal:
        return self.rates.get(self.instruments[instrument].currency, _ONE) if self.rates else _ONE

    def daily_returns(self, instruments: Sequence[InstrumentId]) -> FloatArray | None:
        """Return (N, T) simple returns of the last days, NaN where missing; None where no history is kept."""
        history = getattr(self.market, "daily_returns", None)
        returns: FloatArray | None = None if history is None else history(instruments)
        return returns

    def largest_moves(self, instruments: Sequence[InstrumentId], days: int) -> FloatArray | None:
        """Return (N,) largest absolute of the ``daily_returns``; None below so many days or where nobody tells."""
        history = getattr(self.market, "largest_moves", None)
        moves: FloatArray | None = None if history is None else history(instruments, days)
        return moves

    def blocked(self, instrument: InstrumentId) -> str:
        """Return why an instrument may not be traded, empty where it may."""
        return self.orders.blocked().get(instrument, "")

    def fact(self, name: str) -> float:
        """Return the newest value of a fact, NaN where none is known."""
        return self.facts_known.get(name, math.nan)

    def spread(self, instrument: InstrumentId) -> float:
        """Return the last measured ask minus bid, NaN where bars carry none."""
        known = getattr(self.market, "spread", None)
        return math.nan if known is None else float(known(instrument)) * float(self._rate(instrument))

    def average_volume(self, instrument: InstrumentId) -> float:
        """Return the units traded a day, NaN where that is not measured."""
        known = getattr(self.market, "average_volume", None)
        return math.nan if known is None else float(known(instrument))


def in_account_currency(order: Order, rate: Decimal) -> Order:
    """Return an order with its levels in the account's currency."""
    if rate == _ONE:
        return order
    return replace(
        order,
        limit_price=None if order.limit_price is None else order.limit_price * rate,
        stop_price=None if order.stop_price is None else order.stop_price * rate,
        target_price=None if order.target_price is None else order.target_price * rate,
        trigger_price=None if order.trigger_price is None else order.trigger_price * rate,
        trail=None if order.trail is None else order.trail * rate,
    )
