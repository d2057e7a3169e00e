"""The books of single strategies inside one account: virtual positions and money, as a fold over the journal.

Several strategies trade one account through net orders (``execution.netting``). What each of them owns follows from the
entries alone:

1. ``SharesPlanned`` says which part of a net order is whose; units that strategies pass to each other change hands at
   once, at the last known price, free of cost, and are no trade of the account.
2. A fill goes to those who still wait for it, in proportion to what each of them lacks. An order that carries a
   strategy's id is all its own.
3. A fill that nobody planned (a stop at the venue, a breaker, a person) closes what strategies hold on the side that it
   reduces, in proportion; what is left over belongs to the house, whose name is empty.

After every entry the units of all strategies, the house included, add up to the account's position, and their cash to
the account's cash, exactly: costs are shared to 1e-8 and the last takes the rest.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, ClassVar

import msgspec

from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import MONEY_CONTEXT, round_quantity
from foresail.domain.accounts import Position
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    Converted,
    Deposited,
    DividendPaid,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    ListingEnded,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    SharesPlanned,
    SliceStarted,
    SplitApplied,
)
from foresail.ledger.slices import slice_id
from foresail.ledger.splits import split_quantity
from foresail.ledger.standings import Standings, in_currency

__all__ = ["HOUSE", "StrategyBooks", "StrategyMoney", "share_units"]

HOUSE = ""  # owns what no strategy asked for
_ZERO = Decimal(0)
_KEPT_NS = 7 * 86_400_000_000_000
_COST_UNIT = Decimal("1e-8")
_PRICE_UNIT = Decimal("1e-12")
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])


@dataclass(slots=True)
class StrategyMoney:
    """Running sums of one strategy in one currency; ``cash`` counts from zero, costs are in it already."""

    cash: Decimal = _ZERO
    fees: Decimal = _ZERO
    slippage: Decimal = _ZERO
    dividends: Decimal = _ZERO
    holding: Decimal = _ZERO


@dataclass(slots=True)
class _Stake:
    """Units of one strategy in one instrument, their average price, and since when."""

    units: Decimal = _ZERO
    average: Decimal = _ZERO
    opened_at: int = 0


@dataclass(slots=True)
class _Plan:
    """Signed units that strategies still wait for, and the orders that may bring them."""

    wishes: dict[str, Decimal]
    open: list[str]
    at: int
    is_net: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    """What one strategy got of a fill."""

    strategy: str
    units: Decimal
    fee: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class _Given:
    """How a fill was shared out, so that it can be taken back."""

    fill: Fill
    multiplier: Decimal
    currency: str
    parts: tuple[_Part, ...]
    planned: dict[str, Decimal] = field(default_factory=dict)


def share_units(wants: Mapping[str, Decimal], units: Decimal, lot: Decimal) -> dict[str, Decimal]:
    """Return units >= 0 shared out by want, in whole lots; no share exceeds its want.

    Parameters
    ----------
    wants : units >= 0 by name
    units : to be shared, at most the sum of all wants; what rounding leaves goes to those who lack most

    Examples
    --------
    >>> share_units({"a": Decimal(6), "b": Decimal(3)}, Decimal(4), Decimal(1))
    {'a': Decimal('3'), 'b': Decimal('1')}
    """
    total = sum(wants.values(), _ZERO)
    if total == 0:
        return {}
    shares = {
        name: round_quantity(_CONTEXT.divide(_CONTEXT.multiply(want, units), total), lot)
        for name, want in sorted(wants.items())
    }
    left = MONEY_CONTEXT.subtract(units, sum(shares.values(), _ZERO))
    for name in sorted(shares, key=lambda one: (shares[one] - wants[one], one)):
        lacks = wants[name] - shares[name]
        more = min(left, lot, lacks)
        shares[name] += more
        left -= more
    for name, share in list(shares.items()):  # units off the lot grid, where a venue fills them
        more = min(left, wants[name] - share)
        shares[name] = share + more
        left -= more
    return shares


class StrategyBooks:
    """Virtual books of several strategies, changed by ``apply`` only.

    Parameters
    ----------
    strategies : ids whose orders are their own
    instruments : for lots
    currency : of the account
    """

    def __init__(
        self, strategies: Collection[str], instruments: Mapping[InstrumentId, Instrument], currency: str
    ) -> None:
        self._strategies = frozenset(strategies)
        self._instruments, self._currency = instruments, currency
        self._stakes: dict[str, dict[InstrumentId, _Stake]] = {}
        self._money: dict[str, dict[str, StrategyMoney]] = {}
        self._plans: dict[str, _Plan] = {}
        self._orders: dict[str, str] = {}  # order -> plan, which has the id of its first order
        self._given: dict[str, _Given] = {}
        self._pruned_at = 0
        self.standings = Standings(self._strategies, self._profit)

    # -- what may be asked --------------------------------------------------------------------------------------------

    def units(self, strategy: str, instrument: InstrumentId) -> Decimal:
        """Return the signed units of a strategy."""
        stake = self._stakes.get(strategy, {}).get(instrument)
        return _ZERO if stake is None else stake.units

    def holdings(self) -> dict[tuple[str, InstrumentId], Decimal]:
        """Return (strategy, instrument) -> signed units, the house included; no zeros."""
        return {(name, one): stake.units for name, own in sorted(self._stakes.items()) for one, stake in own.items()}

    def positions(self, strategy: str) -> tuple[Position, ...]:
        """Return a strategy's virtual positions by instrument id."""
        own = self._stakes.get(strategy, {})
        return tuple(Position(one, own[one].units, own[one].average, own[one].opened_at) for one in sorted(own))

    def money(self, strategy: str, currency: str | None = None) -> StrategyMoney:
        """Return a copy of a strategy's sums in a currency, by default the account's."""
        found = self._money.get(strategy, {}).get(self._currency if currency is None else currency, StrategyMoney())
        return StrategyMoney(found.cash, found.fees, found.slippage, found.dividends, found.holding)

    def names(self) -> Iterator[str]:
        """Yield every name that owns or owned something, the house included."""
        yield from sorted({*self._strategies, *self._stakes, *self._money})

    def is_net(self, order_id: OrderId) -> bool:
        """Return whether an order was netted of the wishes of strategies."""
        return order_id in self._orders and self._plans[self._orders[order_id]].is_net

    def owner(self, order_id: OrderId) -> str | None:
        """Return whose order it is alone, None where it is a net order or nobody's."""
        plan = self._orders.get(order_id)
        if plan is None or self._plans[plan].is_net:
            return None
        return next(iter(self._plans[plan].wishes))

    def waiting(self, order_id: OrderId) -> tuple[str, ...]:
        """Return the strategies that an order, or a parent of slices, is still to bring something, sorted."""
        wishes = self._plans[self._orders[order_id]].wishes if order_id in self._orders else {}
        return tuple(sorted(name for name, units in wishes.items() if units))

    # -- the fold -----------------------------------------------------------------------------------------------------

    def apply(self, entry: Entry, rates: Mapping[str, Decimal] | None = None) -> None:
        """Take in the next entry; at a mark with the account's currency per unit of others, where they are known."""
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            handler(self, entry)
        self.standings.apply(entry, {} if rates is None else rates)

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(
            {
                "stakes": self._stakes,
                "money": self._money,
                "plans": self._plans,
                "orders": self._orders,
                "given": self._given,
                "pruned_at": self._pruned_at,
                "standings": self.standings.to_plain(),
            }
        )
        return plain

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned."""
        self._stakes = msgspec.convert(plain["stakes"], dict[str, dict[InstrumentId, _Stake]])
        self._money = msgspec.convert(plain["money"], dict[str, dict[str, StrategyMoney]])
        self._plans = msgspec.convert(plain["plans"], dict[str, _Plan])
        self._orders = dict(plain["orders"])
        self._given = msgspec.convert(plain["given"], dict[str, _Given])
        self._pruned_at = int(plain["pruned_at"])
        self.standings.restore(plain.get("standings", {}))

    def _planned(self, entry: SharesPlanned) -> None:
        for name, units in entry.crossed:
            self._move(name, entry.instrument, units, entry.price, entry.at)
            value = _value(units, entry.price, entry.multiplier)
            sums = self._sums(name, entry.currency)
            sums.cash = MONEY_CONTEXT.subtract(sums.cash, value)
        if entry.orders:
            self._plan(_Plan(dict(entry.wishes), [str(one) for one in entry.orders], entry.at))

    def _intended(self, entry: OrderIntended) -> None:
        order = entry.order
        if order.strategy in self._strategies and order.id not in self._orders:
            units = order.quantity if order.side is Side.BUY else -order.quantity
            self._plan(_Plan({order.strategy: units}, [str(order.id)], entry.at, is_net=False))

    def _plan(self, plan: _Plan) -> None:
        self._prune(plan.at)
        self._plans[plan.open[0]] = plan
        for one in plan.open:
            self._orders[one] = plan.open[0]

    def _sliced(self, entry: SliceStarted) -> None:
        """Let the children of a parent bring what the parent was to bring."""
        plan = self._orders.get(entry.parent.id)
        if plan is None:
            self._intended(OrderIntended(entry.at, entry.sequence, entry.parent))
            plan = self._orders.get(entry.parent.id)
        if plan is None:
            return
        for number in range(len(entry.slices)):
            child = slice_id(entry.parent, entry.method, number)
            self._orders[child] = plan
            self._plans[plan].open.append(child)

    def _ended(self, entry: OrderCancelled | OrderExpired | OrderRejected) -> None:
        plan = self._orders.get(entry.order_id)
        if plan is not None and entry.order_id in self._plans[plan].open:
            self._plans[plan].open.remove(entry.order_id)

    def _filled(self, entry: FillBooked) -> None:
        self._give(entry.fill, entry.multiplier, entry.currency or self._currency, entry.at)

    def _give(self, fill: Fill, multiplier: Decimal, currency: str, at: int) -> None:
        planned = self._from_plan(fill)
        parts = self._parts(fill, planned)
        for part in parts:
            self._book(part, fill, multiplier, currency, at)
        if fill.execution:
            self._given[f"{fill.order_id} {fill.execution}"] = _Given(fill, multiplier, currency, parts, planned)

    def _from_plan(self, fill: Fill) -> dict[str, Decimal]:
        """Take from the plan of an order what a fill brings; return signed units by strategy."""
        key = self._orders.get(fill.order_id)
        if key is None:
            return {}
        sign = 1 if fill.side is Side.BUY else -1
        plan = self._plans[key]
        wants = {name: abs(units) for name, units in plan.wishes.items() if units * sign > 0}
        units = min(fill.quantity, sum(wants.values(), _ZERO))
        shares = share_units(wants, units, self._lot(fill.instrument))
        for name, share in shares.items():
            plan.wishes[name] -= share * sign
        return {name: share * sign for name, share in shares.items() if share}

    def _parts(self, fill: Fill, planned: Mapping[str, Decimal]) -> tuple[_Part, ...]:
        sign = 1 if fill.side is Side.BUY else -1
        given = dict(planned)
        rest = fill.quantity - sum((abs(one) for one in given.values()), _ZERO)
        if rest:
            holders = {
                name: abs(own[fill.instrument].units)
                for name, own in self._stakes.items()
                if fill.instrument in own and own[fill.instrument].units * sign < 0
            }
            closing = min(rest, sum(holders.values(), _ZERO))
            for name, share in share_units(holders, closing, self._lot(fill.instrument)).items():
                given[name] = given.get(name, _ZERO) + share * sign
            if rest - closing:
                given[HOUSE] = given.get(HOUSE, _ZERO) + (rest - closing) * sign
        owners = [(name, units) for name, units in sorted(given.items()) if units]
        weights = [abs(units) for _name, units in owners]
        fees, slips = _shared(fill.fee, weights), _shared(fill.slippage, weights)
        return tuple(
            _Part(name, units, fee, slip) for (name, units), fee, slip in zip(owners, fees, slips, strict=True)
        )

    def _book(self, part: _Part, fill: Fill, multiplier: Decimal, currency: str, at: int) -> None:
        self._move(part.strategy, fill.instrument, part.units, fill.price, at)
        sums = self._sums(part.strategy, currency)
        paid = MONEY_CONTEXT.add(_value(part.units, fill.price, multiplier), part.fee)
        sums.cash = MONEY_CONTEXT.subtract(sums.cash, paid)
        sums.fees = MONEY_CONTEXT.add(sums.fees, part.fee)
        sums.slippage = MONEY_CONTEXT.add(sums.slippage, part.slippage)

    def _busted(self, entry: FillBusted) -> None:
        self._take_back(entry.order_id, entry.execution, entry.at)

    def _corrected(self, entry: FillCorrected) -> None:
        given = self._take_back(entry.fill.order_id, entry.execution, entry.at)
        if given is not None:
            self._give(entry.fill, given.multiplier, given.currency, entry.at)

    def _take_back(self, order_id: OrderId, execution: str, at: int) -> _Given | None:
        given = self._given.pop(f"{order_id} {execution}", None)
        if given is None:
            return None
        for part in given.parts:
            back = _Part(part.strategy, -part.units, -part.fee, -part.slippage)
            self._book(back, given.fill, given.multiplier, given.currency, at)
        key = self._orders.get(order_id)
        if key is not None:
            wishes = self._plans[key].wishes
            for name, units in given.planned.items():
                wishes[name] = wishes.get(name, _ZERO) + units
        return given

    def _deposited(self, entry: Deposited) -> None:
        sums = self._sums(HOUSE, entry.currency)
        sums.cash = MONEY_CONTEXT.add(sums.cash, entry.amount)

    def _converted(self, entry: Converted) -> None:
        sold, bought = self._sums(HOUSE, entry.sold_currency), self._sums(HOUSE, entry.bought_currency)
        sold.cash = MONEY_CONTEXT.subtract(MONEY_CONTEXT.subtract(sold.cash, entry.sold), entry.fee)
        sold.fees = MONEY_CONTEXT.add(sold.fees, entry.fee)
        bought.cash = MONEY_CONTEXT.add(bought.cash, entry.bought)

    def _dividend(self, entry: DividendPaid) -> None:
        one = self._instruments[entry.instrument]
        for name, stake in self._owners(entry.instrument):
            amount = _value(stake.units, entry.per_unit, one.multiplier)
            sums = self._sums(name, one.currency)
            sums.cash = MONEY_CONTEXT.add(sums.cash, amount)
            sums.dividends = MONEY_CONTEXT.add(sums.dividends, amount)

    def _charged(self, entry: HoldingCharged) -> None:
        owners = [] if entry.instrument is None else self._owners(entry.instrument)
        names = [name for name, _stake in owners] or [HOUSE]
        weights = [abs(stake.units) for _name, stake in owners] or [Decimal(1)]
        for name, amount in zip(names, _shared(entry.amount, weights), strict=True):
            sums = self._sums(name, entry.currency)
            sums.cash = MONEY_CONTEXT.subtract(sums.cash, amount)
            sums.holding = MONEY_CONTEXT.add(sums.holding, amount)

    def _split(self, entry: SplitApplied) -> None:
        """Restate units in whole lots; the last takes what the account's own whole lots leave, and pays for it."""
        owners = self._owners(entry.instrument)
        if not owners:
            return
        one, total = self._instruments[entry.instrument], sum((stake.units for _n, stake in owners), _ZERO)
        whole, fraction = split_quantity(total, entry.ratio, entry.lot)
        cash_left = _value(fraction, entry.price, one.multiplier)
        units_left = whole
        owners.sort(key=lambda own: (abs(own[1].units), own[0]))
        for place, (name, stake) in enumerate(owners):
            exact = _CONTEXT.multiply(stake.units, entry.ratio)
            units = round_quantity(exact, entry.lot) if place < len(owners) - 1 else units_left
            owed = _CONTEXT.multiply(_CONTEXT.multiply(exact - units, entry.price), one.multiplier)
            cash = owed.quantize(_COST_UNIT, context=_CONTEXT) if place < len(owners) - 1 else cash_left
            units_left, cash_left = units_left - units, MONEY_CONTEXT.subtract(cash_left, cash)
            sums = self._sums(name, one.currency)
            sums.cash = MONEY_CONTEXT.add(sums.cash, cash)
            stake.units = units
            stake.average = _CONTEXT.divide(stake.average, entry.ratio).quantize(_PRICE_UNIT, context=_CONTEXT)
            self._tidy(name, entry.instrument)

    def _listing_ended(self, entry: ListingEnded) -> None:
        one = self._instruments[entry.instrument]
        for name, stake in self._owners(entry.instrument):
            sums = self._sums(name, one.currency)
            sums.cash = MONEY_CONTEXT.add(sums.cash, _value(stake.units, entry.price, one.multiplier))
            stake.units = _ZERO
            self._tidy(name, entry.instrument)

    def _profit(self, strategy: str, marks: Mapping[InstrumentId, float], rates: Mapping[str, Decimal]) -> float:
        """Return what a strategy made, account currency, NaN without a rate; unpriced names count at what was paid."""
        amounts = [(currency, float(sums.cash)) for currency, sums in self._money.get(strategy, {}).items()]
        for name, stake in self._stakes.get(strategy, {}).items():
            one = self._instruments[name]
            value = float(stake.units * one.multiplier) * marks.get(name, float(stake.average))
            amounts.append((one.currency, value))
        return in_currency(amounts, self._currency, rates)

    # -- shared -------------------------------------------------------------------------------------------------------

    def _lot(self, instrument: InstrumentId) -> Decimal:
        return self._instruments[instrument].lot

    def _owners(self, instrument: InstrumentId) -> list[tuple[str, _Stake]]:
        return [(name, own[instrument]) for name, own in sorted(self._stakes.items()) if instrument in own]

    def _sums(self, strategy: str, currency: str) -> StrategyMoney:
        return self._money.setdefault(strategy, {}).setdefault(currency or self._currency, StrategyMoney())

    def _move(self, strategy: str, instrument: InstrumentId, units: Decimal, price: Decimal, at: int) -> None:
        """Change what a strategy holds; the average price is for telling, the money is in its cash."""
        stake = self._stakes.setdefault(strategy, {}).setdefault(instrument, _Stake())
        before, after = stake.units, MONEY_CONTEXT.add(stake.units, units)
        if before * after <= 0:
            stake.average, stake.opened_at = price, at
        elif abs(after) > abs(before):
            cost = _CONTEXT.add(_CONTEXT.multiply(before, stake.average), _CONTEXT.multiply(units, price))
            stake.average = _CONTEXT.divide(cost, after).quantize(_PRICE_UNIT, context=_CONTEXT)
        stake.units = after
        self._tidy(strategy, instrument)

    def _tidy(self, strategy: str, instrument: InstrumentId) -> None:
        if not self._stakes[strategy][instrument].units:
            del self._stakes[strategy][instrument]

    def _prune(self, now: int) -> None:
        """Forget, once a day, plans without open orders and fills that are older than seven days."""
        if now - self._pruned_at < _KEPT_NS // 7:
            return
        self._pruned_at = now
        old = {
            key
            for key, plan in self._plans.items()
            if plan.at < now - _KEPT_NS and not (plan.open and any(plan.wishes.values()))
        }
        self._plans = {key: plan for key, plan in self._plans.items() if key not in old}
        self._orders = {name: key for name, key in self._orders.items() if key not in old}
        self._given = {key: one for key, one in self._given.items() if one.fill.filled_at > now - _KEPT_NS}

    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        Converted: _converted,
        Deposited: _deposited,
        DividendPaid: _dividend,
        FillBooked: _filled,
        FillBusted: _busted,
        FillCorrected: _corrected,
        HoldingCharged: _charged,
        ListingEnded: _listing_ended,
        OrderCancelled: _ended,
        OrderExpired: _ended,
        OrderIntended: _intended,
        OrderRejected: _ended,
        SharesPlanned: _planned,
        SliceStarted: _sliced,
        SplitApplied: _split,
    }


def _value(units: Decimal, price: Decimal, multiplier: Decimal) -> Decimal:
    return MONEY_CONTEXT.multiply(MONEY_CONTEXT.multiply(units, price), multiplier)


def _shared(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """Share money by weight, rounded to 1e-8; the last takes the rest, so that the parts add up exactly."""
    total = sum(weights, _ZERO)
    out = [
        _CONTEXT.divide(_CONTEXT.multiply(amount, one), total).quantize(_COST_UNIT, context=_CONTEXT)
        for one in weights[:-1]
    ]
    return [*out, MONEY_CONTEXT.subtract(amount, sum(out, _ZERO))] if weights else []
