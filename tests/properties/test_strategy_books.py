"""Whatever the journal holds, the books of all strategies add up to the account's: units and cash, exactly.

Random journals with net orders, partial fills, busts, corrections, fills that nobody planned, dividends, splits,
charges, an ended listing and money paid in; a snapshot is taken at a random place.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    HoldingKind,
    ListingEnded,
    OrderIntended,
    SharesPlanned,
    SplitApplied,
)
from foresail.ledger.strategies import HOUSE, StrategyBooks, share_units

D = Decimal
NAMES = ("a@1", "b@1", "c@1")
RECORDS = {
    one.id: one
    for one in (
        Instrument(InstrumentId("stock.US.AAA"), "AAA", AssetClass.STOCK, tick=D("0.01")),
        Instrument(
            InstrumentId("crypto.X.BBB-EUR.perp"), "BBB", AssetClass.CRYPTO, kind="perp", currency="EUR",
            multiplier=D("0.1"), lot=D("0.5"),
        ),
    )
}  # fmt: skip


class Ledger:
    """Both folds over one journal."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.books = Books("t", "USD", allow_short=True)
        self.shares = StrategyBooks(NAMES, RECORDS, "USD")
        self.at = self.number = 0
        self.orders: list[tuple[OrderId, InstrumentId, int, Decimal]] = []
        self.told: list[Fill] = []

    def write(self, kind: Any, /, **content: Any) -> None:
        self.at += self.draw.randint(0, 3) * 3600 * 10**9
        entry = kind(self.at, self.books.entries, **content)
        self.books.apply(entry)
        self.shares.apply(entry)
        self.check()

    def check(self) -> None:
        held: dict[InstrumentId, Decimal] = {}
        for (_name, one), units in self.shares.holdings().items():
            held[one] = held.get(one, D(0)) + units
        assert {k: v for k, v in held.items() if v} == {p.instrument: p.quantity for p in self.books.positions()}
        for currency in ("USD", "EUR"):
            own = [self.shares.money(name, currency) for name in self.shares.names()]
            whole = self.books.totals(currency)
            for name in ("cash", "fees", "slippage", "dividends", "holding"):
                assert sum((getattr(one, name) for one in own), D(0)) == getattr(whole, name), (name, currency)

    def units(self, one: Instrument, most: int = 40) -> Decimal:
        return one.lot * self.draw.randint(1, most)

    def order_id(self) -> OrderId:
        self.number += 1
        return OrderId(f"{self.number:032x}")

    def plan(self, one: Instrument) -> None:
        """Net orders for the wishes of several strategies, some of which cross inside."""
        sign, names = self.draw.choice((1, -1)), list(NAMES)
        self.draw.shuffle(names)
        wishes = tuple((name, self.units(one) * sign) for name in sorted(names[: self.draw.randint(1, 3)]))
        passed = self.units(one) if self.draw.random() < 0.5 else D(0)
        crossed = ((names[0], passed), (names[1], -passed)) if passed else ()
        orders = tuple(self.order_id() for _ in range(self.draw.randint(0, 2)))
        price = D(self.draw.randint(900, 1100)) / 10
        self.write(
            SharesPlanned, instrument=one.id, crossed=crossed, wishes=wishes, orders=orders, price=price,
            multiplier=one.multiplier, currency=one.currency,
        )  # fmt: skip
        whole = sum((abs(units) for _name, units in wishes), D(0))
        self.orders += [(name, one.id, sign, whole) for name in orders]

    def own(self, one: Instrument) -> None:
        """An order that is all one strategy's."""
        side, quantity = self.draw.choice((Side.BUY, Side.SELL)), self.units(one)
        order = Order(
            self.order_id(), one.id, side, quantity, OrderKind.MARKET, self.at, strategy=self.draw.choice(NAMES)
        )
        self.write(OrderIntended, order=order)
        self.orders.append((order.id, one.id, 1 if side is Side.BUY else -1, quantity))

    def fill(self, one: Instrument) -> None:
        """A fill: of a known order, in part or too large, or of one that nobody planned."""
        known = [order for order in self.orders if order[1] == one.id]
        if known and self.draw.random() < 0.8:
            name, _instrument, sign, whole = self.draw.choice(known)
            quantity = min(self.units(one, 30), whole)
        else:
            name, sign, quantity = self.order_id(), self.draw.choice((1, -1)), self.units(one)
        fill = Fill(
            name, one.id, Side.BUY if sign > 0 else Side.SELL, quantity, D(self.draw.randint(900, 1100)) / 10, D(100),
            D(self.draw.randint(0, 99)) / 100, D(self.draw.randint(0, 999)) / 1000, self.at, FillReason.ENTRY,
            f"x{self.books.entries}",
        )  # fmt: skip
        self.write(FillBooked, fill=fill, multiplier=one.multiplier, currency=one.currency)
        self.told.append(fill)

    def doubt(self, one: Instrument) -> None:
        """A bust or a correction of a fill told before."""
        recent = self.at - 5 * 86_400 * 10**9  # older ones cannot be taken back
        mine = [fill for fill in self.told if fill.instrument == one.id and fill.filled_at > recent]
        if not mine:
            return
        fill = self.draw.choice(mine[-3:])
        self.told.remove(fill)
        if self.draw.random() < 0.5:
            self.write(FillBusted, order_id=fill.order_id, execution=fill.execution)
            return
        right = Fill(
            fill.order_id, fill.instrument, fill.side, max(one.lot, fill.quantity - one.lot), fill.price + 1, D(100),
            D("0.07"), D(0), fill.filled_at, fill.reason, fill.execution + "'",
        )  # fmt: skip
        self.write(FillCorrected, execution=fill.execution, fill=right)

    def action(self, one: Instrument) -> None:
        choice = self.draw.randint(0, 4)
        if choice == 0:
            self.write(DividendPaid, instrument=one.id, per_unit=D("0.37"))
        elif choice == 1:
            ratio = self.draw.choice((D(2), D("0.5"), D("0.3333"), D(3)))
            self.write(SplitApplied, instrument=one.id, ratio=ratio, price=D("33.33"), lot=one.lot)
        elif choice == 2:
            amount = D(self.draw.randint(-500, 500)) / 1000
            name = one.id if self.draw.random() < 0.8 else None
            self.write(HoldingCharged, amount=amount, kind=HoldingKind.FUNDING, instrument=name, currency=one.currency)
        elif choice == 3:
            self.write(Deposited, amount=D(self.draw.randint(-100, 100)), currency=self.draw.choice(("", "EUR")))
        elif self.draw.random() < 0.2:
            self.write(ListingEnded, instrument=one.id, price=D("1.23"))

    def step(self) -> None:
        one = self.draw.choice(list(RECORDS.values()))
        self.draw.choices((self.plan, self.own, self.fill, self.doubt, self.action), (2, 1, 5, 1, 2))[0](one)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_the_books_of_all_strategies_add_up_after_every_entry(seed: int) -> None:
    ledger = Ledger(seed)
    for number in range(60):
        ledger.step()
        if number == seed % 60:
            plain = ledger.shares.to_plain()
            ledger.shares = StrategyBooks(NAMES, RECORDS, "USD")
            ledger.shares.restore(plain)
            assert ledger.shares.to_plain() == plain


