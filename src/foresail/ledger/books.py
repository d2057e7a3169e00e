"""The books: cash, positions, profit and costs of one account, exact, as a fold over the journal.

``Books`` changes only through ``apply``; the same entries give the same state, so replay equals the live books. Money
is Decimal with the inexact trap on: a number that cannot be held exactly stops the run instead of drifting.

Two identities hold after every entry, in every currency: equity is cash plus market value, and realised plus unrealised
profit plus dividends less fees less holding costs is equity less what was paid in. Slippage is inside the prices; its
total is kept beside, not booked again.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from types import MappingProxyType
from typing import Any, ClassVar, get_args

from foresail.core.errors import DataError, IntegrityError
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import MONEY_CONTEXT
from foresail.domain.accounts import Account, Position
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
    Marked,
    SplitApplied,
)
from foresail.ledger.executions import RecentFills
from foresail.ledger.lots import Holding, Lot
from foresail.ledger.no_money import NO_MONEY

__all__ = ["Books", "BooksState", "Totals", "replay"]

_ZERO = Decimal(0)
_EXACT: dict[type[Any], tuple[str, ...]] = {  # numbers of an entry that must be finite, besides those of a fill
    kind: tuple(name for name in ("amount", "per_unit", "price", "ratio") if name in kind.__dataclass_fields__)
    for kind in get_args(Entry)
}
_CONVERTED_UNIT = Decimal("1e-8")
_TELLING = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])


@dataclass(slots=True)
class Totals:
    """Running sums of one currency; all are money."""

    cash: Decimal = _ZERO
    deposits: Decimal = _ZERO
    realised: Decimal = _ZERO
    dividends: Decimal = _ZERO
    fees: Decimal = _ZERO
    slippage: Decimal = _ZERO
    holding: Decimal = _ZERO
    exchanged: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class BooksState:
    """Everything the books hold, comparable: two books are equal when their states are."""

    account: str
    currency: str
    at: int
    entries: int
    totals: tuple[tuple[str, tuple[Decimal, ...]], ...]
    lots: tuple[tuple[InstrumentId, tuple[tuple[Decimal, Decimal, int], ...]], ...]
    marks: tuple[tuple[InstrumentId, Decimal], ...] = field(default=())


class Books:
    """State of one account.

    Parameters
    ----------
    account : its name
    currency : its currency; equity is told in it
    allow_short : whether a position may be negative

    Examples
    --------
    >>> books = Books("demo", "USD")
    >>> books.apply(Deposited(at=0, sequence=0, amount=Decimal(1000)))
    >>> books.cash
    Decimal('1000')
    """

    def __init__(self, account: str = "main", currency: str = "USD", *, allow_short: bool = False) -> None:
        self.name = account
        self.currency = currency
        self.allow_short = allow_short
        self.at = 0
        self.entries = 0
        self._totals: dict[str, Totals] = {currency: Totals()}
        self._holdings: dict[InstrumentId, Holding] = {}
        self._positions: tuple[Position, ...] | None = None  # as told last; forgotten when a holding changes
        self._equity: Decimal | None = None  # as told last; forgotten with every entry that can change it
        self._marks: dict[InstrumentId, Decimal] = {}
        self._recent = RecentFills()

    @property
    def cash(self) -> Decimal:
        """Cash in the account's currency; other currencies stand in ``totals``."""
        return self._totals[self.currency].cash

    @property
    def marks(self) -> Mapping[InstrumentId, Decimal]:
        """Newest price known of every instrument that was ever held or marked."""
        return dict(self._marks)

    @property
    def is_invested(self) -> bool:
        """Whether anything is held."""
        return bool(self._holdings)

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currencies in which money was ever booked, the account's included."""
        return tuple(self._totals)

    @property
    def last_marks(self) -> Mapping[InstrumentId, Decimal]:
        """The same as a view that follows the books: cheaper where a copy is not needed."""
        return MappingProxyType(self._marks)

    def totals(self, currency: str | None = None) -> Totals:
        """Return a copy of the running sums of a currency, by default the account's."""
        found = self._totals.get(self.currency if currency is None else currency, Totals())
        return dataclasses.replace(found)

    def quantity(self, instrument: InstrumentId) -> Decimal:
        """Return signed units held."""
        holding = self._holdings.get(instrument)
        return _ZERO if holding is None else holding.quantity

    def positions(self) -> tuple[Position, ...]:
        """Return open positions by instrument id."""
        if self._positions is None:
            self._positions = tuple(
                Position(name, holding.quantity, holding.average_price, holding.opened_at)
                for name, holding in sorted(self._holdings.items())
            )
        return self._positions

    def market_value(
        self, prices: Mapping[InstrumentId, Decimal] | None = None, rates: Mapping[str, Decimal] | None = None
    ) -> Decimal:
        """Return the signed value of all positions in the account's currency."""
        total = _ZERO
        for name, holding in self._holdings.items():
            value = self._converted(holding.value(self._price(name, prices)), holding.currency, rates)
            total = MONEY_CONTEXT.add(total, value)
        return total

    def equity(
        self, prices: Mapping[InstrumentId, Decimal] | None = None, rates: Mapping[str, Decimal] | None = None
    ) -> Decimal:
        """Return cash plus market value in the account's currency.

        Parameters
        ----------
        prices : quote currency per unit; without them, or for names not in them, the newest mark or fill price
        rates : account currency per unit of another currency

        Raises
        ------
        DataError
            If a held instrument has no price or a currency no rate.
        """
        if prices is None and self._equity is not None:
            return self._equity
        cash = _ZERO
        for currency, total in self._totals.items():
            if total.cash:
                cash = MONEY_CONTEXT.add(cash, self._converted(total.cash, currency, rates))
        equity = MONEY_CONTEXT.add(cash, self.market_value(prices, rates))
        if prices is None and len(self._totals) == 1:  # nothing is in a currency whose rate may differ next time
            self._equity = equity
        return equity

    def trial_balance(self, currency: str | None = None) -> dict[str, Decimal]:
        """Return every account of one currency in double entry: what is owned is positive, where it came from negative.

        The sum is zero after every entry.
        """
        chosen = self.currency if currency is None else currency
        sums = self.totals(chosen)
        with localcontext(MONEY_CONTEXT):
            cost = sum((one.cost for one in self._holdings.values() if one.currency == chosen), _ZERO)
            return {
                "cash": sums.cash,
                "positions at cost": cost,
                "fees": sums.fees,
                "holding costs": sums.holding,
                "paid in": -sums.deposits,
                "realised profit": -sums.realised,
                "dividends": -sums.dividends,
                "exchanged": -sums.exchanged,
            }

    def unrealised(self, currency: str | None = None, prices: Mapping[InstrumentId, Decimal] | None = None) -> Decimal:
        """Return market value less cost of the positions quoted in a currency, in that currency."""
        chosen = self.currency if currency is None else currency
        with localcontext(MONEY_CONTEXT):
            total = _ZERO
            for name, holding in self._holdings.items():
                if holding.currency == chosen:
                    total += holding.value(self._price(name, prices)) - holding.cost
            return total

    def account(
        self,
        at: int | None = None,
        prices: Mapping[InstrumentId, Decimal] | None = None,
        rates: Mapping[str, Decimal] | None = None,
    ) -> Account:
        """Return the account as strategies and risk rules see it, at an instant (default: of the last entry)."""
        return Account(
            self.name,
            self.currency,
            self.cash,
            self.equity(prices, rates),
            self.positions(),
            self.at if at is None else at,
        )

    def state(self) -> BooksState:
        """Return everything as one comparable value."""
        return BooksState(
            self.name,
            self.currency,
            self.at,
            self.entries,
            tuple((name, tuple(dataclasses.astuple(total))) for name, total in sorted(self._totals.items())),
            tuple(
                (name, tuple((lot.quantity, lot.cost, lot.opened_at) for lot in holding.lots))
                for name, holding in sorted(self._holdings.items())
            ),
            tuple(sorted(self._marks.items())),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data; money is text."""
        return {
            "account": self.name,
            "currency": self.currency,
            "allow_short": self.allow_short,
            "at": self.at,
            "entries": self.entries,
            "totals": {name: [str(one) for one in dataclasses.astuple(sums)] for name, sums in self._totals.items()},
            "holdings": {
                name: [
                    str(one.multiplier),
                    one.currency,
                    [[str(lot.quantity), str(lot.cost), lot.opened_at] for lot in one.lots],
                    [str(one.quantity), str(one.cost)],
                ]
                for name, one in self._holdings.items()
            },
            "marks": {name: str(price) for name, price in self._marks.items()},
            "recent": self._recent.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Books:
        """Return the books that ``to_plain`` told."""
        books = cls(plain["account"], plain["currency"], allow_short=plain["allow_short"])
        books.at, books.entries = int(plain["at"]), int(plain["entries"])
        books._totals = {name: Totals(*(Decimal(one) for one in sums)) for name, sums in plain["totals"].items()}
        for name, (multiplier, currency, lots, *sums) in plain["holdings"].items():
            holding = Holding(InstrumentId(name), Decimal(multiplier), currency)
            for quantity, cost, opened_at in lots:
                lot = Lot(Decimal(quantity), Decimal(cost), int(opened_at))
                holding.lots.append(lot)
                holding.quantity = MONEY_CONTEXT.add(holding.quantity, lot.quantity)
                holding.cost = MONEY_CONTEXT.add(holding.cost, lot.cost)
            if sums:  # their digits too: decisions are hashed as text
                holding.quantity, holding.cost = (Decimal(one) for one in sums[0])
            books._holdings[holding.instrument] = holding
        books._marks = {InstrumentId(name): Decimal(price) for name, price in plain["marks"].items()}
        books._recent = RecentFills.from_plain(plain["recent"])
        return books

    def pass_over(self, entries: int, at: int) -> None:
        """Take in so many entries that move no money and mark nothing; ``at`` is the instant of the last.

        Raises
        ------
        IntegrityError
            If it lies before the newest entry.
        """
        if entries < 0 or at < self.at:
            raise IntegrityError(f"books of {self.name}: expected entries at {self.at} or later, received {at}")
        self.entries += entries
        self.at = at

    def apply(self, entry: Entry) -> None:
        """Take in the next journal entry.

        Raises
        ------
        IntegrityError
            If it is out of order, or would make a position negative without permission; the books stay as they were.
        """
        if entry.sequence != self.entries or entry.at < self.at:
            raise IntegrityError(
                f"books of {self.name}: expected entry {self.entries} at {self.at} or later, received entry "
                f"{entry.sequence} at {entry.at}"
            )
        for name in _EXACT.get(type(entry), ()):
            value = getattr(entry, name)
            if not value.is_finite():
                raise IntegrityError(f"entry {entry.sequence} ({type(entry).__name__}): {name} is {value}")
        self._apply(entry)
        self.entries += 1
        self.at = entry.at

    def _apply(self, entry: Entry) -> None:
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            self._equity = None
            handler(self, entry)
        elif type(entry) not in NO_MONEY:
            raise IntegrityError(f"books of {self.name}: unknown kind of entry {type(entry).__name__}")

    def _on_fill_booked(self, entry: FillBooked) -> None:
        fill = entry.fill
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        numbers = (fill.quantity, fill.price, fill.fee, fill.slippage)
        if not all(one.is_finite() for one in numbers) or fill.quantity <= 0 or fill.price <= 0:
            raise IntegrityError(f"fill of order {fill.order_id}: expected quantity and price > 0, received {fill}")
        holding = self._holding(entry)
        if not self.allow_short and holding.quantity + signed < 0:
            raise IntegrityError(
                f"fill of order {fill.order_id} would leave {holding.quantity + signed} units of {fill.instrument}; "
                f"account {self.name} may not be short"
            )
        profit = holding.trade(signed, fill.price, fill.filled_at)
        self._book_trade(fill, signed, profit, entry.multiplier, entry.currency)
        self._recent.note(fill, entry.multiplier, entry.currency, entry.at)
        self._marks[fill.instrument] = fill.price
        self._settle(holding)

    def _book_trade(self, fill: Fill, signed: Decimal, profit: Decimal, multiplier: Decimal, currency: str) -> None:
        """Move cash, profit and costs for signed units; a negative sign of its quantity takes a fill back."""
        totals, back = self._sums(currency), (signed > 0) != (fill.side is Side.BUY)
        fee, slippage = (-fill.fee, -fill.slippage) if back else (fill.fee, fill.slippage)
        flow = MONEY_CONTEXT.multiply(MONEY_CONTEXT.multiply(signed, fill.price), multiplier)
        totals.cash = MONEY_CONTEXT.subtract(MONEY_CONTEXT.subtract(totals.cash, flow), fee)
        totals.realised = MONEY_CONTEXT.add(totals.realised, profit)
        totals.fees = MONEY_CONTEXT.add(totals.fees, fee)
        totals.slippage = MONEY_CONTEXT.add(totals.slippage, slippage)

    def _on_fill_busted(self, entry: FillBusted) -> None:
        self._take_back(entry.order_id, entry.execution)

    def _on_fill_corrected(self, entry: FillCorrected) -> None:
        _, multiplier, currency = self._take_back(entry.fill.order_id, entry.execution)
        self._apply(FillBooked(entry.at, entry.sequence, entry.fill, multiplier, currency))

    def _take_back(self, order_id: OrderId, execution: str) -> tuple[Fill, Decimal, str]:
        """Reverse a fill: units, cash, fee and slippage; it may leave what the venue leaves, also a short position."""
        fill, multiplier, currency = self._recent.take(order_id, execution)
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        holding = self._holdings.get(fill.instrument)
        if holding is None:
            holding = Holding(fill.instrument, multiplier, currency or self.currency)
        profit = holding.untrade(signed, fill.price, fill.filled_at)
        self._book_trade(fill, -signed, profit, multiplier, currency)
        self._settle(holding)
        return fill, multiplier, currency

    def _on_converted(self, entry: Converted) -> None:
        sold, bought = self._sums(entry.sold_currency), self._sums(entry.bought_currency)
        if sold is bought or not (entry.sold > 0 and entry.bought > 0):
            raise IntegrityError(f"entry {entry.sequence}: a conversion needs two currencies and positive amounts")
        sold.cash = MONEY_CONTEXT.subtract(MONEY_CONTEXT.subtract(sold.cash, entry.sold), entry.fee)
        sold.exchanged = MONEY_CONTEXT.subtract(sold.exchanged, entry.sold)
        sold.fees = MONEY_CONTEXT.add(sold.fees, entry.fee)
        bought.cash = MONEY_CONTEXT.add(bought.cash, entry.bought)
        bought.exchanged = MONEY_CONTEXT.add(bought.exchanged, entry.bought)

    def _on_deposited(self, entry: Deposited) -> None:
        totals = self._sums(entry.currency)
        totals.cash = MONEY_CONTEXT.add(totals.cash, entry.amount)
        totals.deposits = MONEY_CONTEXT.add(totals.deposits, entry.amount)

    def _on_dividend_paid(self, entry: DividendPaid) -> None:
        holding = self._holdings.get(entry.instrument)
        if holding is None:
            return
        totals = self._sums(holding.currency)
        amount = holding.value(entry.per_unit)
        totals.cash = MONEY_CONTEXT.add(totals.cash, amount)
        totals.dividends = MONEY_CONTEXT.add(totals.dividends, amount)

    def _on_split_applied(self, entry: SplitApplied) -> None:
        self._marks[entry.instrument] = entry.price
        holding = self._holdings.get(entry.instrument)
        if holding is None:
            return
        totals = self._sums(holding.currency)
        cash, profit = holding.split(entry.ratio, entry.price, entry.lot)
        totals.cash = MONEY_CONTEXT.add(totals.cash, cash)
        totals.realised = MONEY_CONTEXT.add(totals.realised, profit)
        self._settle(holding)

    def _on_holding_charged(self, entry: HoldingCharged) -> None:
        totals = self._sums(entry.currency)
        totals.cash = MONEY_CONTEXT.subtract(totals.cash, entry.amount)
        totals.holding = MONEY_CONTEXT.add(totals.holding, entry.amount)

    def _on_listing_ended(self, entry: ListingEnded) -> None:
        self._marks[entry.instrument] = entry.price
        holding = self._holdings.get(entry.instrument)
        if holding is None:
            return
        totals = self._sums(holding.currency)
        cash = holding.value(entry.price)
        profit = holding.trade(-holding.quantity, entry.price, entry.at)
        totals.cash = MONEY_CONTEXT.add(totals.cash, cash)
        totals.realised = MONEY_CONTEXT.add(totals.realised, profit)
        self._settle(holding)

    def _on_marked(self, entry: Marked) -> None:
        self._marks.update(entry.prices)

    def _sums(self, currency: str) -> Totals:
        return self._totals.setdefault(currency or self.currency, Totals())

    def _holding(self, entry: FillBooked) -> Holding:
        """Return the holding of a fill's instrument, a new one where nothing is held."""
        name, currency = entry.fill.instrument, entry.currency or self.currency
        holding = self._holdings.get(name)
        if holding is None:
            holding = Holding(name, entry.multiplier, currency)
        elif (holding.multiplier, holding.currency) != (entry.multiplier, currency):
            raise IntegrityError(
                f"{name} is held with multiplier {holding.multiplier} in {holding.currency}, the fill of order "
                f"{entry.fill.order_id} says {entry.multiplier} in {currency}"
            )
        return holding

    def _settle(self, holding: Holding) -> None:
        """Keep a holding while something is held."""
        self._positions = None
        if holding.quantity:
            self._holdings[holding.instrument] = holding
        else:
            self._holdings.pop(holding.instrument, None)

    def _price(self, name: InstrumentId, prices: Mapping[InstrumentId, Decimal] | None) -> Decimal:
        price = self._marks[name] if prices is None or name not in prices else prices[name]
        if not price.is_finite():
            raise DataError(f"{name} is held but its price is {price}", hint="mark it at its last known price")
        return price

    def _converted(self, amount: Decimal, currency: str, rates: Mapping[str, Decimal] | None) -> Decimal:
        """Return an amount in the account's currency; from another one it is rounded to 1e-8, for telling only."""
        if currency == self.currency:
            return amount
        if rates is None or currency not in rates:
            raise DataError(f"no rate from {currency} to {self.currency}", hint=f"pass rates={{{currency!r}: ...}}")
        return _TELLING.multiply(amount, rates[currency]).quantize(_CONVERTED_UNIT, context=_TELLING)

    # A table, because a dispatching decorator costs several microseconds an entry.
    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        FillBooked: _on_fill_booked,
        FillBusted: _on_fill_busted,
        FillCorrected: _on_fill_corrected,
        Converted: _on_converted,
        Deposited: _on_deposited,
        DividendPaid: _on_dividend_paid,
        SplitApplied: _on_split_applied,
        HoldingCharged: _on_holding_charged,
        ListingEnded: _on_listing_ended,
        Marked: _on_marked,
    }


def replay(
    entries: Iterable[Entry], account: str = "main", currency: str = "USD", *, allow_short: bool = False
) -> Books:
    """Return the books that follow from a journal."""
    books = Books(account, currency, allow_short=allow_short)
    for entry in entries:
        books.apply(entry)
    return books
