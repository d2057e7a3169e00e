"""What rules see during one review: the account in its worst case, and what has passed in the same batch.

Positions count as if every open and unknown order had filled to its worst (reliability, invariant 3); what passed
earlier in the batch counts too. A price is money per unit in the account's currency: price times contract multiplier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.protocols import RiskView
from foresail.risk.exposure import asset_class_of, number

__all__ = ["Projected"]

_ZERO = Decimal(0)
_NONE = (_ZERO, _ZERO)


_new = object.__new__
_set_name, _set_quantity, _set_price, _set_opened = (
    vars(Position)[name].__set__ for name in ("instrument", "quantity", "average_price", "opened_at")
)


def _position(name: InstrumentId, quantity: Decimal, price: Decimal, opened_at: int) -> Position:
    """Return a position, filled past the initialiser of a frozen record, which costs twice as much."""
    made = _new(Position)
    _set_name(made, name)
    _set_quantity(made, quantity)
    _set_price(made, price)
    _set_opened(made, opened_at)
    return made


@lru_cache(maxsize=65_536)
def _exact(price: float) -> Decimal:
    """Return a price as it is written, 0 where there is none."""
    return Decimal(repr(price)) if math.isfinite(price) else _ZERO


class Projected:
    """A view (``protocols.TradingRiskView``, or the plain one of a research run) carried forward through a batch."""

    def __init__(
        self,
        view: RiskView,
        instruments: Mapping[InstrumentId, Instrument],
        factors: dict[InstrumentId, float] | None = None,
    ) -> None:
        self._factors = {} if factors is None else factors
        self._view: Any = view  # research runs give the plain view; a rule that asks it for more refuses
        self._instruments = instruments
        self._held = {p.instrument: p.quantity for p in view.account.positions}
        orders = getattr(view, "open_orders", None)
        self._orders: list[tuple[Order, Decimal]] = [] if orders is None else list(orders())
        self._passed: list[tuple[Order, Decimal]] = []
        self._prices: dict[InstrumentId, float] = {}
        self._monies: dict[InstrumentId, Decimal] = {}
        self._closing: dict[tuple[InstrumentId, Side, str], Decimal] = {}
        self._reserved: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        self._reserve()
        missing = getattr(view, "missing", None)
        for name, units in () if missing is None else missing():
            buy, sell = self._reserved.get(name, _NONE)
            self._reserved[name] = (buy + units, sell) if units > 0 else (buy, sell - units)
        self._account = view.account
        self._positions = {p.instrument: p for p in view.account.positions}  # in their worst case
        self._changed = dict.fromkeys(self._reserved)  # names whose worst case is to be looked at
        self._is_stale = bool(self._reserved)
        self._values: dict[InstrumentId, float] | None = None
        self._by_class: dict[AssetClass, float] = {}
        self._paid = _ZERO
        for name, (buy, _) in self._reserved.items():
            if buy:  # money that open orders may still take; a sale gives none before it has happened
                self._paid += self._money(name) * buy

    # -- what rules may ask -------------------------------------------------------------------------------------------

    @property
    def account(self) -> Account:
        """The account with positions and cash in their worst case."""
        if self._is_stale:
            self._restate()
        return self._account

    @property
    def now(self) -> int:
        """Instant of the decision, ns UTC."""
        return int(self._view.now)

    @property
    def state(self) -> Any:
        """The fold that breakers and caps read (``RiskState``)."""
        return self._view.state

    @property
    def passed(self) -> Sequence[tuple[Order, Decimal]]:
        """Orders that passed before in this batch, with their units."""
        return self._passed

    def instrument(self, instrument: InstrumentId) -> Instrument | None:
        """Return the record of an instrument, None where it is not known."""
        return self._instruments.get(instrument)

    def price(self, instrument: InstrumentId) -> float:
        """Return money per unit, account currency, NaN where no price is known."""
        price = self._prices.get(instrument)
        if price is None:
            factor = self._factors.get(instrument)
            factor = self.factor(instrument) if factor is None else factor
            price = self._prices[instrument] = float(self._view.price(instrument)) * factor
        return price

    def factor(self, instrument: InstrumentId) -> float:
        """Return the contract multiplier, 1 where the instrument is not known."""
        factor = self._factors.get(instrument)
        if factor is None:
            record = self._instruments.get(instrument)
            factor = self._factors[instrument] = 1.0 if record is None else float(record.multiplier)
        return factor

    def is_alone(self, instrument: InstrumentId) -> bool:
        """Return whether nothing of an instrument is held, on order or passed before."""
        return instrument not in self._held and instrument not in self._reserved

    def stop(self, instrument: InstrumentId) -> float:
        """Return the stop that hangs on a position, money per unit, account currency; NaN where none does."""
        known = getattr(self._view, "stop", None)
        return math.nan if known is None else float(known(instrument)) * self.factor(instrument)

    def entry(self, instrument: InstrumentId) -> float:
        """Return the average price paid for a position, money per unit, account currency; NaN where not known."""
        known = getattr(self._view, "entry", None)
        return math.nan if known is None else float(known(instrument)) * self.factor(instrument)

    def values(self) -> Mapping[InstrumentId, float]:
        """Return the signed value of every position in its worst case, account currency; NaN without a price."""
        positions = self.account.positions
        if self._values is None:
            known, factors, ask, values = self._prices, self._factors, self._view.price, {}
            for position in positions:  # ``price`` written out: this runs for every position of every review
                name = position.instrument
                price = known.get(name)
                if price is None:
                    factor = factors.get(name)
                    price = known[name] = float(ask(name)) * (self.factor(name) if factor is None else factor)
                values[name] = number(position.quantity) * price
            self._values = values
        return self._values

    def position_units(self, instrument: InstrumentId) -> float:
        """Return the signed units of a position in its worst case, 0 where there is none."""
        if self._is_stale:
            self._restate()
        position = self._positions.get(instrument)
        return 0.0 if position is None else number(position.quantity)

    def class_value(self, own: AssetClass) -> float:
        """Return the sum of absolute values of an asset class in the worst case, account currency."""
        values, value = self.values(), self._by_class.get(own)
        if value is None:
            value = math.fsum([abs(one) for name, one in values.items() if asset_class_of(name) is own])
            self._by_class[own] = value
        return value

    def sector_value(self, sector: str) -> float:
        """Return the sum of absolute values of a sector in the worst case, account currency."""
        values, own = self.values(), self._view.sector
        return math.fsum([abs(value) for name, value in values.items() if own(name) == sector])

    def sector(self, instrument: InstrumentId) -> str:
        """Return the sector used for caps."""
        return str(self._view.sector(instrument))

    def price_age(self, instrument: InstrumentId) -> int:
        """Return ns since the last price was made."""
        return int(self._view.price_age(instrument))

    def open_orders(self) -> Sequence[tuple[Order, Decimal]]:
        """Return open and unknown orders and those that passed before, with the units that may still trade."""
        return (*self._orders, *self._passed)

    def blocked(self, instrument: InstrumentId) -> str:
        """Return why an instrument may not be traded, empty where it may."""
        return str(self._view.blocked(instrument))

    def fact(self, name: str) -> float:
        """Return the newest value of a fact, NaN where none is known."""
        return float(self._view.fact(name))

    def spread(self, instrument: InstrumentId) -> float:
        """Return ask less bid, price units, NaN where it is not measured."""
        return float(self._view.spread(instrument))

    def average_volume(self, instrument: InstrumentId) -> float:
        """Return the average daily volume in units, NaN where it is not measured."""
        return float(self._view.average_volume(instrument))

    def is_sliced(self, order: Order) -> bool:
        """Return whether an order leaves in slices, each of which is reviewed again."""
        return order.id in getattr(self._view, "sliced", ())

    def daily_returns(self, instruments: Sequence[InstrumentId]) -> FloatArray | None:
        """Return (N, T) simple returns of the last days, NaN where missing; None where no history is kept."""
        returns: FloatArray | None = self._view.daily_returns(instruments)
        return returns

    def largest_moves(self, instruments: Sequence[InstrumentId], days: int) -> FloatArray | None:
        """Return (N,) at least the largest size of the ``daily_returns``; None below so many days or if unknown."""
        moves: FloatArray | None = self._view.largest_moves(instruments, days)
        return moves

    def held(self, instrument: InstrumentId) -> Decimal:
        """Return signed units held, less what passed exits close; open orders do not count here."""
        return self._held.get(instrument, _ZERO)

    def exit_room(self, order: Order) -> Decimal:
        """Return how many units an order may close: held less what other exits may take, a group counted once."""
        held = self.held(order.instrument)
        reduces = held < 0 if order.side is Side.BUY else held > 0
        room = abs(held) if reduces else _ZERO
        room += self._closing.get((order.instrument, order.side, order.group), _ZERO) if order.group else _ZERO
        taken: dict[str, Decimal] = {}
        for other, units in self._orders:
            if other.instrument != order.instrument or other.side is not order.side:
                continue
            if other.group and other.group == order.group:
                continue
            key = other.group or other.id
            taken[key] = max(units, taken.get(key, _ZERO))
        if order.parent is not None:
            room += self._parent_units(order.parent, order)
        return max(_ZERO, room - sum(taken.values(), _ZERO))

    # -- carrying forward ---------------------------------------------------------------------------------------------

    def close(self, order: Order, quantity: Decimal) -> None:
        """Carry an exit forward; of a group only one can fill, so its units count once."""
        key = (order.instrument, order.side, order.group or order.id)
        before = self._closing.get(key, _ZERO) if order.group else _ZERO
        if quantity > before:
            self._move(order, quantity - before)
            self._closing[key] = quantity

    def open(self, order: Order, quantity: Decimal) -> None:
        """Carry an opening order forward: like an open order it counts in full, and no later exit makes room for it."""
        buy, sell = self._reserved.get(order.instrument, (_ZERO, _ZERO))
        is_buy = order.side is Side.BUY
        self._reserved[order.instrument] = (buy + quantity, sell) if is_buy else (buy, sell + quantity)
        self._passed.append((order, quantity))
        self._pay(order.instrument, self._money(order.instrument) * (quantity if is_buy else -quantity))

    def _move(self, order: Order, quantity: Decimal) -> None:
        signed = quantity if order.side is Side.BUY else -quantity
        after = self._held.get(order.instrument, _ZERO) + signed
        self._held[order.instrument] = after
        if after == 0:
            del self._held[order.instrument]
        self._pay(order.instrument, self._money(order.instrument) * signed)

    def _pay(self, instrument: InstrumentId, paid: Decimal) -> None:
        self._paid += paid
        self._changed[instrument] = None
        self._is_stale = True

    def _restate(self) -> None:
        """Bring positions and cash in line with what may be held; only names that changed are looked at again."""
        base, positions, values, monies = self._account, self._positions, self._values, self._monies
        for name in self._changed:
            units = self._worst_units(name)
            if not units:
                positions.pop(name, None)
            else:
                before = positions.get(name)
                if before is None or before.quantity != units:
                    money = monies.get(name)
                    positions[name] = _position(name, units, self._money(name) if money is None else money, base.at)
            if values is not None:
                values.pop(name, None)
                if units:
                    values[name] = number(units) * self.price(name)
        cash = base.cash - self._paid if base.cash.is_finite() else base.cash  # not finite: only exits go on
        self._account = Account(base.id, base.currency, cash, base.equity, tuple(positions.values()), base.at)
        self._paid, self._is_stale = _ZERO, False
        self._changed, self._by_class = {}, {}

    def _reserve(self) -> None:
        """Sum what open orders that may open still buy and sell."""
        reserved = self._reserved
        for order, units in self._orders:
            if order.reduce_only:
                continue
            name = order.instrument
            buy, sell = reserved.get(name, _NONE)
            reserved[name] = (buy + units, sell) if order.side is Side.BUY else (buy, sell + units)

    def _worst_units(self, instrument: InstrumentId) -> Decimal:
        held = self._held.get(instrument, _ZERO)
        reserved = self._reserved.get(instrument)
        if reserved is None:
            return held
        long, short = held + reserved[0], held - reserved[1]
        return long if abs(long) >= abs(short) else short

    def _money(self, instrument: InstrumentId) -> Decimal:
        money = self._monies.get(instrument)
        if money is None:
            money = self._monies[instrument] = _exact(self.price(instrument))
        return money

    def _parent_units(self, parent: OrderId, order: Order) -> Decimal:
        """Return units that a parent on its way may open for an exit to close."""
        for other, units in self.open_orders():
            if other.id == parent and other.instrument == order.instrument and other.side is not order.side:
                return units
        return _ZERO