def test_opposite_wishes_pass_units_inside_and_the_rest_comes_from_the_venue() -> None:
    ledger = Ledger(0)
    one = RECORDS[InstrumentId("stock.US.AAA")]
    order = ledger.order_id()
    ledger.write(
        SharesPlanned, instrument=one.id, crossed=(("a@1", D(40)), ("b@1", D(-40))), wishes=(("a@1", D(60)),),
        orders=(order,), price=D(10),
    )  # fmt: skip
    assert (ledger.shares.units("a@1", one.id), ledger.shares.units("b@1", one.id)) == (D(40), D(-40))
    assert (ledger.shares.money("a@1").cash, ledger.shares.money("b@1").cash) == (D(-400), D(400))
    fill = Fill(order, one.id, Side.BUY, D(60), D(11), D(11), D("0.6"), D(0), 1, FillReason.ENTRY, "x")
    ledger.write(FillBooked, fill=fill)
    assert ledger.shares.units("a@1", one.id) == D(100)
    assert ledger.shares.money("a@1").cash == D(-400) - D(660) - D("0.6")


def test_a_stop_at_the_venue_closes_those_whose_side_it_reduces() -> None:
    ledger = Ledger(0)
    one = RECORDS[InstrumentId("stock.US.AAA")]
    order = ledger.order_id()
    wishes = (("a@1", D(60)), ("c@1", D(20)))
    crossed = (("a@1", D(20)), ("b@1", D(-20)))
    ledger.write(SharesPlanned, instrument=one.id, crossed=crossed, wishes=wishes, orders=(order,), price=D(10))
    ledger.write(FillBooked, fill=Fill(order, one.id, Side.BUY, D(80), D(10), D(10), D(0), D(0), 1, FillReason.ENTRY))
    stop = Fill(ledger.order_id(), one.id, Side.SELL, D(80), D(9), D(9), D(0), D(0), 2, FillReason.STOP)
    ledger.write(FillBooked, fill=stop)
    assert ledger.shares.holdings() == {("a@1", one.id): D(16), ("b@1", one.id): D(-20), ("c@1", one.id): D(4)}
    assert ledger.shares.units(HOUSE, one.id) == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(0, 100))
def test_shares_fit_their_wants_and_grow_only(wants: list[int], percent: int) -> None:
    named = {f"s{i}": D(one) for i, one in enumerate(wants)}
    units = D(sum(wants) * percent // 100)
    shares = share_units(named, units, D(1))
    assert sum(shares.values(), D(0)) == (units if sum(wants) else 0)
    assert all(0 <= share <= named[name] for name, share in shares.items())
    total = sum(wants)
    assert all(abs(share - named[name] * units / total) < 2 for name, share in shares.items())
